package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// sites is a configuration with routes of many kinds.
func sites(upstream, other string) string {
	return fmt.Sprintf(`
listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 1, trusted_proxies: [127.0.0.0/8] }
upstreams:
  - { name: origin, url: "%s", allow_loopback: true }
  - { name: second, url: "%s", allow_loopback: true }
  - { name: nobody, url: "http://127.0.0.1:1", allow_loopback: true }
applications:
  - name: shop
    hosts: [shop.example.com, "*.shop.example.com"]
    mode: block
    upstream: origin
    replies: { contact: security@example.com }
    routes:
      - path: /
      - { path: /strip, rewrite: { strip_prefix: /strip, set_headers: { X-Team: shop }, remove_headers: [X-Debug] } }
      - { path: /replace, upstream: second, rewrite: { replace_prefix: /new/, host: second.internal } }
      - { path: /moved, match: exact, rewrite: { redirect: { to: "https://shop.example.com/here", status: 308 } } }
      - { path: /orders, methods: [GET, POST] }
      - { path: /api, traffic: [api], body: { max_bytes: 1KiB } }
      - { path: /down, upstream: nobody }
      - { path: /files, encoded_slash: allow }
  - name: quiet
    hosts: [quiet.example.com]
    mode: disabled
    upstream: origin
`, upstream, other)
}

