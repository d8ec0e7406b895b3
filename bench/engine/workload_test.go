//go:build !race

package engine

import (
	"testing"

	"go.uber.org/goleak"

	"gatehouse/bench/mix"
	"gatehouse/rules"
	"gatehouse/rules/parity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// distinct is how many requests a case has.
const distinct = 1000

// load loads a policy into an engine until the test ends.
func load(t testing.TB, e rules.Engine, p rules.Policy) rules.RuleSet {
	t.Helper()
	set, err := e.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}

func crsPolicy(t testing.TB, paranoia int) rules.Policy {
	t.Helper()
	p, err := parity.CRSPolicy(paranoia)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWorkloads shows that all requests of a case are different, that no rule of paranoia level 1 minds the benign ones,
// and that it refuses the attacks.
func TestWorkloads(t *testing.T) {
	set := load(t, parity.Candidate(), crsPolicy(t, 1))
	sizes := map[string][2]int{
		"static": {400, 800}, "search": {400, 800}, "form": {600, 1400}, "json340": {600, 1200}, "json9k": {9 << 10, 11 << 10},
		"multipart100k": {100 << 10, 104 << 10}, "xml10k": {10 << 10, 12 << 10},
	}
	for _, c := range mix.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			seen := make(map[string]bool)
			for _, r := range judged(c.Benign(distinct, 1)) {
				seen[r.Target+string(r.Body)] = true
				if size := r.Size(); size < sizes[c.Name][0] || size > sizes[c.Name][1] {
					t.Fatalf("%d bytes, want %v", size, sizes[c.Name])
				}
				result, err := r.Judge(set)
				if err != nil || result.Interruption != nil || len(result.Matches) > 0 {
					t.Fatalf("a benign request: %v, %+v\n%+v", err, result, r)
				}
			}
			if len(seen) != distinct {
				t.Errorf("%d distinct requests, want %d", len(seen), distinct)
			}
			refused := 0
			for _, r := range judged(c.Attacks(distinct, 1)) {
				result, err := r.Judge(set)
				if err != nil {
					t.Fatal(err)
				}
				if result.Interruption != nil {
					refused++
				} else {
					t.Logf("passes: %s %q", r.Target, r.Body[:min(len(r.Body), 300)])
				}
			}
			if refused != distinct {
				t.Errorf("%d of %d attacks are refused", refused, distinct)
			}
		})
	}
}

// TestMixes shows of what is sent to whole gateways that no benign request is refused, and every attack.
func TestMixes(t *testing.T) {
	const judgedOf = 200
	paranoia := map[string]int{"plain": 4}
	for _, m := range mix.Mixes() {
		t.Run(m.Name, func(t *testing.T) {
			set := load(t, parity.Candidate(), crsPolicy(t, max(1, paranoia[m.Name])))
			if m.Name != "plain" { // which is all luck
				m.Count = judgedOf
			}
			all := append(m.Requests(1), m.Requests(2)...)
			for i, r := range judged(all) {
				result, err := r.Judge(set)
				if err != nil || (result.Interruption != nil) != all[i].Attack {
					t.Fatalf("attack %v: %v, %+v\n%.2000s", all[i].Attack, err, result, all[i].Wire())
				}
			}
		})
	}
}
