package pattern

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"gatehouse/rules/program/byteset"

	"rsc.io/binaryregexp"
)

var long = flag.Bool("long", false, "compare on many more values")

// oracle says whether a pattern matches, in the way of the engine's operators.
type oracle func(value string) bool

func oracleOf(t testing.TB, p crsPattern) oracle {
	t.Helper()
	switch p.kind {
	case Regexp:
		return regexpOracle(t, p.arg)
	case Phrases:
		return func(v string) bool {
			v = lower(v)
			for _, s := range p.phrases {
				if strings.Contains(v, lower(s)) {
					return true
				}
			}
			return false
		}
	case Contains:
		return func(v string) bool { return strings.Contains(v, p.arg) }
	case Equals:
		return func(v string) bool { return v == p.arg }
	case BeginsWith:
		return func(v string) bool { return strings.HasPrefix(v, p.arg) }
	default:
		return func(v string) bool { return strings.HasSuffix(v, p.arg) }
	}
}

func regexpOracle(t testing.TB, arg string) oracle {
	t.Helper()
	expr, dialect := Expression(arg)
	if dialect == Binary {
		return binaryregexp.MustCompile(expr).MatchString
	}
	return regexp.MustCompile(expr).MatchString
}

// checker compares nominations with what matches.
type checker struct {
	patterns []crsPattern
	oracles  []oracle
	set      *Set
	scratch  *Scratch

	pairs, matches, misses int
}

func newChecker(t testing.TB) *checker {
	c := &checker{patterns: crsPatterns(t)}
	for _, p := range c.patterns {
		c.oracles = append(c.oracles, oracleOf(t, p))
	}
	c.set = setOf(c.patterns)
	c.scratch = c.set.NewScratch()
	return c
}

// check compares the patterns on value: all of them, or those in only.
func (c *checker) check(t *testing.T, value string, only ...int) {
	t.Helper()
	got := c.set.Nominate(c.scratch, value, byteset.Of(value), nil)
	one := func(i int) {
		c.pairs++
		if c.oracles[i](value) {
			c.matches++
			if !got.Has(i) {
				c.misses++
				t.Errorf("rule %d: @%s matches %.200q and was not nominated", c.patterns[i].id, c.patterns[i].name, value)
			}
		}
	}
	if len(only) > 0 {
		for _, i := range only {
			one(i)
		}
		return
	}
	for i := range c.patterns {
		one(i)
	}
}

// TestNominationIsSound: whatever matches has been nominated.
func TestNominationIsSound(t *testing.T) {
	c := newChecker(t)
	g := generator{rng: rand.New(rand.NewPCG(1, 2))}
	scale := 1
	if *long {
		scale = 40
	}
	// Values that match: from the pattern's own tree, then changed; against this pattern, and some against all.
	for i, p := range c.patterns {
		for n := range 6 * scale {
			v := ownValue(t, g, p)
			if n > 1 {
				v = g.mutate(v)
			}
			c.check(t, v, i, g.rng.IntN(len(c.patterns)), g.rng.IntN(len(c.patterns)))
			if *long && n%40 == 0 {
				c.check(t, v)
			}
		}
	}
	own := c.matches
	if own < 700*scale {
		t.Errorf("%d generated values match their pattern, want at least %d", own, 700*scale)
	}
	for n := range 15 * scale {
		c.check(t, g.noise(n%64))
	}
	for i, r := range regressionRequests(t) {
		for j, each := range r {
			v := each.text
			switch {
			case *long:
				c.check(t, v)
			case len(v) < 2000 && (i+j)%4 == 0:
				c.check(t, v, (i*7+j)%len(c.patterns), (i*5+j*3)%len(c.patterns))
			}
		}
	}
	want := 10_000
	if *long {
		want = 1_000_000
	}
	if c.pairs < want {
		t.Errorf("%d pairs of pattern and value compared, want at least %d", c.pairs, want)
	}
	t.Logf("%d pairs of pattern and value, %d match, %d missed", c.pairs, c.matches, c.misses)
}

// ownValue is a value that the pattern may well match.
func ownValue(t testing.TB, g generator, p crsPattern) string {
	t.Helper()
	if p.kind == Phrases {
		return "x" + strings.ToUpper(p.phrases[g.rng.IntN(len(p.phrases))]) + "y"
	}
	if p.kind != Regexp {
		return p.arg
	}
	_, dialect := Expression(p.arg)
	g.binary = dialect == Binary
	return g.matching(p.tree)
}

// TestRecordedRequests compares on collected payloads and recorded requests.
func TestRecordedRequests(t *testing.T) {
	nth, patternsPerValue := 100, 4
	if *long {
		nth = 20
	}
	requests := recorded(t, nth)
	lines := payloads(t)
	if requests == nil || lines == nil {
		t.Skip("no recorded requests in " + data)
	}
	c := newChecker(t)
	rng := rand.New(rand.NewPCG(3, 4))
	sample := func(v string) {
		if *long {
			c.check(t, v)
			return
		}
		var only []int
		for range patternsPerValue {
			only = append(only, rng.IntN(len(c.patterns)))
		}
		c.check(t, v, only...)
	}
	for i, l := range lines {
		if *long || i%20 == 0 {
			sample(l)
		}
	}
	for _, r := range requests {
		for _, v := range r {
			if len(v.text) < 3000 {
				sample(v.text)
			}
		}
	}
	if c.pairs < 5_000 || c.matches < 100 {
		t.Errorf("%d pairs with %d matches compared, want at least 5,000 and 100", c.pairs, c.matches)
	}
	t.Logf("%d pairs of pattern and value, %d match, %d missed", c.pairs, c.matches, c.misses)
}
