package wiretest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Recorder is an HTTP/1.1 server that keeps every byte. It answers each canonical request with 200 and a body that
// names it, agrees to upgrades, and closes the connection on which something else came.
type Recorder struct {
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex // guards the following
	requests []*Request
	conns    map[net.Conn]bool
	closed   bool
}

// NewRecorder starts a recorder on 127.0.0.1. Close ends it.
func NewRecorder() (*Recorder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the recorder: %w", err)
	}
	r := &Recorder{listener: l, conns: map[net.Conn]bool{}}
	r.done.Go(r.accept)
	return r, nil
}

// Addr is the recorder's address, such as 127.0.0.1:41234.
func (r *Recorder) Addr() string { return r.listener.Addr().String() }

// Close ends all connections and waits for them.
func (r *Recorder) Close() {
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.done.Wait()
}

// Take gives what was received since the last call.
func (r *Recorder) Take() []*Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.requests
	r.requests = nil
	return list
}

func (r *Recorder) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[c] = true
		if r.closed {
			c.Close()
		}
		r.mu.Unlock()
		r.done.Go(func() { r.serve(c) })
	}
}

func (r *Recorder) serve(c net.Conn) {
	defer func() {
		c.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, c)
	}()
	reader := bufio.NewReader(c)
	for {
		request := readRequest(reader)
		if request == nil {
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, request)
		r.mu.Unlock()
		if request.Problem != "" || request.Cut {
			return
		}
		if len(request.Values("Upgrade")) > 0 {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
			r.tunnel(reader, request)
			return
		}
		io.WriteString(c, Answer(request.Method, request.Target))
		if values := request.Values("Connection"); len(values) == 1 && strings.EqualFold(values[0], "close") {
			return
		}
	}
}

// tunnel keeps what comes on a connection that is none of HTTP any more.
func (r *Recorder) tunnel(from io.Reader, request *Request) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		request.Tunnel = append(request.Tunnel, buffer[:n]...)
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Answer is the recorder's whole reply to a request.
func Answer(method, target string) string {
	body := answerBody(method, target)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(body))
	if method == "HEAD" {
		return head
	}
	return head + body
}

// answerBody names a request, so that a reply to another one is noticed.
func answerBody(method, target string) string { return method + " " + target + "\n" }
