package proxy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/rules/fleetapi"
)

func TestWindowCounts(t *testing.T) {
	var ws windows
	w := ws.of("edge/1", "shop")
	for _, a := range []event.Access{
		{Status: 200, AnsweredBy: "upstream", Verdict: event.Pass, Inspection: 50 * time.Microsecond},
		{Status: 200, AnsweredBy: "upstream", Verdict: event.Detect, Inspection: 150 * time.Microsecond},
		{Status: 403, AnsweredBy: "gateway", Verdict: event.Block, Reason: event.CRSScore, Inspection: time.Hour},
		{Status: 503, AnsweredBy: "gateway", Verdict: event.Block, Reason: event.Rule},                 // a policy's own status is no fault
		{Status: 500, AnsweredBy: "upstream", Verdict: event.Pass},                                     // the upstream's
		{Status: 502, AnsweredBy: "gateway", Verdict: event.Error, Reason: event.UpstreamDown},         // the upstream's
		{Status: 504, AnsweredBy: "gateway", Verdict: event.Error, Reason: event.UpstreamTimeout},      // the upstream's
		{Status: 503, AnsweredBy: "gateway", Verdict: event.Error, Reason: event.InspectionError},      // ours
		{Status: 500, AnsweredBy: "gateway", Verdict: event.Error, Reason: event.Internal},             // ours
		{Status: 444, AnsweredBy: "gateway", Verdict: event.Block, Reason: event.Rule, Inspection: 99}, // dropped
	} {
		w.count(&a)
	}
	got := ws.of("edge/1", "shop").read()
	last := len(fleetapi.LatencyBounds)
	if got.Requests != 10 || got.Blocked != 3 || got.Detected != 1 || got.Own5xx != 2 || got.Upstream5xx != 3 {
		t.Errorf("%+v", got)
	}
	if len(got.Added) != last+1 || got.Added[0] != 8 || got.Added[1] != 1 || got.Added[last] != 1 {
		t.Errorf("latencies %v", got.Added)
	}
}

func TestLatencyBuckets(t *testing.T) {
	for i, bound := range fleetapi.LatencyBounds {
		at := time.Duration(bound) * time.Microsecond
		if latencyBucket(at) != i || latencyBucket(at+time.Microsecond) != i+1 {
			t.Errorf("%v and a microsecond more: %d, %d", at, latencyBucket(at), latencyBucket(at+time.Microsecond))
		}
	}
}

// TestWindowsAreBounded: counts of old revisions go, those of the one that is served stay.
func TestWindowsAreBounded(t *testing.T) {
	var ws windows
	served := ws.of("edge/0", "shop")
	for i := range 20 {
		ws.of(fmt.Sprintf("edge/%d", i), "shop")
	}
	ws.prune("edge/0")
	if len(ws.list) != keptRevisions || !slices.Contains(ws.list, served) {
		t.Errorf("%d windows are left", len(ws.list))
	}
	if ws.of("edge/19", "shop") != ws.list[len(ws.list)-1] {
		t.Error("the counts of the latest revision began anew")
	}
}
