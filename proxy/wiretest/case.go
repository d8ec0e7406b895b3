package wiretest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// End is what becomes of a connection after the last reply.
type End string

// The ends.
const (
	Open   End = "open"
	Closed End = "closed"
	Any    End = "any"
)

// Case is bytes to send and what must come of them.
type Case struct {
	// Place is file:line.
	Place string
	// Name is that of the family and of the case: "Content-Length/negative".
	Name string

	Listener string
	Send     []byte
	Half     bool
	Status   []int // of each reply; empty: the connection is closed without any
	End      End
	Upstream []Expected
	Tunnel   []byte
}

// Expected is a request as it must reach the upstream.
type Expected struct {
	Request string // method and target
	Body    []byte
	Fields  []string // "Name: value"
	Absent  []string
}

// For gives the case for one of the server's hosts.
func (c *Case) For(host string) *Case {
	out := *c
	out.Send = bytes.ReplaceAll(c.Send, []byte(hostMark), []byte(host))
	out.Upstream = slices.Clone(c.Upstream)
	for i := range out.Upstream {
		e := &out.Upstream[i]
		e.Fields = slices.Clone(e.Fields)
		for j := range e.Fields {
			e.Fields[j] = strings.ReplaceAll(e.Fields[j], hostMark, host)
		}
	}
	return &out
}

// ManyHosts reports whether the case differs from host to host.
func (c *Case) ManyHosts() bool { return bytes.Contains(c.Send, []byte(hostMark)) }

// Check compares a request with what must reach the upstream and gives what is wrong.
func (e *Expected) Check(got *Request) []string {
	var wrong []string
	if have := got.Method + " " + got.Target; have != e.Request {
		wrong = append(wrong, fmt.Sprintf("the upstream got %q, want %q", have, e.Request))
	}
	if !bytes.Equal(got.Body, e.Body) {
		wrong = append(wrong, fmt.Sprintf("the upstream got the body %.80q, want %.80q", got.Body, e.Body))
	}
	for _, field := range e.Fields {
		name, value, _ := strings.Cut(field, ": ")
		if have := got.Values(name); len(have) != 1 || have[0] != value {
			wrong = append(wrong, fmt.Sprintf("the upstream got %s as %q, want %q", name, have, value))
		}
	}
	for _, name := range e.Absent {
		for _, field := range got.Fields {
			if strings.EqualFold(strings.ReplaceAll(field.Name, "_", "-"), name) {
				wrong = append(wrong, fmt.Sprintf("the upstream got %s: %q", field.Name, field.Value))
			}
		}
	}
	return wrong
}
