package pattern

import (
	"slices"

	"gatehouse/rules/program/byteset"
)

// Limits on literals. A set that grows over them is left out or cut where that is sound.
const (
	maxLiteral  = 20   // bytes of one literal
	maxClass    = 12   // bytes of a class that is spelled out
	maxCross    = 1500 // strings of a product
	maxLiterals = 4000 // of one pattern
)

// literals is a set of strings, folded to lower case, of which every match of n has one; nil if there is no set
// worth looking for.
func literals(n *node) []string {
	best := analyse(n).best
	if best == nil || weight(best) > worthless {
		return nil
	}
	return minimal(best)
}

// facts is what is known of the strings of a node, folded to lower case. A nil set says nothing.
type facts struct {
	exact  []string // every string of the node is one of these
	prefix []string // every string begins with one of these
	suffix []string // every string ends with one of these
	best   []string // every string contains one of these; the rarest set that was found
}

func exactly(set []string) facts {
	return facts{exact: set, prefix: set, suffix: set, best: rarer(nil, set)}
}

func analyse(n *node) facts {
	switch n.op {
	case opBytes:
		return ofClass(n.set)
	case opConcat:
		parts := make([]facts, len(n.subs))
		for i, s := range n.subs {
			parts[i] = analyse(s)
		}
		return ofConcat(parts)
	case opAlternate:
		return ofAlternate(n.subs)
	case opRepeat:
		return ofRepeat(n)
	case opNone:
		// Nobody asks: nothing matches. The empty set of strings is not the unknown one.
		return facts{exact: []string{}, prefix: []string{}, suffix: []string{}, best: []string{}}
	}
	return exactly([]string{""}) // the empty string, or an assertion
}

func ofClass(m byteset.Set) facts {
	var set []string
	for c := 0; c < 256; c++ {
		b := byte(c)
		if !m.Has(b) || b >= 'A' && b <= 'Z' && m.Has(fold(b)) {
			continue
		}
		set = append(set, string([]byte{fold(b)}))
		if len(set) > maxClass {
			return facts{}
		}
	}
	return exactly(set)
}

func ofRepeat(n *node) facts {
	f := analyse(n.subs[0])
	if n.min == 0 {
		if n.max == 1 && f.exact != nil {
			if set := union(f.exact, []string{""}); set != nil {
				return exactly(set)
			}
		}
		return facts{}
	}
	// min times the same, then up to max.
	times := make([]facts, min(n.min, 4))
	for i := range times {
		times[i] = f
	}
	head := ofConcat(times)
	if n.min == n.max && n.min <= 4 {
		return head
	}
	return facts{prefix: head.prefix, suffix: head.suffix, best: head.best}
}

func ofAlternate(subs []*node) facts {
	out := analyse(subs[0])
	for _, s := range subs[1:] {
		f := analyse(s)
		out = facts{
			exact:  union(out.exact, f.exact),
			prefix: union(out.prefix, f.prefix),
			suffix: union(out.suffix, f.suffix),
			best:   union(out.best, f.best),
		}
	}
	// The union of the branches' own best sets may be worse than what all of them begin with.
	for _, set := range [][]string{out.exact, out.prefix, out.suffix} {
		out.best = rarer(out.best, set)
	}
	return out
}

// ofConcat walks along the parts with the strings that end where it stands, and looks at them whenever they cannot be
// made longer.
func ofConcat(parts []facts) facts {
	run := []string{""}
	var out facts
	broken := false
	end := func(next []string) {
		out.best = rarer(out.best, run)
		if !broken {
			out.prefix = run
		}
		broken, run = true, next
	}
	for _, f := range parts {
		if f.exact != nil {
			longer := product(run, f.exact)
			if longer == nil {
				end(f.exact)
			} else {
				run = longer
			}
			continue
		}
		if longer := product(run, f.prefix); f.prefix != nil && longer != nil {
			run = longer
		}
		out.best = rarer(out.best, f.best)
		end(orEmpty(f.suffix))
	}
	out.best = rarer(out.best, run)
	out.suffix = run
	if !broken {
		out.prefix, out.exact = run, run
	}
	return out
}

func orEmpty(set []string) []string {
	if set == nil {
		return []string{""}
	}
	return set
}

// product is every string of a followed by every one of b; nil if that is too much.
func product(a, b []string) []string {
	if len(b) == 1 && b[0] == "" {
		return a
	}
	if len(a)*len(b) > maxCross {
		return nil
	}
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			if len(x)+len(y) > maxLiteral {
				return nil
			}
			out = append(out, x+y)
		}
	}
	return unique(out)
}

// union is the strings of either set; nil if one of them is unknown, or there are too many.
func union(a, b []string) []string {
	if a == nil || b == nil || len(a)+len(b) > maxLiterals {
		return nil
	}
	return unique(slices.Concat(a, b))
}

func unique(set []string) []string {
	slices.Sort(set)
	return slices.Compact(set)
}

// rarer is the one of two sets that fewer values are expected to have a string of.
func rarer(a, b []string) []string {
	switch {
	case b == nil:
		return a
	case a == nil:
		if weight(b) >= 1 {
			return nil
		}
		return b
	case weight(b) < weight(a):
		return b
	}
	return a
}

// worthless is the weight from which on looking for a set costs more than it saves.
const worthless = 0.5

// weight is how many strings of the set are expected to begin at a byte of an ordinary value, and a little for
// every string, which costs memory.
func weight(set []string) float64 {
	sum := 0.0
	for _, s := range set {
		p := 1.0
		for i := 0; i < len(s); i++ {
			p *= frequency(s[i])
		}
		sum += p + 1e-7
	}
	return sum
}

// frequency is a rough share of a byte in values of requests: all that hangs on it is which literals are chosen.
func frequency(b byte) float64 {
	switch {
	case b >= 'a' && b <= 'z':
		return letterFrequency[b-'a']
	case b >= '0' && b <= '9':
		return 0.025
	}
	switch b {
	case ' ', '.', '/':
		return 0.03
	case '-', '=', '_', ',', ':', '"':
		return 0.02
	case '%', '&', '+', '\'', '(', ')', ';', '?':
		return 0.01
	}
	return 0.004
}

// share is a rough share of a symbol in values of requests: all that hangs on it is what is fast.
func share(b byte) float64 {
	switch {
	case b >= 'A' && b <= 'Z':
		return frequency(fold(b)) / 5
	case b < ' ' || b >= 0x7f:
		return 0.0005
	case b == '$' || b == '`' || b == '\\' || b == '|' || b == '^':
		return 0.0005
	}
	return frequency(b)
}

var letterFrequency = [26]float64{
	0.06, 0.015, 0.03, 0.03, 0.09, 0.015, 0.015, 0.03, 0.05, 0.004, 0.01, 0.03, 0.025,
	0.05, 0.05, 0.02, 0.003, 0.045, 0.05, 0.06, 0.02, 0.01, 0.015, 0.005, 0.012, 0.004,
}

// minimal leaves out every string that contains another one of the set.
func minimal(set []string) []string {
	have := make(map[string]bool, len(set))
	for _, s := range set {
		have[s] = true
	}
	var out []string
next:
	for _, s := range set {
		for i := range len(s) {
			for j := i + 1; j <= len(s); j++ {
				if j-i < len(s) && have[s[i:j]] {
					continue next
				}
			}
		}
		out = append(out, s)
	}
	return out
}
