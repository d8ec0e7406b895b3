package proxy_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/program"
)

// application is a configuration of one application with the given mode and further keys.
func application(upstream, mode, more string) string {
	return fmt.Sprintf(`
upstreams:
  - { name: origin, url: "%s", allow_loopback: true }
lists:
  - { name: office, addresses: [127.0.0.0/8] }
applications:
  - name: shop
    hosts: ["*"]
    mode: %s
    upstream: origin
%s`, upstream, mode, more)
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// post is a raw POST with a body.
func post(path, contentType, body string, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		path, contentType, len(body), strings.Join(append(headers, ""), "\r\n"), body)
}

// get is a raw GET.
func get(target string, headers ...string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n%s\r\n", target, strings.Join(append(headers, ""), "\r\n"))
}

// TestByMode sends every cause that acts by mode in both modes: in block it is refused with its reason, in detect the
// upstream gets target, end-to-end header values and body byte for byte, the client sees no trace, and one event
// says what block would have done.
func TestByMode(t *testing.T) {
	long := strings.Repeat("a", 3000)
	for _, tt := range []struct {
		name    string
		more    string // of the application
		request string
		reason  event.Reason
		status  int

		policies string
		warmUp   string
		bounds   program.Bounds // of the engine, instead of the defaults
	}{
		{
			name: "rate limit", more: "    policy: limited\n", request: post("/login", "application/x-www-form-urlencoded", "email=a%40example.com&password=x"), reason: event.RateLimit, status: 429,
			policies: "policies:\n  - name: limited\n    rate_limits: [{ name: login, path: /login, methods: [POST], key: [client, \"form:email\"], limit: 1/1h }]\n",
			warmUp:   post("/login", "application/x-www-form-urlencoded", "password=y&email=A%40example.com"),
		},
		{name: "score", more: "", request: get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E&utf8=%E2%9C%93|x"), reason: event.CRSScore, status: 403},
		{name: "score in a form", more: "", request: post("/login?next=a//b", "application/x-www-form-urlencoded", "user=1%27+OR+%271%27%3D%271%27--+-&user=b"), reason: event.CRSScore, status: 403},
		{name: "rule", more: "    rules:\n      - { name: no-admin, when: { path: \"/admin/**\" }, then: block }\n", request: get("/admin/users"), reason: event.Rule, status: 403},
		{name: "list", more: "    rules:\n      - { name: from-office, when: { client: office }, then: block }\n", request: get("/"), reason: event.List, status: 403},
		{name: "content type", more: "", request: post("/", "application/x-unheard-of", "a=b"), reason: event.ContentType, status: 415},
		{name: "two content types", more: "", request: post("/", "text/plain", "a=b", "Content-Type: application/json"), reason: event.ContentType, status: 415},
		{name: "charset", more: "", request: post("/", "application/json; charset=utf-16", `{"a":1}`), reason: event.Charset, status: 415},
		{name: "encoding unknown", more: "", request: post("/", "text/plain", "abc", "Content-Encoding: compress"), reason: event.ContentEncoding, status: 415},
		{name: "encoding broken", more: "", request: post("/", "text/plain", "this is not gzip", "Content-Encoding: gzip"), reason: event.ContentEncoding, status: 415},
		{name: "encoding with trailing bytes", more: "", request: post("/", "text/plain", gzipped(t, "abc")+"x", "Content-Encoding: gzip"), reason: event.ContentEncoding, status: 415},
		{name: "document type", more: "", request: post("/", "application/xml", `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`), reason: event.Doctype, status: 400},
		{name: "JSON syntax", more: "", request: post("/", "application/json", `{"a":`), reason: event.BodySyntax, status: 400},
		{name: "multipart strictness", more: "", request: post("/", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"; name=\"c\"\r\n\r\nx\r\n--b--\r\n"), reason: event.BodySyntax, status: 400},
		{name: "arguments", more: "", request: post("/", "application/x-www-form-urlencoded", strings.Repeat("a=1&", 1200)+"z=2"), reason: event.Arguments, status: 400},
		{name: "inspect_bytes with reject", more: "    routes:\n      - { path: /, body: { max_bytes: 1MiB, inspect_bytes: 1KiB, oversize: reject } }\n", request: post("/", "text/plain", long), reason: event.BodyNotInspect, status: 413},
		{name: "values of a query", more: "", request: get("/?" + many(900)), reason: event.WorkBound, status: 400, bounds: program.Bounds{Values: 400}},
		{name: "values of a form", more: "", request: post("/", "application/x-www-form-urlencoded", many(900)), reason: event.WorkBound, status: 400, bounds: program.Bounds{Values: 400}},
		{name: "bytes to scan", more: "", request: post("/", "text/plain", strings.Repeat("some words; ", 10_000)), reason: event.WorkBound, status: 400, bounds: program.Bounds{Bytes: 100_000}},
		{name: "bytes of work", more: "", request: post("/", "application/x-www-form-urlencoded", dear), reason: event.WorkBound, status: 400, bounds: program.Bounds{Work: 40_000}},
		{name: "more work than the default", more: "", request: post("/", "application/json", `{"a":"`+strings.Repeat(`\\\"`, 400_000)+`"}`), reason: event.WorkBound, status: 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []string{"block", "detect"} {
				upstream := proxytest.NewUpstream(t)
				g := proxytest.Start(t, application(upstream.URL, mode, tt.more)+tt.policies, bounded(tt.bounds))
				if tt.warmUp != "" { // uses up the limit
					if status, _ := exchange(t, g.URL, tt.warmUp); status != 200 {
						t.Fatalf("%s: the request within the limit got %d", mode, status)
					}
				}
				before := len(upstream.Requests())
				response, body := proxytest.Raw(t, g.URL, tt.request)
				if response == nil {
					t.Fatalf("%s: no response", mode)
				}
				seen := len(upstream.Requests())
				e := onlyEvent(t, g)
				if e.Reason != tt.reason {
					t.Errorf("%s: reason %s (%s), want %s", mode, e.Reason, e.Detail, tt.reason)
				}
				if mode == "block" {
					if response.StatusCode != tt.status || e.Verdict != event.Block {
						t.Errorf("block: status %d, verdict %s, want %d", response.StatusCode, e.Verdict, tt.status)
					}
					if n := seen - before; n != 0 {
						t.Errorf("block: %d requests reached the upstream", n)
					}
					if tt.status == 429 && response.Header.Get("Retry-After") == "" {
						t.Error("block: 429 without Retry-After")
					}
					if response.Header.Get("X-Gatehouse-Incident") != e.Incident || !strings.Contains(body, e.Incident) {
						t.Errorf("block: the client was not told incident %s: %v %s", e.Incident, response.Header, body)
					}
					continue
				}
				if response.StatusCode != 200 || body != "ok\n" || e.Verdict != event.Detect || e.Status != 200 {
					t.Errorf("detect: status %d, body %q, verdict %s, recorded status %d", response.StatusCode, body, e.Verdict, e.Status)
				}
				for name := range response.Header {
					if strings.HasPrefix(name, "X-Gatehouse") {
						t.Errorf("detect: the client sees %s", name)
					}
				}
				sameRequest(t, tt.request, upstream.Requests()[seen-1])
			}
		})
	}
}

