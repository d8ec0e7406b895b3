package proxytest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Upstream is an HTTP/1.1 server that keeps every request byte for byte and answers each with 200 and "ok".
type Upstream struct {
	// URL is its address, to be used with allow_loopback: true.
	URL string
	// Answer, if set, writes the whole reply to a request; it is called from one goroutine a connection.
	Answer func(w io.Writer, r *http.Request, body []byte)

	listener net.Listener
	mu       sync.Mutex // guards requests and conns
	requests []Received
	conns    map[net.Conn]bool
	done     sync.WaitGroup
}

// Received is one request as it reached the upstream.
type Received struct {
	Head   string // request line and header, with their line ends
	Body   []byte // without its framing
	Parsed *http.Request
}

// Line is the request line.
func (r Received) Line() string { line, _, _ := strings.Cut(r.Head, "\r\n"); return line }

// Target is the request target.
func (r Received) Target() string {
	if parts := strings.Split(r.Line(), " "); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// NewUpstream starts an upstream that ends with the test.
func NewUpstream(t testing.TB) *Upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &Upstream{URL: "http://" + l.Addr().String(), listener: l, conns: map[net.Conn]bool{}}
	u.done.Go(u.accept)
	t.Cleanup(u.close)
	return u
}

func (u *Upstream) accept() {
	for {
		c, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.conns[c] = true
		u.mu.Unlock()
		u.done.Go(func() { u.serve(c) })
	}
}

func (u *Upstream) close() {
	u.listener.Close()
	u.mu.Lock()
	for c := range u.conns {
		c.Close()
	}
	u.mu.Unlock()
	u.done.Wait()
}

// serve reads requests off one connection until one asks to close it or cannot be read.
func (u *Upstream) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var head bytes.Buffer
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if line == "\r\n" || line == "\n" {
				break
			}
		}
		parsed, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head.Bytes()), r)))
		if err != nil {
			u.add(Received{Head: head.String()})
			return
		}
		body, err := io.ReadAll(parsed.Body)
		u.add(Received{Head: head.String(), Body: body, Parsed: parsed})
		if err != nil {
			return
		}
		if u.Answer != nil {
			u.Answer(c, parsed, body)
			continue
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")
		if parsed.Close {
			return
		}
	}
}

func (u *Upstream) add(r Received) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests = append(u.requests, r)
}

// Requests are those received so far.
func (u *Upstream) Requests() []Received {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Received(nil), u.requests...)
}

// Forget drops the requests received so far.
func (u *Upstream) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requests = nil
}

// Last is the last request received.
func (u *Upstream) Last(t testing.TB) Received {
	t.Helper()
	list := u.Requests()
	if len(list) == 0 {
		t.Fatal("nothing reached the upstream")
	}
	return list[len(list)-1]
}
