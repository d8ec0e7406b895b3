package parity

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/rulestest"
)

// job is one comparison: a policy by its index, a mode, and an exchange that is made when its turn comes.
type job struct {
	policy   int
	mode     rulestest.Mode
	exchange func() *Exchange
}

// corporaPolicies are CRS at its paranoia levels, and as its regression tests expect it.
func corporaPolicies(t *testing.T) []rules.Policy {
	t.Helper()
	var out []rules.Policy
	for paranoia := 1; paranoia <= 4; paranoia++ {
		out = append(out, mustPolicy(t, paranoia))
	}
	p, err := RegressionPolicy()
	if err != nil {
		t.Fatal(err)
	}
	return append(out, p)
}

// corporaJobs are all comparisons: every regression test in both modes under all policies; every recorded request at all
// paranoia levels in block, and at one in detect; every payload in all places, at one level and in one mode.
func corporaJobs(t *testing.T) []job {
	t.Helper()
	var jobs []job
	add := func(x *Exchange, policy int, modes ...rulestest.Mode) {
		for _, mode := range modes {
			jobs = append(jobs, job{policy, mode, func() *Exchange { return x }})
		}
	}
	modes := rulestest.Modes()
	regression, err := Regression()
	if err != nil {
		t.Fatal(err)
	}
	if len(regression) < 4600 {
		t.Fatalf("only %d regression tests", len(regression))
	}
	for _, x := range regression {
		for p := range 5 {
			add(x, p, modes...)
		}
	}
	recorded, err := Recorded(dataDir, 1)
	if errors.Is(err, ErrNoData) {
		t.Log(err)
		return jobs
	} else if err != nil {
		t.Fatal(err)
	}
	for i, x := range recorded {
		for p := range 4 {
			add(x, p, rulestest.ModeBlock)
		}
		add(x, i%4, rulestest.ModeDetect)
	}
	payloads, err := Payloads(dataDir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, payload := range payloads {
		for _, place := range Places() {
			jobs = append(jobs, job{n % 4, modes[n/4%2], func() *Exchange { return PayloadExchange(payload, place) }})
			n++
		}
		n++ // 7 and 8 have no divisor in common: every place meets every level and mode
	}
	if len(recorded) < 17_000 || len(payloads) < 15_000 {
		t.Errorf("%d recorded requests and %d payloads, want at least 17000 and 15000", len(recorded), len(payloads))
	}
	return jobs
}

// TestCorpora compares the engines on requests that exist: a few thousand comparisons, or with PARITY=long all of them.
func TestCorpora(t *testing.T) {
	policies := corporaPolicies(t)
	jobs := corporaJobs(t)
	total := len(jobs)
	if !long() {
		jobs = sampleOf(jobs, 3000/slower)
	}
	r := corporaRun{t: t, policies: policies, jobs: jobs, failures: failures{t: t, engines: engines}}
	r.run()
	t.Logf("%s\nof %d that there are, in %v", &r.stats, total, time.Since(r.start).Round(time.Second))
	const wantLong = 100_000
	n := r.stats.Count()
	if n != len(jobs) && !t.Failed() || long() && total > 50_000 && n <= wantLong {
		t.Errorf("%d comparisons of %d, want more than %d in the long run", n, len(jobs), wantLong)
	}
	if few := n / 200; r.stats.By[Unsettled] > few {
		t.Errorf("%d are unsettled, want no more than %d", r.stats.By[Unsettled], few)
	}
	if most := 1 + n/2000; len(r.stats.Bounded) > most {
		t.Errorf("%d are over a bound of work, want no more than %d", len(r.stats.Bounded), most)
	}
	if r.stats.Matched < n/5 || r.stats.Interrupted < n/10 {
		t.Errorf("rules matched in %d of %d and interrupted %d: the comparison shows little", r.stats.Matched, n, r.stats.Interrupted)
	}
}

// sampleOf takes n jobs from all over the list.
func sampleOf(jobs []job, n int) []job {
	if len(jobs) <= n {
		return jobs
	}
	out := make([]job, 0, n)
	for i := range n {
		out = append(out, jobs[i*len(jobs)/n])
	}
	return out
}

type corporaRun struct {
	t        *testing.T
	policies []rules.Policy
	jobs     []job
	failures failures
	stats    Stats
	start    time.Time
}

// run shares the jobs among workers. Each has rule sets of the reference of its own; those of the candidate are shared.
func (r *corporaRun) run() {
	r.start = time.Now()
	candidate := Candidate()
	var shared []rules.RuleSet
	for _, p := range r.policies {
		set := mustLoad(r.t, candidate, p)
		r.stats.AddPolicy(&Pair{Candidate: set})
		shared = append(shared, set)
	}
	queue := make(chan job)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		reference := Reference()
		var pairs []Pair
		for i, p := range r.policies {
			pairs = append(pairs, Pair{Reference: mustLoad(r.t, reference, p), Candidate: shared[i]})
		}
		workers.Go(func() {
			for j := range queue {
				r.compare(&pairs[j.policy], j)
			}
		})
	}
	loaded := time.Now()
	fmt.Printf("%d comparisons on %d cores; loading took %v\n", len(r.jobs), runtime.GOMAXPROCS(0), loaded.Sub(r.start).Round(time.Millisecond))
	r.feed(queue, loaded)
	close(queue)
	workers.Wait()
}

// feed hands out the jobs, in an order in which the first of them are like all of them, and says how far it is.
func (r *corporaRun) feed(queue chan<- job, loaded time.Time) {
	step := len(r.jobs)/1000 + 1
	said := loaded
	sent := 0
	for offset := range step {
		for i := offset; i < len(r.jobs); i += step {
			if r.failures.count.Load() > mostFailures {
				r.t.Error("too many differences: the rest is not compared")
				return
			}
			queue <- r.jobs[i]
			sent++
			every := 30 * time.Second
			if said == loaded {
				every = 5 * time.Second
			}
			if time.Since(said) > every {
				said = time.Now()
				spent := said.Sub(loaded)
				left := time.Duration(float64(spent) / float64(sent) * float64(len(r.jobs)-sent))
				fmt.Printf("%d of %d compared, %d different; about %v to go\n", sent, len(r.jobs), r.failures.count.Load(), left.Round(time.Second))
			}
		}
	}
}

func (r *corporaRun) compare(pair *Pair, j job) {
	const again = 60
	x := j.exchange()
	c := pair.Compare(x, j.mode, again, r.stats.textReruns())
	r.stats.Add(x, c)
	if c.Agreement == Different {
		r.failures.report(Case{Draft: ParseDraft(r.policies[j.policy]), Exchange: x, Mode: j.mode}, c, time.Minute)
	}
}
