package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/mgmt/object"
	"gatehouse/proxy/config"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

var (
	oldOrder = revision.Order{Epoch: 1, Number: 5}
	newOrder = revision.Order{Epoch: 1, Number: 6}
	newHash  = revision.HashOf([]byte("new"))
	noon     = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
)

// traffic is one application's requests: how many of them were what, and in which class of latency they all are.
type traffic struct {
	requests, blocked, detected, own, upstream int64
	class                                      int
	slow                                       int64 // of them, in a class far above
}

func (x traffic) window(order revision.Order, application string) fleetapi.Window {
	added := make([]int64, len(fleetapi.LatencyBounds)+1)
	added[x.class] = x.requests - x.slow
	added[9] += x.slow
	return fleetapi.Window{
		Revision: order, Application: application, Requests: x.requests, Blocked: x.blocked, Detected: x.detected, Own5xx: x.own, Upstream5xx: x.upstream, Added: added,
	}
}

// canary is a gateway that has the revision, and control one that has not.
func canary(x traffic) member {
	m := control(traffic{requests: 5000})
	m.name, m.began, m.boot, m.fresh = "canary", noon, "boot", true
	m.start.Windows = m.last.Windows
	m.last = &fleetapi.Report{
		Boot: "boot", Ready: true, Memory: 100 << 20, Serving: fleetapi.Serving{Revision: newOrder, Hash: newHash},
		Windows: append([]fleetapi.Window{x.window(newOrder, "shop")}, m.start.Windows...),
	}
	return m
}

func control(x traffic) member {
	return member{
		name: "control", seen: noon.Add(10 * time.Minute), start: sample{Boot: "boot", Memory: 100 << 20},
		last: &fleetapi.Report{
			Boot: "boot", Ready: true, Memory: 100 << 20, Serving: fleetapi.Serving{Revision: oldOrder},
			Windows: []fleetapi.Window{x.window(oldOrder, "shop")},
		},
	}
}

func trialOf(with, others []member) trialInput {
	return trialInput{
		now: noon.Add(10 * time.Minute), order: newOrder, hash: newHash, stageBegan: noon, watching: noon.Add(-time.Hour), soak: 10 * time.Minute,
		with: with, others: others, thresholds: DefaultThresholds(),
	}
}

func refusal(reason string) refused {
	return refused{Refusal: fleetapi.Refusal{Kind: revision.KindRevision, Order: newOrder, Hash: newHash, Reason: reason}}
}

