package wiretest_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// message is a request that can be written in both versions of HTTP. An empty method, target and authority are GET, / and
// stream.example; "-" is none at all.
type message struct {
	method, target, authority string
	fields                    []string // names and values in turn
	body                      string
}

func (m message) complete() message {
	or := func(s, usual string) string {
		if s == "-" {
			return ""
		}
		return cmp.Or(s, usual)
	}
	m.method, m.target, m.authority = or(m.method, "GET"), or(m.target, "/"), or(m.authority, "stream.example")
	m.fields = append([]string{"x-request-id", "grammar"}, m.fields...) // else each request has one of its own
	return m
}

// result is what came of a message.
type result struct {
	status   string
	incident string
	upstream string // the bytes of the request there, empty if none came
}

// overHTTP1 sends a message in HTTP/1.1, its body in one chunk unless it has a content-length.
func (g *gateway) overHTTP1(t *testing.T, m message) result {
	t.Helper()
	g.recorder.Take()
	m = m.complete()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", m.method, m.target)
	if m.authority != "" {
		fmt.Fprintf(&b, "Host: %s\r\n", m.authority)
	}
	sized := false
	for i := 0; i < len(m.fields); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", m.fields[i], m.fields[i+1])
		sized = sized || m.fields[i] == "content-length"
	}
	if m.body != "" && !sized {
		fmt.Fprintf(&b, "transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(m.body), m.body)
	} else {
		b.WriteString("\r\n" + m.body)
	}
	c, err := net.Dial("tcp", g.address("plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, b.String())
	response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: m.method})
	if err != nil {
		t.Fatalf("%q: %v", b.String(), err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return g.result(strconv.Itoa(response.StatusCode), response.Header.Get("X-Gatehouse-Incident"))
}

// overHTTP2 sends a message in HTTP/2.
func (g *gateway) overHTTP2(t *testing.T, m message) result {
	t.Helper()
	g.recorder.Take()
	m = m.complete()
	fields := []string{":method", m.method, ":scheme", "http", ":authority", m.authority, ":path", m.target}
	if m.method == http.MethodConnect {
		fields = []string{":method", m.method, ":authority", m.target}
	}
	return g.result(sendHTTP2(t, g.address("h2c"), append(fields, m.fields...), m.body))
}

func (g *gateway) result(status, incident string) result {
	r := result{status: status, incident: incident}
	for _, request := range whole(g.recorder.Take()) {
		r.upstream += sorted(string(request.Raw))
		if request.Problem != "" {
			r.upstream += " (not canonical: " + request.Problem + ")"
		}
	}
	return r
}

// sorted gives a request with its fields in the order of their names: the gateway keeps the order within a name alone.
// X-Forwarded-Port, which is the listener's, is left out.
func sorted(raw string) string {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	fields := slices.DeleteFunc(lines[1:], func(line string) bool { return strings.HasPrefix(line, "X-Forwarded-Port:") })
	slices.SortStableFunc(fields, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return lines[0] + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
}

// grammar holds the parts of requests at and beyond the limits of what RFC 9110, 9112 and 9113 allow.
var grammar = []message{
	{},
	{target: "/a/b;c=d?e=f&g=%20"},
	{target: "/?"},
	{target: "//a//b"},
	{target: "/a?b?c"},
	{method: "POST", target: "/a", body: "hello"},
	{method: "POST", target: "/a", body: "hello", fields: []string{"content-length", "5"}},

	{method: "get"},
	{method: "G(T"},
	{method: "G T"},
	{method: "G/T"},
	{method: "GET\x00"},
	{method: "G\xc3\xa9T"},
	{method: "-"},
	{method: "PURGE"},
	{method: "!#$%&'*+-.^_`|~"},
	{method: "TRACE"},
	{method: "TRACK"},
	{method: "CONNECT", target: "stream.example:443", authority: "stream.example:443"},
	{method: "CONNECT", target: "stream.example"},
	{method: "CONNECT", target: "/a"},
	{method: "CONNECT", target: "a,b:1", authority: "a,b:1"},
	{method: "CONNECT", target: "u@stream.example:443", authority: "u@stream.example:443"},
	{method: "CONNECT", target: "stream.example:65536", authority: "stream.example:65536"},

	{target: "-"},
	{target: "a"},
	{target: "?a"},
	{target: "*"},
	{method: "OPTIONS", target: "*"},
	{method: "OPTIONS", target: "*a"},
	{method: "OPTIONS"},
	{target: "/ a"},
	{target: "/a "},
	{target: "/\t"},
	{target: "/a#b"},
	{target: "/a?b#c"},
	{target: "/#"},
	{target: "/\xff"},
	{target: "/\xc3\xa9"},
	{target: "/?\xff"},
	{target: "/\x00"},
	{target: "/\x7f"},
	{target: "/a\rb"},
	{target: "/a\nb"},
	{target: "/%zz"},
	{target: "/%"},
	{target: "/?%zz"},
	{target: "/%00"},
	{target: "/%2e%2e/a"},
	{target: "/a/../b"},
	{target: "/a\\b"},
	{target: "/%2f"},
	{target: "/<>\"{}|^`[]"},
	{target: "/?<>\"{}|^`[]"},
	{target: "ftp://stream.example/"},
	{target: "http:/stream.example/"},
	{target: "stream.example:80"},
	{target: "http://u@stream.example/"},
	{target: "http:///a"},
	{target: "http://evil.example/"},
	{target: "http://stream.example/#a"},

	{authority: "STREAM.example"},
	{authority: "stream.example."},
	{authority: "stream.example:80"},
	{authority: "stream.example:"},
	{authority: "-"},
	{authority: "stream.example:65536"},
	{authority: "stream.example:a"},
	{authority: "stream.example:80:80"},
	{authority: "stream.example:+80"},
	{authority: ":80"},
	{authority: "u@stream.example"},
	{authority: "u:p@stream.example"},
	{authority: "stream.example,other.example"},
	{authority: "stream.example other.example"},
	{authority: "stream.example/a"},
	{authority: "stream.example?a"},
	{authority: "stream.example#a"},
	{authority: "stream.example\\a"},
	{authority: "stream.example%00"},
	{authority: "stream.example\x00"},
	{authority: "str\xc3\xa9am.example"},
	{authority: "\"stream.example\""},
	{authority: "http://stream.example"},
	{authority: "unknown.example"},
	{authority: "[::1]"},
	{authority: "[::1"},
	{authority: "[a]"},
	{authority: "[::1]a"},
	{authority: "[fe80::1%25eth0]"},
	{authority: "[1.2.3.4]"},
	{authority: "127.0.0.1"},
	{fields: []string{"host", "stream.example"}, authority: "-"},
	{fields: []string{"host", "a/b"}, authority: "-"},
	{fields: []string{"host", ""}, authority: "-"},
	{fields: []string{"host", "stream.example", "host", "stream.example"}, authority: "-"},
	{fields: []string{"host", "evil.example"}},

	{fields: []string{"", "a"}},
	{fields: []string{"x a", "b"}},
	{fields: []string{"x\t", "b"}},
	{fields: []string{"x/a", "b"}},
	{fields: []string{"x\x00", "b"}},
	{fields: []string{"x\xe9", "b"}},
	{fields: []string{"x_a", "b"}},
	{fields: []string{"(x)", "b"}},
	{fields: []string{"x!#$%&'*+.^`|~", "b"}},
	{fields: []string{"x-a", ""}},
	{fields: []string{"x-a", "b\tc"}},
	{fields: []string{"x-a", "\xff\x80"}},
	{fields: []string{"x-a", "b\x00c"}},
	{fields: []string{"x-a", "b\x7fc"}},
	{fields: []string{"x-a", "b\x1bc"}},
	{fields: []string{"x-a", "b\rc"}},
	{fields: []string{"x-a", "b\nc"}},
	{fields: []string{"x-a", "b", "x-a", "c"}},

	{method: "POST", body: "hello", fields: []string{"content-length", "+5"}},
	{method: "POST", body: "hello", fields: []string{"content-length", "5,5"}},
	{method: "POST", body: "hello", fields: []string{"content-length", ""}},
	{method: "POST", body: "hello", fields: []string{"content-length", "0x5"}},
	{method: "POST", body: "hello", fields: []string{"content-length", "5", "content-length", "5"}},
	{method: "POST", body: "hello", fields: []string{"content-length", "0000000000000000005"}},
	{method: "POST", body: "hello", fields: []string{"content-length", "9223372036854775807"}},
	{method: "POST", body: "hello", fields: []string{"content-length", "005"}},
	{method: "POST", body: "hello", fields: []string{"expect", "tea"}},
	{fields: []string{"expect", "tea"}},
	{fields: []string{"expect", "100-continue", "expect", "100-continue"}},
	{fields: []string{"expect", ""}},
	{fields: []string{"expect", "100-Continue"}},
	{method: "POST", body: "hello", fields: []string{"trailer", "a b"}},
	{method: "POST", body: "hello", fields: []string{"trailer", "x, host"}},
	{method: "POST", body: "hello", fields: []string{"trailer", "x-sum,, "[:7]}},
	{method: "POST", body: "hello", fields: []string{"trailer", "content-length"}},
	{method: "POST", body: "hello", fields: []string{"trailer", "a b", "content-length", "5"}},
}

// everyByte puts every byte at places in method, path, query, port, authority, and name and value of a field.
func everyByte() (list []message) {
	for c := range 256 {
		b := string([]byte{byte(c)})
		list = append(list, message{method: "G" + b + "T"}, message{target: "/a" + b + "c"}, message{target: "/a?b" + b + "c"},
			message{authority: "stream" + b + "example"}, message{fields: []string{"x-a", "b" + b + "c"}})
		if b != " " && b != "\t" { // which may follow every value in HTTP/1.1
			list = append(list, message{authority: "stream.example" + b}, message{authority: "stream.example:8" + b})
		}
		if b != ":" && strings.ToLower(b) == b { // the colon ends a name in HTTP/1.1, and HTTP/2 has no upper case
			list = append(list, message{fields: []string{"x" + b + "a", "b"}})
		}
	}
	return list
}

// TestOneGrammar sends the same requests in both versions of HTTP. What is refused in one is refused in the other, with
// the same status and reason, by one event and one count; what is forwarded are the same bytes.
func TestOneGrammar(t *testing.T) {
	g := start(t)
	pairs := map[string][2]result{} // by message
	forwarded, refused := 0, 0
	for _, m := range append(grammar, everyByte()...) {
		one, two := g.overHTTP1(t, m), g.overHTTP2(t, m)
		pairs[fmt.Sprintf("%+q", m)] = [2]result{one, two}
		if one.status != two.status || one.upstream != two.upstream || (one.incident == "") != (two.incident == "") {
			t.Errorf("%+q:\n HTTP/1.1: %+v\n HTTP/2:   %+v", m, one, two)
		}
		if one.upstream != "" {
			forwarded++
		} else {
			refused++
		}
	}
	if len(grammar) < 60 || forwarded < 300 || refused < 300 {
		t.Errorf("%d requests were forwarded and %d refused", forwarded, refused)
	}
	g.checkRefusals(t, pairs, 2*refused)
	t.Logf("%d requests were forwarded and %d refused", forwarded, refused)
}

// TestOneGrammarAbsolute sends URLs in HTTP/1.1 and their parts in HTTP/2: the same bytes reach the upstream.
func TestOneGrammarAbsolute(t *testing.T) {
	g := start(t)
	for _, tt := range []struct{ scheme, path string }{{"http", "/"}, {"http", "/a?b"}, {"https", "/a%20b"}, {"http", "//a"}, {"http", "/?"}} {
		one := g.overHTTP1(t, message{target: tt.scheme + "://stream.example" + tt.path})
		g.recorder.Take()
		two := g.result(sendHTTP2(t, g.address("h2c"), []string{":method", "GET", ":scheme", tt.scheme, ":authority", "stream.example", ":path", tt.path, "x-request-id", "grammar"}, ""))
		if one != two || one.status != "200" {
			t.Errorf("%+v:\n HTTP/1.1: %+v\n HTTP/2:   %+v", tt, one, two)
		}
	}
}

// TestGrammarHTTP2 sends what HTTP/1.1 has no way to say, or another meaning for: HTTP/2 refuses it.
func TestGrammarHTTP2(t *testing.T) {
	g := start(t)
	list := []message{
		{target: "http://stream.example/"},
		{target: "https://stream.example/a"},
		{target: "HTTP://stream.example"},
		{method: "OPTIONS", target: "http://stream.example"},
		{target: "/a HTTP/1.1\r\nX: b"},
		{target: "/\r\n"},
		{authority: "stream.example\r\nX: a"},
		{authority: " stream.example"},
		{authority: "stream.example "},
		{authority: "stream.example\t"},
		{fields: []string{"X-A", "b"}},
		{fields: []string{"x:a", "b"}},
		{fields: []string{"x\r\nx", "b"}},
		{fields: []string{"x-a", "b\r\nx: c"}},
		{fields: []string{"x-a", " b"}},
		{fields: []string{"x-a", "b "}},
		{fields: []string{"x-a", "\tb"}},
		{fields: []string{"x-a", "b\t"}},
		{fields: []string{"x-a", " "}},
	}
	for _, m := range list {
		if got := g.overHTTP2(t, m); got.status != "400" || got.upstream != "" || got.incident == "" {
			t.Errorf("%+q: %+v", m, got)
		}
	}
	schemes := []string{"", "HTTP", "Https", "ftp", "ws", "http:", "http ", " http", "http\xff", "http, https", "javascript"}
	for _, scheme := range schemes {
		got := g.result(sendHTTP2(t, g.address("h2c"), []string{":method", "GET", ":scheme", scheme, ":authority", "stream.example", ":path", "/"}, ""))
		if got.status != "400" || got.upstream != "" || got.incident == "" {
			t.Errorf(":scheme %q: %+v", scheme, got)
		}
	}
	if n := len(g.WaitEvents(len(list) + len(schemes))); n != len(list)+len(schemes) {
		t.Errorf("%d events", n)
	}
}

// checkRefusals holds the events against the replies.
func (g *gateway) checkRefusals(t *testing.T, pairs map[string][2]result, n int) {
	t.Helper()
	events := map[string]*event.Event{}
	list := g.WaitEvents(n)
	for _, e := range list {
		events[e.Incident] = e
	}
	if len(list) != n || len(events) != n {
		t.Errorf("%d events of %d incidents, want %d", len(list), len(events), n)
	}
	for sent, pair := range pairs {
		if pair[0].incident == "" {
			continue
		}
		one, two := events[pair[0].incident], events[pair[1].incident]
		if one == nil || two == nil || one.Reason != two.Reason || one.Status != two.Status || one.Verdict != two.Verdict || one.Reason == "" || two.Protocol != "HTTP/2.0" {
			t.Errorf("%s:\n HTTP/1.1: %+v\n HTTP/2:   %+v", sent, one, two)
		}
	}
	proxytest.Eventually(t, "a count of each refusal", func() bool { return g.blocked() == n })
}

// blocked is how many requests the metrics say were refused.
func (g *gateway) blocked() (n int) {
	_, page := g.Admin("/metrics")
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "gatehouse_verdicts_total{") && strings.Contains(line, `verdict="block"`) {
			count, _ := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]))
			n += count
		}
	}
	return n
}
