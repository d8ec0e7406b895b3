// Package mix makes the requests of benchmarks: of a shop's customers, and of those who attack it.
//
// Invariant: all requests of a mix differ. What a server keeps of the last request (caches, automata that grow, branch
// predictors) makes a repeated one look cheaper than the next client's, so that a mix has thousands.
package mix

import (
	"bytes"
	"fmt"
	"strings"
)

// Header is one line of a header.
type Header struct{ Name, Value string }

// Request is one HTTP/1.1 request.
type Request struct {
	Method, Target string
	Headers        []Header
	Body           []byte
	Attack         bool // to be refused; all others are to pass
}

// Wire is the request as it is sent over HTTP/1.1.
func (r *Request) Wire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Target)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

// SetHost makes it a request for another site.
func (r *Request) SetHost(name string) { r.set("Host", name) }

// set gives a field of the header a value, at its end if it is new.
func (r *Request) set(name, value string) {
	for i := range r.Headers {
		if strings.EqualFold(r.Headers[i].Name, name) {
			r.Headers[i].Value = value
			return
		}
	}
	r.Headers = append(r.Headers, Header{name, value})
}
