package program

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Profile counts what rules cost in transactions that are given it: to find the dearest, not for serving, as reading the clock
// costs as much as a rule. The zero Profile is empty. It is safe for concurrent use.
type Profile struct {
	mu       sync.Mutex // guards all below
	rules    map[*Rule]*RuleCost
	patterns time.Duration
}

// RuleCost is what one rule cost, with the links of its chain.
type RuleCost struct {
	Rule          int // its id, 0 if it has none
	Source        string
	Line          int
	Runs, Matches int
	Time          time.Duration // without looking for patterns, which is done for all rules at once
}

// Rules are the rules that ran, the dearest first.
func (p *Profile) Rules() []RuleCost {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []RuleCost
	for c := range maps.Values(p.rules) {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b RuleCost) int { return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Rule, b.Rule)) })
	return list
}

// Reset forgets what was noted.
func (p *Profile) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.patterns = nil, 0
}

// Patterns is the time that looking for the patterns of all rules took.
func (p *Profile) Patterns() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.patterns
}

// ran notes a rule that ran.
func (p *Profile) ran(r *Rule, matched bool, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.rules[r]
	if c == nil {
		if p.rules == nil {
			p.rules = map[*Rule]*RuleCost{}
		}
		c = &RuleCost{Rule: r.ID, Source: r.Place.Source, Line: r.Place.Line}
		p.rules[r] = c
	}
	c.Runs++
	if matched {
		c.Matches++
	}
	c.Time += took
}

// looked notes that patterns were looked for.
func (p *Profile) looked(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patterns += took
}

// evaluateProfiled is evaluate, and notes what it cost.
func (t *Tx) evaluateProfiled(index int) {
	start := time.Now()
	matched := t.evaluate(index)
	t.profile.ran(t.program.Rules[index], matched, time.Since(start))
}

// lookAtProfiled is lookAt, and notes what it cost.
func (t *Tx) lookAtProfiled(phase int) {
	start := time.Now()
	t.lookAt(phase)
	t.profile.looked(time.Since(start))
}