// TestJudge holds what the judge says of revisions that are good, bad in each way, and good in bad times.
func TestJudge(t *testing.T) {
	usual := traffic{requests: 1000, blocked: 10, detected: 5, own: 1, upstream: 3, class: 2}
	for _, test := range []struct {
		name    string
		mine    traffic
		theirs  traffic
		change  func(*trialInput)
		outcome outcome
		cause   string
		says    string
	}{
		{name: "good", mine: usual, theirs: usual, outcome: pass},
		{name: "good, a little more of everything", mine: traffic{requests: 1000, blocked: 18, own: 4, upstream: 10, class: 3}, theirs: usual, outcome: pass},
		{name: "good, and not watched for long enough", mine: usual, theirs: usual, change: func(in *trialInput) { in.now = in.now.Add(-time.Minute) }, outcome: goOn, cause: "soak"},
		{name: "good, and an operator has no patience", mine: usual, theirs: usual, change: func(in *trialInput) { in.now, in.forgetSoak = noon, true }, outcome: pass},

		{name: "refused", mine: traffic{}, theirs: usual, change: func(in *trialInput) { in.with[0].refused = []refused{refusal("bad signature")} }, outcome: fail, cause: "refused", says: "gateway canary refuses it: bad signature"},
		{name: "an older one was refused", mine: usual, theirs: usual, change: func(in *trialInput) {
			r := refusal("bad")
			r.Order = oldOrder
			in.with[0].refused = []refused{r}
		}, outcome: pass},
		{name: "the head was refused", theirs: usual, change: func(in *trialInput) {
			r := refusal("signed with a key that is not trusted")
			r.Kind, r.Order, r.Hash, in.head = revision.KindHead, revision.Order{}, revision.HashOf([]byte("head")), revision.HashOf([]byte("head"))
			in.with[0].refused = []refused{r}
		}, outcome: fail, cause: "refused"},
		{name: "a trust bundle was refused", mine: usual, theirs: usual, change: func(in *trialInput) {
			r := refusal("bad")
			r.Kind = revision.KindTrust
			in.with[0].refused = []refused{r}
		}, outcome: pass},
		{name: "killed at the nth request", mine: usual, theirs: usual, change: func(in *trialInput) {
			r := refusal("the process ended")
			r.Crashed = true
			in.with[0].refused, in.with[0].last.Boot = []refused{r}, "next"
		}, outcome: fail, cause: "crashed", says: "the process ended"},
		{name: "started again", mine: usual, theirs: usual, change: func(in *trialInput) { in.with[0].last.Boot = "next" }, outcome: fail, cause: "restarted"},
		{name: "partitioned", mine: usual, theirs: usual, change: func(in *trialInput) { in.with[0].seen = in.now.Add(-46 * time.Second) }, outcome: fail, cause: "silent"},
		{name: "no report ever", mine: usual, theirs: usual, change: func(in *trialInput) { in.with[0].last, in.with[0].seen = nil, time.Time{} }, outcome: fail, cause: "silent"},
		{name: "the manager was away", mine: usual, theirs: usual, change: func(in *trialInput) {
			in.with[0].seen, in.watching = in.now.Add(-time.Hour), in.now.Add(-10*time.Second)
		}, outcome: pass},
		{name: "not there yet", theirs: usual, change: func(in *trialInput) {
			in.now = noon.Add(time.Minute)
			in.with[0].last.Serving = fleetapi.Serving{Revision: oldOrder}
		}, outcome: goOn, cause: "acknowledge"},
		{name: "never there", theirs: usual, change: func(in *trialInput) { in.with[0].last.Serving = fleetapi.Serving{Revision: oldOrder} }, outcome: fail, cause: "late"},
		{name: "another content under the number", mine: usual, theirs: usual, change: func(in *trialInput) { in.with[0].last.Serving.Hash = revision.HashOf(nil) }, outcome: fail, cause: "late"},
		{name: "not ready", mine: usual, theirs: usual, change: func(in *trialInput) { in.with[0].last.Ready = false }, outcome: fail, cause: "not_ready"},

		{name: "blocks everything", mine: traffic{requests: 1000, blocked: 1000}, theirs: usual, outcome: fail, cause: "blocked", says: "100 % of the requests are blocked, and 1.5 %"},
		{name: "blocks everything, seen long before the end", mine: traffic{requests: 60, blocked: 60}, theirs: usual, change: func(in *trialInput) { in.now = noon.Add(time.Second) }, outcome: fail, cause: "blocked"},
		{name: "switched to block", mine: traffic{requests: 1000, blocked: 300}, theirs: traffic{requests: 1000, detected: 300}, outcome: pass},
		{name: "an attack on all", mine: traffic{requests: 1000, blocked: 600}, theirs: traffic{requests: 1000, blocked: 580}, outcome: pass},
		{name: "fails by itself", mine: traffic{requests: 1000, own: 30}, theirs: usual, outcome: fail, cause: "own_5xx"},
		{name: "fails twice, by accident", mine: traffic{requests: 120, own: 2}, theirs: traffic{requests: 1000, own: 1}, outcome: pass},
		{name: "fails seldom, and not by accident", mine: traffic{requests: 100_000, own: 200}, theirs: traffic{requests: 100_000, own: 50}, outcome: pass},
		{name: "goes to a wrong upstream", mine: traffic{requests: 1000, upstream: 900}, theirs: usual, outcome: fail, cause: "upstream_5xx"},
		{name: "the upstream is out for all", mine: traffic{requests: 1000, upstream: 990, own: 5}, theirs: traffic{requests: 1000, upstream: 985, own: 4}, outcome: pass},
		{name: "ten times slower", mine: traffic{requests: 1000, class: 6}, theirs: usual, outcome: fail, cause: "slower", says: "6.4ms, and 400µs"},
		{name: "a tenth is slow", mine: traffic{requests: 1000, slow: 100}, theirs: traffic{requests: 1000, slow: 40}, outcome: fail, cause: "slower"},
		{name: "a tenth of a few is slow", mine: traffic{requests: 900, slow: 90}, theirs: traffic{requests: 1000}, outcome: pass},
		{name: "ten times slower, and fast", mine: traffic{requests: 1000, class: 3}, theirs: traffic{requests: 1000}, outcome: pass},
		{name: "a leak", mine: usual, theirs: usual, change: func(in *trialInput) { in.with[0].last.Memory = 500 << 20 }, outcome: fail, cause: "memory", says: "500 MiB"},
		{name: "memory grows everywhere", mine: usual, theirs: usual, change: func(in *trialInput) {
			in.with[0].last.Memory, in.others[0].last.Memory = 500<<20, 480<<20
		}, outcome: pass},

		{name: "too few requests", mine: traffic{requests: 40}, theirs: usual, outcome: ask, cause: "requests", says: "40 requests are too few"},
		{name: "none to compare with", mine: usual, theirs: traffic{requests: 10}, change: func(in *trialInput) { in.with[0].past = in.with[0].start }, outcome: ask, cause: "requests"},
		{name: "alone, and as before", mine: usual, change: alone(usual), outcome: pass},
		{name: "alone, and blocks everything", mine: traffic{requests: 1000, blocked: 1000}, change: alone(usual), outcome: fail, cause: "blocked", says: "in the hour before"},
		{name: "alone, and the upstream is out", mine: traffic{requests: 1000, upstream: 1000, own: 300}, change: alone(usual), outcome: ask, cause: "upstream"},
		{name: "alone, the upstream is out and it blocks half", mine: traffic{requests: 1000, upstream: 500, blocked: 500}, change: alone(usual), outcome: fail, cause: "blocked"},
		{name: "the last ones against the first", mine: traffic{requests: 1000, own: 100}, change: last(usual), outcome: fail, cause: "own_5xx", says: "that had it before"},
		{name: "the last ones against many first", mine: traffic{requests: 1000, own: 100}, change: last(traffic{requests: 100_000, own: 100}), outcome: fail, cause: "own_5xx"},
		{name: "the last ones as the first", mine: usual, change: last(usual), outcome: pass},
		{name: "the last ones and the first in an attack", mine: traffic{requests: 1000, blocked: 500}, change: last(traffic{requests: 1000, blocked: 500}), outcome: pass},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := trialOf([]member{canary(test.mine)}, []member{control(test.theirs)})
			in.with[0].seen = in.now
			if test.change != nil {
				test.change(&in)
			}
			j := judge(in)
			if j.Outcome != test.outcome || j.Cause != test.cause || !strings.Contains(j.Reason, test.says) {
				t.Errorf("%+v", j)
			}
		})
	}
}

