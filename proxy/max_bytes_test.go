package proxy_test

import (
	"strings"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// TestDecodedOverMaxBytes: what is longer than max_bytes is 413 in every mode where rules look at bodies, whether that
// shows as it is received or once it is decoded. What cannot be decoded is a matter of the encoding.
func TestDecodedOverMaxBytes(t *testing.T) {
	// Compresses, but less than a bomb does.
	long := strings.Repeat("some words; ", 1000)
	const limits = "    routes:\n      - { path: /, body: { max_bytes: 8KiB, inspect_bytes: 8KiB } }\n      - { path: /part, body: { max_bytes: 8KiB, inspect_bytes: 1KiB } }\n"
	for _, tt := range []struct {
		name, request string
		status        int // in block; 413 in detect too
		reason        event.Reason
		decoded       bool
	}{
		{"JSON", post("/", "application/json", gzipped(t, `{"a":"`+long+`"}`), "Content-Encoding: gzip"), 413, event.BodyTooLarge, true},
		{"JSON, with a smaller part inspected", post("/part", "application/json", gzipped(t, `{"a":"`+long+`"}`), "Content-Encoding: gzip"), 413, event.BodyTooLarge, true},
		{"XML", post("/", "application/xml", gzipped(t, "<a>"+long+"</a>"), "Content-Encoding: gzip"), 413, event.BodyTooLarge, true},
		{"text", post("/", "text/plain", gzipped(t, long), "Content-Encoding: gzip"), 413, event.BodyTooLarge, true},
		{"form", post("/", "application/x-www-form-urlencoded", gzipped(t, "a="+long), "Content-Encoding: gzip"), 413, event.BodyTooLarge, true},
		{"text as received", post("/", "text/plain", long), 413, event.BodyTooLarge, false},
		{"broken", post("/", "text/plain", gzipped(t, "abc")[:20], "Content-Encoding: gzip"), 415, event.ContentEncoding, false},
		{"unknown", post("/", "text/plain", long[:100], "Content-Encoding: compress"), 415, event.ContentEncoding, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []string{"block", "detect"} {
				upstream := proxytest.NewUpstream(t)
				g := proxytest.Start(t, application(upstream.URL, mode, limits))
				status, _ := exchange(t, g.URL, tt.request)
				e := g.WaitEvents(1)[0]
				want := tt.status
				if mode == "detect" && want != 413 {
					want = 200
				}
				if status != want || e.Reason != tt.reason {
					t.Errorf("%s: status %d, event %s %s %q; want %d, %s", mode, status, e.Verdict, e.Reason, e.Detail, want, tt.reason)
				}
				if says := strings.Contains(e.Detail, "Content-Encoding is undone"); tt.status == 413 && (says != tt.decoded || !strings.Contains(e.Detail, "body.max_bytes (8KiB)")) {
					t.Errorf("%s: detail %q", mode, e.Detail)
				}
				if n := len(upstream.Requests()); want != 200 && n != 0 {
					t.Errorf("%s: %d requests reached the upstream", mode, n)
				}
			}
		})
	}
	t.Run("not found to be longer", func(t *testing.T) { // only the part that is inspected is decoded
		upstream := proxytest.NewUpstream(t)
		g := proxytest.Start(t, application(upstream.URL, "block", limits))
		if status, body := exchange(t, g.URL, post("/part", "text/plain", gzipped(t, long), "Content-Encoding: gzip")); status != 200 {
			t.Errorf("status %d: %s", status, body)
		}
	})
}
