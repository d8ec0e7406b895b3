package operator

import "gatehouse/rules/program/byteset"

// Masked is what operators implement that often need no more of a value than its set of bytes.
type Masked interface {
	Operator

	// MatchMasked is Match for a caller that has the set: mask is byteset.Of(value).
	MatchMasked(value string, mask byteset.Set, captures *Captures) bool
}

// predicate is an operator without captures.
type predicate func(value string) bool

// Match implements Operator.
func (p predicate) Match(value string, _ *Captures) bool { return p(value) }

var always = predicate(func(string) bool { return true })

// guarded is an operator without captures that matches only values with a byte of needs.
type guarded struct {
	needs byteset.Set
	holds func(value string) bool
}

// Match implements Operator.
func (g *guarded) Match(value string, _ *Captures) bool { return g.holds(value) }

// MatchMasked implements Masked.
func (g *guarded) MatchMasked(value string, mask byteset.Set, _ *Captures) bool {
	return mask.Intersects(g.needs) && g.holds(value)
}
