package http1

import (
	"fmt"
	"strings"
	"testing"
)

// refusals are requests that are never given to a handler, with a part of the reason.
var refusals = []struct {
	name, raw string
	status    int
	detail    string
}{
	// The request line.
	{"no version", "GET /\r\n\r\n", 400, "not method, target and version"},
	{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400, "not method, target and version"},
	{"word", "hello\r\n\r\n", 400, "not method, target and version"},
	{"empty method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "does not begin with a method"},
	{"method with a colon", "GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no token"},
	{"method with a high byte", "G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no token"},
	{"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "more than one space"},
	{"two spaces after the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "more than one space"},
	{"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "more than one space"},
	{"space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "more than one space"},
	{"tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no token"},
	{"tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400, "control byte"},
	{"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400, "not one of HTTP's"},
	{"version 1", "GET / HTTP/1\r\nHost: a\r\n\r\n", 400, "not one of HTTP's"},
	{"version 1.01", "GET / HTTP/1.01\r\nHost: a\r\n\r\n", 400, "not one of HTTP's"},
	{"version 1.a", "GET / HTTP/1.a\r\nHost: a\r\n\r\n", 400, "not one of HTTP's"},
	{"version with a sign", "GET / HTTP/+1.1\r\nHost: a\r\n\r\n", 400, "not one of HTTP's"},
	{"version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "neither HTTP/1.1"},
	{"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "neither HTTP/1.1"},
	{"version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "neither HTTP/1.1"},
	{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2 without TLS"},
	{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "does not begin"},
	{"bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "does not begin"},
	{"bare CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "does not begin"},
	{"TLS", "\x16\x03\x01\x02\x00\x01", 400, "does not begin"},

	// The target.
	{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "fragment"},
	{"fragment in the query", "GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "fragment"},
	{"high byte", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "not ASCII"},
	{"high byte in the query", "GET /?\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "not ASCII"},
	{"NUL", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "control byte"},
	{"DEL", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400, "control byte"},
	{"CR", "GET /\ra HTTP/1.1\r\nHost: a\r\n\r\n", 400, "control byte"},
	{"malformed escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed"},
	{"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "OPTIONS alone"},
	{"asterisk and more", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor a URL"},
	{"no slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor a URL"},
	{"question mark alone", "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor a URL"},
	{"authority with GET", "GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400, "neither a path nor a URL"},
	{"another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor a URL"},
	{"one slash", "GET http:/a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "neither a path nor a URL"},
	{"user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "names a user"},
	{"user and password", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "names a user"},
	{"empty authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "no host"},
	{"bad authority", "GET http://a,b/ HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "no host"},
	{"absolute form for another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "differs"},
	{"absolute form for another port", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "differs"},
	{"absolute form without Host", "GET http://a/ HTTP/1.1\r\n\r\n", 400, "no Host"},
	{"absolute form and empty Host", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", 400, "differs"},
	{"CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "CONNECT"},
	{"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "CONNECT"},
	{"CONNECT to another host", "CONNECT b:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 400, "differs"},
	{"CONNECT with a URL", "CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "CONNECT"},

	// Host.
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "no Host"},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "more than one Host"},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "more than one Host"},
	{"list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "Host is malformed"},
	{"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host is malformed"},
	{"host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "Host is malformed"},
	{"host with an escape", "GET / HTTP/1.1\r\nHost: a%00\r\n\r\n", 400, "Host is malformed"},
	{"host with a high byte", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", 400, "Host is malformed"},
	{"host with two ports", "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", 400, "Host is malformed"},
	{"port without a host", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, "Host is malformed"},
	{"port too large", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400, "Host is malformed"},
	{"port with a sign", "GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", 400, "Host is malformed"},
	{"bracket open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "Host is malformed"},
	{"no address in brackets", "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", 400, "Host is malformed"},
	{"IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", 400, "Host is malformed"},
	{"zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400, "Host is malformed"},
	{"behind the bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400, "Host is malformed"},

	// Lines and fields.
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare LF"},
	{"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400, "bare LF"},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare LF"},
	{"LF LF", "GET / HTTP/1.1\nHost: a\n\n", 400, "bare LF"},
	{"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400, "not one of HTTP's"},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, "control byte in the value"},
	{"bare CR at the end of a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n", 400, "control byte in the value"},
	{"bare CR in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\rY: a\r\n\r\n", 400, "byte in a field name"},
	{"obs-fold by a space", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400, "obs-fold"},
	{"obs-fold by a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n", 400, "obs-fold"},
	{"folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "obs-fold"},
	{"empty fold", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", 400, "obs-fold"},
	{"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "before its colon"},
	{"tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 1\r\n\r\n", 400, "before its colon"},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", 400, "without a name"},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nabc\r\n\r\n", 400, "without a colon"},
	{"slash in a name", "GET / HTTP/1.1\r\nHost: a\r\na/b: c\r\n\r\n", 400, "byte in a field name"},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\na\x00: c\r\n\r\n", 400, "byte in a field name"},
	{"high byte in a name", "GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa9: c\r\n\r\n", 400, "without a name"},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400, "control byte in the value"},
	{"ESC in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x1b\r\n\r\n", 400, "control byte in the value"},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 400, "control byte in the value"},
	{"vertical tab after the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\v1\r\n\r\n", 400, "control byte in the value"},
	{"head over 64 KiB", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431, "64 KiB"},
	{"head over 64 KiB by a byte, behind an empty line", "\r\n" + headOf(64<<10+1), 431, "64 KiB"},
	{"one line of 200 KiB", strings.Repeat("a", 200<<10), 431, "64 KiB"},
	{"end within the head", "GET / HTTP/1.1\r\nHost: a\r\n", 400, "ended within"},
	{"end within a line", "GET / HT", 400, "ended within"},

	// Framing.
	{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, "more than one Content-Length"},
	{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\na", 400, "more than one Content-Length"},
	{"list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400, "no number"},
	{"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", 400, "no number"},
	{"length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400, "no number"},
	{"hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", 400, "no number"},
	{"length with an underscore", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\na", 400, "no number"},
	{"empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\na", 400, "no number"},
	{"length with a space", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\na", 400, "no number"},
	{"length beyond 64 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\na", 400, "no number"},
	{"length that is no ASCII digit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa1\r\n\r\na", 400, "no number"},
	{"length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "beside"},
	{"chunked and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400, "beside"},
	{"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "more than one Transfer-Encoding"},
	{"chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"chunked is not the last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"empty coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"comma", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"chunked with a parameter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"chunked in quotes", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"chunked with a high byte", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"two words", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked foo\r\n\r\n0\r\n\r\n", 400, "not exactly chunked"},
	{"gzip", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "not exactly chunked"},
	{"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400, "not exactly chunked"},
	{"xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400, "not exactly chunked"},
	{"gzip, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, "not exactly chunked"},
	{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "HTTP/1.0"},
	{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "HTTP/1.0"},
	{"Trailer names Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n0\r\n\r\n", 400, "Trailer names"},
	{"Trailer names Host", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X, Host\r\n\r\n0\r\n\r\n", 400, "Trailer names"},
	{"Trailer names nothing", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: a b\r\n\r\n0\r\n\r\n", 400, "Trailer names"},

	// Expectations.
	{"another expectation", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: tea\r\n\r\na", 417, "100-continue"},
	{"two expectations", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\na", 417, "100-continue"},
	{"list of expectations", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue, tea\r\n\r\na", 417, "100-continue"},
}

// headOf makes a head of n bytes.
func headOf(n int) string {
	const begin, end = "GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n"
	return begin + strings.Repeat("a", n-len(begin)-len(end)) + end
}

// TestRefusals shows that no handler runs, the reply has the status, the connection is over, and the reason is told
// once; also when the bytes come one by one.
func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1 << 20, 1} {
				c := newCollect()
				m := newMemory(tt.raw + "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n")
				if strings.Contains(tt.detail, "ended within") || strings.HasPrefix(tt.raw, "\x16") {
					m = newMemory(tt.raw)
				}
				m.piece = piece
				c.NewConn(t.Context(), m, nil).Serve()
				if len(c.seen) > 0 {
					t.Fatalf("handled: %+v", c.seen[0].Request)
				}
				if len(c.refused) != 1 || c.refused[0].status != tt.status || !strings.Contains(c.refused[0].detail, tt.detail) {
					t.Errorf("refused as %+v, want one %d %q", c.refused, tt.status, tt.detail)
				}
				if out := m.out.String(); !strings.HasPrefix(out, fmt.Sprintf("HTTP/1.1 %d ", tt.status)) || !strings.Contains(out, "\r\nConnection: close\r\n") || strings.Count(out, "HTTP/1.") != 1 {
					t.Errorf("wrote %q", out)
				}
			}
		})
	}
}

// TestAccepted shows what is read of requests that are odd, but mean one thing.
func TestAccepted(t *testing.T) {
	for _, tt := range []struct{ name, raw, method, target, host, want string }{
		{"shortest", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", ""},
		{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", ""},
		{"longest head, behind an empty line", "\r\n" + headOf(64<<10), "GET", "/", "a", ""},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "", ""},
		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", ""},
		{"own method", "a!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: a\r\n\r\n", "a!#$%&'*+-.^_`|~9", "/", "a", ""},
		{"own bytes of the target", "GET //a/../%2e%c3?%zz|\"<>^`{}\\[]?? HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "//a/../%2e%c3?%zz|\"<>^`{}\\[]??", "a", ""},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "a", ""},
		{"absolute form", "GET HTTP://A.example:80/x?y HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "GET", "HTTP://A.example:80/x?y", "A.example:80", ""},
		{"absolute form without a path", "GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "http://a?y", "a", ""},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT", "a:443", "a:443", ""},
		{"IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET", "/", "[::1]:8080", ""},
		{"empty port", "GET / HTTP/1.1\r\nHost: a_b.example.:\r\n\r\n", "GET", "/", "a_b.example.:", ""},
		{"white space around values", "GET / HTTP/1.1\r\nHost:\t a \t\r\nX:\t 1 2\t\r\nx:\r\n\r\n", "GET", "/", "a", "X=[1 2 ]"},
		{"high bytes in values", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\xff\r\n\r\n", "GET", "/", "a", "X=[\xc3\xa9\xff]"},
		{"Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc", "POST", "/", "a", "abc"},
		{"chunked in capitals", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "POST", "/", "a", "abc"},
		{"body of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "GET", "/", "a", "abc"},
		{"100-continue of HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", "POST", "/", "", "abc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCollect()
			out := serve(&c.Server, tt.raw)
			if len(c.refused) > 0 || len(c.seen) != 1 {
				t.Fatalf("refused %+v, seen %d", c.refused, len(c.seen))
			}
			r := c.seen[0]
			if r.Method != tt.method || r.RequestURI != tt.target || r.Host != tt.host || r.bodyErr != nil {
				t.Errorf("got %s %s, host %q, body %v", r.Method, r.RequestURI, r.Host, r.bodyErr)
			}
			if got := r.body; tt.want != "" && got != tt.want && fmt.Sprintf("X=%s", r.Header["X"]) != tt.want {
				t.Errorf("body %q, header %v; want %q", got, r.Header, tt.want)
			}
			if !strings.HasSuffix(out, "\r\n\r\nok") {
				t.Errorf("wrote %q", out)
			}
		})
	}
}
