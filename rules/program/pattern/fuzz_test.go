package pattern

import (
	"math/rand/v2"
	"slices"
	"testing"

	"gatehouse/rules/program/byteset"
)

// FuzzNomination compares a pattern with its nomination, on the value and on one made from the pattern: the pattern is
// the text itself if it is a regular expression, otherwise one of the rule set.
func FuzzNomination(f *testing.F) {
	// Compiled when they are drawn: the workers start at once. The longest would take most of the time.
	patterns := slices.DeleteFunc(readCRS(f), func(p crsPattern) bool { return len(p.arg) > 1000 || len(p.phrases) > 500 })
	for i, s := range []string{
		`(?i)sk[^a]+\bk`, `a{2,40}$`, `^\W{4}$`, `\xbc[^\xbe>]*[\xbe>]|<`, `x*`, `[^\x00-\x7f]z`, `(?i:ſ|\x{212a})\B`, `\A.\z`,
		`(a|b*)*c`, `\x{fffd}x`, `(?-s).$`, `(?-m)^a$`, `[[:^ascii:]]{3}`, "(", "é|É", `\pL\d`, `(?:ab?){3,}`, `a.{0,1000}b`,
	} {
		f.Add(s, "S\u212a\xffK\n\x00xfoo", uint64(i))
		f.Add(s, "", uint64(i))
	}
	f.Fuzz(func(t *testing.T, arg, value string, seed uint64) {
		if len(arg) > 200 || len(value) > 5000 {
			return
		}
		g := generator{rng: rand.New(rand.NewPCG(seed, 0))}
		expr, dialect := Expression(arg)
		p := crsPattern{name: "rx", arg: arg}
		var err error
		if p.tree, err = parse(expr, dialect); err == nil {
			p.Pattern, err = NewRegexp(arg)
		}
		if err != nil {
			p = patterns[seed%uint64(len(patterns))]
			p.compile(t)
		}
		o := oracleOf(t, p)
		set := NewSet([]*Pattern{p.Pattern})
		scratch := set.NewScratch()
		own := ownValue(t, g, p)
		for _, v := range []string{value, own, g.mutate(own), value + own, own + value} {
			want, got := o(v), set.Nominate(scratch, v, byteset.Of(v), nil).Has(0)
			if want && !got {
				t.Errorf("@%s %q matches %q and was not nominated", p.name, p.arg, v)
			}
			if p.Decides() && (got != want || p.Match(v) != want) {
				t.Errorf("@%s %q on %q: %v and %v, want %v", p.name, p.arg, v, got, p.Match(v), want)
			}
		}
	})
}
