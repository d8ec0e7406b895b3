package listener

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestH2C(t *testing.T) {
	s, rec := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		info := FromContext(r.Context())
		fmt.Fprintf(w, "%s %s %s", r.Proto, info.ALPN, info.Scheme())
	})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + s.Addr("http").String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(body) != "HTTP/2.0 h2c http" {
		t.Errorf("got %q", body)
	}
	// HTTP/1.1 on the same listener, also by a method that begins like the preface.
	for _, test := range []struct {
		raw    string
		status int
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"PRI / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505},
	} {
		c := dial(t, s)
		send(t, c, test.raw)
		status, body, _ := reply(t, bufio.NewReader(c))
		if status != test.status || status == 200 && body != "HTTP/1.1  http" {
			t.Errorf("%q: got %d %q", test.raw, status, body)
		}
	}
	if got := len(rec.refusals()); got != 1 {
		t.Errorf("%d refusals", got)
	}
}

func TestH2CBehindPROXY(t *testing.T) {
	s, _ := serve(t, one(plain(withH2C, withProxy)), func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, FromContext(r.Context()).Client.String())
	})
	c := dial(t, s)
	send(t, c, v2(1, 0x11, v4Payload))
	h := newH2(t, c)
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x")
	if body := h.body(1); body != "203.0.113.9:4711" {
		t.Errorf("got %q", body)
	}
}

func TestHTTP2HeaderTooLarge(t *testing.T) {
	s, rec := serve(t, one(plain(withH2C)), hello)
	h := newH2(t, dial(t, s))
	h.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x", "x-a", strings.Repeat("a", 70<<10))
	if status := h.status(1); status != "431" {
		t.Errorf("got %s", status)
	}
	if body := h.body(1); body != "incident 431" {
		t.Errorf("got %q", body)
	}
	if got := rec.refusals(); len(got) != 1 || got[0].status != 431 {
		t.Errorf("reported %+v", got)
	}
	h.headers(3, true, ":method", "GET", ":scheme", "http", ":path", "/ok", ":authority", "x")
	if body := h.body(3); body != "hello /ok" {
		t.Errorf("got %q", body)
	}
	// A list that is too large even encoded ends the connection.
	fields := []string{":method", "GET", ":scheme", "http", ":path", "/far", ":authority", "x"}
	for i := range 50 {
		fields = append(fields, fmt.Sprint("x-", i), strings.Repeat("\x7e", 4<<10))
	}
	h.headers(5, true, fields...)
	for {
		f, err := h.framer.ReadFrame()
		if err != nil {
			if !closed(err) {
				t.Errorf("read: %v", err)
			}
			break
		}
		if _, ok := f.(*http2.MetaHeadersFrame); ok && f.Header().StreamID == 5 {
			t.Error("the request was answered")
		}
	}
	if faults := rec.faults(); !slices.Equal(faults, []string{"http conn_PROTOCOL_ERROR"}) || len(rec.refusals()) != 1 {
		t.Errorf("reported %q, %d refusals", faults, len(rec.refusals()))
	}
}

func TestHTTP2ErrorsAreCounted(t *testing.T) {
	s, rec := serve(t, one(plain(withH2C)), hello)
	h := newH2(t, dial(t, s))
	h.headers(2, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x") // clients use odd numbers
	h.await(func(f http2.Frame) bool { return f.Header().Type == http2.FrameGoAway })
	eventually(t, "the error is reported", func() bool {
		return slices.Equal(rec.faults(), []string{"http conn_PROTOCOL_ERROR"})
	})
}

func TestHTTP2Settings(t *testing.T) {
	s, _ := serve(t, one(plain(withH2C)), hello)
	h := newH2(t, dial(t, s))
	h.await(func(f http2.Frame) bool {
		settings, ok := f.(*http2.SettingsFrame)
		if !ok {
			return false
		}
		if v, _ := settings.Value(http2.SettingMaxConcurrentStreams); v != 250 {
			t.Errorf("streams %d", v)
		}
		if v, _ := settings.Value(http2.SettingMaxHeaderListSize); v < 64<<10 || v > 128<<10 {
			t.Errorf("header list %d", v)
		}
		return true
	})
}

// While a listener drains, HTTP/2 connections get GOAWAY, their requests are answered, and then they are closed.
func TestHTTP2Drain(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 1)
	s, _ := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			started <- struct{}{}
			<-release
		}
		hello(w, r)
	})
	busy, idle := newH2(t, dial(t, s)), newH2(t, dial(t, s))
	busy.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/slow", ":authority", "x")
	idle.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x")
	idle.body(1)
	<-started
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- s.Shutdown(ctx)
	}()
	busy.await(func(f http2.Frame) bool { return f.Header().Type == http2.FrameGoAway })
	select {
	case err := <-done:
		t.Fatalf("shut down with a request in flight: %v", err)
	default:
	}
	close(release)
	if body := busy.body(1); body != "hello /slow" {
		t.Errorf("got %q", body)
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := io.ReadAll(idle.conn); err != nil && !closed(err) {
		t.Errorf("idle: %v", err)
	}
	if _, err := net.Dial("tcp", s.Status()[0].Addr.String()); err == nil {
		t.Error("still accepting")
	}
}
