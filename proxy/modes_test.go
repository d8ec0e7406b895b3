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
	}{
		{"score", "", get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E&utf8=%E2%9C%93|x"), event.CRSScore, 403},
		{"score in a form", "", post("/login?next=a//b", "application/x-www-form-urlencoded", "user=1%27+OR+%271%27%3D%271%27--+-&user=b"), event.CRSScore, 403},
		{"rule", "    rules:\n      - { name: no-admin, when: { path: \"/admin/**\" }, then: block }\n", get("/admin/users"), event.Rule, 403},
		{"list", "    rules:\n      - { name: from-office, when: { client: office }, then: block }\n", get("/"), event.List, 403},
		{"content type", "", post("/", "application/x-unheard-of", "a=b"), event.ContentType, 415},
		{"two content types", "", post("/", "text/plain", "a=b", "Content-Type: application/json"), event.ContentType, 415},
		{"charset", "", post("/", "application/json; charset=utf-16", `{"a":1}`), event.Charset, 415},
		{"encoding unknown", "", post("/", "text/plain", "abc", "Content-Encoding: compress"), event.ContentEncoding, 415},
		{"encoding broken", "", post("/", "text/plain", "this is not gzip", "Content-Encoding: gzip"), event.ContentEncoding, 415},
		{"encoding with trailing bytes", "", post("/", "text/plain", gzipped(t, "abc")+"x", "Content-Encoding: gzip"), event.ContentEncoding, 415},
		{"document type", "", post("/", "application/xml", `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`), event.Doctype, 400},
		{"JSON syntax", "", post("/", "application/json", `{"a":`), event.BodySyntax, 400},
		{"multipart strictness", "", post("/", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"; name=\"c\"\r\n\r\nx\r\n--b--\r\n"), event.BodySyntax, 400},
		{"arguments", "", post("/", "application/x-www-form-urlencoded", strings.Repeat("a=1&", 1200)+"z=2"), event.Arguments, 400},
		{"inspect_bytes with reject", "    routes:\n      - { path: /, body: { max_bytes: 1MiB, inspect_bytes: 1KiB, oversize: reject } }\n", post("/", "text/plain", long), event.BodyNotInspect, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []string{"block", "detect"} {
				upstream := proxytest.NewUpstream(t)
				g := proxytest.Start(t, application(upstream.URL, mode, tt.more))
				response, body := proxytest.Raw(t, g.URL, tt.request)
				if response == nil {
					t.Fatalf("%s: no response", mode)
				}
				events := g.WaitEvents(1)
				if len(events) != 1 {
					t.Errorf("%s: %d events", mode, len(events))
				}
				e := events[0]
				if e.Reason != tt.reason {
					t.Errorf("%s: reason %s (%s), want %s", mode, e.Reason, e.Detail, tt.reason)
				}
				if mode == "block" {
					if response.StatusCode != tt.status || e.Verdict != event.Block {
						t.Errorf("block: status %d, verdict %s, want %d", response.StatusCode, e.Verdict, tt.status)
					}
					if n := len(upstream.Requests()); n != 0 {
						t.Errorf("block: %d requests reached the upstream", n)
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
				sameRequest(t, tt.request, upstream.Last(t))
			}
		})
	}
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
		{"XML", func(v string) string { return post("/api", "application/xml", "<a><b>"+v+"</b></a>") }},
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
