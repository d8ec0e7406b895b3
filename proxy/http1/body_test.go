package http1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const chunkedHead = "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

// TestChunks shows which chunked bodies are read, and that the next request begins where they end.
func TestChunks(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, tt := range []struct {
		name, raw, want string
		trailer         http.Header
		err             string // part of it
	}{
		{name: "empty", raw: "0\r\n\r\n"},
		{name: "one", raw: "3\r\nabc\r\n0\r\n\r\n", want: "abc"},
		{name: "two", raw: "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", want: "abc"},
		{name: "hexadecimal", raw: "0A\r\n0123456789\r\n000\r\n\r\n", want: "0123456789"},
		{name: "extension", raw: "3;a\r\nabc\r\n0;b=c;d=\"e\\\"; \"\r\n\r\n", want: "abc"},
		{name: "longest extension", raw: "3;" + long[:255] + "\r\nabc\r\n0\r\n\r\n", want: "abc"},
		{name: "trailer", raw: "0\r\nX-A: 1\r\nx-a:2\r\nY: \r\n\r\n", trailer: http.Header{"X-A": {"1", "2"}, "Y": {""}}},

		{name: "minus", raw: "-3\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "plus", raw: "+3\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "0x", raw: "0x3\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "no size", raw: "\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "no size but an extension", raw: ";a\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "no digit", raw: "g\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "underscore", raw: "1_0\r\n0\r\n\r\n", err: "malformed"},
		{name: "space first", raw: " 3\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "space last", raw: "3 \r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "tab last", raw: "3\t\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "space before an extension", raw: "3 ;a\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "overflow", raw: "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", err: "too large"},
		{name: "overflow by 17 digits", raw: "10000000000000003\r\nabc\r\n0\r\n\r\n", err: "too large"},
		{name: "zeros", raw: strings.Repeat("0", 17) + "3\r\nabc\r\n0\r\n\r\n", err: "too large"},
		{name: "bare LF", raw: "3\nabc\r\n0\r\n\r\n", err: "bare LF"},
		{name: "bare CR", raw: "3\rabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "CR before CRLF", raw: "3\r\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "extension without a name", raw: "3;\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "extension without a value", raw: "3;a=\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "extension with a space", raw: "3;a b\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "extension with a quote", raw: "3;a=\"b\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "extension with NUL", raw: "3;a=\"\x00\"\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "extension with a bare LF", raw: "3;a\nabc\r\n0\r\n\r\n", err: "bare LF"},
		{name: "long extension", raw: "3;" + long[:256] + "\r\nabc\r\n0\r\n\r\n", err: "malformed"},
		{name: "longer extension", raw: "3;" + long + long + "\r\nabc\r\n0\r\n\r\n", err: "too long"},
		{name: "many extensions", raw: strings.Repeat("1;"+long[:200]+"\r\na\r\n", 21) + "0\r\n\r\n", err: "extensions are too long"},
		{name: "size too small", raw: "2\r\nabc\r\n0\r\n\r\n", err: "does not end"},
		{name: "size too large", raw: "4\r\nabc\r\n0\r\n\r\n", err: "does not end"},
		{name: "LF after a chunk", raw: "3\r\nabc\n0\r\n\r\n", err: "does not end"},
		{name: "no CRLF after a chunk", raw: "3\r\nabc0\r\n\r\n", err: "does not end"},

		{name: "trailer that frames", raw: "0\r\nContent-Length: 5\r\n\r\n", err: "may not come"},
		{name: "trailer with a coding", raw: "0\r\ntransfer-encoding: chunked\r\n\r\n", err: "may not come"},
		{name: "trailer with Host", raw: "0\r\nHost: b\r\n\r\n", err: "may not come"},
		{name: "trailer with Authorization", raw: "0\r\nAuthorization: b\r\n\r\n", err: "may not come"},
		{name: "trailer with Cookie", raw: "0\r\nCookie: b\r\n\r\n", err: "may not come"},
		{name: "trailer with X-Forwarded-For", raw: "0\r\nX-Forwarded-For: b\r\n\r\n", err: "may not come"},
		{name: "trailer folded", raw: "0\r\nX: a\r\n b\r\n\r\n", err: "obs-fold"},
		{name: "trailer with a space", raw: "0\r\nX : a\r\n\r\n", err: "before its colon"},
		{name: "trailer with NUL", raw: "0\r\nX: \x00\r\n\r\n", err: "control byte"},
		{name: "trailer with bare LF", raw: "0\r\nX: a\n\r\n", err: "bare LF"},
		{name: "trailer that ends in LF", raw: "0\r\nX: a\r\n\n", err: "bare LF"},
		{name: "no trailer but LF", raw: "0\r\n\n", err: "bare LF"},
		{name: "long trailer field", raw: "0\r\nX: " + strings.Repeat("a", 5000) + "\r\n\r\n", err: "too long"},
		{name: "long trailer", raw: "0\r\n" + strings.Repeat("X: "+long+"\r\n", 20) + "\r\n", err: "too long"},
		{name: "many trailer fields", raw: "0\r\n" + strings.Repeat("X: a\r\n", 65) + "\r\n", err: "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1 << 20, 1} {
				c := newCollect()
				m := newMemory(chunkedHead + tt.raw + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
				m.piece = piece
				c.NewConn(t.Context(), m, nil).Serve()
				if len(c.seen) == 0 || c.seen[0].RequestURI != "/first" {
					t.Fatalf("seen %d, refused %+v", len(c.seen), c.refused)
				}
				r := c.seen[0]
				if tt.err != "" {
					if !errors.Is(r.bodyErr, ErrMalformedBody) || !strings.Contains(r.bodyErr.Error(), tt.err) {
						t.Errorf("body %q, error %v, want %q", r.body, r.bodyErr, tt.err)
					}
					if len(c.seen) > 1 || strings.Count(m.out.String(), "HTTP/1.1 ") != 1 || !strings.Contains(m.out.String(), "Connection: close\r\n") {
						t.Errorf("the connection goes on: %q", m.out.String())
					}
					continue
				}
				if r.bodyErr != nil || r.body != tt.want || fmt.Sprint(r.Trailer) != fmt.Sprint(tt.trailer) {
					t.Errorf("body %q, trailer %v, error %v", r.body, r.Trailer, r.bodyErr)
				}
				if len(c.seen) != 2 || c.seen[1].RequestURI != "/second" {
					t.Errorf("%d requests, refused %+v", len(c.seen), c.refused)
				}
			}
		})
	}
}

