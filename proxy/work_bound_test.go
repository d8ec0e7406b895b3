package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/program"
)

// TestWorkBound shows what becomes of requests and replies that would take more work than is allowed, beyond what
// TestByMode does: what is counted, and what other refusals and settings make of it.
func TestWorkBound(t *testing.T) {
	const (
		inspected   = "    routes:\n      - { path: /, response: { inspect: true } }\n"
		unsupported = "    policy: foreign\n"
		policies    = "policies:\n  - name: foreign\n    seclang: |\n      SecRule &JSON \"@eq 3\" \"id:10001,phase:2,pass,nolog\"\n"
	)
	form := post("/", "application/x-www-form-urlencoded", many(900))
	size := len(many(900))
	small, few := program.Bounds{Bytes: 50_000}, program.Bounds{Values: 400}
	for _, tt := range []struct {
		name, mode, more, request string
		bounds                    program.Bounds
		reply                     int // bytes of the upstream's body

		status      int
		verdict     event.Verdict // pass makes no event
		reason      event.Reason
		reached     int
		uninspected int // bytes counted under work_bound, -1 if the request is not counted
		failed      int // transactions counted as failed
	}{
		{name: "refused", mode: "block", request: form, bounds: few, status: 400, verdict: event.Block, reason: event.WorkBound, uninspected: -1, failed: 1},
		{
			name: "refused even if errors are forwarded", mode: "block", more: "    on_inspection_error: forward\n", request: form, bounds: few,
			status: 400, verdict: event.Block, reason: event.WorkBound, uninspected: -1, failed: 1,
		},
		{
			name: "forwarded in detect", mode: "detect", request: form, bounds: few,
			status: 200, verdict: event.Detect, reason: event.WorkBound, reached: 1, uninspected: size + 3, failed: 1,
		},
		{
			name: "forwarded in phase 1", mode: "detect", request: strings.Replace(form, "POST /", "POST /?"+many(900), 1), bounds: few,
			status: 200, verdict: event.Detect, reason: event.WorkBound, reached: 1, uninspected: size + 3, failed: 1,
		},
		{
			name: "detect says what block would have refused first", mode: "detect", request: form, bounds: few,
			more:   "    rules:\n      - { name: no-forms, when: { method: POST }, then: block }\n",
			status: 200, verdict: event.Detect, reason: event.Rule, reached: 1, uninspected: size + 3, failed: 1,
		},
		{
			name: "block refuses that first", mode: "block", request: form, bounds: few,
			more:   "    rules:\n      - { name: no-forms, when: { method: POST }, then: block }\n",
			status: 403, verdict: event.Block, reason: event.Rule, uninspected: -1,
		},
		{name: "disabled", mode: "disabled", request: form, bounds: few, status: 200, verdict: event.Pass, reached: 1, uninspected: -1},
		{
			name: "a reply is withheld", mode: "block", more: inspected, request: get("/"), bounds: small, reply: 60_000,
			status: 503, verdict: event.Block, reason: event.WorkBound, reached: 1, uninspected: -1, failed: 1,
		},
		{
			name: "a reply is delivered in detect", mode: "detect", more: inspected, request: get("/"), bounds: small, reply: 60_000,
			status: 200, verdict: event.Detect, reason: event.WorkBound, reached: 1, uninspected: 60_000, failed: 1,
		},
		{
			name: "no bound on the reference", mode: "block", more: unsupported, request: form, bounds: few,
			status: 200, verdict: event.Pass, reached: 1, uninspected: -1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			upstream := proxytest.NewUpstream(t)
			content := strings.Repeat("words and more ", 1+tt.reply/15)[:tt.reply]
			if tt.reply > 0 {
				upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
					fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
				}
			}
			g := proxytest.Start(t, application(upstream.URL, tt.mode, tt.more)+policies, bounded(tt.bounds))
			response, body := proxytest.Raw(t, g.URL, tt.request)
			if response == nil || response.StatusCode != tt.status {
				t.Fatalf("response %v, want status %d", response, tt.status)
			}
			if tt.reply > 0 && (body == content) != (tt.status == 200) {
				t.Errorf("%d bytes of the reply went to the client", len(body))
			}
			if n := len(upstream.Requests()); n != tt.reached {
				t.Errorf("%d requests reached the upstream, want %d", n, tt.reached)
			}
			if tt.verdict == event.Pass {
				if e := g.Events(); len(e) > 0 {
					t.Errorf("an event: %+v", e[0])
				}
			} else {
				e := g.WaitEvents(1)[0]
				if e.Verdict != tt.verdict || e.Reason != tt.reason || e.Incident == "" {
					t.Errorf("event %s %s (%s), want %s %s", e.Verdict, e.Reason, e.Detail, tt.verdict, tt.reason)
				}
				if shown := strings.Contains(body, e.Incident); shown != (tt.verdict == event.Block) {
					t.Errorf("the client was told the incident: %v", shown)
				}
				if e.Reason == event.WorkBound && !strings.Contains(e.Detail, "more than ") {
					t.Errorf("detail %q", e.Detail)
				}
			}
			proxytest.Eventually(t, "the request is counted", func() bool {
				_, page := g.Admin("/metrics")
				return strings.Contains(page, "\ngatehouse_requests_total{")
			})
			_, page := g.Admin("/metrics")
			requests, bytes := 1.0, float64(tt.uninspected)
			if tt.uninspected < 0 {
				requests, bytes = 0, 0
			}
			if n := metric(t, page, `gatehouse_uninspected_requests_total{application="shop",cause="work_bound"}`); n != requests {
				t.Errorf("%v requests counted as uninspected, want %v", n, requests)
			}
			if n := metric(t, page, `gatehouse_uninspected_bytes_total{application="shop",cause="work_bound"}`); n != bytes {
				t.Errorf("%v bytes counted as uninspected, want %v", n, bytes)
			}
			if n := metric(t, page, `gatehouse_program_evaluations_total{result="error"}`); n != float64(tt.failed) {
				t.Errorf("%v failed transactions counted, want %d", n, tt.failed)
			}
		})
	}
}
