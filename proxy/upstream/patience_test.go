package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

// slow is longer than an exchange goes without a watch.
const slow = 3 * patience

// countedConn counts the writes.
type countedConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// pipe gives a connection to an upstream which is the other end of a pipe: a write waits until it is read.
func pipe(t *testing.T) (c *http1Conn, counted *countedConn, server net.Conn) {
	t.Helper()
	u := newUpstream(t, testConfig("http://127.0.0.1:1"))
	near, server := net.Pipe()
	t.Cleanup(func() { server.Close() })
	counted = &countedConn{Conn: near}
	raw := &socket{Conn: counted}
	return &http1Conn{ep: (*u.endpoints.Load())[0], conn: raw, raw: raw, br: bufio.NewReaderSize(raw, bufSize), expires: time.Now().Add(time.Hour)}, counted, server
}

// exchangeOn makes an exchange as attempt does.
func exchangeOn(c *http1Conn, ctx context.Context, r *Request, firstByte time.Duration) *exchange {
	x := &exchange{conn: c, ctx: ctx, req: r, firstByte: firstByte}
	if r.HTTP.Body != nil {
		x.body = &requestBody{body: r.HTTP.Body}
	}
	return x
}

// memory is a body that is in memory.
func memory(n int) *Request {
	r := newRequest("POST", "/", nil)
	r.HTTP.Body, r.HTTP.ContentLength = inMemoryBody{bytes.NewReader(bytes.Repeat([]byte("x"), n))}, int64(n)
	return r
}

type inMemoryBody struct{ *bytes.Reader }

func (inMemoryBody) Close() error { return nil }

