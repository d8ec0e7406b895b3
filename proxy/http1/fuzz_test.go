package http1

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// addSeeds adds the requests of the tables, several on one connection among them, and those of the shared data.
func addSeeds(f *testing.F) {
	for _, tt := range refusals {
		if len(tt.raw) < 1000 {
			f.Add([]byte(tt.raw))
		}
	}
	const next = "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + next,
		"\r\nGET /a'b%20c/;x?y=z&? HTTP/1.1\r\nHost: a.example:80\r\nx-a: 1\r\nX-A: 2\r\nPragma: no-cache\r\n\r\n" + next,
		"GET http://a/x?y HTTP/1.1\r\nHost: A\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc" + next,
		"POST / HTTP/1.0\r\nContent-Length: 03\r\nConnection: keep-alive\r\n\r\nabc" + next,
		chunkedHead + "3;a=\"b;\\\"c\"\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX: 1\r\nX: 2\r\n\r\n" + next,
		"POST / HTTP/1.1\r\nHost: [::1]:1\r\nTransfer-Encoding: Chunked\r\nTrailer: X, y\r\nConnection: close\r\n\r\n0;a\r\ny:\r\n\r\n" + next,
		"GET /?%zz HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x00",
	} {
		f.Add([]byte(raw))
	}
	for _, raw := range desync(f) {
		f.Add([]byte(raw))
	}
}

// desync gives the requests of the shared data as bytes, with the Host that they leave out and a body; none
// where the data is not.
func desync(t testing.TB) (list []string) {
	t.Helper()
	names, err := filepath.Glob("../../../shared/data/desync/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			URI, Method, Version string
			Headers              []struct{ Name, Value string }
		}
		if err := yaml.Unmarshal(text, &cases); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range cases {
			fields, body := "", strings.Repeat("a", 1000)+"0\r\n\r\n" // of any of the lengths
			host := "Host: localhost\r\n"
			for _, h := range c.Headers {
				fields += h.Name + ": " + h.Value + "\r\n"
				switch strings.ToLower(h.Name) {
				case "host":
					host = ""
				case "transfer-encoding":
					body = "0\r\n\r\n"
				}
			}
			list = append(list, c.Method+" "+c.URI+" "+c.Version+"\r\n"+host+fields+"\r\n"+body)
		}
	}
	return list
}

// FuzzAgainstNetHTTP shows that whatever is accepted, net/http accepts and reads alike: request by request the same
// method, target, host, fields, body and trailer, and the same bytes behind it.
func FuzzAgainstNetHTTP(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, sent []byte) { compare(t, string(sent)) })
}

// compare fails if net/http reads one of the requests that are accepted in another way. It gives how many there were.
func compare(t *testing.T, sent string) int {
	t.Helper()
	c := newCollect()
	serve(&c.Server, sent)
	source := strings.NewReader(sent)
	theirs := bufio.NewReaderSize(source, 256<<10) // net/http looks for the end of a trailer in what is buffered
	for i, ours := range c.seen {
		if ahead, _ := theirs.Peek(2); string(ahead) == "\r\n" { // net/http's server drops it, its reader does not
			theirs.Discard(2)
		}
		r, err := http.ReadRequest(theirs)
		if err != nil {
			t.Fatalf("request %d of %q: net/http refuses it: %v", i, sent, err)
		}
		if len(r.Header["Cache-Control"]) == 1 && ours.Header["Cache-Control"] == nil && r.Header.Get("Pragma") == "no-cache" {
			delete(r.Header, "Cache-Control") // net/http adds it
		}
		if ours.Header == nil || r.Proto != ours.Proto || r.Method != ours.Method || r.RequestURI != ours.RequestURI || r.Host != ours.Host || r.ContentLength != ours.ContentLength {
			t.Fatalf("request %d of %q: net/http reads %+v, want %+v", i, sent, r, ours.Request)
		}
		for name, d := range map[string]string{
			"URL": cmp.Diff(ours.URL, r.URL), "header": cmp.Diff(ours.Header, r.Header), "coding": cmp.Diff(ours.TransferEncoding, r.TransferEncoding),
		} {
			if d != "" {
				t.Fatalf("request %d of %q: net/http reads another %s (-ours +theirs):\n%s", i, sent, name, d)
			}
		}
		if ours.bodyErr != nil { // refused after all
			return i
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != ours.body {
			t.Fatalf("request %d of %q: net/http reads the body %q, %v; want %q", i, sent, body, err, ours.body)
		}
		if d := cmp.Diff(ours.Trailer, r.Trailer); d != "" {
			t.Fatalf("request %d of %q: net/http reads another trailer (-ours +theirs):\n%s", i, sent, d)
		}
		if rest := sent[len(sent)-source.Len()-theirs.Buffered():]; rest != ours.rest {
			t.Fatalf("request %d of %q: net/http goes on at %q, want %q", i, sent, rest, ours.rest)
		}
	}
	return len(c.seen)
}

// TestDesync compares the shared cases without fuzzing.
func TestDesync(t *testing.T) {
	list := desync(t)
	if len(list) == 0 {
		t.Skip("the shared data is not here")
	}
	accepted := 0
	for _, raw := range list {
		if compare(t, raw) > 0 {
			accepted++
		}
	}
	t.Logf("%d of %d cases have a request that is accepted", accepted, len(list))
	if accepted == 0 || accepted == len(list) {
		t.Error("the comparison has nothing to compare")
	}
}
