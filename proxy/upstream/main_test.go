package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRegistry makes a registry that ends with the test.
func newRegistry(t *testing.T, o Options) *Registry {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// testConfig is a complete upstream on loopback with short timeouts.
func testConfig(urls ...string) config.Upstream {
	return config.Upstream{
		Name: "test", URLs: urls, AllowLoopback: true, Balance: config.LeastConnections,
		TLS: config.UpstreamTLS{VerifyName: "url_host"},
		Timeouts: config.UpstreamTimeouts{
			Connect: config.Duration(2 * time.Second), FirstByte: config.Duration(5 * time.Second), Idle: config.Duration(50 * time.Second),
		},
	}
}

func acquire(t *testing.T, r *Registry, c config.Upstream, certs Certificates) *Upstream {
	t.Helper()
	u, err := r.Acquire(c, certs)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// newUpstream makes an upstream in a registry of its own.
func newUpstream(t *testing.T, c config.Upstream) *Upstream {
	t.Helper()
	return acquire(t, newRegistry(t, Options{}), c, nil)
}

func newRequest(method, target string, body io.Reader) *Request {
	req, err := http.NewRequestWithContext(context.Background(), method, "http://unused.invalid/", body)
	if err != nil {
		panic(err)
	}
	req.Host = "app.example"
	return &Request{HTTP: req, Target: target}
}

// get sends a GET and gives the body of a 200.
func get(u *Upstream) (string, Attempt, error) {
	resp, a, err := u.RoundTrip(newRequest("GET", "/", nil))
	if err != nil {
		return "", a, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(b), a, err
}

func mustGet(t *testing.T, u *Upstream) (string, Attempt) {
	t.Helper()
	b, a, err := get(u)
	if err != nil {
		t.Fatal(err)
	}
	return b, a
}

func wantKind(t *testing.T, err error, kind Kind, status int) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want one of kind %s", err, kind)
	}
	if e.Kind != kind || e.Status() != status {
		t.Fatalf("got kind %s status %d (%v), want %s %d", e.Kind, e.Status(), e, kind, status)
	}
	return e
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 10 s", what)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve runs a handler on an address; an empty one is 127.0.0.1:0.
func serve(t *testing.T, address string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = listen(t, address)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// serveRaw runs one function per connection, and closes the connection after it.
func serveRaw(t *testing.T, each func(n int, c net.Conn, r *bufio.Reader)) (url string) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	done := make(chan struct{})
	conns := make(chan net.Conn, 1000)
	go func() {
		defer close(done)
		inner := make(chan struct{}, 1000)
		n := 0
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns <- c
			n++
			go func(n int) {
				defer func() { _ = c.Close(); inner <- struct{}{} }()
				each(n, c, bufio.NewReader(c))
			}(n)
		}
		for range n {
			<-inner
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		for {
			select {
			case c := <-conns:
				_ = c.Close()
				continue
			case <-done:
				return
			}
		}
	})
	return "http://" + l.Addr().String()
}

// readRaw reads one request's head, as it came, and its body if it has a Content-Length.
func readRaw(r *bufio.Reader) (head string, body string, err error) {
	var b strings.Builder
	length := 0
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), "", err
		}
		if v, ok := strings.CutPrefix(strings.ToLower(line), "content-length: "); ok {
			for _, d := range strings.TrimSpace(v) {
				length = length*10 + int(d-'0')
			}
		}
		if line == "\r\n" {
			break
		}
	}
	p := make([]byte, length)
	_, err = io.ReadFull(r, p)
	return b.String(), string(p), err
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