// TestTruncatedBody shows that a body that is cut off is never taken for a whole one.
func TestTruncatedBody(t *testing.T) {
	for _, raw := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
		chunkedHead, chunkedHead + "3", chunkedHead + "3\r\n", chunkedHead + "3\r\nab", chunkedHead + "3\r\nabc", chunkedHead + "3\r\nabc\r\n",
		chunkedHead + "3\r\nabc\r\n0\r\n", chunkedHead + "3\r\nabc\r\n0\r\nX: 1\r\n",
	} {
		c := newCollect()
		serve(&c.Server, raw)
		if len(c.seen) != 1 || c.seen[0].bodyErr != io.ErrUnexpectedEOF {
			t.Errorf("%q: %+v", raw, c.seen)
		}
	}
}

// TestDeclaredTrailer shows that names of trailer fields are known before the body is read.
func TestDeclaredTrailer(t *testing.T) {
	s := handler(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := r.Trailer["X-Sum"]; !ok || r.Header["Trailer"] != nil || r.ContentLength != -1 || r.TransferEncoding[0] != "chunked" {
			t.Errorf("trailer %v, header %v", r.Trailer, r.Header)
		}
		io.Copy(io.Discard, r.Body)
		if r.Trailer.Get("X-Sum") != "1" {
			t.Errorf("trailer %v", r.Trailer)
		}
	})
	serve(s, strings.Replace(chunkedHead, "\r\n\r\n", "\r\nTrailer: x-sum\r\n\r\n", 1)+"0\r\nX-Sum: 1\r\n\r\n")
}

// TestMalformedAfterTheReply shows that a body which turns out malformed once the reply has begun ends the connection.
func TestMalformedAfterTheReply(t *testing.T) {
	n := 0
	serve(handler(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.(http.Flusher).Flush()
		if _, err := io.ReadAll(r.Body); !errors.Is(err, ErrMalformedBody) {
			t.Errorf("error %v", err)
		}
	}), chunkedHead+"x\r\n\r\n0\r\n\r\n"+request)
	if n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestLateRead shows that a body cannot be read once its handler has returned.
func TestLateRead(t *testing.T) {
	var body io.Reader
	serve(handler(func(_ http.ResponseWriter, r *http.Request) { body = r.Body }), chunkedHead+"3\r\nabc\r\n0\r\n\r\n")
	if n, err := body.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestUnreadBody shows that the rest of a body never becomes a request, and when the connection is kept.
func TestUnreadBody(t *testing.T) {
	const next = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, tt := range []struct {
		name, raw string
		want      []string
	}{
		{"short", fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled), []string{"/first", "/second"}},
		{"chunked", fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunkedHead, len(smuggled), smuggled), []string{"/first", "/second"}},
		{"malformed", chunkedHead + "x\r\n" + smuggled, []string{"/first"}},
		{"long", fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 300<<10, strings.Repeat(" ", 300<<10)), []string{"/first"}},
		{"long chunked", fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunkedHead, 300<<10, strings.Repeat(" ", 300<<10)), []string{"/first"}},
		{"waiting for 100", fmt.Sprintf("POST /first HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled), []string{"/first"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			s := handler(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.RequestURI) })
			out := serve(s, tt.raw+next)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || strings.Count(out, "HTTP/1.1 200") != len(tt.want) {
				t.Errorf("handled %v, wrote %q", got, out)
			}
		})
	}
}
