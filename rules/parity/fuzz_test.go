package parity

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/seclang"
)

// maker makes a policy and an exchange at a time out of choices.
type maker struct {
	policy   func(*Choices) (Draft, error)
	exchange func(*Choices) *Exchange
}

// random policies and random requests.
func random() maker {
	return maker{
		policy:   func(c *Choices) (Draft, error) { return c.Policy(), nil },
		exchange: (*Choices).Exchange,
	}
}

// changedCRS are rules of CRS with changes, and requests of its regression tests with changes.
func changedCRS(t testing.TB) maker {
	t.Helper()
	regression, err := Regression()
	if err != nil {
		t.Fatal(err)
	}
	return maker{
		policy: (*Choices).CRS,
		exchange: func(c *Choices) *Exchange {
			switch n := c.N(10); {
			case n < 3:
				return c.Exchange()
			case n < 5:
				return pick(c, regression)
			}
			return c.Near(pick(c, regression))
		},
	}
}

// search compares engines on what is made of one seed after another.
type search struct {
	maker
	engines   func() Engines
	policies  int // how many
	exchanges int // on each, in both modes
	seed      uint64

	stats    Stats
	coverage coverage
	// found is told of each difference, and says whether to go on.
	found func(Case, Comparison) bool
}

// run shares the seeds among workers, each of which has engines of its own.
func (s *search) run(t testing.TB) {
	seeds := make(chan uint64)
	stop := make(chan struct{})
	var once sync.Once
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		e := s.engines()
		workers.Go(func() {
			for seed := range seeds {
				if !s.one(t, e, Seeded(seed)) {
					once.Do(func() { close(stop) })
				}
			}
		})
	}
	for i := range uint64(s.policies) {
		select {
		case seeds <- s.seed + i:
			continue
		case <-stop:
		}
		break
	}
	close(seeds)
	workers.Wait()
}

// one compares engines on one policy.
func (s *search) one(t testing.TB, e Engines, c *Choices) (goOn bool) {
	draft, err := s.policy(c)
	if err != nil {
		t.Error(err)
		return false
	}
	pair, err := e.Load(draft.Policy())
	var differs *LoadError
	switch {
	case errors.As(err, &differs):
		x := &Exchange{Name: "any request", Request: NewRequest("GET", "/"), Response: &rules.Response{Status: 200, Protocol: "HTTP/1.1"}}
		return s.found(Case{Draft: draft, Exchange: x, Mode: rulestest.ModeBlock}, Comparison{Agreement: Different, Difference: Difference{Verdict: []string{differs.Error()}}})
	case err != nil:
		s.stats.AddPolicy(nil)
		return true
	}
	s.stats.AddPolicy(pair)
	s.coverage.policy(draft)
	var before []*Exchange
	goOn = true
	for range s.exchanges {
		x := s.exchange(c)
		for _, mode := range rulestest.Modes() {
			const again = 100
			comparison := pair.Compare(x, mode, again, s.stats.textReruns())
			s.stats.Add(x, comparison)
			s.coverage.matched(draft, comparison.Reference)
			if comparison.Agreement == Different { // the rest of this policy may be the same again
				if mode == rulestest.ModeDetect {
					before = append(before, x) // in block
				}
				goOn = s.found(Case{Draft: draft, Exchange: x, Mode: mode, Before: before}, comparison)
				return pair.Close() == nil && goOn
			}
		}
		before = append(before, x)
	}
	if err := pair.Close(); err != nil {
		t.Error(err)
	}
	return goOn
}

