package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules"
)

// faulty is an engine whose transactions fail on some targets.
type faulty struct{ rules.Engine }

func (f faulty) Load(p rules.Policy) (rules.RuleSet, error) {
	set, err := f.Engine.Load(p)
	return faultySet{set}, err
}

type faultySet struct{ rules.RuleSet }

func (s faultySet) Begin(r *rules.Request) rules.Transaction {
	return faultyTransaction{s.RuleSet.Begin(r), r.Target}
}

type faultyTransaction struct {
	rules.Transaction
	target string
}

var errFault = errors.New("the engine is broken")

func (t faultyTransaction) RequestHeaders() (*rules.Interruption, error) {
	if strings.HasPrefix(t.target, "/fail/headers") {
		return nil, errFault
	}
	return t.Transaction.RequestHeaders()
}

func (t faultyTransaction) RequestBody(b rules.Body) (*rules.Interruption, error) {
	switch {
	case strings.HasPrefix(t.target, "/fail/body"):
		return nil, errFault
	case strings.HasPrefix(t.target, "/panic"):
		panic("a fault that nobody foresaw")
	}
	return t.Transaction.RequestBody(b)
}

// ResponseHeaders fails after the rules have refused nothing; the refusal of a request must not be undone by it.
func (t faultyTransaction) ResponseHeaders(r *rules.Response) (*rules.Interruption, error) {
	if strings.HasPrefix(t.target, "/fail/reply") {
		return nil, errFault
	}
	return t.Transaction.ResponseHeaders(r)
}

// TestInspectionError shows what on_inspection_error does: an error of the engine is never a verdict and never silent.
func TestInspectionError(t *testing.T) {
	for _, tt := range []struct {
		name, mode, onError, target string
		status                      int
		reason                      event.Reason
		verdict                     event.Verdict
		reached                     int
	}{
		{"refused by default", "block", "", "/fail/headers", 503, event.InspectionError, event.Error, 0},
		{"refused in phase 2", "block", "refuse", "/fail/body", 503, event.InspectionError, event.Error, 0},
		{"refused in phase 3", "block", "refuse", "/fail/reply", 503, event.InspectionError, event.Error, 1},
		{"forwarded if asked for", "block", "forward", "/fail/headers", 200, event.InspectionError, event.Error, 1},
		{"forwarded in phase 2", "block", "forward", "/fail/body", 200, event.InspectionError, event.Error, 1},
		{"forwarded in detect", "detect", "", "/fail/body", 200, event.InspectionError, event.Error, 1},
		{"a panic is answered", "block", "", "/panic", 500, event.Internal, event.Error, 0},
		{"an interruption stands", "block", "forward", "/fail/reply?q=%3Cscript%3Ealert(1)%3C/script%3E", 403, event.CRSScore, event.Block, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			upstream := proxytest.NewUpstream(t)
			more := "    routes:\n      - { path: /, response: { inspect: true } }\n"
			if tt.onError != "" {
				more += "    on_inspection_error: " + tt.onError + "\n"
			}
			g := proxytest.Start(t, application(upstream.URL, tt.mode, more), proxytest.Options{Change: func(o *proxyOptions) {
				o.Engine = faulty{proxytest.Compiled(t)}
			}})
			status, body := exchange(t, g.URL, get(tt.target))
			if status != tt.status || body == "" {
				t.Errorf("status %d %q, want %d", status, body, tt.status)
			}
			if n := len(upstream.Requests()); n != tt.reached {
				t.Errorf("%d requests reached the upstream, want %d", n, tt.reached)
			}
			e := g.WaitEvents(1)[0]
			if e.Reason != tt.reason || e.Verdict != tt.verdict || e.Incident == "" {
				t.Errorf("event %s %s", e.Verdict, e.Reason)
			}
			if tt.status != 200 && !strings.Contains(body, e.Incident) {
				t.Errorf("the client was not told the incident: %s", body)
			}
			_, page := g.Admin("/metrics")
			if tt.reason == event.InspectionError {
				if n := metric(t, page, `gatehouse_verdicts_total{application="shop",reason="inspection_error",verdict="error"}`); n != 1 {
					t.Errorf("%v errors counted", n)
				}
			}
			if tt.status == 200 && metric(t, page, `gatehouse_uninspected_requests_total{application="shop",cause="inspection_error"}`) != 1 {
				t.Error("the uninspected request was not counted")
			}
		})
	}
}

// TestSpillDirectoryFails shows that a body which cannot be spilled is an inspection error: in block the request is
// refused, in detect the whole body goes on.
func TestSpillDirectoryFails(t *testing.T) {
	body := `{"a":"` + strings.Repeat("x", 600<<10) + `"}`
	for _, tt := range []struct {
		mode            string
		status, reached int
	}{{"block", 503, 0}, {"detect", 200, 1}} {
		t.Run(tt.mode, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			upstream := proxytest.NewUpstream(t)
			g := proxytest.Start(t, application(upstream.URL, tt.mode, ""))
			if err := os.RemoveAll(filepath.Join(temporary, fmt.Sprintf("gatehouse-spill-%d", os.Geteuid()))); err != nil {
				t.Fatal(err)
			}
			for _, request := range []string{post("/", "application/json", body), chunked("/", "application/json", body)} {
				before := len(upstream.Requests())
				status, reply := exchange(t, g.URL, request)
				if status != tt.status {
					t.Fatalf("status %d, want %d: %s", status, tt.status, reply)
				}
				if n := len(upstream.Requests()) - before; n != tt.reached {
					t.Fatalf("%d requests reached the upstream, want %d", n, tt.reached)
				}
				if tt.reached > 0 && string(upstream.Last(t).Body) != body {
					t.Errorf("the upstream got %d bytes, want %d", len(upstream.Last(t).Body), len(body))
				}
			}
			for _, e := range g.WaitEvents(2) {
				if e.Reason != event.InspectionError || e.Verdict != event.Error {
					t.Errorf("event %s %s", e.Verdict, e.Reason)
				}
			}
			_, page := g.Admin("/metrics")
			want := float64(2 * tt.reached * (len(body) + len("ok\n"))) // and the replies
			if got := metric(t, page, `gatehouse_uninspected_bytes_total{application="shop",cause="inspection_error"}`); got != want {
				t.Errorf("%v bytes counted as uninspected, want %v", got, want)
			}
		})
	}
}

// TestInflightBytes shows the bytes of bodies while they are held.
func TestInflightBytes(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	reached, release := make(chan struct{}), make(chan struct{})
	upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
		close(reached)
		<-release
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	inflight := func() float64 {
		_, page := g.Admin("/metrics")
		return metric(t, page, "gatehouse_inflight_bytes")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		proxytest.Raw(t, g.URL, post("/", "application/json", `{"a":"`+strings.Repeat("x", 8<<10)+`"}`))
	}()
	select {
	case <-reached:
	case <-done:
		t.Fatal("the request did not reach the upstream")
	}
	if got := inflight(); got != 8<<10+8 {
		t.Errorf("%v bytes, want %d", got, 8<<10+8)
	}
	close(release)
	<-done
	proxytest.Eventually(t, "no bytes held", func() bool { return inflight() == 0 })
}