// alone makes the canary the only gateway, with that traffic in the hour before.
func alone(before traffic) func(*trialInput) {
	return func(in *trialInput) {
		in.others = nil
		in.with[0].start.Windows = []fleetapi.Window{before.window(oldOrder, "shop")}
		in.with[0].past = sample{Boot: "boot"}
	}
}

// last makes it the last stage: what the canary is held against has the revision as well.
func last(first traffic) func(*trialInput) {
	return func(in *trialInput) {
		other := canary(first)
		other.fresh, other.seen = false, in.now
		in.with = append(in.with, other)
		in.others, in.othersAgree = []member{other}, true
	}
}

// TestInput: who is judged, and against whom.
func TestInput(t *testing.T) {
	report := &fleetapi.Report{Boot: "boot"}
	r := &Rollout{ID: "now", Stages: []config.Stage{"1", "all"}}
	v := &view{rollout: r, shown: map[string]shown{
		"mine": {rollout: "now"}, "away": {rollout: "now", away: true}, "before": {rollout: "before"},
	}}
	for _, name := range []string{"mine", "away", "before", "other", "dumb"} {
		v.gateways = append(v.gateways, Status{Gateway: name, Report: report})
	}
	v.gateways[4].Report = nil
	names := func(list []member) (out []string) {
		for _, m := range list {
			out = append(out, m.name)
		}
		return out
	}
	s := New(Options{})
	in := s.input(v, noon)
	if with, others := names(in.with), names(in.others); !slices.Equal(with, []string{"mine"}) || !slices.Equal(others, []string{"other"}) || in.othersAgree {
		t.Error(with, others, in.othersAgree)
	}
	r.Stage, v.shown["other"] = 1, shown{rollout: "now", stage: 1}
	in = s.input(v, noon)
	if with, others := names(in.with), names(in.others); !slices.Equal(with, []string{"mine", "other"}) || !slices.Equal(others, []string{"mine"}) || !in.othersAgree {
		t.Error(with, others, in.othersAgree)
	}
	if in.with[0].fresh || !in.with[1].fresh {
		t.Error("who has it since this stage")
	}
}

func TestStages(t *testing.T) {
	usual := []config.Stage{"1", "10%", "50%", "all"}
	for _, test := range []struct {
		stages []config.Stage
		n      int
		want   []int
	}{
		{usual, 1, []int{1}},
		{usual, 2, []int{1, 2}},
		{usual, 3, []int{1, 2, 3}},
		{usual, 20, []int{1, 2, 10, 20}},
		{usual, 2000, []int{1, 200, 1000, 2000}},
		{[]config.Stage{"5", "100%", "all"}, 4, []int{4}},
		{[]config.Stage{"50%", "2", "all"}, 10, []int{5, 10}},
		{[]config.Stage{"all"}, 10, []int{10}},
	} {
		var got []int
		for at := nextStage(test.stages, -1, 0, test.n); ; at = nextStage(test.stages, at, got[len(got)-1], test.n) {
			got = append(got, sizeOf(test.stages[at], test.n))
			if at == len(test.stages)-1 {
				break
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%v of %d: %v, not %v", test.stages, test.n, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%v of %d: %v, not %v", test.stages, test.n, got, test.want)
			}
		}
	}
}

func TestPlanOf(t *testing.T) {
	group := object.Key{Kind: object.Groups, Name: "edge"}
	stages, soak := planOf(object.Set{}, "edge")
	if len(stages) != 4 || soak != 10*time.Minute {
		t.Error(stages, soak)
	}
	stages, soak = planOf(object.Set{group: {"rollout": map[string]any{"stages": []any{float64(2), "30%", "all"}, "soak": "30s"}}}, "edge")
	if len(stages) != 3 || stages[0] != "2" || stages[1] != "30%" || soak != 30*time.Second {
		t.Error(stages, soak)
	}
}
