package pattern

import (
	"fmt"
	"regexp/syntax"
	"unicode"
	"unicode/utf8"

	"gatehouse/rules/program/byteset"

	binary "rsc.io/binaryregexp/syntax"
)

// parse reads an expression as its dialect's package does.
func parse(expr string, dialect Dialect) (*syntax.Regexp, error) {
	if dialect == Binary {
		re, err := binary.Parse(expr, binary.Perl)
		if err != nil {
			return nil, fmt.Errorf("parse regular expression: %w", err)
		}
		return textTree(re), nil
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("parse regular expression: %w", err)
	}
	return re, nil
}

// textTree is the tree of the one package in the types of the other: binary is a copy of syntax, operators and flags
// have the same names.
func textTree(re *binary.Regexp) *syntax.Regexp {
	out := &syntax.Regexp{Op: binaryOps[re.Op], Rune: re.Rune, Min: re.Min, Max: re.Max}
	if re.Flags&binary.FoldCase != 0 {
		out.Flags |= syntax.FoldCase
	}
	for _, s := range re.Sub {
		out.Sub = append(out.Sub, textTree(s))
	}
	return out
}

var binaryOps = map[binary.Op]syntax.Op{
	binary.OpNoMatch: syntax.OpNoMatch, binary.OpEmptyMatch: syntax.OpEmptyMatch, binary.OpLiteral: syntax.OpLiteral,
	binary.OpCharClass: syntax.OpCharClass, binary.OpAnyCharNotNL: syntax.OpAnyCharNotNL,
	binary.OpAnyChar: syntax.OpAnyChar, binary.OpBeginLine: syntax.OpBeginLine, binary.OpEndLine: syntax.OpEndLine,
	binary.OpBeginText: syntax.OpBeginText, binary.OpEndText: syntax.OpEndText,
	binary.OpWordBoundary: syntax.OpWordBoundary, binary.OpNoWordBoundary: syntax.OpNoWordBoundary,
	binary.OpCapture: syntax.OpCapture, binary.OpStar: syntax.OpStar, binary.OpPlus: syntax.OpPlus,
	binary.OpQuest: syntax.OpQuest, binary.OpRepeat: syntax.OpRepeat, binary.OpConcat: syntax.OpConcat,
	binary.OpAlternate: syntax.OpAlternate,
}

var asserts = map[syntax.Op]assert{
	syntax.OpBeginLine: beginLine, syntax.OpEndLine: endLine, syntax.OpBeginText: beginText,
	syntax.OpEndText: endText, syntax.OpWordBoundary: wordBoundary, syntax.OpNoWordBoundary: noWordBoundary,
}

// reader turns a syntax tree over characters into one over symbols or, without symbols, over bytes.
type reader struct {
	dialect Dialect
	symbols *symbols
	known   map[rune]*node // of literal characters: twice the character, plus one with folding
}

func newReader(dialect Dialect, symbols *symbols) reader {
	return reader{dialect, symbols, map[rune]*node{}}
}

func (r reader) read(re *syntax.Regexp) *node {
	switch re.Op {
	case syntax.OpNoMatch:
		return none
	case syntax.OpEmptyMatch:
		return empty
	case syntax.OpLiteral:
		var subs []*node
		for _, c := range re.Rune {
			subs = append(subs, r.literal(c, re.Flags&syntax.FoldCase != 0))
		}
		return concat(subs...)
	case syntax.OpCharClass:
		return r.class(re.Rune)
	case syntax.OpAnyChar:
		return r.class([]rune{0, unicode.MaxRune})
	case syntax.OpAnyCharNotNL:
		return r.class([]rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune})
	case syntax.OpCapture:
		return r.read(re.Sub[0])
	case syntax.OpStar:
		return repeat(r.read(re.Sub[0]), 0, -1)
	case syntax.OpPlus:
		return repeat(r.read(re.Sub[0]), 1, -1)
	case syntax.OpQuest:
		return repeat(r.read(re.Sub[0]), 0, 1)
	case syntax.OpRepeat:
		return repeat(r.read(re.Sub[0]), re.Min, re.Max)
	case syntax.OpConcat:
		return concat(r.all(re.Sub)...)
	case syntax.OpAlternate:
		return alternate(r.all(re.Sub)...)
	}
	if a, ok := asserts[re.Op]; ok {
		return &node{op: opAssert, assert: a}
	}
	// An operator of a later Go: any string, so that nothing is missed.
	if r.symbols != nil {
		r.symbols.exact = false
	}
	return repeat(oneOf(anyByte), 0, -1)
}

func (r reader) literal(c rune, foldCase bool) *node {
	key := 2 * c
	if foldCase {
		key++
	}
	n := r.known[key]
	if n == nil {
		n = r.class(orbit(c, foldCase))
		r.known[key] = n
	}
	return n
}

func (r reader) all(res []*syntax.Regexp) []*node {
	var out []*node
	for _, re := range res {
		out = append(out, r.read(re))
	}
	return out
}

var (
	highBytes = byteset.Range(0x80, 0xff)
	// wide is any character beyond ASCII, and any invalid byte, which counts as U+FFFD.
	wide = repeat(oneOf(highBytes), 1, utf8.UTFMax)
)

// fewRunes is up to how many characters beyond ASCII are spelled out.
const fewRunes = 16

// class is one character of the ranges.
func (r reader) class(ranges []rune) *node {
	if r.symbols != nil {
		return oneOf(r.symbols.set(ranges))
	}
	var bytes byteset.Set
	limit := rune(utf8.RuneSelf - 1)
	if r.dialect == Binary {
		limit = 0xff
	}
	beyond := 0
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if lo <= limit {
			bytes = bytes.Union(byteset.Range(byte(lo), byte(min(hi, limit))))
		}
		if hi > limit {
			beyond += int(hi-max(lo, limit+1)) + 1
		}
	}
	ascii := oneOf(bytes)
	if beyond == 0 || r.dialect == Binary {
		return ascii
	}
	if beyond > fewRunes {
		return alternate(wide, ascii)
	}
	subs := []*node{ascii}
	for i := 0; i < len(ranges); i += 2 {
		for c := max(ranges[i], limit+1); c <= ranges[i+1]; c++ {
			if c == utf8.RuneError {
				return alternate(wide, ascii)
			}
			subs = append(subs, text(string(c)))
		}
	}
	return alternate(subs...)
}

// orbit is the ranges of c and, with folding, of the characters that equal it.
func orbit(c rune, foldCase bool) []rune {
	out := []rune{c, c}
	if !foldCase {
		return out
	}
	for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
		out = append(out, f, f)
	}
	return out
}
