package parity

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/rulestest"
)

// fresh is what an engine that never did anything else answers to an exchange.
type fresh struct {
	policy   int
	exchange *Exchange
	mode     rulestest.Mode
	// want are its answers: several where the order of values counts.
	want []Outcome
}

// TestStateBleed judges requests on two policies at a time, in any order and from several goroutines, while rule sets come
// and go. Every answer has to be that of a fresh engine.
func TestStateBleed(t *testing.T) {
	total := 20_000 / slower
	if long() {
		total = 100_000
	}
	start := time.Now()
	done := 0
	for seed := uint64(0); done < total; seed++ {
		policies, cases := bleedCases(t, seed)
		if len(cases) == 0 {
			continue
		}
		const each = 2000
		if wrong := interleave(t, policies, cases, each, seed); wrong != "" {
			t.Fatal(wrong)
		}
		done += each
	}
	t.Logf("%d requests in %v", done, time.Since(start).Round(time.Second))
}

// bleedCases are requests on two random policies, with the answers of engines that judge nothing but that request.
func bleedCases(t *testing.T, seed uint64) ([]rules.Policy, []fresh) {
	t.Helper()
	c := Seeded(3<<32 + seed)
	var policies []rules.Policy
	var cases []fresh
	for len(policies) < 2 {
		p := c.Policy().Policy()
		set, err := Candidate().Load(p)
		if err != nil {
			continue
		}
		if !Compiled(set) { // the reference keeps nothing
			set.Close()
			continue
		}
		set.Close()
		policies = append(policies, p)
		for range 15 {
			x := c.Exchange()
			for _, mode := range rulestest.Modes() {
				f := fresh{policy: len(policies) - 1, exchange: x, mode: mode}
				const times = 2
				for range times {
					one, err := Candidate().Load(p)
					if err != nil {
						t.Fatal(err)
					}
					o := x.Run(one, mode)
					if !slices.ContainsFunc(f.want, func(w Outcome) bool { return len(compare.Diff(w, o).Verdict) == 0 }) {
						f.want = append(f.want, o)
					}
					if err := one.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if len(f.want) == 1 {
					cases = append(cases, f)
				}
			}
		}
	}
	return policies, cases
}

// interleave judges n requests on shared rule sets, each of which is loaded anew now and then, and returns what is wrong.
func interleave(t *testing.T, policies []rules.Policy, cases []fresh, n int, seed uint64) string {
	t.Helper()
	engine := Candidate()
	var sets [2]atomic.Pointer[sharedSet]
	for i, p := range policies {
		sets[i].Store(newShared(t, engine, p))
	}
	var wrong atomic.Pointer[string]
	var workers sync.WaitGroup
	const goroutines = 3
	for w := range goroutines {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		workers.Go(func() {
			for i := 0; i < n/goroutines && wrong.Load() == nil; i++ {
				c := cases[rng.IntN(len(cases))]
				const reload = 100
				if rng.IntN(reload) == 0 {
					sets[c.policy].Swap(newShared(t, engine, policies[c.policy])).release()
				}
				set := acquire(&sets[c.policy])
				got := c.exchange.Run(set, c.mode)
				set.release()
				if d := compare.Diff(c.want[0], got); len(d.Verdict) > 0 {
					s := fmt.Sprintf("seed %d: %s, mode %s: on a fresh engine and now:\n%s\npolicy:\n%s\nexchange: %+v", seed, c.exchange.Name, c.mode,
						strings.Join(d.Verdict, "\n"), policies[c.policy].Sources[len(policies[c.policy].Sources)-1].Text, *c.exchange)
					wrong.Store(&s)
				}
			}
		})
	}
	workers.Wait()
	for i := range sets {
		sets[i].Load().release()
	}
	if s := wrong.Load(); s != nil {
		return *s
	}
	return ""
}

// sharedSet is a rule set that is closed after its last user.
type sharedSet struct {
	rules.RuleSet
	users atomic.Int32
}

func newShared(t *testing.T, e rules.Engine, p rules.Policy) *sharedSet {
	set, err := e.Load(p)
	if err != nil {
		t.Error(err)
	}
	s := &sharedSet{RuleSet: set}
	s.users.Store(1)
	return s
}

// acquire takes the current set of a place, which may be replaced at any time.
func acquire(place *atomic.Pointer[sharedSet]) *sharedSet {
	for {
		s := place.Load()
		if users := s.users.Load(); users > 0 && s.users.CompareAndSwap(users, users+1) {
			return s
		}
	}
}

func (s *sharedSet) release() {
	if s.users.Add(-1) == 0 {
		_ = s.Close() // a program is memory alone, and the reference's error shows in its own tests
	}
}
