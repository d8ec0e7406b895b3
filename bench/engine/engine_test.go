//go:build !race

package engine

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/bench/mix"
	"gatehouse/rules"
	"gatehouse/rules/parity"
)

// The engines in the order in which they run: what the candidate reports is relative to the reference before it.
const (
	reference = "reference"
	candidate = "candidate"
)

func newEngine(name string) rules.Engine {
	if name == reference {
		return parity.Reference()
	}
	return parity.Candidate()
}

// Both are asked as many requests as there is time for.
const (
	referenceTime = 1500 * time.Millisecond
	candidateTime = 4 * time.Second
)

// workload makes n requests of a seed.
type workload func(n int, seed uint64) []mix.Request

// seeds are those of requests so far. None is used twice: no engine sees a request again.
var seeds atomic.Uint64

// report measures and reports in place of what the framework counts: a benchmark's iterations are no requests here. Before
// that, other requests of the kind warm up what is filled at first use.
func report(b *testing.B, engine string, set rules.RuleSet, make workload) Measured {
	b.Helper()
	n, warm, within := 5*distinct, 500, candidateTime
	if engine == reference {
		n, warm, within = 300, 5, referenceTime
	}
	if _, err := Measure(set, judged(make(warm, seeds.Add(1))), warm, within); err != nil {
		b.Fatal(err)
	}
	requests := judged(make(n, seeds.Add(1)))
	runtime.GC() // what was allocated before is not to be collected meanwhile
	b.ReportAllocs()
	b.ResetTimer()
	m, err := Measure(set, requests, n, within)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	if m.Failed > 0 {
		b.Fatalf("%d of %d requests failed", m.Failed, m.Requests)
	}
	b.ReportMetric(float64(m.Mean.Nanoseconds()), "ns/op")
	b.ReportMetric(float64(m.P99.Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(m.CPU.Nanoseconds()), "cpu-ns")
	b.ReportMetric(m.Allocations, "allocs/op")
	b.ReportMetric(m.Bytes, "B/op")
	b.ReportMetric(float64(m.Requests), "requests")
	return m
}

// BenchmarkRequests measures every kind of request, benign and with an attack, at paranoia levels 1 and 4. x-reference is
// how many times the processor time of the candidate the reference took just now.
func BenchmarkRequests(b *testing.B) {
	for _, c := range mix.Cases() {
		for _, traffic := range []string{"benign", "attack"} {
			requests := c.Benign
			if traffic == "attack" {
				requests = c.Attacks
			}
			for _, paranoia := range []int{1, 4} {
				policy := crsPolicy(b, paranoia)
				var slow Measured
				for _, engine := range []string{reference, candidate} {
					b.Run(fmt.Sprintf("case=%s/traffic=%s/paranoia=%d/engine=%s", c.Name, traffic, paranoia, engine), func(b *testing.B) {
						set := load(b, newEngine(engine), policy)
						m := report(b, engine, set, requests)
						switch {
						case engine == reference:
							slow = m
						case slow.Requests > 0:
							b.ReportMetric(float64(slow.CPU)/float64(m.CPU), "x-reference")
						}
						if traffic == "attack" && m.Refused != m.Requests || traffic == "benign" && paranoia == 1 && m.Refused > 0 {
							b.Errorf("%d of %d requests are refused", m.Refused, m.Requests)
						}
					})
				}
			}
		}
	}
}

// BenchmarkFreshNames measures what it costs when no name of a field and no browser came before: what the engine remembers
// of those is of no use then. x-known is how many times the processor time a request takes.
func BenchmarkFreshNames(b *testing.B) {
	for _, c := range mix.Cases()[:5] {
		var known Measured
		for _, names := range []string{"known", "fresh"} {
			b.Run(fmt.Sprintf("case=%s/names=%s", c.Name, names), func(b *testing.B) {
				requests := c.Benign
				if names == "fresh" {
					requests = c.Fresh
				}
				m := report(b, candidate, load(b, parity.Candidate(), crsPolicy(b, 1)), requests)
				if m.Refused > 0 {
					b.Errorf("%d benign requests are refused", m.Refused)
				}
				if names == "known" {
					known = m
				} else if known.Requests > 0 {
					b.ReportMetric(float64(m.CPU)/float64(known.CPU), "x-known")
				}
			})
		}
	}
}

// BenchmarkCold measures what a request costs after other work, as in a gateway: between requests, memory is written that
// takes the place of the engine's in the processor's caches. x-warm is how many times the time without that it takes.
func BenchmarkCold(b *testing.B) {
	set := load(b, parity.Candidate(), crsPolicy(b, 1))
	for _, c := range mix.Cases()[:4] {
		warm := 0.0
		for _, others := range []int{0, 2 << 20} { // bytes: twice what most have for each processor at the second level
			b.Run(fmt.Sprintf("case=%s/others=%dKiB", c.Name, others>>10), func(b *testing.B) {
				requests, memory := judged(c.Benign(distinct, seeds.Add(1))), make([]byte, others)
				for i := range requests {
					if _, err := requests[i].Judge(set); err != nil {
						b.Fatal(err)
					}
				}
				total := time.Duration(0)
				b.ResetTimer()
				for i := range b.N * distinct {
					for at := 0; at < len(memory); at += 64 {
						memory[at]++
					}
					begin := time.Now()
					if _, err := requests[i%distinct].Judge(set); err != nil {
						b.Fatal(err)
					}
					total += time.Since(begin)
				}
				mean := float64(total.Nanoseconds()) / float64(b.N*distinct)
				b.ReportMetric(mean, "ns/op")
				if others == 0 {
					warm = mean
				} else if warm > 0 {
					b.ReportMetric(mean/warm, "x-warm")
				}
			})
		}
	}
}

// BenchmarkFill measures a policy without rules: reading the request into variables, which is part of all other numbers.
func BenchmarkFill(b *testing.B) {
	policy := rules.Policy{Name: "empty", Limits: rules.Limits{Arguments: 1000, JSONDepth: 128}, Sources: []rules.Source{{Name: "processors", Text: "" +
		`SecRule REQUEST_HEADERS:Content-Type "@beginsWith application/json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"` + "\n" +
		`SecRule REQUEST_HEADERS:Content-Type "@beginsWith application/xml" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"` + "\n"}}}
	for _, c := range mix.Cases() {
		for _, engine := range []string{reference, candidate} {
			b.Run(fmt.Sprintf("case=%s/engine=%s", c.Name, engine), func(b *testing.B) {
				report(b, engine, load(b, newEngine(engine), policy), c.Benign)
			})
		}
	}
}

// BenchmarkCustomRules measures what rules of an operator add: x-none is how many times the processor time a request takes with them.
func BenchmarkCustomRules(b *testing.B) {
	for _, c := range mix.Cases()[:4] {
		var none Measured
		for _, n := range []int{0, 1000} {
			b.Run(fmt.Sprintf("case=%s/rules=%d", c.Name, n), func(b *testing.B) {
				set := load(b, parity.Candidate(), CustomRules(crsPolicy(b, 1), n))
				m := report(b, candidate, set, c.Benign)
				if m.Refused > 0 {
					b.Errorf("%d benign requests are refused", m.Refused)
				}
				if n == 0 {
					none = m
				} else if none.Requests > 0 {
					b.ReportMetric(float64(m.CPU)/float64(none.CPU), "x-none")
				}
			})
		}
	}
}

// BenchmarkLoad measures how long a policy takes to load.
func BenchmarkLoad(b *testing.B) {
	for _, engine := range []string{reference, candidate} {
		b.Run("engine="+engine, func(b *testing.B) {
			policy := crsPolicy(b, 1)
			for b.Loop() {
				set, err := newEngine(engine).Load(policy)
				if err != nil {
					b.Fatal(err)
				}
				if err := set.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// long says whether to run everything: BENCH=long in the environment, as `make bench-engine` has it.
func long() bool { return os.Getenv("BENCH") == "long" }

// TestCustomRules shows that the rules of BenchmarkCustomRules load, are compiled, and that each matches something.
func TestCustomRules(t *testing.T) {
	const n = 1000
	policy := CustomRules(crsPolicy(t, 1), n)
	without, with := load(t, parity.Candidate(), crsPolicy(t, 1)), load(t, parity.Candidate(), policy)
	if got := with.Rules() - without.Rules(); got != n {
		t.Errorf("%d rules more, want %d", got, n)
	}
	if !parity.Compiled(with) {
		t.Error("they are not compiled")
	}
}

// TestMeasure shows that the numbers are those of the requests.
func TestMeasure(t *testing.T) {
	set := load(t, parity.Candidate(), crsPolicy(t, 1))
	requests := judged(mix.Cases()[1].Attacks(distinct, 1))
	m, err := Measure(set, requests, distinct+10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if m.Requests != distinct+10 || m.Refused != m.Requests || m.Mean <= 0 || m.P99 < m.Mean/2 || m.Max < m.P99 || m.Allocations <= 0 {
		t.Errorf("got %+v", m)
	}
	if m, err = Measure(set, requests, 1_000_000, time.Millisecond); err != nil || m.Requests == 0 || m.Requests == 1_000_000 {
		t.Errorf("within a millisecond: %+v, %v", m, err)
	}
	if _, err = Measure(set, nil, 1, time.Second); err == nil {
		t.Error("no requests: no error")
	}
}
