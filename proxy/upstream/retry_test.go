package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

// TestDeliveredOnce counts how often a request arrives when the upstream closes the connection without a reply, on a
// new connection and on one that had been idle.
func TestDeliveredOnce(t *testing.T) {
	tests := []struct {
		name, method string
		body         func() io.Reader
		idle         bool // the request goes over a connection that was used before
		arrives      int64
		fails        bool
	}{
		{name: "GET, new connection", method: "GET", arrives: 1, fails: true},
		{name: "GET, idle connection", method: "GET", idle: true, arrives: 2},
		{name: "HEAD, idle connection", method: "HEAD", idle: true, arrives: 2},
		{name: "DELETE, idle connection", method: "DELETE", idle: true, arrives: 1, fails: true},
		{name: "GET with a body, idle connection", method: "GET", body: func() io.Reader { return strings.NewReader("x") }, idle: true, arrives: 1, fails: true},
		{name: "POST, new connection", method: "POST", body: func() io.Reader { return strings.NewReader("x") }, arrives: 1, fails: true},
		{name: "POST, idle connection", method: "POST", body: func() io.Reader { return strings.NewReader("x") }, idle: true, arrives: 1, fails: true},
		{name: "POST without body, idle connection", method: "POST", idle: true, arrives: 1, fails: true},
		{name: "PUT, streamed, idle connection", method: "PUT", body: func() io.Reader { return io.MultiReader(strings.NewReader("x")) }, idle: true, arrives: 1, fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var arrived atomic.Int64
			url := serveRaw(t, func(n int, c net.Conn, r *bufio.Reader) {
				for {
					head, _, err := readRaw(r)
					if err != nil {
						return
					}
					if strings.Contains(head, " /warm ") {
						_, _ = io.WriteString(c, okReply)
						continue
					}
					if arrived.Add(1) == 1 || !test.idle {
						return // closed without a reply
					}
					_, _ = io.WriteString(c, strings.TrimSuffix(okReply, "ok"))
					if test.method != "HEAD" {
						_, _ = io.WriteString(c, "ok")
					}
				}
			})
			u := newUpstream(t, testConfig(url))
			if test.idle {
				resp, _, err := u.RoundTrip(newRequest("GET", "/warm", nil))
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			var body io.Reader
			if test.body != nil {
				body = test.body()
			}
			r := newRequest(test.method, "/", body)
			if _, streamed := body.(*strings.Reader); body != nil && !streamed {
				r.HTTP.ContentLength = -1
			}
			resp, a, err := u.RoundTrip(r)
			if test.fails {
				wantKind(t, err, Broken, http.StatusBadGateway)
			} else if err != nil {
				t.Fatal(err)
			} else {
				_, _ = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if arrived.Load() != test.arrives || !a.Sent || a.Retries != int(test.arrives-1) {
				t.Errorf("arrived %d times, want %d; %+v", arrived.Load(), test.arrives, a)
			}
		})
	}
}

// TestIdleConnectionClosedByTheUpstream sends POSTs while the upstream closes connections after every reply without
// saying so: none may fail once the close has been seen, and none may arrive twice.
func TestIdleConnectionClosedByTheUpstream(t *testing.T) {
	var arrived atomic.Int64
	closed := make(chan struct{}, 100)
	url := serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if _, _, err := readRaw(r); err != nil {
			return
		}
		arrived.Add(1)
		_, _ = io.WriteString(c, okReply)
		_ = c.Close()
		closed <- struct{}{}
	})
	u := newUpstream(t, testConfig(url))
	for range 50 {
		resp, _, err := u.RoundTrip(newRequest("POST", "/", strings.NewReader("x")))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		<-closed
	}
	if arrived.Load() != 50 {
		t.Errorf("%d requests arrived, want 50", arrived.Load())
	}
}

func TestAtMostTwoRetries(t *testing.T) {
	c := testConfig()
	for _, ip := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"} {
		l := listen(t, ip+":0")
		c.URLs = append(c.URLs, "http://"+l.Addr().String())
		_ = l.Close()
	}
	_, a, err := get(newUpstream(t, c))
	wantKind(t, err, Unreachable, http.StatusBadGateway)
	if a.Retries != maxRetries || a.Sent {
		t.Errorf("attempt: %+v", a)
	}
}