func TestRoutesAndReplies(t *testing.T) {
	origin, second := proxytest.NewUpstream(t), proxytest.NewUpstream(t)
	g := proxytest.Start(t, sites(origin.URL, second.URL))
	host := func(h, request string) string { return strings.Replace(request, "shop.example.com", h, 1) }
	for _, tt := range []struct {
		name, request string
		status        int
		reason        event.Reason // of the one event, empty for none
		upstream      *proxytest.Upstream
		target        string
		check         func(t *testing.T, response *http.Response, body string, got proxytest.Received)
	}{
		{name: "plain", request: get("/a?b=c"), status: 200, upstream: origin, target: "/a?b=c"},
		{name: "bytes that need no escape", request: get(`/a|b?q={"x"}&r=a|b`), status: 200, upstream: origin, target: `/a|b?q={"x"}&r=a|b`},
		{name: "empty query", request: get("/a?"), status: 200, upstream: origin, target: "/a?"},
		{name: "double slash", request: get("//cdn/a"), status: 200, upstream: origin, target: "//cdn/a"},
		{name: "dot segments", request: get("/a/./c"), status: 200, upstream: origin, target: "/a/c"},
		{name: "wildcard host", request: host("eu.shop.example.com", get("/")), status: 200, upstream: origin, target: "/"},
		{name: "unknown host", request: host("evil.example.com", get("/")), status: 421, reason: event.UnknownHost},
		{
			name: "strip_prefix and headers", request: get("/strip/x%20y?z=1", "X-Debug: 1", "X_Debug: 1", "x.team: evil", "X-TEAM: evil", "X-Kept: 1"), status: 200, upstream: origin, target: "/x%20y?z=1",
			check: func(t *testing.T, _ *http.Response, _ string, got proxytest.Received) {
				h := got.Parsed.Header
				if fmt.Sprint(h["X-Team"]) != "[shop]" || h["X-Debug"] != nil || h["X_debug"] != nil || h["X.team"] != nil || h["X-Kept"] == nil {
					t.Errorf("headers %v", h)
				}
			},
		},
		{name: "strip_prefix of the whole path", request: get("/strip"), status: 200, upstream: origin, target: "/"},
		{
			name: "replace_prefix and host", request: get("/replace/x"), status: 200, upstream: second, target: "/new/x",
			check: func(t *testing.T, _ *http.Response, _ string, got proxytest.Received) {
				if got.Parsed.Host != "second.internal" || got.Parsed.Header.Get("X-Forwarded-Host") != "shop.example.com" {
					t.Errorf("Host %q, X-Forwarded-Host %q", got.Parsed.Host, got.Parsed.Header.Get("X-Forwarded-Host"))
				}
			},
		},
		{
			name: "redirect", request: get("/moved"), status: 308,
			check: func(t *testing.T, response *http.Response, _ string, _ proxytest.Received) {
				if response.Header.Get("Location") != "https://shop.example.com/here" {
					t.Errorf("Location %q", response.Header.Get("Location"))
				}
			},
		},
		{
			name: "method of no route", request: strings.Replace(get("/orders/1"), "GET", "DELETE", 1), status: 405, reason: event.MethodNoRoute,
			check: func(t *testing.T, response *http.Response, _ string, _ proxytest.Received) {
				if response.Header.Get("Allow") != "GET, POST" {
					t.Errorf("Allow %q", response.Header.Get("Allow"))
				}
			},
		},
		{name: "TRACE", request: strings.Replace(get("/"), "GET", "TRACE", 1), status: 405, reason: event.MethodRefused},
		{name: "TRACE in lower case", request: strings.Replace(get("/"), "GET", "trace", 1), status: 405, reason: event.MethodRefused},
		{name: "TRACK", request: strings.Replace(get("/"), "GET", "TRACK", 1), status: 405, reason: event.MethodRefused},
		{name: "CONNECT", request: "CONNECT shop.example.com:443 HTTP/1.1\r\nHost: shop.example.com:443\r\n\r\n", status: 405, reason: event.MethodRefused},
		{name: "method in a header, of no route", request: get("/orders/1", "X-HTTP-Method-Override: delete"), status: 405, reason: event.MethodNoRoute},
		{name: "method in another header, of no route", request: get("/orders/1", "X-HTTP-Method: GET", "X-Method-Override: PUT"), status: 405, reason: event.MethodNoRoute},
		{name: "method in a header, of the route", request: host("quiet.example.com", get("/orders/1", "X-HTTP-Method-Override: DELETE")), status: 200, upstream: origin, target: "/orders/1"},
		{name: "method in a header, refused always", request: host("quiet.example.com", get("/", "X-HTTP-Method: Trace")), status: 405, reason: event.MethodRefused},
		{name: "Upgrade: h2c", request: get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), status: 400, reason: event.UpgradeRefused},
		{
			name: "WebSocket on another route", request: get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), status: 403, reason: event.UpgradeRefused,
			check: func(t *testing.T, _ *http.Response, body string, _ proxytest.Received) {
				if !strings.Contains(body, "traffic: [auto, websocket]") {
					t.Errorf("the reply does not say which key would allow it: %s", body)
				}
			},
		},
		{name: "Connection with 100 elements", request: get("/", "Connection: "+strings.Repeat(",", 99)), status: 200, upstream: origin, target: "/"},
		{name: "Connection with 101 elements", request: get("/", "Connection: "+strings.Repeat(",", 100)), status: 400, reason: event.BadRequest},
		{name: "Connection with 101 names in two fields", request: get("/", "Connection: "+strings.Repeat("a,", 50)+"a", "Connection: "+strings.Repeat("b,", 49)+"b"), status: 400, reason: event.BadRequest},
		{name: "encoded slash", request: get("/a%2fb"), status: 400, reason: event.PathRefused},
		{name: "encoded slash allowed", request: get("/files/a%2fb"), status: 200, upstream: origin, target: "/files/a%2fb"},
		{name: "path to another route", request: get("//api/x"), status: 400, reason: event.PathRefused},
		{name: "backslash", request: get(`/a\..\b`), status: 400, reason: event.PathRefused},
		{name: "max_bytes by Content-Length", request: post("/api", "application/json", `{"a":"`+strings.Repeat("x", 2000)+`"}`), status: 413, reason: event.BodyTooLarge},
		{name: "max_bytes in chunks", request: chunked("/api", "application/json", `{"a":"`+strings.Repeat("x", 2000)+`"}`), status: 413, reason: event.BodyTooLarge},
		{
			name: "chunked body leaves with a length", request: chunked("/api", "application/json", `{"a":1}`), status: 200, upstream: origin, target: "/api",
			check: func(t *testing.T, _ *http.Response, _ string, got proxytest.Received) {
				if got.Parsed.ContentLength != 7 || string(got.Body) != `{"a":1}` {
					t.Errorf("length %d, body %q", got.Parsed.ContentLength, got.Body)
				}
			},
		},
		{name: "upstream down", request: get("/down"), status: 502, reason: event.UpstreamDown},
		{name: "api takes no text", request: post("/api", "text/plain", "abc"), status: 415, reason: event.ContentType},
		{name: "malformed request line", request: "GET\r\n\r\n", status: 400, reason: event.BadRequest},
		{name: "header name with a space", request: "GET / HTTP/1.1\r\nHost : shop.example.com\r\n\r\n", status: 400, reason: event.BadRequest},
		{name: "headers too large", request: get("/", "X-Big: "+strings.Repeat("a", 100<<10)), status: 431, reason: event.HeaderTooLarge},
		{name: "OPTIONS *", request: "OPTIONS * HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n", status: 200, upstream: origin, target: "*"},
		{name: "health path from a client", request: get("/.gatehouse/ready", "X-Forwarded-For: 192.0.2.7"), status: 404, reason: event.NoRoute},
		{name: "health path in another spelling", request: get("//.gatehouse/./ready", "X-Forwarded-For: 192.0.2.7"), status: 404, reason: event.NoRoute},
		{name: "health path from the load balancer", request: host("10.0.0.1", get("/.gatehouse/ready")), status: 200},
		{name: "disabled, over max_bytes", request: host("quiet.example.com", get("/", "Content-Type: text/plain", "Content-Length: 99999999999")), status: 413, reason: event.BodyTooLarge},
		{name: "disabled, without a byte of body", request: host("quiet.example.com", strings.Replace(get("/", "Connection: close"), "GET", "HEAD", 1)), status: 200, upstream: origin},
		{name: "disabled", request: host("quiet.example.com", get("/?q=%3Cscript%3Ealert(1)%3C/script%3E")), status: 200, upstream: origin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, a, b := len(g.Events()), len(origin.Requests()), len(second.Requests())
			response, body := proxytest.Raw(t, g.URL, tt.request)
			if response == nil {
				t.Fatal("no response")
			}
			if response.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", response.StatusCode, tt.status, body)
			}
			if (tt.reason == event.MethodRefused || tt.reason == event.UpgradeRefused) && !response.Close {
				t.Error("the connection stays open for what was meant for a tunnel")
			}
			if tt.status >= 400 && body == "" {
				t.Error("the reply is empty")
			}
			var got proxytest.Received
			switch tt.upstream {
			case nil:
				if len(origin.Requests()) != a || len(second.Requests()) != b {
					t.Error("the request reached an upstream")
				}
			default:
				got = tt.upstream.Last(t)
				if len(origin.Requests())+len(second.Requests()) != a+b+1 || tt.target != "" && got.Target() != tt.target {
					t.Errorf("the upstream got %q, want %q", got.Target(), tt.target)
				}
			}
			if tt.check != nil {
				tt.check(t, response, body, got)
			}
			if tt.reason == "" {
				return
			}
			list := g.WaitEvents(events + 1)
			if e := list[len(list)-1]; e.Reason != tt.reason || e.Status != tt.status || e.Incident != response.Header.Get("X-Gatehouse-Incident") {
				t.Errorf("event %s status %d %s, want %s", e.Reason, e.Status, e.Incident, tt.reason)
			}
		})
	}
	_, page := g.Admin("/metrics")
	for _, want := range []string{
		`gatehouse_uninspected_requests_total{application="quiet",cause="mode_disabled"} 3`, // not the one that was refused
		`gatehouse_verdicts_total{application="_other",reason="unknown_host",verdict="block"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// chunked is a raw POST in chunks of 100 bytes.
func chunked(path, contentType, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", path, contentType)
	for len(body) > 0 {
		n := min(100, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// TestPrefixInspection shows that with inspect_prefix the first part is inspected, the rest streamed and counted, and
// that max_bytes holds while streaming.
func TestPrefixInspection(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", "    routes:\n      - { path: /, body: { max_bytes: 100KiB, inspect_bytes: 10KiB } }\n"))
	attack := "q=<script>alert(document.cookie)</script>&"
	filler := strings.Repeat("abcdefgh=1&", 100)
	for _, tt := range []struct {
		name   string
		body   string
		status int
	}{
		{"attack in the prefix", attack + strings.Repeat(filler[:11], 2000), 403},
		{"attack behind the prefix", strings.Repeat("x", 20<<10) + "&" + attack, 200},
		{"over max_bytes", strings.Repeat("x", 101<<10), 413},
	} {
		for _, framing := range []func(path, contentType, body string) string{chunked, func(p, c, b string) string { return post(p, c, b) }} {
			if status, body := exchange(t, g.URL, framing("/", "text/plain", tt.body)); status != tt.status {
				t.Errorf("%s: status %d, want %d: %s", tt.name, status, tt.status, body)
			}
		}
	}
	_, page := g.Admin("/metrics")
	want := float64(2 * (20<<10 + 1 + len(attack) - 10<<10))
	if got := metric(t, page, `gatehouse_uninspected_bytes_total{application="shop",cause="inspect_limit"}`); got < want {
		t.Errorf("uninspected bytes %v, want at least %v", got, want)
	}
}

// metric reads one sample of a metrics page.
func metric(t *testing.T, page, series string) float64 {
	t.Helper()
	for line := range strings.SplitSeq(page, "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("/metrics lacks %s", series)
	return 0
}

// TestCutReply shows that a reply which the upstream cuts short never looks complete to the client.
func TestCutReply(t *testing.T) {
	for name, answer := range map[string]string{
		"short of its Content-Length": "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nshort",
		"without a last chunk":        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := proxytest.NewUpstream(t)
			upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
				io.WriteString(w, answer)
				w.(io.Closer).Close()
			}
			g := proxytest.Start(t, application(upstream.URL, "block", ""))
			response, err := http.Get(g.URL + "/")
			if err == nil {
				defer response.Body.Close()
				_, err = io.ReadAll(response.Body)
			}
			if err == nil {
				t.Error("the client took the reply for complete")
			}
			if e := g.WaitEvents(1)[0]; e.Reason != event.UpstreamError {
				t.Errorf("event %s", e.Reason)
			}
		})
	}
}

// TestConnectionStays shows that a client's connection stays open after a request without a body, in every mode.
func TestConnectionStays(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	for _, mode := range []string{"disabled", "detect", "block"} {
		g := proxytest.Start(t, application(upstream.URL, mode, ""))
		if response, body := proxytest.Raw(t, g.URL, get("/")); response == nil || response.StatusCode != 200 || response.Close {
			t.Errorf("mode %s: got %+v %s", mode, response, body)
		}
	}
}
