//go:build !race

package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"gatehouse/bench/mix"
	"gatehouse/rules"
	"gatehouse/rules/parity"
)

const kilobyte = 1 << 10

// hostile is a text made against a rule, or against none.
type hostile struct {
	rule  int
	shape string
	make  func(s source, size int) string
}

func (h hostile) String() string {
	if h.rule == 0 {
		return h.shape
	}
	return fmt.Sprintf("%s for rule %d", h.shape, h.rule)
}

func hostiles(t *testing.T, policy rules.Policy, nth int) []hostile {
	t.Helper()
	patterns, err := Patterns(policy)
	if err != nil {
		t.Fatal(err)
	}
	if len(patterns) < 200 {
		t.Fatalf("only %d patterns", len(patterns))
	}
	out := []hostile{
		{shape: "random bytes", make: func(s source, size int) string { return string(s.Bytes(size)) }},
		{shape: "random words", make: func(s source, size int) string { return s.Sized(size)[:size] }},
		{shape: "random letters", make: func(s source, size int) string { return s.Hex(size) }},
		{shape: "punctuation", make: func(s source, size int) string {
			const marks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n"
			b := s.Bytes(size)
			for i := range b {
				b[i] = marks[int(b[i])%len(marks)]
			}
			return string(b)
		}},
	}
	for i, p := range patterns {
		if i%nth == 0 {
			out = append(out, hostile{p.Rule, "almost a match", p.Almost}, hostile{p.Rule, "endless match", p.Pumped})
		}
	}
	return out
}

// hostileRequest carries a text as the field of a form.
func hostileRequest(s source, text string) Request {
	return judged([]mix.Request{s.Request("POST", "/contact", "application/x-www-form-urlencoded", []byte("name=Ann&message="+url.QueryEscape(text)))})[0]
}

// measuredHostile is what a hostile text of each size took.
type measuredHostile struct {
	hostile
	took    []time.Duration // by size
	slowest Request         // of the largest size
}

// TestWorstCase looks for the slowest request: texts made against each pattern, of 1, 16 and, in the long run, 64 KB, no
// two the same. The time may grow with the size and no faster, and no request may take longer than on the reference. What
// goes over the bounds of work is refused with an error: that, too, has its time.
func TestWorstCase(t *testing.T) {
	policy := crsPolicy(t, 4)
	set := load(t, parity.Candidate(), policy)
	sizes, nth := []int{kilobyte, 16 * kilobyte}, 20
	if long() {
		sizes, nth = []int{kilobyte, 16 * kilobyte, 64 * kilobyte}, 1
	}
	s := newSource(7)
	bounded, requests := 0, 0
	var all []measuredHostile
	for _, h := range hostiles(t, policy, nth) {
		m := measuredHostile{hostile: h}
		for _, size := range sizes {
			best := time.Duration(0)
			const tries = 2 // of different texts: the better one, since garbage is collected now and then
			for range tries {
				r := hostileRequest(s, h.make(s, size))
				took, err := judgeTime(set, &r)
				requests++
				var over *rules.BoundError
				switch {
				case errors.As(err, &over):
					bounded++
				case err != nil:
					t.Fatalf("%s, %d bytes: %v", h, size, err)
				}
				if best == 0 || took < best {
					best, m.slowest = took, r
				}
			}
			m.took = append(m.took, best)
		}
		all = append(all, m)
	}
	last := len(sizes) - 1
	slices.SortFunc(all, func(a, b measuredHostile) int { return cmp.Compare(b.took[last], a.took[last]) })
	t.Logf("%d requests, %d over a bound; slowest of %d bytes:", requests, bounded, sizes[last])
	for _, m := range all[:min(10, len(all))] {
		t.Logf("%8.2f ms  %s  %v", milliseconds(m.took[last]), m.hostile, m.took)
	}
	reportLinearity(t, s, set, all, sizes)
	compareWorst(t, policy, all[:min(5, len(all))], last)
}

// judgeTime judges a request and answers how much time of a processor that took.
func judgeTime(set rules.RuleSet, r *Request) (time.Duration, error) {
	before, err := CPUTime()
	if err != nil {
		return 0, err
	}
	_, judged := r.Judge(set)
	after, err := CPUTime()
	return after - before, cmp.Or(judged, err)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// reportLinearity holds the growth of the time against that of the size. Whether a text of chance has a match, whose
// captures are dear, makes more of a difference than its size. So where the time seems to grow faster, as much text of the
// smaller size is tried as makes a match as likely.
func reportLinearity(t *testing.T, s source, set rules.RuleSet, all []measuredHostile, sizes []int) {
	t.Helper()
	last := len(sizes) - 1
	grown := float64(sizes[last]) / float64(sizes[last-1])
	// Short times are made of what does not depend on the size, and of noise.
	const margin, short = 3, 20 * time.Millisecond
	again, worst := 0, 0.0
	for _, m := range all {
		if !long() || m.took[last] <= short {
			continue
		}
		g := growth(m, last)
		if g > margin*grown {
			again++
			for range int(4 * grown) {
				r := hostileRequest(s, m.make(s, sizes[last-1]))
				took, err := judgeTime(set, &r)
				var over *rules.BoundError
				if err != nil && !errors.As(err, &over) {
					t.Fatalf("%s: %v", m.hostile, err)
				}
				m.took[last-1] = max(m.took[last-1], took)
			}
			g = growth(m, last)
		}
		if g > margin*grown {
			t.Errorf("%s: the time grows by %.1f where the size grows by %.0f", m.hostile, g, grown)
		}
		worst = max(worst, g)
	}
	t.Logf("the size grows by %.0f, the time by %.1f at most; %d texts were tried again", grown, worst, again)
}

func growth(m measuredHostile, last int) float64 {
	return float64(m.took[last]) / float64(max(m.took[last-1], 100*time.Microsecond))
}

// compareWorst runs the slowest requests on the reference.
func compareWorst(t *testing.T, policy rules.Policy, slowest []measuredHostile, last int) {
	t.Helper()
	set := load(t, parity.Reference(), policy)
	for _, m := range slowest {
		took, err := judgeTime(set, &m.slowest)
		if err != nil {
			t.Fatalf("%s: %v", m.hostile, err)
		}
		t.Logf("%s: candidate %.2f ms, reference %.2f ms", m.hostile, milliseconds(m.took[last]), milliseconds(took))
		if took < m.took[last] {
			t.Errorf("%s: slower than the reference", m.hostile)
		}
	}
}

// TestPatterns shows that the texts are made for the patterns, and that no two are the same.
func TestPatterns(t *testing.T) {
	s := newSource(3)
	seen := make(map[string]bool)
	n := 0
	for _, h := range hostiles(t, crsPolicy(t, 4), 10) {
		for range 3 {
			text := h.make(s, kilobyte)
			if len(text) != kilobyte {
				t.Fatalf("%s: %d bytes", h, len(text))
			}
			seen[text] = true
			n++
		}
	}
	if len(seen) < n*99/100 {
		t.Errorf("%d different texts of %d", len(seen), n)
	}
}
