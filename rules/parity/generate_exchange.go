package parity

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/rules"
)

// NewRequest is a request with what does not matter filled in, as test files are run.
func NewRequest(method, target string, headers ...rules.Header) rules.Request {
	host := ""
	for _, h := range headers {
		if strings.EqualFold(h.Name, "Host") {
			host, _, _ = strings.Cut(strings.ToLower(h.Value), ":")
			break
		}
	}
	path, _, _ := strings.Cut(target, "?")
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	return rules.Request{
		ID: "test", Time: time.Date(2027, time.January, 15, 12, 0, 0, 0, time.UTC),
		Client: netip.MustParseAddrPort("198.51.100.7:40000"), Server: netip.MustParseAddrPort("192.0.2.1:8080"),
		Method: method, Target: target, Protocol: "HTTP/1.1", Headers: headers,
		Host: host, Path: path, Application: "test", Route: "/", Traffic: "auto",
	}
}

// Exchange generates a request with its reply.
func (c *Choices) Exchange() *Exchange {
	g := exchangeGenerator{Choices: c, unique: c.Chance(60)}
	return g.exchange()
}

// exchangeGenerator builds one exchange.
type exchangeGenerator struct {
	*Choices
	// unique names: no two values under the same name.
	unique bool
	names  map[string]bool
}

func (g *exchangeGenerator) exchange() *Exchange {
	method := weighted(g.Choices, []share[string]{{50, "GET"}, {35, "POST"}, {5, "PUT"}, {2, "DELETE"}, {2, "HEAD"}, {2, "OPTIONS"}, {1, "get"}, {1, "FOO"}, {2, "PATCH"}})
	x := &Exchange{Name: "generated"}
	headers := []rules.Header{{Name: "Host", Value: pick(g.Choices, []string{"shop.example.com", "SHOP.example.com:8080", "192.0.2.1", ""})}}
	headers = append(headers, g.headers()...)
	target := g.target()
	if method != "GET" && method != "HEAD" || g.Chance(5) {
		contentType, body := g.body()
		x.Body = []byte(body)
		if contentType != "" {
			headers = append(headers, rules.Header{Name: "Content-Type", Value: contentType})
		}
		if g.Chance(95) {
			headers = append(headers, rules.Header{Name: "Content-Length", Value: strconv.Itoa(len(body))})
		}
		x.Truncated = g.Chance(4)
	}
	x.Request = NewRequest(method, target, headers...)
	x.Request.Protocol = weighted(g.Choices, []share[string]{{90, "HTTP/1.1"}, {5, "HTTP/2.0"}, {3, "HTTP/1.0"}, {2, "HTTP/0.9"}})
	x.Request.Traffic = weighted(g.Choices, []share[string]{{90, "auto"}, {5, "api"}, {3, "websocket"}, {2, "grpc"}})
	if g.Chance(10) {
		x.Request.Client = netip.AddrPortFrom(netip.MustParseAddr(pick(g.Choices, []string{"192.0.2.1", "2001:db8::7", "::1", "10.0.0.1"})), 40000)
	}
	if g.Chance(85) {
		g.response(x)
	}
	return x
}

// fresh says whether a name may be used: with unique names, once, in any case of its letters.
func (g *exchangeGenerator) fresh(kind, name string) bool {
	if !g.unique {
		return true
	}
	if g.names == nil {
		g.names = make(map[string]bool)
	}
	key := kind + strings.ToLower(name)
	used := g.names[key]
	g.names[key] = true
	return !used
}

func (g *exchangeGenerator) headers() []rules.Header {
	var headers []rules.Header
	for range g.N(7) {
		name := g.header()
		if g.fresh("header", name) {
			headers = append(headers, rules.Header{Name: name, Value: oneLine(g.value())})
		}
	}
	if g.Chance(35) {
		var cookies []string
		for range 1 + g.N(5) {
			if name := pick(g.Choices, cookieNames); g.fresh("cookie", name) {
				cookies = append(cookies, name+pick(g.Choices, []string{"=", "=", "=", "", " = "})+oneLine(g.value()))
			}
		}
		headers = append(headers, rules.Header{Name: "Cookie", Value: oneLine(strings.Join(cookies, pick(g.Choices, []string{"; ", ";", "&", "; ; "})))})
		if !g.unique && g.Chance(20) {
			headers = append(headers, rules.Header{Name: "cookie", Value: "a=" + oneLine(g.value())})
		}
	}
	return headers
}