// onlyEvent gives the one event of the requests so far. A second one may be written later than the first: so another
// request is sent, whose event comes after all of theirs, and the events before it are counted.
func onlyEvent(t *testing.T, g *proxytest.Gateway) *event.Event {
	t.Helper()
	const marker = "the-end-marker"
	if status, _ := exchange(t, g.URL, strings.Replace(get("/"+marker), "GET", "TRACE", 1)); status != http.StatusMethodNotAllowed {
		t.Fatalf("the marker got %d", status)
	}
	var before []*event.Event
	proxytest.Eventually(t, "the marker's event", func() bool {
		events := g.Events()
		for i, e := range events {
			if strings.Contains(e.Path, marker) {
				before = append(events[:i:i], events[i+1:]...)
				return true
			}
		}
		return false
	})
	if len(before) != 1 {
		for _, e := range before {
			t.Errorf("event %s %s: %s", e.Verdict, e.Reason, e.Detail)
		}
		t.Fatalf("%d events, want 1", len(before))
	}
	return before[0]
}

// many is a query or form of n parameters.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&p%d=v%d", i, i)
	}
	return b.String()[1:]
}

// dear is a form whose values rules have to look at closely.
var dear = strings.TrimPrefix(strings.Repeat("&a=select+*+from+(select+'x'+or+1=1)+where+<b>script</b>", 900), "&")

// bounded runs a gateway with these bounds of the work for one request; none are the defaults.
func bounded(b program.Bounds) proxytest.Options {
	return proxytest.Options{Change: func(o *proxyOptions) {
		o.Bounds = b
	}}
}

// sameRequest checks that target, end-to-end header values and body are those of the raw request.
func sameRequest(t *testing.T, raw string, got proxytest.Received) {
	t.Helper()
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	line, fields, _ := strings.Cut(head, "\r\n")
	parts := strings.Split(line, " ")
	if got.Target() != parts[1] {
		t.Errorf("target %q, want %q", got.Target(), parts[1])
	}
	if string(got.Body) != body {
		t.Errorf("body %q, want %q", got.Body, body)
	}
	want := http.Header{}
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, ok := strings.Cut(field, ": ")
		if ok && name != "Content-Length" && name != "Host" && name != "Expect" {
			want.Add(name, value)
		}
	}
	for name, values := range want {
		if fmt.Sprint(got.Parsed.Header[name]) != fmt.Sprint(values) {
			t.Errorf("%s: %q, want %q", name, got.Parsed.Header[name], values)
		}
	}
	if host := "shop.example.com"; got.Parsed.Host != host {
		t.Errorf("Host %q, want %q", got.Parsed.Host, host)
	}
}

