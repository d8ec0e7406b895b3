package pattern

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rsc.io/binaryregexp"
)

// exactChecker compares what automata say with what the engine's packages say.
type exactChecker struct {
	pairs, matches, partial int
	later                   int // matches that are looked for from an index on
}

// findOf is how the engine finds what an argument captures.
func findOf(arg string) func(string) []int {
	expr, dialect := Expression(arg)
	if dialect == Binary {
		return binaryregexp.MustCompile(expr).FindStringSubmatchIndex
	}
	return regexp.MustCompile(expr).FindStringSubmatchIndex
}

// checkBegin holds what is found from Begin on against what is found in the whole value.
func (c *exactChecker) checkBegin(t *testing.T, p *Pattern, find func(string) []int, arg, value string) {
	t.Helper()
	from := p.Begin(value)
	if from == 0 {
		return
	}
	c.later++
	got, want := find(value[from:]), find(value)
	if want[0] <= from {
		t.Errorf("@rx %.200q on %.200q: begins at %d, and is said to begin after %d", arg, value, want[0], from)
	}
	if len(got) > 0 && got[0] == 0 {
		return // to be looked for in the whole value
	}
	for i := range got {
		if got[i] >= 0 {
			got[i] += from
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("@rx %.200q on %.200q from %d on: %v, want %v", arg, value, from, got, want)
	}
}

func (c *exactChecker) check(t *testing.T, p *Pattern, o oracle, find func(string) []int, arg, value string) {
	t.Helper()
	c.pairs++
	want := o(value)
	if want {
		c.matches++
		c.checkBegin(t, p, find, arg, value)
	}
	if p.dfa.rest != nil {
		c.partial++
	}
	if got := p.Match(value); got != want {
		t.Errorf("@rx %.200q on %.200q: %v, want %v", arg, value, got, want)
	}
}

// TestDecidesAsRegexp: a pattern that decides says what Go's regexp says, of values with and without a match.
func TestDecidesAsRegexp(t *testing.T) {
	var c exactChecker
	g := generator{rng: rand.New(rand.NewPCG(9, 10))}
	scale := 10
	if *long {
		scale = 1000
	}
	var values []string
	for _, r := range regressionRequests(t) {
		for _, v := range r {
			if len(v.text) < 500 && g.rng.IntN(50) == 0 {
				values = append(values, v.text)
			}
		}
	}
	for _, p := range crsPatterns(t) {
		if p.kind != Regexp {
			continue
		}
		if !p.Decides() {
			t.Errorf("rule %d: @rx %.100q does not decide", p.id, p.arg)
			continue
		}
		o, find := oracleOf(t, p), findOf(p.arg)
		for n := range scale {
			own := ownValue(t, g, p)
			if n > 1 {
				own = g.mutate(own)
			}
			c.check(t, p.Pattern, o, find, p.arg, own)
			// Long enough that what began somewhere meets what began elsewhere.
			mixed := own[:len(own)*3/4]
			for len(mixed) < 100 {
				next := g.mutate(ownValue(t, g, p))
				mixed += next[:len(next)*3/4]
			}
			c.check(t, p.Pattern, o, find, p.arg, mixed)
			// A match behind much that is none.
			c.check(t, p.Pattern, o, find, p.arg, g.noise(20+n)+values[g.rng.IntN(len(values))]+" "+own)
			c.check(t, p.Pattern, o, find, p.arg, g.noise(n%80))
			c.check(t, p.Pattern, o, find, p.arg, values[g.rng.IntN(len(values))])
		}
	}
	if c.pairs < 5000 || c.matches < 1000 || c.partial < 500 || c.later < 500 {
		t.Errorf("%d pairs, %d match, %d with a part of the table, %d from an index on; want at least 5000, 1000, 500 and 500",
			c.pairs, c.matches, c.partial, c.later)
	}
	t.Logf("%d pairs, %d match, %d with a part of the table, %d from an index on", c.pairs, c.matches, c.partial, c.later)
}

// TestDecidesHardPatterns does the same for patterns that are made to be hard, on all short strings and some long ones.
func TestDecidesHardPatterns(t *testing.T) {
	var c exactChecker
	g := generator{rng: rand.New(rand.NewPCG(11, 12))}
	pieces := []string{"a", "b", "S", "\n", " ", "_", "\xff", "\xc3", "\xa9", "\u00e9", "\u017f", "\u212a", "\ufffd", "\xe2\x84", "\U0001f600", "\x00", "1"}
	for _, arg := range []string{
		`^[^a]+$`, `^[^\x00-\x7f]+$`, `[^a]{2}$`, `^.$`, `(?-s)^.$`, `\b`, `\B`, `\bs\b`, `(?i)^s+$`, `(?i)k\B`, `^(?:[^a]|ab)*$`, `\x{e9}|a.b`, `[é\x{fffd}]`,
		`^\x{fffd}$`, `[^\x{fffd}]`, `^(?:é|[^é])$`, `(?-m)^a$`, `(?-m)a$`, `\Aa|b\z`, `$`, `^`, `(?:^|b)a`, `a$^b`, "a$\n^b", `(?:)`, `[^\x00-\x{10ffff}]`, `\pL\b`, `[[:word:]]+\W$`,
		`(?:a|b)*a(?:a|b){10}$`, `a.{20}b`, `(?:a?b?){30}S$`, `(?i)[à-ý]`, `\xe9`, `^[\x80-\xff]+$`, `(?s)\xff.$`, `[^\xff]\b`, `\w{3}\b`, `(?:\b|a)+_`, `(?:^a|b$)+`, `^$|a[ab\n]{14}c`, `\b$|S[ab]{14}S`,
	} {
		p, err := NewRegexp(arg)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Decides() {
			t.Errorf("%q does not decide", arg)
			continue
		}
		o, find := regexpOracle(t, arg), findOf(arg)
		for _, x := range append(pieces, "") {
			for _, y := range append(pieces, "") {
				for _, z := range append(pieces, "") {
					c.check(t, p, o, find, arg, x+y+z)
				}
			}
		}
		for range 200 {
			var v strings.Builder
			for range g.rng.IntN(60) {
				v.WriteString(pieces[g.rng.IntN(len(pieces))])
				if g.rng.IntN(4) > 0 {
					v.WriteString("ab"[:g.rng.IntN(3)])
				}
			}
			c.check(t, p, o, find, arg, v.String())
			few := make([]byte, g.rng.IntN(60))
			for i := range few {
				few[i] = "ab"[g.rng.IntN(2)]
			}
			c.check(t, p, o, find, arg, string(few)+[]string{"", "\n", "S", "\nc"}[g.rng.IntN(4)])
		}
	}
	if c.partial < 100 || c.later < 1000 {
		t.Errorf("%d values with a part of the table, %d looked for from an index on, want at least 100 and 1000", c.partial, c.later)
	}
	t.Logf("%d pairs, %d match, %d with a part of the table, %d from an index on", c.pairs, c.matches, c.partial, c.later)
}

// TestRowsAreCompared: rows with the same sum are told apart.
func TestRowsAreCompared(t *testing.T) {
	m := &machine{starts: [befores]uint16{1, 1, 2, 1}}
	r := &rest{machine: m}
	r.add(startOfText, nil) // the match
	r.add(afterOther, []uint16{3, 4})
	r.add(afterOther, []uint16{5, 6})
	r.add(afterWord, []uint16{7, 8})
	const sum = 42
	for i := range r.sums {
		r.sums[i] = sum
	}
	r.index()
	for _, c := range []struct {
		before before
		states []uint16
		want   int
	}{
		{afterOther, []uint16{4, 3}, 1},
		{afterOther, []uint16{5, 6}, 2},
		{startOfText, []uint16{6, 5}, 2},
		{afterWord, []uint16{8, 7}, 3},
		{afterOther, []uint16{7, 8}, 0},
		{afterWord, []uint16{3, 4}, 0},
		{afterOther, []uint16{3}, 0},
		{afterOther, []uint16{3, 4, 5}, 0},
	} {
		if got := r.find(&threads{next: c.states, sum: sum - r.begin(c.before)}, c.before); got != c.want {
			t.Errorf("states %v behind %v are row %d, want %d", c.states, c.before, got, c.want)
		}
	}
}