func TestTimeouts(t *testing.T) {
	t.Run("connect", func(t *testing.T) {
		// TLS that never answers is a connect that takes too long, wherever the test runs.
		url := serveRaw(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
		c := testConfig(strings.Replace(url, "http:", "https:", 1))
		c.Timeouts.Connect = config.Duration(50 * time.Millisecond)
		_, a, err := get(newUpstream(t, c))
		if e := wantKind(t, err, Timeout, http.StatusGatewayTimeout); e.Step != StepTLS || a.Sent {
			t.Errorf("got %v, %+v", e, a)
		}
	})
	t.Run("first byte", func(t *testing.T) {
		url := serveRaw(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
		c := testConfig(url)
		c.Timeouts.FirstByte = config.Duration(50 * time.Millisecond)
		_, a, err := get(newUpstream(t, c))
		if e := wantKind(t, err, Timeout, http.StatusGatewayTimeout); e.Step != StepReply || !a.Sent || a.Retries != 0 {
			t.Errorf("got %v, %+v", e, a)
		}
	})
	t.Run("first byte over HTTP/2", func(t *testing.T) {
		u := newGRPCUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		u.timeouts.firstByte = 50 * time.Millisecond
		_, _, err := u.RoundTrip(grpcRequest(strings.NewReader("x")))
		wantKind(t, err, Timeout, http.StatusGatewayTimeout)
	})
	t.Run("the deadline of the request", func(t *testing.T) {
		url := serveRaw(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
		u := newUpstream(t, testConfig(url))
		r := newRequest("GET", "/", nil)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		r.HTTP = r.HTTP.WithContext(ctx)
		_, _, err := u.RoundTrip(r)
		wantKind(t, err, Timeout, http.StatusGatewayTimeout)
	})
	t.Run("a long upload is not cut", func(t *testing.T) {
		s := serve(t, "", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
		c := testConfig(s.URL)
		c.Timeouts.FirstByte = config.Duration(100 * time.Millisecond)
		u := newUpstream(t, c)
		pr, pw := io.Pipe()
		r := newRequest("POST", "/", pr)
		r.HTTP.ContentLength = 5
		go func() {
			for range 5 {
				time.Sleep(60 * time.Millisecond) // slower in all than first_byte
				_, _ = io.WriteString(pw, "x")
			}
			_ = pw.Close()
		}()
		resp, _, err := u.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(b) != "xxxxx" {
			t.Errorf("got %q, %v", b, err)
		}
	})
	t.Run("a quiet reply is not cut", func(t *testing.T) {
		s := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(150 * time.Millisecond)
			_, _ = io.WriteString(w, "event")
		})
		c := testConfig(s.URL)
		c.Timeouts.FirstByte = config.Duration(50 * time.Millisecond)
		if b, _ := mustGet(t, newUpstream(t, c)); b != "event" {
			t.Errorf("got %q", b)
		}
	})
	t.Run("idle connections close", func(t *testing.T) {
		s := serve(t, "", func(http.ResponseWriter, *http.Request) {})
		c := testConfig(s.URL)
		c.Timeouts.Idle = config.Duration(30 * time.Millisecond)
		u := newUpstream(t, c)
		mustGet(t, u)
		eventually(t, "no connection is open", func() bool { s := u.Status().Addresses[0]; return s.Idle+s.Active == 0 })
	})
	t.Run("an upstream that stops reading", func(t *testing.T) {
		hold := make(chan struct{})
		url := serveRaw(t, func(_ int, _ net.Conn, _ *bufio.Reader) { <-hold })
		defer close(hold)
		c := testConfig(url)
		c.Timeouts.FirstByte = config.Duration(100 * time.Millisecond)
		u := newUpstream(t, c)
		r := newRequest("POST", "/", io.LimitReader(zeros{}, 1<<30))
		r.HTTP.ContentLength = 1 << 30
		_, _, err := u.RoundTrip(r)
		wantKind(t, err, Timeout, http.StatusGatewayTimeout)
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestClientGone(t *testing.T) {
	started := make(chan struct{}, 1)
	ended := make(chan struct{}, 1)
	s := serve(t, "", func(_ http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	u := newUpstream(t, testConfig(s.URL))
	r := newRequest("GET", "/", nil)
	ctx, cancel := context.WithCancel(context.Background())
	r.HTTP = r.HTTP.WithContext(ctx)
	go func() { <-started; cancel() }()
	_, a, err := u.RoundTrip(r)
	wantKind(t, err, ClientGone, 0)
	<-ended
	if st := u.Status(); a.Retries != 0 || st.InFlight != 0 || st.Addresses[0].InFlight != 0 || st.Addresses[0].State != Healthy {
		t.Errorf("%+v, %+v", a, st)
	}
}

func TestClientGoneDuringTheReply(t *testing.T) {
	ended := make(chan struct{})
	s := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	})
	u := newUpstream(t, testConfig(s.URL))
	r := newRequest("GET", "/", nil)
	ctx, cancel := context.WithCancel(context.Background())
	r.HTTP = r.HTTP.WithContext(ctx)
	resp, _, err := u.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.ReadAll(resp.Body)
	wantKind(t, err, ClientGone, 0)
	_ = resp.Body.Close()
	<-ended
}

func TestBodyThatFails(t *testing.T) {
	seen := make(chan error, 1)
	s := serve(t, "", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		seen <- err
	})
	u := newUpstream(t, testConfig(s.URL))
	cause := errors.New("over max_bytes")
	for _, length := range []int64{-1, 100} {
		r := newRequest("POST", "/", io.MultiReader(strings.NewReader("begin"), failing{cause}))
		r.HTTP.ContentLength = length
		_, _, err := u.RoundTrip(r)
		wantKind(t, err, BodyFailed, 0)
		if !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		if <-seen == nil {
			t.Error("the upstream took half a body for a whole one")
		}
	}
	short := newRequest("POST", "/", io.MultiReader(strings.NewReader("abc")))
	short.HTTP.ContentLength = 5
	_, _, err := u.RoundTrip(short)
	if wantKind(t, err, BodyFailed, 0); !errors.Is(err, ErrBodyLength) {
		t.Errorf("got %v", err)
	}
	<-seen
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
