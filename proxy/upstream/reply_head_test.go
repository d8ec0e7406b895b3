package upstream

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

type rawReply struct{ name, raw string }

const (
	ok200     = "HTTP/1.1 200 OK\r\n"
	chunked   = ok200 + "Transfer-Encoding: chunked\r\n\r\n"
	nextReply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)

var acceptedReplies = []rawReply{
	{"length", ok200 + "Content-Length: 2\r\n\r\nok" + nextReply},
	{"leading zeros", ok200 + "Content-Length: 0002\r\n\r\nok" + nextReply},
	{"the same length twice", ok200 + "Content-Length: 2\r\ncontent-length: 2\r\n\r\nok" + nextReply},
	{"nothing", ok200 + "Content-Length: 0\r\n\r\n" + nextReply},
	{"until the end", ok200 + "\r\nall of it"},
	{"a trailer that is declared without chunks", ok200 + "Trailer: X\r\nContent-Length: 0\r\n\r\n"},
	{"chunks", chunked + "2;a=b\r\nok\r\n0\r\n\r\n" + nextReply},
	{"a coding in capitals", ok200 + "TRANSFER-ENCODING:\tCHUNKED \r\n\r\n2\r\nok\r\n0\r\n\r\n" + nextReply},
	{"trailer", ok200 + "Trailer: x-a, ,X-B\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nx-a: 2\r\nX-C:\r\n\r\n" + nextReply},
	{"cut in a chunk", chunked + "5\r\nok"},
	{"cut in the trailer", chunked + "0\r\nX: y\r\n"},
	{"cut in a sized body", ok200 + "Content-Length: 9\r\n\r\nok"},
	{"a chunk size that is none", chunked + "x\r\n"},
	{"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n" + nextReply},
	{"no content in chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n" + nextReply},
	{"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n" + nextReply},
	{"informational", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n" + nextReply},
	{"switching", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00"},
	{"no reason and no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"},
	{"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
	{"a reason of any bytes", "HTTP/1.1 200 \xc3\xa9  \tx \r\nContent-Length: 0\r\n\r\n"},
	{"a high status", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n"},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"HTTP/1.0, kept", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"},
	{"HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nok"},
	{"close", ok200 + "Connection: x, Close\r\nX: 1\r\nContent-Length: 0\r\n\r\n"},
	{"kept", ok200 + "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n"},
	{"fields", ok200 + "set-cookie: a\r\nSET-COOKIE: b\r\nX-Empty:\r\nx:\t a\tb \t\r\nX-Utf8: \xc3\xa9\r\n!#$: 1\r\nPragma: no-cache\r\nContent-Length: 0\r\n\r\n"},
	{"no fields", "HTTP/1.1 204 No Content\r\n\r\n"},
}

// refusedReplies are malformed or can be read in two ways. net/http takes those that say so.
var refusedReplies = []rawReply{
	{"bare LF after the status (net/http)", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"},
	{"bare LF after a field (net/http)", ok200 + "Content-Length: 0\n\r\n"},
	{"bare LF as the empty line (net/http)", ok200 + "Content-Length: 0\r\n\n"},
	{"obs-fold (net/http)", ok200 + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n"},
	{"obs-fold with a tab (net/http)", ok200 + "Content-Length:\r\n\t0\r\n\r\n"},
	{"white space before the fields", ok200 + " X: a\r\nContent-Length: 0\r\n\r\n"},
	{"space before a colon (net/http)", ok200 + "Content-Length : 0\r\n\r\n"},
	{"space in a name (net/http)", ok200 + "X Y: 0\r\n\r\n"},
	{"tab before a colon", ok200 + "X\t: 0\r\n\r\n"},
	{"no name", ok200 + ": 0\r\n\r\n"},
	{"no colon", ok200 + "X\r\n\r\n"},
	{"byte in a name", ok200 + "X\xc3: 0\r\n\r\n"},
	{"NUL in a value", ok200 + "X: \x00\r\n\r\n"},
	{"CR in a value", ok200 + "X: a\rb\r\n\r\n"},
	{"DEL in a value", ok200 + "X: \x7f\r\n\r\n"},
	{"two lengths", ok200 + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"},
	{"a list of lengths", ok200 + "Content-Length: 2, 2\r\n\r\nok"},
	{"plus", ok200 + "Content-Length: +2\r\n\r\nok"},
	{"minus", ok200 + "Content-Length: -2\r\n\r\nok"},
	{"hexadecimal length", ok200 + "Content-Length: 0x2\r\n\r\nok"},
	{"empty length", ok200 + "Content-Length:\r\n\r\nok"},
	{"19 digits (net/http)", ok200 + "Content-Length: 0000000000000000002\r\n\r\nok"},
	{"length beside chunks (net/http)", ok200 + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"length beside chunks without a body (net/http)", "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n"},
	{"chunks in HTTP/1.0 (net/http)", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"chunked twice", ok200 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"two codings", ok200 + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
	{"identity", ok200 + "Transfer-Encoding: identity\r\n\r\nok"},
	{"empty coding", ok200 + "Transfer-Encoding:\r\n\r\nok"},
	{"coding with a vertical tab", ok200 + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"},
	{"framing in the trailer", ok200 + "Transfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n0\r\n\r\n"},
	{"no field in the trailer (net/http)", ok200 + "Transfer-Encoding: chunked\r\nTrailer: a b\r\n\r\n0\r\n\r\n"},
	{"signed status (net/http)", "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"},
	{"status below 100 (net/http)", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"},
	{"two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"},
	{"four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
	{"two spaces before the status (net/http)", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"a tab before the status", "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"a tab behind the status", "HTTP/1.1 200\tOK\r\nContent-Length: 0\r\n\r\n"},
	{"a control byte in the reason (net/http)", "HTTP/1.1 200 \x00\r\nContent-Length: 0\r\n\r\n"},
	{"HTTP/1.2 (net/http)", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"HTTP/2.0 (net/http)", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"HTTP/1.10", "HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"lower case", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"an empty line first", "\r\n" + nextReply},
	{"an empty reply", "\r\n\r\n"},
	{"SSH", "SSH-2.0-x\r\n\r\n"},
	{"a TLS alert", "\x15\x03\x03\x00\x02\x02\x16"},
}

// TestReplyHeads shows what is accepted, that net/http reads it alike, and what is refused on purpose although net/http
// takes it.
func TestReplyHeads(t *testing.T) {
	for _, r := range acceptedReplies {
		t.Run(r.name, func(t *testing.T) {
			for _, method := range fuzzMethods {
				if !compareReply(t, r.raw, method) {
					t.Errorf("%s: refused: %v", method, readOurs(r.raw, method).err)
				}
			}
		})
	}
	for _, r := range refusedReplies {
		t.Run(r.name, func(t *testing.T) {
			for _, method := range fuzzMethods {
				if readOurs(r.raw, method).err == nil {
					t.Errorf("%s: accepted", method)
				}
			}
			if theirs := readTheirs(r.raw, "GET").err == nil; theirs != strings.Contains(r.name, "(net/http)") {
				t.Errorf("net/http accepts it: %t", theirs)
			}
		})
	}
}

// TestReplyMeaning shows what is made of replies, beside what net/http makes of them.
func TestReplyMeaning(t *testing.T) {
	r := readOurs("HTTP/1.1 200 OK\r\nConnection: close, X-Own\r\nX-Own: 1\r\nPragma: no-cache\r\nset-cookie: a\r\nSet-Cookie: b\r\nTransfer-Encoding: chunked\r\n"+
		"Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nX-More: 3\r\n\r\n"+nextReply, "GET")
	want := http.Header{"Connection": {"close, X-Own"}, "X-Own": {"1"}, "Pragma": {"no-cache"}, "Set-Cookie": {"a", "b"}}
	if d := cmp.Diff(want, r.resp.Header); d != "" {
		t.Errorf("header (-want +got):\n%s", d)
	}
	if d := cmp.Diff(http.Header{"X-Sum": {"1", "2"}, "X-More": {"3"}}, r.resp.Trailer); d != "" {
		t.Errorf("trailer (-want +got):\n%s", d)
	}
	if r.body != "ok" || r.bodyErr != nil || r.rest != nextReply || !r.resp.Close || r.resp.ContentLength != -1 {
		t.Errorf("got %+v, %+v", r, r.resp)
	}
}

// TestReplyInPieces reads heads that come byte by byte and ones that do not fit into the buffer.
func TestReplyInPieces(t *testing.T) {
	long := ok200 + "X: " + strings.Repeat("x", 3*bufSize) + "\r\nContent-Length: 2\r\n\r\nok"
	for _, raw := range []string{ok200 + "X: 1\r\nContent-Length: 2\r\n\r\nok", long} {
		for name, source := range map[string]io.Reader{
			"whole": strings.NewReader(raw), "bytes": iotest.OneByteReader(strings.NewReader(raw)), "error with the last": iotest.DataErrReader(strings.NewReader(raw)),
		} {
			br := bufio.NewReaderSize(source, bufSize)
			head, lines, err := readHead(br)
			if want := strings.TrimSuffix(raw, "\r\nok"); err != nil || head != want || lines != 3 {
				t.Errorf("%s: got %d bytes in %d lines, %v; want %d in 3", name, len(head), lines, err, len(want))
			}
			if body, err := io.ReadAll(br); string(body) != "ok" || err != nil {
				t.Errorf("%s: then %q, %v", name, body, err)
			}
		}
	}
}

// TestReplyHeadLimit finds the longest head that is taken, however it comes.
func TestReplyHeadLimit(t *testing.T) {
	odd := func(r io.Reader) io.Reader { return oddPieces{r} }
	for _, pieces := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, odd} {
		for _, over := range []int{-1, 0, 1, bufSize} {
			raw := ok200 + "X: "
			raw += strings.Repeat("x", maxReplyHeader+over-len(raw)-len("\r\n\r\n")) + "\r\n\r\n"
			_, _, err := readHead(bufio.NewReaderSize(pieces(strings.NewReader(raw)), bufSize))
			if tooLarge := errors.Is(err, ErrHeaderTooLarge); tooLarge != (over > 0) || !tooLarge && err != nil {
				t.Errorf("%d bytes: %v", len(raw), err)
			}
		}
		endless := pieces(io.MultiReader(strings.NewReader(ok200), endlessFields{}))
		if _, _, err := readHead(bufio.NewReaderSize(endless, bufSize)); !errors.Is(err, ErrHeaderTooLarge) {
			t.Errorf("without an end: %v", err)
		}
	}
}

// oddPieces are of a length of which the limit is no multiple.
type oddPieces struct{ io.Reader }

func (o oddPieces) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(len(p), 4001)]) }

type endlessFields struct{}

func (endlessFields) Read(p []byte) (int, error) { return copy(p, "x: y\r\n"), nil }

// TestReplyRefusedEarly shows that what cannot become a head is not waited for.
func TestReplyRefusedEarly(t *testing.T) {
	wait := errors.New("waited for more")
	for _, begin := range []string{"S", "HTTP/2", "HTTP/1.1 200 OK\n", ok200 + "X: 1\n"} {
		_, _, err := readHead(bufio.NewReader(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(wait))))
		if err == nil || errors.Is(err, wait) {
			t.Errorf("%q: %v", begin, err)
		}
	}
}

// TestTrailerLimits shows how long a trailer may be.
func TestTrailerLimits(t *testing.T) {
	line := "X: " + strings.Repeat("x", 95) + "\r\n" // 100 bytes
	for n, ok := range map[int]bool{1: true, 40: true, 41: false} {
		r := readOurs(chunked+"0\r\n"+strings.Repeat(line, n)+"\r\n", "GET")
		if (r.bodyErr == nil) != ok || ok && len(r.resp.Trailer["X"]) != n {
			t.Errorf("%d bytes: %v", 100*n, r.bodyErr)
		}
	}
	for name, trailer := range map[string]string{
		"long line": "X: " + strings.Repeat("x", 2*bufSize) + "\r\n\r\n", "bare LF": "X: 1\n\r\n", "bare LF at the end": "X: 1\r\n\n", "folded": "X: 1\r\n y\r\n\r\n",
		"no name": ": 1\r\n\r\n", "cut": "X: 1\r\n", "empty": "",
	} {
		if r := readOurs(chunked+"0\r\n"+trailer, "GET"); r.err != nil || r.bodyErr == nil || r.bodyErr == io.EOF {
			t.Errorf("%s: %v, %v", name, r.err, r.bodyErr)
		}
	}
}

// BenchmarkReplyHead reads a head of ten fields.
func BenchmarkReplyHead(b *testing.B) {
	raw := ok200
	for i := range 10 {
		raw += "X-Field-" + strconv.Itoa(i) + ": value of a field\r\n"
	}
	raw += "\r\n"
	source := strings.NewReader(raw)
	br := bufio.NewReaderSize(source, bufSize)
	again := func() {
		source.Reset(raw)
		br.Reset(source)
	}
	b.Run("by=us", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			again()
			head, lines, err := readHead(br)
			if err != nil || parseHead(head, lines, "GET", &http.Response{}) != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by=net/http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			again()
			if _, err := http.ReadResponse(br, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
