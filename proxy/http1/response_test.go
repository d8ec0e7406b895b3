package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

var anyDate = regexp.MustCompile(`Date: [^\r]*GMT\r\n`)

const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// TestReplies shows the bytes of replies, whose Date is left out here.
func TestReplies(t *testing.T) {
	head := strings.Replace(request, "GET", "HEAD", 1)
	old := "GET / HTTP/1.0\r\n\r\n"
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		name, request string
		handler       http.HandlerFunc
		want          string
	}{
		{"nothing", request, func(http.ResponseWriter, *http.Request) {}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"short", request, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a")
			io.WriteString(w, "b")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"},
		{"long", request, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "ab")
			io.WriteString(w, long)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nbb8\r\n" + long + "\r\n0\r\n\r\n"},
		{"length", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3000")
			w.WriteHeader(201)
			io.WriteString(w, long)
		}, "HTTP/1.1 201 Created\r\nContent-Length: 3000\r\n\r\n" + long},
		{"too much", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1")
			io.WriteString(w, "a")
			if _, err := io.WriteString(w, "b"); err != http.ErrContentLength {
				t.Errorf("error %v", err)
			}
		}, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"},
		{"flushed", request, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "a")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
		{"HTTP/1.0", old, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a") }, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"},
		{"HTTP/1.0 without a length", old, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, long) }, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n" + long},
		{"HEAD", head, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "a")
		}, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"},
		{"HEAD without a length", head, func(http.ResponseWriter, *http.Request) {}, "HTTP/1.1 200 OK\r\n\r\n"},
		{"204", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "a"); err != http.ErrBodyNotAllowed {
				t.Errorf("error %v", err)
			}
		}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.Header().Set("Etag", `"a"`)
			w.WriteHeader(304)
		}, "HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\nContent-Length: 9\r\n\r\n"},
		{"103", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.WriteHeader(200)
		}, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n"},
		{"103 in HTTP/1.0", old, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103) }, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"fields", request, func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h["Content-Type"], h["Transfer-Encoding"], h["B"], h["a b"], h["C\r\nD"] = nil, []string{"gzip"}, []string{"1", "2"}, []string{"x"}, []string{"x"}
			h["A"] = []string{" evil\r\nSet-Cookie: a=b\x00\x7f\t.\xc3\xa9 "}
			h.Set("Connection", "keep-alive, X-Y")
		}, "HTTP/1.1 200 OK\r\nA: evil  Set-Cookie: a=b  \t.\xc3\xa9\r\nB: 1\r\nB: 2\r\nContent-Length: 0\r\nConnection: keep-alive, X-Y\r\n\r\n"},
		{"own Date", request, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "x") }, "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n"},
		{"close", request, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"trailer", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-A")
			io.WriteString(w, "a")
			w.Header().Set("X-A", "1")
			w.Header().Set(http.TrailerPrefix+"X-B", "2\r\n")
			w.Header().Set(http.TrailerPrefix+"Content-Length", "3")
		}, "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"},
		{"late fields", request, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.Header().Set("A", "1")
			w.WriteHeader(200)
		}, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{"abort", request, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, long)
			w.(http.Flusher).Flush()
			io.WriteString(w, "held")
			panic(http.ErrAbortHandler)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbb8\r\n" + long + "\r\n4\r\nheld\r\n"},
		{"abort of what is held back", request, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "held")
			panic(http.ErrAbortHandler)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nheld\r\n"},
		{"abort of a length", request, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "cut")
			panic(http.ErrAbortHandler)
		}, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := serve(handler(tt.handler), tt.request)
			if tt.name != "own Date" {
				final := strings.LastIndex(got, "HTTP/1.")
				if n := len(anyDate.FindAllString(got[final:], -1)); n != 1 {
					t.Errorf("%d Dates in %q", n, got)
				}
			}
			if got = anyDate.ReplaceAllString(got, ""); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestCutReply shows that no request follows a reply that is shorter than it said.
func TestCutReply(t *testing.T) {
	n := 0
	serve(handler(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "a")
	}), request+request)
	if n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestPipelining shows that requests that were sent ahead are answered in order, up to the one that ends the connection.
