package pattern

import "gatehouse/rules/program/byteset"

// need is what bytes a match needs: a formula of AND and OR over "one of these bytes occurs", as small as it is
// useful. A nil need is always met.
type need struct {
	any  byteset.Set // a leaf: one of these bytes
	all  []*need     // else, all of these
	some []*need     // or else, one of these
}

// Limits on a formula.
const (
	maxNeed = 48 // nodes
)

// needs is the formula of n. Sets with letters or digits are left out, as nearly every value has those.
func needs(n *node) *need {
	switch n.op {
	case opBytes:
		if n.set.Intersects(alphanumeric) {
			return nil
		}
		return &need{any: n.set}
	case opConcat:
		var subs []*need
		for _, s := range n.subs {
			if f := needs(s); f != nil {
				subs = append(subs, f)
			}
		}
		return allOf(subs)
	case opAlternate:
		var subs []*need
		for _, s := range n.subs {
			f := needs(s)
			if f == nil {
				return nil
			}
			subs = append(subs, f)
		}
		return someOf(subs)
	case opRepeat:
		if n.min == 0 {
			return nil
		}
		return needs(n.subs[0])
	}
	return nil
}

func allOf(subs []*need) *need {
	var flat []*need
	for _, s := range subs {
		if s.all != nil {
			flat = append(flat, s.all...)
		} else {
			flat = append(flat, s)
		}
	}
	var out []*need
	for i, s := range flat {
		if !implied(s, flat, i) {
			out = append(out, s)
		}
	}
	switch len(out) {
	case 0:
		return nil
	case 1:
		return out[0]
	}
	f := &need{all: out}
	if f.size() > maxNeed {
		return weaken(f)
	}
	return f
}

// implied says that another leaf of the list demands as much as the leaf at i.
func implied(s *need, list []*need, i int) bool {
	if !s.leaf() {
		return false
	}
	for j, t := range list {
		if j != i && t.leaf() && t.any.Within(s.any) && (t.any != s.any || j < i) {
			return true
		}
	}
	return false
}

func someOf(subs []*need) *need {
	var out []*need
	var leaf byteset.Set
	for _, s := range subs {
		switch {
		case s.leaf():
			leaf = leaf.Union(s.any)
		case s.some != nil:
			for _, t := range s.some {
				if t.leaf() {
					leaf = leaf.Union(t.any)
				} else {
					out = append(out, t)
				}
			}
		default:
			out = append(out, s)
		}
	}
	if !leaf.Empty() {
		out = append(out, &need{any: leaf})
	}
	if len(out) == 1 {
		return out[0]
	}
	f := &need{some: out}
	if f.size() > maxNeed {
		return weaken(f)
	}
	return f
}

func (f *need) leaf() bool { return f.all == nil && f.some == nil }

func (f *need) size() int {
	n := 1
	for _, s := range f.all {
		n += s.size()
	}
	for _, s := range f.some {
		n += s.size()
	}
	return n
}

// weaken is a leaf that every set of bytes which meets f meets too.
func weaken(f *need) *need {
	if f.all != nil {
		// The part with the fewest bytes excludes the most.
		best := weaken(f.all[0])
		for _, s := range f.all[1:] {
			if w := weaken(s); w.any.Len() < best.any.Len() {
				best = w
			}
		}
		return best
	}
	leaf := f.any
	for _, s := range f.some {
		leaf = leaf.Union(weaken(s).any)
	}
	return &need{any: leaf}
}

// met reports whether a value with the bytes of m can match.
func (f *need) met(m byteset.Set) bool {
	switch {
	case f == nil:
		return true
	case f.all != nil:
		for _, s := range f.all {
			if !s.met(m) {
				return false
			}
		}
		return true
	case f.some != nil:
		for _, s := range f.some {
			if s.met(m) {
				return true
			}
		}
		return false
	}
	return f.any.Intersects(m)
}