// TestCleanPasses shows that with setup gatehouse-1 a clean request of every kind passes in mode block, and that an
// attack in the same kind is blocked.
func TestCleanPasses(t *testing.T) {
	const attack = "1' UNION SELECT username, password FROM users-- -"
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	withMethod := func(method, request string) string { return strings.Replace(request, "POST", method, 1) }
	multipart := func(value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\n" + value + "\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
	}
	form := func(value string) string {
		return "comment=" + strings.NewReplacer(" ", "+", "'", "%27").Replace(value)
	}
	jsonBody := func(value string) string { return `{"items":[{"comment":"` + value + `"}]}` }
	for _, tt := range []struct {
		name    string
		request func(value string) string
	}{
		{"GET", func(v string) string {
			return get("/search?q=" + strings.NewReplacer(" ", "%20", "'", "%27").Replace(v))
		}},
		{"form", func(v string) string { return post("/f", "application/x-www-form-urlencoded", form(v)) }},
		{"multipart", func(v string) string { return post("/f", "multipart/form-data; boundary=b", multipart(v)) }},
		{"JSON", func(v string) string { return post("/api", "application/json", jsonBody(v)) }},
		{"JSON problem", func(v string) string { return post("/api", "application/vnd.api+json; charset=utf-8", jsonBody(v)) }},
		{"NDJSON", func(v string) string {
			return post("/api", "application/x-ndjson", jsonBody("x")+"\n"+jsonBody(v)+"\n")
		}},
		{"XML", func(v string) string {
			return post("/api", "application/xml", "<a><b>"+strings.ReplaceAll(v, "&", "&amp;")+"</b></a>")
		}},
		{"text", func(v string) string { return post("/n", "text/plain", "first line\nsecond line "+v) }},
		{"CSV", func(v string) string { return post("/n", "text/csv", "id,comment\n1,"+v+"\n") }},
		{"PUT", func(v string) string { return withMethod("PUT", post("/api", "application/json", jsonBody(v))) }},
		{"PATCH", func(v string) string {
			return withMethod("PATCH", post("/api", "application/merge-patch+json", jsonBody(v)))
		}},
		{"DELETE", func(v string) string { return withMethod("DELETE", post("/api", "application/json", jsonBody(v))) }},
		{"gzip", func(v string) string {
			return post("/api", "application/json", gzipped(t, jsonBody(v)), "Content-Encoding: gzip")
		}},
		{"Expect", func(v string) string { return post("/api", "application/json", jsonBody(v), "Expect: 100-continue") }},
		{"cookie", func(v string) string { return get("/", "Cookie: a=b; note="+strings.ReplaceAll(v, " ", "+")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(upstream.Requests())
			if status, body := exchange(t, g.URL, tt.request("A good teapot & two cups")); status != 200 {
				t.Errorf("the clean request got %d %s", status, body)
				for _, e := range g.Events() {
					t.Logf("%s %s", e.Reason, e.Detail)
					for _, m := range e.Rules {
						t.Logf("%d %s", m.Rule, m.Message)
					}
				}
			}
			if n := len(upstream.Requests()) - before; n != 1 {
				t.Errorf("%d requests reached the upstream, want 1", n)
			}
			if status, _ := exchange(t, g.URL, tt.request(attack)); status != 403 {
				t.Errorf("the attack got %d", status)
			}
		})
	}
	t.Run("octet-stream", func(t *testing.T) {
		if status, body := exchange(t, g.URL, post("/up", "application/octet-stream", "\x00\x01\x02\xff\xfe binary")); status != 200 {
			t.Errorf("the clean request got %d %s", status, body)
		}
		// Bytes are no arguments; the rules that look at raw bodies still see them.
		if status, _ := exchange(t, g.URL, post("/up", "application/octet-stream", "\x00\x01 java.lang.Runtime.getRuntime().exec(x)")); status != 403 {
			t.Errorf("the attack got %d", status)
		}
	})
}

// exchange sends a raw request and gives the final response's status and body.
func exchange(t *testing.T, url, request string) (int, string) {
	t.Helper()
	response, body := proxytest.Raw(t, url, request)
	if response == nil {
		t.Fatal("no response")
	}
	return response.StatusCode, body
}