// TestCancelled cancels requests at every point at which they can wait, before and after the watch has begun: none waits on.
func TestCancelled(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
	readHead := func(c net.Conn) { readRaw(bufio.NewReader(c)) }
	tests := map[string]struct {
		request  func() *Request
		upstream func(net.Conn)
	}{
		"before":        {func() *Request { return newRequest("GET", "/", nil) }, nil},
		"head unread":   {func() *Request { return newRequest("GET", "/", nil) }, func(net.Conn) {}},
		"body unread":   {func() *Request { return memory(60_000) }, func(c net.Conn) { io.CopyN(io.Discard, c, 100) }},
		"upload unread": {func() *Request { return newRequest("POST", "/", strings.NewReader("body")) }, readHead},
		"no reply":      {func() *Request { return newRequest("GET", "/", nil) }, readHead},
		"half a head":   {func() *Request { return newRequest("GET", "/", nil) }, func(c net.Conn) { readHead(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ") }},
		"half a body":   {func() *Request { return newRequest("GET", "/", nil) }, func(c net.Conn) { readHead(c); io.WriteString(c, head+"half") }},
		"no body":       {func() *Request { return newRequest("GET", "/", nil) }, func(c net.Conn) { readHead(c); io.WriteString(c, head) }},
	}
	for name, test := range tests {
		for _, after := range []time.Duration{10 * time.Millisecond, slow} {
			t.Run(fmt.Sprint(name, " ", after), func(t *testing.T) {
				t.Parallel()
				c, counted, server := pipe(t)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if test.upstream == nil {
					cancel()
				} else {
					done := make(chan struct{})
					t.Cleanup(func() { server.Close(); <-done })
					go func() { defer close(done); test.upstream(server) }()
					time.AfterFunc(after, cancel)
				}
				start := time.Now()
				x := exchangeOn(c, ctx, test.request(), 5*time.Second)
				resp, err := x.run()
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err == nil || ctx.Err() == nil || time.Since(start) > after+slow+time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if test.upstream == nil && counted.writes.Load() > 0 {
					t.Error("it was sent")
				}
				server.SetReadDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.Copy(io.Discard, server); err != nil {
					t.Errorf("the connection is not closed: %v", err)
				}
			})
		}
	}
}

// TestSlowExchange lets the upstream take its time at every point: nothing is lost, and the connection is kept.
func TestSlowExchange(t *testing.T) {
	for name, r := range map[string]*Request{
		"GET": newRequest("GET", "/", nil), "in memory": memory(50_000), "stream": newRequest("POST", "/", strings.NewReader(strings.Repeat("x", 50_000))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, server := pipe(t)
			got := make(chan [2]string, 1)
			go func() {
				first := make([]byte, 10)
				io.ReadFull(server, first) // and with them a part of what is written
				time.Sleep(slow)
				head, body, _ := readRaw(bufio.NewReader(io.MultiReader(bytes.NewReader(first), server)))
				got <- [2]string{head, body}
				for _, part := range []string{"HTTP/1.1 2", "00 OK\r\nContent-Length: 4\r\n\r\n", "ab", "cd"} {
					time.Sleep(slow)
					io.WriteString(server, part)
				}
			}()
			resp, err := exchangeOn(c, context.Background(), r, 20*time.Second).run()
			if err != nil {
				t.Fatal(err)
			}
			arrived := <-got
			if want := r.HTTP.Method + " / HTTP/1.1\r\nHost: app.example\r\n"; !strings.HasPrefix(arrived[0], want) {
				t.Errorf("the head arrived as %q", arrived[0])
			}
			if int64(len(arrived[1])) != r.HTTP.ContentLength || strings.Trim(arrived[1], "x") != "" {
				t.Errorf("%d bytes arrived", len(arrived[1]))
			}
			if body, err := io.ReadAll(resp.Body); string(body) != "abcd" || err != nil {
				t.Errorf("got %q, %v", body, err)
			}
			if c.ep.status(time.Now()).Idle != 1 || c.raw.exchange != nil {
				t.Error("the connection is not kept, or keeps the exchange")
			}
		})
	}
}

// TestSlowTLS is the same over TLS, twice on one connection, which is idle for longer than its deadline in between.
func TestSlowTLS(t *testing.T) {
	ca := newAuthority(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(slow)
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "4")
		for _, part := range []string{"ab", "cd"} {
			io.WriteString(w, part)
			http.NewResponseController(w).Flush()
			time.Sleep(slow)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.example")}}
	s.StartTLS()
	defer s.Close()
	c := testConfig(s.URL)
	c.TLS.CAFile, c.TLS.VerifyName = ca.file, "app.example"
	u := newUpstream(t, c)
	for i, r := range []*Request{newRequest("GET", "/", nil), memory(60_000), newRequest("POST", "/", strings.NewReader("stream"))} {
		resp, a, err := u.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "abcd" || err != nil || a.Reused != (i > 0) {
			t.Errorf("request %d: got %q, %v, reused %t", i, body, err, a.Reused)
		}
		resp.Body.Close()
		time.Sleep(slow)
	}
}

// TestFirstByte shows that a reply is waited for as long as is configured, shorter and longer than the watch is away,
// on a new connection and on one that was idle for longer than its deadline.
func TestFirstByte(t *testing.T) {
	u := newUpstream(t, testConfig(serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			head, _, err := readRaw(r)
			if err != nil {
				return
			}
			if !strings.Contains(head, "/silent") {
				io.WriteString(c, okReply)
			}
		}
	})))
	for _, limit := range []time.Duration{patience, 3 * patience, 8 * patience} {
		for _, idle := range []bool{false, true} {
			u.timeouts.firstByte = limit
			if idle {
				mustGet(t, u)
				time.Sleep(slow)
			}
			start := time.Now()
			_, a, err := u.RoundTrip(newRequest("POST", "/silent", nil))
			wantKind(t, err, Timeout, http.StatusGatewayTimeout)
			if took := time.Since(start); took < limit || took > limit+time.Second || a.Reused != idle {
				t.Errorf("limit %v, idle %t: %v, reused %t", limit, idle, took, a.Reused)
			}
		}
	}
}

// TestFirstByteShorterThanPatience shows that a limit below what passes without a watch is kept as well.
func TestFirstByteShorterThanPatience(t *testing.T) {
	u := newUpstream(t, testConfig(serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readRaw(r)
		time.Sleep(patience * 3 / 2)
		io.WriteString(c, okReply)
	})))
	u.timeouts.firstByte = patience / 4
	_, _, err := u.RoundTrip(newRequest("GET", "/", nil))
	wantKind(t, err, Timeout, http.StatusGatewayTimeout)
}

