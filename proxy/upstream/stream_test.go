package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEarlyReply(t *testing.T) {
	tests := map[string]func(c net.Conn, r *bufio.Reader){
		"the upstream keeps the connection open": func(c net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) },
		"the upstream closes the connection":     func(net.Conn, *bufio.Reader) {},
	}
	for name, after := range tests {
		t.Run(name, func(t *testing.T) {
			url := serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
				if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "POST ") {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
				after(c, r)
			})
			u := newUpstream(t, testConfig(url))
			pr, pw := io.Pipe() // an upload that never ends by itself
			r := newRequest("POST", "/", pr)
			r.HTTP.ContentLength = 1 << 40
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				p := make([]byte, 1<<10)
				for {
					if _, err := pw.Write(p); err != nil {
						return
					}
				}
			}()
			resp, _, err := u.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != 413 || string(b) != "no" {
				t.Errorf("got %d %q, %v", resp.StatusCode, b, err)
			}
			<-stopped
			if s := u.Status().Addresses[0]; s.Idle != 0 || s.InFlight != 0 {
				t.Errorf("the connection of half a request was kept: %+v", s)
			}
		})
	}
}

// TestEarlyReplyBehindAServer is the same through an http.Server, whose client sends half a body and waits.
func TestEarlyReplyBehindAServer(t *testing.T) {
	u := newUpstream(t, testConfig(serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, r)
	})))
	handled := make(chan struct{})
	front := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		defer close(handled)
		out := r.Clone(r.Context())
		out.Body = ClientBody(w, r.Body)
		resp, _, err := u.RoundTrip(&Request{HTTP: out, Target: r.RequestURI})
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		_ = resp.Body.Close()
	})
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("got %v, %v", resp, err)
	}
	<-handled
}

func TestClientBodyLeavesAReadConnectionAlone(t *testing.T) {
	back := serve(t, "", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	u := newUpstream(t, testConfig(back.URL))
	front := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.Body = ClientBody(w, r.Body)
		resp, _, err := u.RoundTrip(&Request{HTTP: out, Target: r.RequestURI})
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(w, resp.Body)
		_ = resp.Body.Close()
	})
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
	} {
		_, _ = io.WriteString(c, request)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "body" {
			t.Fatalf("got %q, %v", b, err)
		}
	}
}

func TestUpgrade(t *testing.T) {
	head := make(chan string, 1)
	url := serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		h, _, err := readRaw(r)
		if err != nil {
			return
		}
		head <- h
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello")
		_, _ = io.Copy(c, r) // echo
	})
	reg := newRegistry(t, Options{})
	c := testConfig(url)
	u := acquire(t, reg, c, nil)
	r := newRequest("GET", "/chat", nil)
	r.HTTP.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"keep-alive, Upgrade"}, "Sec-Websocket-Key": {"abc="}}
	resp, _, err := u.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if h := <-head; !strings.Contains(h, "\r\nConnection: Upgrade\r\n") || !strings.Contains(h, "\r\nUpgrade: websocket\r\n") {
		t.Errorf("head: %q", h)
	}
	tunnel, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %d with a body of %T", resp.StatusCode, resp.Body)
	}
	expect := func(want string) {
		t.Helper()
		p := make([]byte, len(want))
		if _, err := io.ReadFull(tunnel, p); err != nil || string(p) != want {
			t.Fatalf("got %q, %v, want %q", p, err, want)
		}
	}
	expect("hello")
	reg.Release(u) // a reload: the tunnel survives
	if _, err := io.WriteString(tunnel, "frame"); err != nil {
		t.Fatal(err)
	}
	expect("frame")
	if s := reg.Status(); len(s) != 1 || !s[0].Retired || s[0].InFlight != 1 {
		t.Errorf("status: %+v", s)
	}
	if err := tunnel.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(tunnel); err != nil {
		t.Fatal(err)
	}
	_ = tunnel.Close()
	if s := reg.Status(); len(s) != 0 {
		t.Errorf("the retired upstream is not forgotten: %+v", s)
	}
}

func TestUpgradeEndsWithItsRequest(t *testing.T) {
	url := serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		_, _, _ = readRaw(r)
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_, _ = io.Copy(io.Discard, r)
	})
	u := newUpstream(t, testConfig(url))
	r := newRequest("GET", "/chat", nil)
	r.HTTP.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	ctx, cancel := context.WithCancel(context.Background())
	r.HTTP = r.HTTP.WithContext(ctx)
	resp, _, err := u.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the tunnel outlives its request")
	}
	_ = resp.Body.Close()
}

func TestStreamedReplyArrivesAsItIsSent(t *testing.T) {
	next := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, event := range []string{"one", "two"} {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	defer s.Close()
	u := newUpstream(t, testConfig(s.URL))
	resp, _, err := u.RoundTrip(newRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 3)
	for _, want := range []string{"one", "two"} {
		if _, err := io.ReadFull(resp.Body, p); err != nil || string(p) != want {
			t.Fatalf("got %q, %v", p, err)
		}
		next <- struct{}{}
	}
	_ = resp.Body.Close()
}