// environment reads a number, for longer searches by hand.
func environment(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// compare runs a search that fails the test with what it finds. PARITY_SEED and PARITY_POLICIES choose where and how long
// to look.
func (s *search) compare(t *testing.T) {
	t.Helper()
	f := failures{t: t, engines: engines}
	s.engines = engines
	s.seed = uint64(environment("PARITY_SEED", 1)) << 32
	s.policies = environment("PARITY_POLICIES", s.policies)
	s.found = func(c Case, found Comparison) bool { return f.report(c, found, 30*time.Second) }
	start := time.Now()
	s.run(t)
	t.Logf("%s\nin %v", &s.stats, time.Since(start).Round(time.Second))
	n := s.stats.Comparisons
	if slower > 1 {
		return // too few to say more
	}
	if s.stats.Refused > s.policies/10 {
		t.Errorf("%d of %d policies are refused: too many", s.stats.Refused, s.policies)
	}
	if s.stats.By[Unsettled] > n/100 || s.stats.Failed > n/50 {
		t.Errorf("%d of %d comparisons are unsettled and %d failed: the generator makes too many that show nothing", s.stats.By[Unsettled], n, s.stats.Failed)
	}
	if s.stats.Matched < n/3 || s.stats.Interrupted < n/20 {
		t.Errorf("rules matched in %d of %d and interrupted %d: the comparison shows little", s.stats.Matched, n, s.stats.Interrupted)
	}
}

// TestRandomPolicies compares the engines on random policies and requests.
func TestRandomPolicies(t *testing.T) {
	s := search{maker: random(), policies: 3000 / slower, exchanges: 5}
	if long() {
		s.policies = 40_000
	}
	s.compare(t)
	if slower == 1 && !t.Failed() {
		s.coverage.check(t)
	}
}

// TestChangedCRS compares the engines on parts of CRS with random changes.
func TestChangedCRS(t *testing.T) {
	s := search{maker: changedCRS(t), policies: 80 / slower, exchanges: 12}
	if long() {
		s.policies = 3_000
	}
	s.compare(t)
}

// fuzzOne compares engines on what a fuzzer's bytes make.
func fuzzOne(t *testing.T, m maker, data []byte) {
	f := failures{t: t, engines: engines}
	s := search{maker: m, exchanges: 2, found: func(c Case, found Comparison) bool {
		f.report(c, found, 20*time.Second)
		return false
	}}
	s.one(t, engines(), FromBytes(data))
}

func FuzzPolicy(f *testing.F) {
	for i := range 64 {
		f.Add([]byte(strings.Repeat(string(rune('a'+i)), i*7%50)))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzOne(t, random(), data) })
}

func FuzzCRS(f *testing.F) {
	m := changedCRS(f)
	for i := range max(16/slower, 2) {
		f.Add([]byte{byte(i * 17), byte(i), 3})
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzOne(t, m, data) })
}

// FuzzRequest changes requests as bytes; all of CRS judges them.
func FuzzRequest(f *testing.F) {
	policy := mustPolicy(f, 4)
	pair, err := engines().Load(policy)
	if err != nil {
		f.Fatal(err)
	}
	defer pair.Close()
	for i, v := range append(append([]string{}, attacks...), strange...) {
		if i%slower != 0 {
			continue
		}
		f.Add([]byte("GET /?q=" + oneLine(v) + " HTTP/1.1\r\nHost: shop.example.com\r\nX-A: " + oneLine(v) + "\r\nCookie: a=" + oneLine(v) + "\r\n\r\n"))
		f.Add([]byte("POST /a HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"a\":" + jsonString(v) + "}"))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		x, err := wireExchange("fuzzed", wire)
		if err != nil {
			return
		}
		for _, mode := range rulestest.Modes() {
			if c := pair.Compare(x, mode, 100, 0); c.Agreement == Different {
				fail := failures{t: t, engines: engines}
				fail.report(Case{Draft: ParseDraft(policy), Exchange: x, Mode: mode}, c, 20*time.Second)
			}
		}
	})
}

// FuzzText changes rule text as bytes, a few requests look what it does. Text that the parser takes for ambiguous is not
// loaded by an engine that uses it.
func FuzzText(f *testing.F) {
	for seed := range uint64(40) {
		draft := Seeded(seed).Policy()
		f.Add(draft.Policy().Sources[len(draft.Policy().Sources)-1].Text, seed)
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		p := rules.Policy{Name: "fuzzed", Limits: rules.Limits{Arguments: 100, JSONDepth: 10}, Sources: []rules.Source{{Name: "base", Text: baseText}, {Name: "rules", Text: text}}}
		_, ambiguous := seclang.Parse(p.Sources[1])
		pair, err := engines().Load(p)
		var differs *LoadError
		switch {
		case errors.As(err, &differs) && differs.Candidate != nil && ambiguous != nil:
			return
		case errors.As(err, &differs):
			t.Fatalf("%v\n%s", err, text)
		case err != nil:
			return
		}
		defer pair.Close()
		c := Seeded(seed)
		for range 4 {
			x := c.Exchange()
			if found := pair.Compare(x, rulestest.ModeBlock, 100, 0); found.Agreement == Different {
				fail := failures{t: t, engines: engines}
				fail.report(Case{Draft: ParseDraft(p), Exchange: x, Mode: rulestest.ModeBlock}, found, 20*time.Second)
			}
		}
	})
}