func TestPipelining(t *testing.T) {
	var b strings.Builder
	for i := range 50 {
		b.WriteString("GET /" + string(rune('a'+i%26)) + " HTTP/1.1\r\nHost: a\r\n")
		if i == 40 {
			b.WriteString("Connection: x, Close\r\n")
		}
		b.WriteString("\r\n")
	}
	var want strings.Builder
	for i := range 41 {
		want.WriteRune(rune('a' + i%26))
	}
	got := serve(handler(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path[1:]) }), b.String())
	var bodies strings.Builder
	for r := bufio.NewReader(strings.NewReader(got)); ; {
		reply, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		io.Copy(&bodies, reply.Body)
	}
	if bodies.String() != want.String() {
		t.Errorf("got %q", bodies.String())
	}
}

// TestContinue shows when a client is asked for its body: at the first read, once, and not after the final status.
func TestContinue(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
	for _, tt := range []struct {
		name    string
		read    bool
		sent    string
		handler http.HandlerFunc
		want    string
	}{
		{"read", true, head, func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			w.Write(b)
			if err != nil {
				t.Error(err)
			}
		}, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		{"not read", false, head, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"status first", true, head, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			io.Copy(io.Discard, r.Body)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"},
		{"body came along", false, head + "abc", func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := pair(t, handler(tt.handler))
			io.WriteString(c, tt.sent)
			var before []byte
			if tt.read {
				for p := make([]byte, 1); !bytes.HasSuffix(before, []byte("\r\n\r\n")); {
					if _, err := c.Read(p); err != nil {
						t.Fatal(err)
					}
					before = append(before, p...)
				}
				time.Sleep(20 * time.Millisecond) // the handler waits for the body
				io.WriteString(c, "abc")
			}
			c.CloseWrite()
			rest, err := io.ReadAll(c)
			if got := anyDate.ReplaceAllString(string(before)+string(rest), ""); got != tt.want || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestHijack shows that a handler gets the connection with what the client has sent ahead, and that a request behind
// an Upgrade that was not accepted is never read.
func TestHijack(t *testing.T) {
	const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	c := pair(t, handler(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(101)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := w.Write([]byte("x")); err != http.ErrHijacked {
			t.Errorf("Write: %v", err)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); err != http.ErrHijacked {
			t.Errorf("Hijack: %v", err)
		}
		io.Copy(conn, buffered)
	}))
	io.WriteString(c, upgrade+"ahead")
	time.Sleep(2 * watchAfter)
	io.WriteString(c, " and later")
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nahead and later"; anyDate.ReplaceAllString(string(got), "") != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}

	n := 0
	out := serve(handler(func(http.ResponseWriter, *http.Request) { n++ }), upgrade+request)
	if n != 1 || !strings.Contains(out, "Connection: close\r\n") {
		t.Errorf("%d requests, wrote %q", n, out)
	}
}

// TestClientGoesAway shows that a handler hears of it, with and without a body, and that a client which only sends its
// next request early has not gone.
func TestClientGoesAway(t *testing.T) {
	for _, sent := range []string{request, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", chunkedHead + "0\r\n\r\n"} {
		begun, gone := make(chan struct{}), make(chan struct{})
		c := pair(t, handler(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			close(begun)
			<-r.Context().Done()
			close(gone)
		}))
		io.WriteString(c, sent)
		<-begun
		c.Close()
		<-gone
	}

	n := 0
	c := pair(t, handler(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			time.Sleep(4 * watchAfter)
		}
		if r.Context().Err() != nil {
			t.Error("the client has not gone")
		}
	}))
	io.WriteString(c, request)
	time.Sleep(2 * watchAfter)
	io.WriteString(c, request[:10])
	time.Sleep(3 * watchAfter)
	io.WriteString(c, request[10:])
	r := bufio.NewReader(c)
	for range 2 {
		if reply, err := http.ReadResponse(r, nil); err != nil || reply.StatusCode != 200 {
			t.Fatal(err)
		}
	}
}

// TestContextEnds shows that a request's context is over when its handler is.
func TestContextEnds(t *testing.T) {
	var r *http.Request
	serve(handler(func(_ http.ResponseWriter, request *http.Request) { r = request }), request)
	if r.Context().Err() == nil {
		t.Error("the context goes on")
	}
}

