package listener

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestConnInfo(t *testing.T) {
	var info ConnInfo
	s, _ := serve(t, one(plain()), func(w http.ResponseWriter, r *http.Request) {
		info = *FromContext(r.Context())
		hello(w, r)
	})
	c := dial(t, s)
	send(t, c, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	r := bufio.NewReader(c)
	if status, body, _ := reply(t, r); status != 200 || body != "hello /a" {
		t.Fatalf("got %d %q", status, body)
	}
	peer := c.LocalAddr().(*net.TCPAddr).AddrPort()
	server := netip.MustParseAddrPort(s.Addr("http").String())
	if info.Listener != "http" || info.ID == 0 || info.Peer != peer || info.Client != peer || info.Server != server || info.Scheme() != "http" {
		t.Errorf("got %+v", info)
	}
}

// Requests that are refused before a handler runs: each is reported once, and our reply is the only one.
func TestMalformedRequests(t *testing.T) {
	big := strings.Repeat("a", 70<<10)
	tests := []struct {
		name   string
		raw    string
		status int
		detail string
	}{
		{"not HTTP", "hello\r\n\r\n", 400, "the request line is not method, target and version"},
		{"binary", "\x16\x03\x01\x00\xff\r\n\r\n", 400, "the request does not begin with a method"},
		{"PROXY v1 where none is expected", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "more than one space between the parts of the request line"},
		{"PROXY v2 where none is expected", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 400, "the request does not begin with a method"},
		{"no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400, "the request line is not method, target and version"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "no Host"},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "more than one Host"},
		{"bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host is malformed"},
		{"space before colon", "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400, "white space in a field name or before its colon"},
		{"NUL in value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400, "a control byte in the value of \"X\""},
		{"DEL in value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400, "a control byte in the value of \"X\""},
		{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nxyz\r\n\r\n", 400, "a field line without a colon"},
		{"bad Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length is no number of bytes"},
		{"two Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "more than one Content-Length"},
		{"transfer coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "Transfer-Encoding is not exactly chunked"},
		{"version 3", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "the version is neither HTTP/1.1 nor HTTP/1.0"},
		{"HTTP/2 preface without h2c", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2 without TLS is not enabled on this listener"},
		{"expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417, "Expect: only 100-continue is known"},
		{"large header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + big + "\r\n\r\n", 431, "the header is longer than 64 KiB"},
		{"large target", "GET /" + big + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, "the header is longer than 64 KiB"},
		{"many headers", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: 1\r\n", 20000) + "\r\n", 431, "the header is longer than 64 KiB"},
		{"header cut off", "GET / HTTP/1.1\r\nHost: a\r\nX", 400, "the connection ended within the header"},
	}
	ca := newCA(t)
	for _, scheme := range []string{"http", "https"} {
		for _, test := range tests {
			t.Run(scheme+" "+test.name, func(t *testing.T) {
				cfg := one(plain())
				if scheme == "https" {
					cfg = Config{Listeners: one(plain(withHTTPS)).Listeners, Certificates: ca.files(t, "shop", "shop.example.com")}
				}
				s, rec := serve(t, cfg, func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })
				tcp := dial(t, s)
				var c net.Conn = tcp
				closeWrite := tcp.CloseWrite
				if scheme == "https" {
					secure := tls.Client(tcp, &tls.Config{RootCAs: ca.pool, ServerName: "shop.example.com", NextProtos: []string{"http/1.1"}})
					c, closeWrite = secure, secure.CloseWrite
				}
				io.WriteString(c, test.raw) // the server may refuse it before it has all
				if test.name == "header cut off" {
					closeWrite()
				}
				r := bufio.NewReader(c)
				status, body, header := reply(t, r)
				if status != test.status || body != fmt.Sprintf("incident %d", test.status) || header.Get("X-Gatehouse-Incident") != "GH-TEST" {
					t.Errorf("reply %d %q %v", status, body, header)
				}
				atEnd(t, r)
				got := rec.refusals()
				if len(got) != 1 || got[0].status != test.status || got[0].detail != test.detail {
					t.Fatalf("reported %+v, want one %d %q", got, test.status, test.detail)
				}
				if info := got[0].info; info.Listener != "http" || info.Peer != tcp.LocalAddr().(*net.TCPAddr).AddrPort() {
					t.Errorf("reported with %+v", info)
				}
			})
		}
	}
}

func TestMalformedAfterGood(t *testing.T) {
	s, rec := serve(t, one(plain()), hello)
	for _, test := range []struct{ name, raw string }{
		{"one segment", "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcBAD\r\n\r\n"},
		{"pipelined twice", "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(rec.refusals())
			c := dial(t, s)
			send(t, c, test.raw)
			r := bufio.NewReader(c)
			if status, body, _ := reply(t, r); status != 200 || body != "hello /1" {
				t.Fatalf("first reply %d %q", status, body)
			}
			if status, body, _ := reply(t, r); status != 400 || body != "incident 400" {
				t.Fatalf("second reply %d %q", status, body)
			}
			atEnd(t, r)
			if got := len(rec.refusals()) - before; got != 1 {
				t.Errorf("%d reports, want 1", got)
			}
		})
	}
}

// A handler's own 400 is no refusal of the server.
func TestHandlersOwnErrorIsNotReported(t *testing.T) {
	s, rec := serve(t, one(plain()), func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/400":
			http.Error(w, "mine", 400)
		case "/empty":
		case "/early":
			w.WriteHeader(413) // the body is left unread
		case "/abort":
			panic(http.ErrAbortHandler)
		}
	})
	c := dial(t, s)
	r := bufio.NewReader(c)
	for _, path := range []string{"/400", "/empty", "/400"} {
		send(t, c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if status, body, _ := reply(t, r); path == "/400" && (status != 400 || body != "mine\n") {
			t.Errorf("%s: got %d %q", path, status, body)
		}
	}
	send(t, c, "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nabc")
	if status, _, _ := reply(t, r); status != 413 {
		t.Errorf("got %d", status)
	}
	c = dial(t, s)
	send(t, c, "GET /abort HTTP/1.1\r\nHost: x\r\n\r\n")
	atEnd(t, c)
	if got := rec.refusals(); len(got) != 0 {
		t.Errorf("reported %+v", got)
	}
}

func TestHeaderOfExactlyTheLimit(t *testing.T) {
	s, _ := serve(t, one(plain()), hello)
	head, tail := "GET / HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n"
	for _, test := range []struct {
		size, status int
	}{{64 << 10, 200}, {64<<10 + 1, 431}} {
		c := dial(t, s)
		send(t, c, head+strings.Repeat("a", test.size-len(head)-len(tail))+tail)
		if status, _, _ := reply(t, bufio.NewReader(c)); status != test.status {
			t.Errorf("%d bytes: got %d, want %d", test.size, status, test.status)
		}
	}
}

func TestHeaderTimeout(t *testing.T) {
	tests := []struct {
		name  string
		first string // a whole request before
		raw   string
		h2c   bool
	}{
		{"slow header", "", "GET / HTTP/1.1\r\nHost: x\r\nX: 1\r\n", false},
		{"one byte", "", "G", false},
		{"second request", "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHo", false},
		{"part of a preface", "", "PRI * HTTP/2.0\r\n", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := plain(withTimeouts(100*time.Millisecond, 10*time.Second, time.Second))
			l.H2C = test.h2c
			s, rec := serve(t, one(l), hello)
			c := dial(t, s)
			r := bufio.NewReader(c)
			if test.first != "" {
				send(t, c, test.first)
				reply(t, r)
			}
			send(t, c, test.raw)
			if status, body, _ := reply(t, r); status != 408 || body != "incident 408" {
				t.Errorf("got %d %q", status, body)
			}
			atEnd(t, r)
			if got := rec.refusals(); len(got) != 1 || got[0].status != 408 {
				t.Errorf("reported %+v, want one 408", got)
			}
		})
	}
	t.Run("pipelined with the first", func(t *testing.T) {
		s, rec := serve(t, one(plain(withTimeouts(100*time.Millisecond, 10*time.Second, time.Second))), hello)
		c := dial(t, s)
		r := bufio.NewReader(c)
		send(t, c, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n.GET / HTTP/1.1\r\nHo")
		reply(t, r)
		if status, _, _ := reply(t, r); status != 408 {
			t.Errorf("got %d", status)
		}
		if got := rec.refusals(); len(got) != 1 {
			t.Errorf("reported %+v", got)
		}
	})
	t.Run("trickle", func(t *testing.T) {
		s, rec := serve(t, one(plain(withTimeouts(200*time.Millisecond, 10*time.Second, time.Second))), hello)
		c := dial(t, s)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, b := range []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		if status, _, _ := reply(t, bufio.NewReader(c)); status != 408 {
			t.Errorf("got %d", status)
		}
		c.Close()
		<-done
		if got := rec.refusals(); len(got) != 1 {
			t.Errorf("reported %+v", got)
		}
	})
}

// Connections on which nobody asks for anything are closed without a word.
func TestSilentConnections(t *testing.T) {
	s, rec := serve(t, one(plain(withTimeouts(100*time.Millisecond, 100*time.Millisecond, time.Second))), hello)
	c := dial(t, s)
	atEnd(t, c)
	c = dial(t, s)
	r := bufio.NewReader(c)
	send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	reply(t, r)
	atEnd(t, r)
	if got := rec.refusals(); len(got) != 0 {
		t.Errorf("reported %+v", got)
	}
}

func TestPlainReplyWithoutHook(t *testing.T) {
	s, err := New(one(plain()), Options{Handler: http.HandlerFunc(hello)})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown(t.Context())
	c := dial(t, s)
	send(t, c, "BAD\r\n\r\n")
	r := bufio.NewReader(c)
	if status, body, header := reply(t, r); status != 400 || body != "400 Bad Request\n" || !strings.Contains(header.Get("Content-Type"), "text/plain") {
		t.Errorf("got %d %q %v", status, body, header)
	}
	atEnd(t, r)
}

// A client that is still sending gets to read the reply: the connection is not reset under it.
func TestReplyWhileClientSends(t *testing.T) {
	s, _ := serve(t, one(plain()), hello)
	for range 20 {
		c := dial(t, s)
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"+strings.Repeat("x", 100<<10))
		c.CloseWrite()
		r := bufio.NewReader(c)
		if status, _, _ := reply(t, r); status != 400 {
			t.Fatalf("got %d", status)
		}
		atEnd(t, r)
	}
}
