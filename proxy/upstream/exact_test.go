package upstream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// record serves replies and gives what was received.
func record(t *testing.T) (u *Upstream, received chan [2]string) {
	t.Helper()
	received = make(chan [2]string, 1)
	url := serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			head, body, err := readRaw(r)
			if err != nil {
				return
			}
			received <- [2]string{head, body}
			_, _ = io.WriteString(c, okReply)
		}
	})
	return newUpstream(t, testConfig(url)), received
}

func send(t *testing.T, u *Upstream, r *Request) {
	t.Helper()
	resp, _, err := u.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" {
		t.Fatalf("got %q, %v", b, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

var targets = []string{
	"/", "/a?b=c", "/?", "/a?", "//host/path", "//host/..", "//x|y", "///", "/a//b", "/a|b\"c<d>e^f`g{h}", "/%zz", "/%", "/%4",
	"/%2F%2f%2e%2E", "/a;b=c;d", "/a?x=1;y=2&z", "/a?b?c??", "/./a/../b", "/a%00b", "/%c3%28", "/a\\b", "/a[b]", "/a'b(c)*!$&,",
	"/a?q=%zz|\"<>^`{}\\", "/a:b@c", "/http://x/y", "/a+b%20c", "/x?redirect=http://a/b#", "/\xc3\xa9",
}

func TestTargetsArriveByteForByte(t *testing.T) {
	u, received := record(t)
	for _, target := range targets {
		send(t, u, newRequest("GET", target, nil))
		head := (<-received)[0]
		if want := "GET " + target + " HTTP/1.1\r\n"; !strings.HasPrefix(head, want) {
			t.Errorf("target %q: got %q", target, head)
		}
	}
	options := newRequest("OPTIONS", "*", nil)
	send(t, u, options)
	if head := (<-received)[0]; !strings.HasPrefix(head, "OPTIONS * HTTP/1.1\r\n") {
		t.Errorf("got %q", head)
	}
}

func TestHeadersAndFraming(t *testing.T) {
	tests := []struct {
		name   string
		make   func() *Request
		header http.Header
		want   []string // lines, sorted, without the request line
		body   string
	}{
		{
			name: "nothing is added", make: func() *Request { return newRequest("GET", "/", nil) },
			want: []string{"Host: app.example"},
		},
		{
			name: "values as they are", make: func() *Request { return newRequest("GET", "/", nil) },
			header: http.Header{"X-A": {"1", "2,  3", ""}, "User-Agent": {"a", "b"}, "Cookie": {"a=1;b=2; ;c=\"x\""}, "X-Utf8": {"\xc3\xa9\xff\tz"}},
			want: []string{
				"Cookie: a=1;b=2; ;c=\"x\"", "Host: app.example", "User-Agent: a", "User-Agent: b", "X-A: ", "X-A: 1", "X-A: 2,  3",
				"X-Utf8: \xc3\xa9\xff\tz",
			},
		},
		{
			name: "the connection's fields are ours", make: func() *Request { return newRequest("GET", "/", nil) },
			header: http.Header{
				"Connection": {"close, x"}, "Keep-Alive": {"5"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"7"},
				"Expect": {"100-continue"}, "Upgrade": {"h2c"}, "Trailer": {"X"}, "Host": {"evil"}, "Proxy-Connection": {"x"},
			},
			want: []string{"Host: app.example"},
		},
		{
			name: "known length", make: func() *Request { return newRequest("POST", "/", strings.NewReader("a=1")) },
			want: []string{"Content-Length: 3", "Host: app.example"}, body: "a=1",
		},
		{name: "known length, streamed", make: func() *Request {
			r := newRequest("PUT", "/", io.MultiReader(strings.NewReader("a="), strings.NewReader("1")))
			r.HTTP.ContentLength = 3
			return r
		}, want: []string{"Content-Length: 3", "Host: app.example"}, body: "a=1"},
		{
			name: "empty POST", make: func() *Request { return newRequest("POST", "/", nil) },
			want: []string{"Content-Length: 0", "Host: app.example"},
		},
		{name: "GET with an empty body of unknown length", make: func() *Request {
			r := newRequest("GET", "/", io.MultiReader())
			r.HTTP.ContentLength = -1
			return r
		}, want: []string{"Host: app.example"}},
		{name: "GET with a body of unknown length that is not empty", make: func() *Request {
			r := newRequest("GET", "/", io.MultiReader(strings.NewReader("x")))
			r.HTTP.ContentLength = -1
			return r
		}, want: []string{"Connection: close", "Host: app.example", "Transfer-Encoding: chunked"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u, received := record(t)
			r := test.make()
			for k, v := range test.header {
				r.HTTP.Header[k] = v
			}
			send(t, u, r)
			got := <-received
			lines := strings.Split(strings.TrimSuffix(got[0], "\r\n\r\n"), "\r\n")[1:]
			sort.Strings(lines)
			if diff := cmp.Diff(test.want, lines); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if got[1] != test.body {
				t.Errorf("body: got %q, want %q", got[1], test.body)
			}
		})
	}
}

func TestRequestsThatCannotBeWritten(t *testing.T) {
	u, _ := record(t)
	tests := map[string]func(r *Request){
		"space in the target":   func(r *Request) { r.Target = "/a b" },
		"line end in target":    func(r *Request) { r.Target = "/a\r\nX: y" },
		"absolute target":       func(r *Request) { r.Target = "http://x/" },
		"empty target":          func(r *Request) { r.Target = "" },
		"line end in a value":   func(r *Request) { r.HTTP.Header["X"] = []string{"a\nb"} },
		"colon in a name":       func(r *Request) { r.HTTP.Header["X:y"] = []string{"a"} },
		"no host":               func(r *Request) { r.HTTP.Host = "" },
		"line end in the host":  func(r *Request) { r.HTTP.Host = "a\r\nb" },
		"space in the method":   func(r *Request) { r.HTTP.Method = "GET /" },
		"framing as trailer":    func(r *Request) { r.HTTP.Trailer = http.Header{"Content-Length": nil} },
		"CONNECT":               func(r *Request) { r.HTTP.Method = "CONNECT" },
		"NUL in a header value": func(r *Request) { r.HTTP.Header["X"] = []string{"a\x00b"} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRequest("GET", "/", nil)
			change(r)
			_, a, err := u.RoundTrip(r)
			wantKind(t, err, Invalid, http.StatusBadRequest)
			if a.Sent {
				t.Error("something was sent")
			}
		})
	}
}

func TestChunkedBodyAndTrailers(t *testing.T) {
	type seen struct {
		body     string
		encoding []string
		trailer  http.Header
	}
	got := make(chan seen, 1)
	s := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- seen{string(b), r.TransferEncoding, r.Trailer}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "ok")
		w.Header().Set("X-Sum", "42")
	})
	u := newUpstream(t, testConfig(s.URL))
	body := strings.Repeat("0123456789", 20_000)
	r := newRequest("POST", "/", io.MultiReader(strings.NewReader(body)))
	r.HTTP.ContentLength = -1
	r.HTTP.Trailer = http.Header{"X-Check": {"abc"}}
	resp, _, err := u.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if diff := cmp.Diff(http.Header{"X-Sum": {"42"}}, resp.Trailer); diff != "" {
		t.Errorf("reply's trailer (-want +got):\n%s", diff)
	}
	want := seen{body, []string{"chunked"}, http.Header{"X-Check": {"abc"}}}
	if diff := cmp.Diff(want, <-got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestReplies(t *testing.T) {
	long := strings.Repeat("x", 33<<10)
	tests := []struct {
		name, method, reply string
		status              int
		body                string
		kind                Kind // of RoundTrip
		bodyKind            Kind // of reading the body
		reused              bool // the connection carries another request
	}{
		{name: "length", reply: okReply, status: 200, body: "ok", reused: true},
		{name: "chunked", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200, body: "ok", reused: true},
		{
			name: "informational replies are dropped", reply: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + okReply,
			status: 200, body: "ok", reused: true,
		},
		{name: "no content", reply: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reused: true},
		{name: "not modified with a length", reply: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", status: 304, reused: true},
		{name: "HEAD", method: "HEAD", reply: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", status: 200, reused: true},
		{name: "close", reply: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		{name: "HTTP/1.0", reply: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
		{name: "bytes behind the reply", reply: okReply + "HTTP/1.1 200 OK\r\n", status: 200, body: "ok"},
		{name: "cut in the body", reply: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", status: 200, body: "ok", bodyKind: Broken},
		{name: "cut in a chunk", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", status: 200, body: "ok", bodyKind: Broken},
		{name: "cut between chunks", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", status: 200, body: "ok", bodyKind: Broken},
		{name: "cut in the head", reply: "HTTP/1.1 200 OK\r\nContent-Le", kind: Broken},
		{name: "not HTTP", reply: "SSH-2.0-x\r\n\r\n", kind: Broken},
		{name: "another version", reply: "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n", kind: Broken},
		{name: "two lengths", reply: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", kind: Broken},
		{name: "head too large", reply: "HTTP/1.1 200 OK\r\nX: " + long + "\r\n\r\n", kind: Broken},
		{name: "101 unasked", reply: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", kind: Broken},
		{name: "endless informational replies", reply: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50), kind: Broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := serveRaw(t, func(n int, c net.Conn, r *bufio.Reader) {
				for range 2 {
					if _, _, err := readRaw(r); err != nil {
						return
					}
					_, _ = io.WriteString(c, test.reply)
					if !test.reused {
						return
					}
				}
			})
			u := newUpstream(t, testConfig(url))
			if test.method == "" {
				test.method = "GET"
			}
			for i := range 2 {
				if i == 1 && !test.reused {
					break
				}
				resp, a, err := u.RoundTrip(newRequest(test.method, "/", nil))
				if test.kind != "" {
					wantKind(t, err, test.kind, http.StatusBadGateway)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if test.bodyKind != "" {
					wantKind(t, err, test.bodyKind, http.StatusBadGateway)
				} else if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != test.status || string(b) != test.body || a.Reused != (i == 1) {
					t.Errorf("request %d: got %d %q reused %t", i, resp.StatusCode, b, a.Reused)
				}
			}
			if s := u.Status().Addresses[0]; !test.reused && s.Idle != 0 || s.InFlight != 0 || s.Active != 0 {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

func TestHTTP2TargetsArriveByteForByte(t *testing.T) {
	got := make(chan string, 1)
	u := newGRPCUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		got <- fmt.Sprint(r.RequestURI, r.Header["User-Agent"], r.Host)
	})
	for _, target := range targets {
		if strings.HasPrefix(target, "/\xc3") || strings.ContainsAny(target, "#") || target == "/%" || target == "/%4" || strings.Contains(target, "%zz") {
			continue // the test's server refuses these; the request line test covers them
		}
		r := newRequest("POST", target, nil)
		r.Protocol = GRPC
		resp, _, err := u.RoundTrip(r)
		if err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		_ = resp.Body.Close()
		if g, want := <-got, target+"[]app.example"; g != want {
			t.Errorf("got %q, want %q", g, want)
		}
	}
}
