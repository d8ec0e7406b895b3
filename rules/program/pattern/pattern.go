package pattern

import (
	"fmt"
	"strings"

	"gatehouse/rules/program/byteset"
)

// Kind is how a pattern looks at a value.
type Kind uint8

// The kinds. Text is the operator's argument, with macros expanded.
const (
	Regexp     Kind = iota // @rx
	Phrases                // @pm and its relatives: one of Phrases occurs, ASCII letters in either case
	Contains               // @contains
	Equals                 // @streq
	BeginsWith             // @beginsWith
	EndsWith               // @endsWith
	Bytes                  // other operators: they match no value that has none of these bytes
)

// Pattern is what an operator looks for, compiled. It is immutable and may be in any number of sets.
type Pattern struct {
	kind    Kind
	text    string
	shapes  []shape // by alphabet
	minimum int     // bytes of the shortest match
	need    *need
	may     func(value string, mask byteset.Set) bool // of Bytes
	dfa     *dfa                                      // of a regular expression; nil if it is too large
}

// shape is what is left of a pattern for values of an alphabet.
type shape struct {
	possible bool
	literals []string // nil: every value is a candidate
}

// NewRegexp compiles the argument of @rx.
func NewRegexp(arg string) (*Pattern, error) {
	expr, dialect := Expression(arg)
	re, err := parse(expr, dialect)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", arg, err)
	}
	n := newReader(dialect, nil).read(re)
	p := &Pattern{kind: Regexp, text: arg, minimum: shortest(n), need: needs(n)}
	for _, a := range alphabets {
		pruned := prune(n, a)
		p.shapes = append(p.shapes, shape{possible: pruned.op != opNone, literals: literals(pruned)})
	}
	symbols := symbolsOf(re, dialect)
	p.dfa = newDFA(newReader(dialect, symbols).read(re), symbols)
	return p, nil
}

// Decides reports whether Match decides the pattern. Then Nominate does as well: it names the pattern if and only if it
// matches.
func (p *Pattern) Decides() bool {
	switch p.kind {
	case Regexp:
		return p.dfa != nil && p.dfa.exact
	case Phrases, Bytes:
		return false
	}
	return true
}

// Match reports whether the pattern matches value, as its operator does, if the pattern Decides; else, whether it may.
func (p *Pattern) Match(value string) bool {
	possible, undecided := p.precheck(value, anyByte)
	if !possible || undecided == nil {
		return possible
	}
	t := undecided.borrow()
	defer undecided.giveBack(t)
	return undecided.match(value, t)
}

// Begin is, for a value that a regular expression which Decides matches, an index before which no match begins, nor with
// the character there: that is what assertions at the beginning of a match can see. Who looks for the match may begin
// to read there. If that finds a match that begins there, it is none, and the search has to begin at 0.
func (p *Pattern) Begin(value string) int {
	t := p.dfa.borrow()
	defer p.dfa.giveBack(t)
	return p.dfa.begin(value, t)
}

// borrow lends threads, if they may be needed.
func (d *dfa) borrow() *threads {
	if d.rest == nil {
		return nil
	}
	if t, ok := d.pool.Get().(*threads); ok {
		return t
	}
	return &threads{}
}

func (d *dfa) giveBack(t *threads) {
	if t != nil {
		d.pool.Put(t)
	}
}

// Minimum is how many bytes the shortest match has.
func (p *Pattern) Minimum() int { return p.minimum }

// Needs returns bytes of which every match has one, as few as are known; ok is false if none are.
func (p *Pattern) Needs() (set byteset.Set, ok bool) {
	switch {
	case p.need != nil:
		return weaken(p.need).any, true
	case p.kind != Regexp && p.shapes[len(alphabets)-1].literals != nil:
		// Letters and digits do not tell: nearly every value has those.
		for _, literal := range p.shapes[len(alphabets)-1].literals {
			marks := byteset.Of(literal).Minus(alphanumeric)
			if marks.Empty() {
				return set, false
			}
			set = set.Union(marks)
		}
		return set, true
	}
	return set, false
}

// NewPhrases compiles the words of @pm or of a file, as the operator splits and lower-cases them. An empty phrase
// occurs in every value.
func NewPhrases(phrases []string) *Pattern {
	p := &Pattern{kind: Phrases, minimum: lengthCap}
	if len(phrases) == 0 {
		p.shapes = make([]shape, len(alphabets))
		return p
	}
	all := make([]string, 0, len(phrases))
	for _, s := range phrases {
		all = append(all, lower(s))
		p.minimum = min(p.minimum, len(s))
	}
	p.shapes = shapesOf(minimal(unique(all)))
	return p
}

// NewBytes is for an operator that matches no value without one of the bytes, and none of which may, unless it is nil, says
// that it does not.
func NewBytes(set byteset.Set, may func(value string, mask byteset.Set) bool) *Pattern {
	p := &Pattern{kind: Bytes, text: set.String(), minimum: 1, need: &need{any: set}, may: may}
	for _, a := range alphabets {
		p.shapes = append(p.shapes, shape{possible: a.Intersects(set)})
	}
	return p
}

// NewLiteral compiles the argument of an operator that compares with a text.
func NewLiteral(kind Kind, text string) *Pattern {
	return &Pattern{kind: kind, text: text, minimum: len(text), shapes: shapesOf([]string{lower(text)})}
}

// shapesOf is the shapes of a pattern that needs one of the words, which are in lower case.
func shapesOf(words []string) []shape {
	var out []shape
	for _, a := range alphabets {
		var s shape
		for _, w := range words {
			if !expressible(w, a) {
				continue
			}
			s.possible = true
			if w == "" {
				s.literals = nil
				break
			}
			s.literals = append(s.literals, w)
		}
		out = append(out, s)
	}
	return out
}

// expressible reports whether a value over the alphabet can hold word, whose letters may be in either case.
func expressible(word string, alphabet byteset.Set) bool {
	for i := 0; i < len(word); i++ {
		b := word[i]
		if !alphabet.Has(b) && (b < 'a' || b > 'z' || !alphabet.Has(b-'a'+'A')) {
			return false
		}
	}
	return true
}

// precheck reports whether value, whose bytes are in mask, can match, without the automaton of a regular expression: that
// is returned if it has to decide. Phrases have been looked for.
func (p *Pattern) precheck(value string, mask byteset.Set) (possible bool, undecided *dfa) {
	if len(value) < p.minimum {
		return false, nil
	}
	switch p.kind {
	case Contains:
		return strings.Contains(value, p.text), nil
	case Equals:
		return value == p.text, nil
	case BeginsWith:
		return strings.HasPrefix(value, p.text), nil
	case EndsWith:
		return strings.HasSuffix(value, p.text), nil
	case Regexp:
		return p.need.met(mask), p.dfa
	case Bytes:
		return p.need.met(mask) && (p.may == nil || p.may(value, mask)), nil
	}
	return true, nil
}

// lower is s with ASCII letters in lower case.
func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = fold(b[i])
	}
	return string(b)
}