// TestBodyMayPause shows that the time for the first byte is none for the body.
func TestBodyMayPause(t *testing.T) {
	u := newUpstream(t, testConfig(serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readRaw(r)
		time.Sleep(slow) // the exchange has its own deadlines now
		io.WriteString(c, strings.TrimSuffix(okReply, "ok"))
		time.Sleep(20 * patience)
		io.WriteString(c, "ok")
	})))
	u.timeouts.firstByte = 16 * patience
	if body, _, err := get(u); body != "ok" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
}

// TestBodyLength sends bodies that are not as long as they should be, in every way of sending: no byte beyond the length
// goes out, and the connection ends.
func TestBodyLength(t *testing.T) {
	for _, length := range []int64{3, 5} {
		for _, gather := range []bool{false, true} {
			c, _, server := pipe(t)
			r := newRequest("POST", "/", strings.NewReader("body"))
			r.HTTP.ContentLength = length
			if gather {
				r.HTTP.Body = lies{r.HTTP.Body, int(length)}
			}
			got := make(chan string, 1)
			go func() {
				all, _ := io.ReadAll(server)
				got <- string(all)
			}()
			_, err := exchangeOn(c, context.Background(), r, 5*time.Second).run()
			if !errors.Is(err, ErrBodyLength) {
				t.Errorf("length %d, gathered %t: %v", length, gather, err)
			}
			if _, body, _ := strings.Cut(<-got, "\r\n\r\n"); int64(len(body)) >= length {
				t.Errorf("length %d, gathered %t: %q was sent", length, gather, body)
			}
		}
	}
}

// lies is a body whose length is not what it says.
type lies struct {
	io.ReadCloser
	length int
}

func (l lies) Len() int { return l.length }

// TestIdleOutlivesItsDeadline shows that a connection stays when the deadline of its last exchange passes, also where the
// idle ones are looked through.
func TestIdleOutlivesItsDeadline(t *testing.T) {
	c := testConfig(serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRaw(r); err != nil {
				return
			}
			io.WriteString(c, okReply)
		}
	}))
	c.Timeouts.Idle = config.Duration(40 * time.Second)
	u := newUpstream(t, c)
	mustGet(t, u)
	time.Sleep(slow)
	for _, ep := range *u.endpoints.Load() {
		ep.sweep(time.Now())
	}
	if _, a := mustGet(t, u); !a.Reused {
		t.Error("the connection was not kept")
	}
}

// TestWrites counts the writes that requests take.
func TestWrites(t *testing.T) {
	stream := func(length int64, parts ...string) *Request {
		r := newRequest("POST", "/", nil)
		r.HTTP.Body, r.HTTP.ContentLength = io.NopCloser(&partsReader{parts}), length
		return r
	}
	tests := map[string]struct {
		request *Request
		writes  int64
		suffix  string
	}{
		"GET":                 {newRequest("GET", "/", nil), 1, "\r\n\r\n"},
		"long head":           {newRequest("GET", "/"+strings.Repeat("x", 40_000), nil), 1, "\r\n\r\n"},
		"form":                {memory(300), 1, strings.Repeat("x", 300)},
		"larger":              {memory(30_000), 1, strings.Repeat("x", 30_000)},
		"the largest":         {memory(inMemory), 3, strings.Repeat("x", inMemory)},
		"stream with length":  {stream(5, "abc", "de"), 3, "\r\n\r\nabcde"},
		"stream of no length": {stream(-1, "abc", strings.Repeat("y", 20)), 4, "\r\n\r\n3\r\nabc\r\n14\r\n" + strings.Repeat("y", 20) + "\r\n0\r\n\r\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, counted, server := pipe(t)
			var got bytes.Buffer
			read := make(chan struct{})
			go func() {
				defer close(read)
				p := make([]byte, 100_000)
				for !strings.HasSuffix(got.String(), test.suffix) {
					n, err := server.Read(p)
					if got.Write(p[:n]); err != nil {
						return
					}
				}
				io.WriteString(server, okReply)
			}()
			resp, err := exchangeOn(c, context.Background(), test.request, 5*time.Second).run()
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			server.Close()
			if <-read; counted.writes.Load() != test.writes || !strings.HasSuffix(got.String(), test.suffix) {
				t.Errorf("%d writes, want %d; %.200q", counted.writes.Load(), test.writes, got.String())
			}
		})
	}
}

type partsReader struct{ parts []string }

func (r *partsReader) Read(p []byte) (int, error) {
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	r.parts = r.parts[1:]
	return n, nil
}
