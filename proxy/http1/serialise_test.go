package http1_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/config"
	"gatehouse/proxy/http1"
	"gatehouse/proxy/upstream"
)

// received is a request as the upstream reads it.
type received struct {
	method, target, host, body string
	header, trailer            http.Header
	problem                    string
}

// FuzzSerialise shows that what is read and then written by the gateway's client is read again as the same request:
// nothing that is accepted changes its meaning, or becomes two requests, on its way.
func FuzzSerialise(f *testing.F) {
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET //a/../%2e?b=c&%zz|\"<>^`{}\\[]?? HTTP/1.1\r\nHost: a.example:80\r\nx-a: 1\r\nX-A:\t2\r\nCookie: a=1;b\r\nY: \xc3\xa9\xff\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a!#$ / HTTP/1.0\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, x-a\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 39\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n     ",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nX: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(raw))
	}
	o := startOrigin(f)
	f.Fuzz(func(t *testing.T, sent []byte) {
		server := &http1.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { o.check(t, r) })}
		server.NewConn(context.Background(), &client{Reader: strings.NewReader(string(sent))}, nil).Serve()
	})
}

// origin is an upstream whose requests are read by this package again.
type origin struct {
	upstream *upstream.Upstream
	mu       sync.Mutex // guards got
	got      []received
}

func startOrigin(f *testing.F) *origin {
	o := &origin{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	server := &http1.Server{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got := describe(r)
			o.mu.Lock()
			defer o.mu.Unlock()
			o.got = append(o.got, got)
		}),
		Refused: func(_ context.Context, _ int, detail string) []byte {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.got = append(o.got, received{problem: detail})
			return nil
		},
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(server.NewConn(context.Background(), c, nil).Serve)
		}
	})
	registry, err := upstream.New(upstream.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = registry.Close()
		l.Close()
		conns.Wait()
	})
	o.upstream, err = registry.Acquire(config.Upstream{
		Name: "origin", URLs: []string{"http://" + l.Addr().String()}, AllowLoopback: true, Balance: config.LeastConnections,
		Timeouts: config.UpstreamTimeouts{Connect: config.Duration(5 * time.Second), FirstByte: config.Duration(5 * time.Second), Idle: config.Duration(50 * time.Second)},
	}, nil)
	if err != nil {
		f.Fatal(err)
	}
	return o
}

// describe reads a request to its end.
func describe(r *http.Request) received {
	body, err := io.ReadAll(r.Body)
	got := received{method: r.Method, target: r.RequestURI, host: r.Host, body: string(body), header: http.Header{}, trailer: r.Trailer}
	for name, values := range r.Header {
		switch name {
		case "Content-Length", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Expect", "Trailer":
		default:
			got.header[name] = values
		}
	}
	if err != nil {
		got.problem = err.Error()
	}
	return got
}

// check forwards a request and compares what arrives.
func (o *origin) check(t *testing.T, r *http.Request) {
	want := describe(r)
	if want.problem != "" || r.Method == http.MethodConnect || want.target[0] != '/' && want.target != "*" {
		return
	}
	out := &http.Request{Method: r.Method, Host: r.Host, Header: r.Header.Clone(), ContentLength: r.ContentLength, Trailer: r.Trailer}
	delete(out.Header, "Upgrade")
	if r.ContentLength != 0 {
		out.Body = io.NopCloser(strings.NewReader(want.body))
	} else {
		want.trailer = nil
	}
	o.mu.Lock()
	o.got = nil
	o.mu.Unlock()
	reply, _, err := o.upstream.RoundTrip(&upstream.Request{HTTP: out.WithContext(t.Context()), Target: want.target})
	if err != nil {
		if r.Host == "" && o.take() == nil { // no host can be written
			return
		}
		t.Fatalf("%s %s: %v", r.Method, r.RequestURI, err)
	}
	_, _ = io.Copy(io.Discard, reply.Body)
	reply.Body.Close()
	got := o.take()
	if len(want.body) == 0 { // it may leave without any framing
		want.trailer = nil
		if len(got) == 1 {
			got[0].trailer = nil
		}
	}
	if d := cmp.Diff([]received{want}, got, cmp.AllowUnexported(received{})); d != "" {
		t.Fatalf("the upstream reads something else (-want +got):\n%s", d)
	}
}

func (o *origin) take() []received {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.got
}

// client is a connection on which a client has sent all that it will.
type client struct{ *strings.Reader }

func (*client) Write(p []byte) (int, error)      { return len(p), nil }
func (*client) Close() error                     { return nil }
func (*client) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*client) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*client) SetDeadline(time.Time) error      { return nil }
func (*client) SetReadDeadline(time.Time) error  { return nil }
func (*client) SetWriteDeadline(time.Time) error { return nil }
