package upstream

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read is a reply as somebody read it.
type read struct {
	resp    *http.Response
	err     error // of the head
	body    string
	bodyErr error
	rest    string // what comes behind it
}

// readOurs reads a reply to a request of a method as the gateway does.
func readOurs(sent, method string) (r read) {
	br := bufio.NewReaderSize(strings.NewReader(sent), bufSize)
	head, lines, err := readHead(br)
	if err == nil {
		r.resp = &http.Response{}
		err = parseHead(head, lines, method, r.resp)
	}
	if r.err = err; err != nil {
		return r
	}
	var c content
	c.begin(br, method, r.resp)
	r.finish(&c, br)
	return r
}

// readTheirs reads it as net/http does.
func readTheirs(sent, method string) (r read) {
	br := bufio.NewReaderSize(strings.NewReader(sent), 1<<20) // it looks for the end of a trailer in what is buffered
	if r.resp, r.err = http.ReadResponse(br, &http.Request{Method: method}); r.err == nil {
		r.finish(r.resp.Body, br)
	}
	return r
}

func (r *read) finish(body io.Reader, br *bufio.Reader) {
	b, err := io.ReadAll(body)
	r.body, r.bodyErr = string(b), err
	rest, _ := io.ReadAll(br)
	r.rest = string(rest)
}

// compareReply fails if net/http reads a reply that is accepted in another way. It reports whether one was.
func compareReply(t *testing.T, sent, method string) bool {
	t.Helper()
	ours := readOurs(sent, method)
	if ours.err != nil {
		if ours.resp != nil && ours.resp.Body != nil {
			t.Fatalf("%q: refused with a body", sent)
		}
		return false
	}
	theirs := readTheirs(sent, method)
	if theirs.err != nil {
		t.Fatalf("%q: net/http refuses it: %v", sent, theirs.err)
	}
	o, n := ours.resp, theirs.resp
	if o.Close && !n.Close && o.ProtoMinor == 0 {
		n.Close = true // a connection of HTTP/1.0 is never kept here
	}
	if list, ok := o.Header["Connection"]; ok && n.Header["Connection"] == nil && n.Close {
		n.Header["Connection"] = list // net/http takes it away, with the names of other fields that are the connection's
	}
	if slices.Equal(n.Header["Cache-Control"], []string{"no-cache"}) && o.Header["Cache-Control"] == nil && n.Header.Get("Pragma") == "no-cache" {
		delete(n.Header, "Cache-Control") // net/http adds it
	}
	type head struct {
		Proto, Status      string
		Major, Minor, Code int
		Length             int64
		Close              bool
		Header             http.Header
		Coding             []string
		Body               string
		BodyFails          bool
	}
	of := func(r read) head {
		x := r.resp
		return head{x.Proto, x.Status, x.ProtoMajor, x.ProtoMinor, x.StatusCode, x.ContentLength, x.Close, x.Header, x.TransferEncoding, r.body, r.bodyErr != nil}
	}
	mine, other := of(ours), of(theirs)
	if ours.bodyErr != nil { // what is refused after the head may be more, and then the connection ends
		if !strings.HasPrefix(other.Body, mine.Body) {
			t.Fatalf("%q: net/http reads the body %q, want %q", sent, other.Body, mine.Body)
		}
		other.Body, other.BodyFails = mine.Body, true
	}
	if d := cmp.Diff(mine, other); d != "" {
		t.Fatalf("%q: net/http reads another reply (-ours +theirs):\n%s", sent, d)
	}
	if ours.bodyErr != nil {
		return true
	}
	if d := cmp.Diff(o.Trailer, n.Trailer); d != "" {
		t.Fatalf("%q: net/http reads another trailer (-ours +theirs):\n%s", sent, d)
	}
	if ours.rest != theirs.rest {
		t.Fatalf("%q: net/http goes on at %q, want %q", sent, theirs.rest, ours.rest)
	}
	return true
}

var fuzzMethods = []string{"GET", "HEAD", "POST"}

// FuzzReply shows that whatever reply is accepted, net/http accepts and reads alike: version, status, fields, framing,
// body and trailer, and the same bytes behind it.
func FuzzReply(f *testing.F) {
	for i := range fuzzMethods {
		for _, reply := range slices.Concat(acceptedReplies, refusedReplies) {
			f.Add([]byte(reply.raw), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, sent []byte, method uint8) {
		compareReply(t, string(sent), fuzzMethods[int(method)%len(fuzzMethods)])
	})
}