// oneLine makes a value one that a header can have.
func oneLine(s string) string {
	return strings.Trim(strings.NewReplacer("\r", " ", "\n", " ").Replace(s), " \t")
}

func (g *exchangeGenerator) target() string {
	var b strings.Builder
	if g.Chance(3) {
		return pick(g.Choices, []string{"*", "/%", "/%zz?a=%", "/a?b?c", "//x/y", "/;p=1", "http://shop.example.com/x?a=1", "/?", "/a#b", "?a=1", "/\xff?\xff=\xff"})
	}
	for range g.N(4) {
		b.WriteByte('/')
		b.WriteString(g.inPath(pick(g.Choices, []string{"api", "admin", "items", "42", "index.php", "a b", "..", ".", "", ".git", "login", g.value()})))
	}
	if b.Len() == 0 {
		b.WriteByte('/')
	}
	if g.Chance(75) {
		b.WriteByte('?')
		b.WriteString(g.pairs("get", 6))
	}
	return strings.NewReplacer(" ", "%20", "\r", "%0d", "\n", "%0a", "\t", "%09", "#", "%23").Replace(b.String())
}

// inPath encodes a segment, as far as has to be, and sometimes not.
func (g *exchangeGenerator) inPath(s string) string {
	if len(s) > 300 {
		s = s[:300]
	}
	if g.Chance(15) {
		return strings.ReplaceAll(s, "?", "%3f")
	}
	return url.PathEscape(s)
}

// pairs are arguments as in a query or a form.
func (g *exchangeGenerator) pairs(kind string, most int) string {
	var pairs []string
	for range 1 + g.N(most) {
		name := g.themed(argumentNames, func(t *theme) []string { return t.names })
		if !g.fresh("argument", name) { // of query and body together: ARGS has both
			continue
		}
		pair := g.escape(name)
		if g.Chance(93) {
			pair += "=" + g.escape(g.value())
		}
		pairs = append(pairs, pair)
	}
	if kind == "get" && g.Chance(2) {
		for i := range 30 {
			pairs = append(pairs, fmt.Sprintf("n%d=%d", i, i))
		}
	}
	return strings.Join(pairs, "&")
}

func (g *exchangeGenerator) escape(s string) string {
	switch n := g.N(100); {
	case n < 80:
		return url.QueryEscape(s)
	case n < 90:
		return strings.NewReplacer("&", "%26", " ", "+", "=", "%3d").Replace(s)
	}
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func (g *exchangeGenerator) response(x *Exchange) {
	r := &rules.Response{Status: pick(g.Choices, []int{200, 200, 200, 301, 404, 500, 503}), Protocol: "HTTP/1.1"}
	contentType := weighted(g.Choices, []share[string]{{60, "text/html"}, {15, "application/json"}, {10, "text/plain; charset=utf-8"}, {5, "image/png"}, {10, ""}})
	if contentType != "" {
		r.Headers = append(r.Headers, rules.Header{Name: "Content-Type", Value: contentType})
	}
	for range g.N(3) {
		if name := pick(g.Choices, responseHeaderNames); g.fresh("response header", name) {
			r.Headers = append(r.Headers, rules.Header{Name: name, Value: oneLine(g.value())})
		}
	}
	x.Response = r
	x.HeadersOnly = g.Chance(40)
	if g.Chance(70) {
		x.ResponseBody = []byte(strings.TrimRight(pick(g.Choices, []string{
			"<p>fine</p>", "root:x:0:0:root:/root:/bin/bash", "You have an error in your SQL syntax; check the manual", "ORA-00933: SQL command not properly ended",
			"<?php echo 1; ?>", `{"a":"` + g.word() + `"}`, "Fatal error: Uncaught exception in /var/www/x.php on line 3", "<title>Index of /</title>", g.value(), g.value(),
		}), " \t\r\n"))
	}
}
