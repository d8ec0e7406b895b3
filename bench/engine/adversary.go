package engine

import (
	"fmt"
	"regexp/syntax"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// Pattern is a regular expression of a rule.
type Pattern struct {
	Rule int
	Text string
	tree *syntax.Regexp
}

// Patterns are those of all rules of a policy.
func Patterns(p rules.Policy) ([]Pattern, error) {
	var out []Pattern
	for _, source := range p.Sources {
		f, errs := seclang.Parse(source)
		if errs != nil {
			return nil, errs
		}
		for _, d := range f.Directives {
			if d.Rule == nil {
				continue
			}
			all := []*seclang.Rule{d.Rule}
			for _, l := range d.Rule.Links {
				all = append(all, l.Rule)
			}
			for _, r := range all {
				if r.Operator == nil || r.Operator.Name != "rx" || strings.Contains(r.Operator.Arg, "%{") {
					continue
				}
				tree, err := syntax.Parse(r.Operator.Arg, syntax.Perl)
				if err != nil {
					return nil, fmt.Errorf("rule %d: %w", d.Rule.ID(), err)
				}
				out = append(out, Pattern{Rule: d.Rule.ID(), Text: r.Operator.Arg, tree: tree})
			}
		}
	}
	return out, nil
}

// Almost is a text of a size that keeps a pattern busy: one match after the other, of which the end is missing.
func (p Pattern) Almost(s source, size int) string {
	var b strings.Builder
	for b.Len() < size {
		m := s.sample(p.tree, 0)
		if len(m) > 0 {
			m = m[:s.IntN(len(m))]
		}
		b.WriteString(m)
		b.WriteString(s.Syllable())
	}
	return b.String()[:size]
}

// Pumped is a text of a size that goes on and on where the pattern can: the start of a match, then what it repeats.
func (p Pattern) Pumped(s source, size int) string {
	loops := loopsOf(p.tree, nil)
	start := s.sample(p.tree, 0)
	start = start[:min(len(start), size/4)]
	var b strings.Builder
	b.WriteString(start[:s.IntN(len(start)+1)])
	for b.Len() < size {
		m := ""
		if len(loops) > 0 {
			m = s.sample(loops[s.IntN(len(loops))].Sub[0], 0)
		}
		if m == "" {
			m = s.Syllable()
		}
		for range 1 + s.IntN(200) {
			b.WriteString(m)
		}
	}
	return b.String()[:size]
}

// loopsOf are the parts of a pattern that repeat without an end.
func loopsOf(re *syntax.Regexp, out []*syntax.Regexp) []*syntax.Regexp {
	if re.Op == syntax.OpStar || re.Op == syntax.OpPlus || re.Op == syntax.OpRepeat && (re.Max < 0 || re.Max > 20) {
		out = append(out, re)
	}
	for _, sub := range re.Sub {
		out = loopsOf(sub, out)
	}
	return out
}

// sample is a text that matches, apart from what looks around it.
func (s source) sample(re *syntax.Regexp, depth int) string {
	const deep = 40
	if depth > deep {
		return ""
	}
	repeat := func(least, most int) string {
		var b strings.Builder
		for range least + s.IntN(most-least+1) {
			b.WriteString(s.sample(re.Sub[0], depth+1))
		}
		return b.String()
	}
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return s.ofClass(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return string(rune('a' + s.IntN(26)))
	case syntax.OpStar:
		return repeat(0, 3)
	case syntax.OpPlus:
		return repeat(1, 3)
	case syntax.OpQuest:
		return repeat(0, 1)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 || most > re.Min+5 {
			most = re.Min + 5
		}
		return repeat(re.Min, most)
	case syntax.OpCapture:
		return s.sample(re.Sub[0], depth+1)
	case syntax.OpAlternate:
		return s.sample(re.Sub[s.IntN(len(re.Sub))], depth+1)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(s.sample(sub, depth+1))
		}
		return b.String()
	}
	return ""
}

// ofClass is a character of a class, mostly one of ASCII if there are any.
func (s source) ofClass(ranges []rune) string {
	if len(ranges) == 0 {
		return ""
	}
	const tries = 4
	for range tries {
		i := 2 * s.IntN(len(ranges)/2)
		lo, hi := ranges[i], ranges[i+1]
		if lo > 0x7f {
			continue
		}
		hi = min(hi, 0x7f)
		return string(lo + rune(s.IntN(int(hi-lo)+1)))
	}
	return string(ranges[0])
}