// TestAbortOfOpenReply shows that a reply which ends with the connection, cut off, ends with an error for the client.
func TestAbortOfOpenReply(t *testing.T) {
	c := pair(t, handler(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 5000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if _, err := io.ReadAll(c); err == nil {
		t.Error("the reply looks whole")
	}
}

// TestPanic shows that a handler's panic is reported and ends the connection.
func TestPanic(t *testing.T) {
	var got any
	s := handler(func(http.ResponseWriter, *http.Request) { panic("oops") })
	s.Panicked = func(_ context.Context, value any, stack []byte) {
		if got = value; !bytes.Contains(stack, []byte("TestPanic")) {
			t.Errorf("stack %s", stack)
		}
	}
	if out := serve(s, request+request); out != "" || got != "oops" {
		t.Errorf("wrote %q, reported %v", out, got)
	}
}

// TestOwnReadDeadline shows that a handler can end a read of the body from beside, and that the connection ends then.
func TestOwnReadDeadline(t *testing.T) {
	c := pair(t, handler(func(w http.ResponseWriter, r *http.Request) {
		time.AfterFunc(10*time.Millisecond, func() { http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
		if _, err := io.ReadAll(r.Body); !errors.Is(err, ErrBodyIdle) {
			t.Errorf("error %v", err)
		}
	}))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
	if got, err := io.ReadAll(c); err != nil || !bytes.Contains(got, []byte("Connection: close\r\n")) {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestReadBesideTheHandler shows that a goroutine which still reads the body when the handler returns gets an error and
// no byte of the next request.
func TestReadBesideTheHandler(t *testing.T) {
	ended := make(chan error, 1)
	c := pair(t, handler(func(_ http.ResponseWriter, r *http.Request) {
		reading := make(chan struct{})
		go func() {
			close(reading)
			_, err := io.ReadAll(r.Body)
			ended <- err
		}()
		<-reading
		time.Sleep(20 * time.Millisecond)
	}))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\na")
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	if got, err := io.ReadAll(c); err != nil || bytes.Count(got, []byte("HTTP/1.1 ")) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestHeaderTimeout shows that a head which was begun has the time of a header, however long a connection may be idle.
func TestHeaderTimeout(t *testing.T) {
	s := handler(func(http.ResponseWriter, *http.Request) {})
	s.HeaderTimeout, s.IdleTimeout = 50*time.Millisecond, time.Hour
	for _, first := range []string{"", request} {
		c := pair(t, s)
		begin := time.Now()
		io.WriteString(c, first)
		if first != "" {
			c.Read(make([]byte, 1000))
			time.Sleep(10 * time.Millisecond) // the server waits for the next
		}
		io.WriteString(c, request[:20])
		got, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 408 ")) || time.Since(begin) > 10*time.Second {
			t.Errorf("after %q: got %q, %v", first, got, err)
		}
	}
}

// TestIdle shows that a connection without a request is closed in time, also by CloseIfIdle, which leaves others alone.
func TestIdle(t *testing.T) {
	s := handler(func(http.ResponseWriter, *http.Request) {})
	s.HeaderTimeout, s.IdleTimeout = 50*time.Millisecond, 50*time.Millisecond
	for _, sent := range []string{"", request} {
		c := pair(t, s)
		io.WriteString(c, sent)
		if got, err := io.ReadAll(c); err != nil || (len(got) > 0) != (sent != "") {
			t.Errorf("after %q: got %q, %v", sent, got, err)
		}
	}
	client, server := net.Pipe()
	defer client.Close()
	n := (&Server{}).NewConn(t.Context(), server, nil)
	if n.CloseIfIdle(time.Hour) || !n.CloseIfIdle(0) || n.CloseIfIdle(0) {
		t.Error("CloseIfIdle")
	}
	n.in.release()
	n = (&Server{}).NewConn(t.Context(), server, nil)
	n.phase.Store(int32(busy))
	if n.CloseIfIdle(0) {
		t.Error("closed while busy")
	}
	n.in.release()
	if _, err := client.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
