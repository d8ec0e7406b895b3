package pattern

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gatehouse/rules/program/byteset"
)

func TestExpression(t *testing.T) {
	for _, c := range []struct {
		arg, want string
		dialect   Dialect
	}{
		{`a.b`, `(?sm)a.b`, Text},
		{`\xbc[^\xbe>]*`, `\xbc[^\xbe>]*`, Binary},
		{`\x{bc}a`, `\x{bc}a`, Binary},
		{`\x{c2}\x{b4}`, `(?sm)\x{c2}\x{b4}`, Text},
		{`\x{2028}`, `(?sm)\x{2028}`, Text},
		{`\x5c\xzz\x`, `(?sm)\x5c\xzz\x`, Text},
		{`\x{ff00}`, `\x{ff00}`, Binary},
		{`\x{c}`, `(?sm)\x{c}`, Text},
		{`\\xff`, `\\xff`, Binary},
		{"a\xff", "a\xff", Binary},
	} {
		got, dialect := Expression(c.arg)
		if got != c.want || dialect != c.dialect {
			t.Errorf("Expression(%q) = %q, %d; want %q, %d", c.arg, got, dialect, c.want, c.dialect)
		}
	}
}

// TestHardValues holds the values on which bytes, characters and folding part.
func TestHardValues(t *testing.T) {
	for _, c := range []struct{ name, arg, value string }{
		{"long s", `(?i)select`, "\u017felect"},
		{"kelvin", `(?i)okay`, "o\u212aAY"},
		{"folded class", `(?i)[s]cript`, "\u017fcript"},
		{"invalid byte as any character", `^a.b$`, "a\xffb"},
		{"invalid byte as negated class", `x[^a]y`, "x\x80y"},
		{"U+FFFD as itself", "x\ufffdy", "x\ufffdy"},
		{"U+FFFD as an invalid byte", "x\ufffdy", "x\xc3y"},
		{"invalid bytes around a word", `\bword\b`, "\xffword\xff"},
		{"NUL", `a\x00b`, "a\x00b"},
		{"line in the middle", `^evil$`, "good\nevil\ngood"},
		{"empty value", `^$`, ""},
		{"empty line", `^$`, "a\n\nb"},
		{"binary", `\xbc[^\xbe>]*[\xbe>]`, "\xbcscript\xbe"},
		{"binary folding", `(?i)\xe0s`, "\xc0S"},
		{"long repetition", `a{50,60}b`, strings.Repeat("a", 55) + "b"},
		{"end of text", `(?-m)end$`, "the end"},
		{"no boundary", `a\Bb`, "xaby"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewRegexp(c.arg)
			if err != nil {
				t.Fatal(err)
			}
			if !regexpOracle(t, c.arg)(c.value) {
				t.Fatalf("%q does not match %q", c.arg, c.value)
			}
			s := NewSet([]*Pattern{p})
			if !s.Nominate(s.NewScratch(), c.value, byteset.Of(c.value), nil).Has(0) {
				t.Errorf("%q matches %q and was not nominated", c.arg, c.value)
			}
		})
	}
}

// TestNominationExcludes: what cannot match is left out, so that a set that nominates everything is seen.
func TestNominationExcludes(t *testing.T) {
	c := newChecker(t)
	g := generator{rng: rand.New(rand.NewPCG(7, 8))}
	words := strings.Fields("summer winter Berlin 2024 blue-green jane.doe@example.com www.example.org/path 3.14 en-GB true list")
	total := 0
	for range 1000 {
		v := words[g.rng.IntN(len(words))] + " " + words[g.rng.IntN(len(words))]
		total += c.set.Nominate(c.scratch, v, byteset.Of(v), nil).Len()
	}
	if mean := float64(total) / 1000; mean > 25 {
		t.Errorf("%.1f of %d patterns nominated for an ordinary value, want at most 25", mean, len(c.patterns))
	}
}

// TestCompilingIsBounded: patterns that would take long if nothing stopped them.
func TestCompilingIsBounded(t *testing.T) {
	for _, arg := range []string{
		strings.Repeat("(", 200) + "a" + strings.Repeat("+)", 200),
		strings.Repeat("(?:", 100) + "[a-f]b?" + strings.Repeat("|c)", 100),
		`(?:[a-z]{0,20}[0-9]{0,20}){20}x`,
		`(?:a?){900}a{900}`,
		`.{0,900}a.{900}`,
		strings.Repeat(`[abc]`, 500),
		strings.Repeat(`(?:ab|cd|ef)`, 300),
	} {
		start := time.Now()
		if _, err := NewRegexp(arg); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.40s took %v", arg, d)
		} else {
			t.Logf("%.40s took %v", arg, d)
		}
	}
}

func TestStateDoesNotStay(t *testing.T) {
	s := NewSet([]*Pattern{NewPhrases([]string{"evil"}), NewLiteral(Contains, "bad")})
	scratch := s.NewScratch()
	for _, c := range []struct {
		value string
		want  []bool
	}{{"EVIL", []bool{true, false}}, {"fine", []bool{false, false}}, {"a bad <evil>", []bool{true, true}}, {"", []bool{false, false}}} {
		got := s.Nominate(scratch, c.value, byteset.Of(c.value), nil)
		if got.Has(0) != c.want[0] || got.Has(1) != c.want[1] {
			t.Errorf("Nominate(%q) = %v, %v; want %v", c.value, got.Has(0), got.Has(1), c.want)
		}
	}
	only := newBits(2)
	only.Set(1)
	if got := s.Nominate(scratch, "bad evil", byteset.Of("bad evil"), only); got.Has(0) || !got.Has(1) {
		t.Error("patterns that were not asked for are nominated")
	}
}

func TestNominateAllocatesNothing(t *testing.T) {
	c := newChecker(t)
	values := []string{"plain value", `<script>alert("x")</script>`, "' or 1=1 -- \xff\xfe"}
	n := testing.AllocsPerRun(100, func() {
		for _, v := range values {
			c.set.Nominate(c.scratch, v, byteset.Of(v), nil)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// TestMemory keeps the tables of the whole rule set within bounds.
func TestMemory(t *testing.T) {
	s := setOf(crsPatterns(t)).Stats()
	t.Logf("%+v", s)
	if s.Bytes > 9<<20 || s.DFABytes > 8<<20 {
		t.Errorf("%d bytes of literal automata and %d of patterns' own, want at most 9 and 8 MiB", s.Bytes, s.DFABytes)
	}
}
