package listener

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"gatehouse/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// refusal and failure are what the hooks were called with.
type refusal struct {
	status int
	detail string
	info   ConnInfo
}

// recorder keeps what hooks were called with.
type recorder struct {
	mu       sync.Mutex // guards all below
	refused  []refusal
	failed   []Failure
	http2    []string
	details  []string // of http2
	reloaded []string
}

func (r *recorder) hooks() Hooks {
	return Hooks{
		Refused: func(info *ConnInfo, status int, detail string) []byte {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.refused = append(r.refused, refusal{status, detail, *info})
			body := fmt.Sprintf("incident %d", status)
			return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nX-Gatehouse-Incident: GH-TEST\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, http.StatusText(status), len(body), body)
		},
		Failed: func(_ *ConnInfo, cause Failure) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failed = append(r.failed, cause)
		},
		HTTP2Error: func(info *ConnInfo, fault HTTP2Error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.http2 = append(r.http2, info.Listener+" "+fault.Kind)
			r.details = append(r.details, fault.Detail)
		},
		CertificateReloaded: func(name string, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reloaded = append(r.reloaded, fmt.Sprintf("%s ok=%v", name, err == nil))
		},
	}
}

func (r *recorder) refusals() []refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]refusal(nil), r.refused...)
}

func (r *recorder) faults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.http2...)
}

func (r *recorder) failures() []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Failure(nil), r.failed...)
}

// plain is an HTTP listener with generous timeouts.
func plain(change ...func(*config.Listener)) config.Listener {
	l := config.Listener{
		Name: "http", Address: "127.0.0.1:0", Protocol: config.ProtocolHTTP, ProxyProtocol: config.PROXYNone,
		Timeouts: config.ListenerTimeouts{Header: config.Duration(10 * time.Second), Idle: config.Duration(75 * time.Second), BodyIdle: config.Duration(30 * time.Second)},
	}
	for _, f := range change {
		f(&l)
	}
	return l
}

func withTimeouts(header, idle, bodyIdle time.Duration) func(*config.Listener) {
	return func(l *config.Listener) {
		l.Timeouts = config.ListenerTimeouts{Header: config.Duration(header), Idle: config.Duration(idle), BodyIdle: config.Duration(bodyIdle)}
	}
}

func withProxy(l *config.Listener) { l.ProxyProtocol = config.PROXYRequired }
func withH2C(l *config.Listener)   { l.H2C = true }
func withHTTPS(l *config.Listener) { l.Protocol = config.ProtocolHTTPS }

// serve starts a Set, and shuts it down at the end of the test.
func serve(t *testing.T, cfg Config, handler http.HandlerFunc) (*Set, *recorder) {
	t.Helper()
	rec := &recorder{}
	s, err := New(cfg, Options{Handler: handler, Logger: zaptest.NewLogger(t), Hooks: rec.hooks(), DrainIdle: 50 * time.Millisecond, CertificatePoll: 20 * time.Millisecond, DrainTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s, rec
}

func one(l config.Listener) Config { return Config{Listeners: []config.Listener{l}} }

func hello(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, "hello "+r.URL.Path)
}

func dial(t *testing.T, s *Set) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.Status()[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

func send(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// reply reads one response.
func reply(t *testing.T, r *bufio.Reader) (status int, body string, header http.Header) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	return response.StatusCode, string(b), response.Header
}

// atEnd checks that the server has closed the connection, without a reset.
func atEnd(t *testing.T, r io.Reader) {
	t.Helper()
	rest, err := io.ReadAll(r)
	if err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, %v; want a closed connection", rest, err)
	}
}

// closed reports whether the connection is gone, by end or reset.
func closed(err error) bool {
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not reached: %s", what)
		}
	}
}
