package pattern

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"

	"gatehouse/rules/program/byteset"
)

// symbols are what a pattern's automaton reads instead of characters, so that it needs no more than 256 of them. ASCII
// characters are their own symbols; beyond that, characters that no class of the pattern tells apart are one. In the
// binary dialect every byte is its own symbol.
type symbols struct {
	dialect Dialect
	first   []rune // the first character of each range beyond ASCII, in order
	symbol  []byte // of each range
	exact   bool   // no two characters share a symbol that a class tells apart
}

// lastSymbol is the symbol of all that is left when there are no more symbols.
const lastSymbol = 0xff

// symbolsOf finds the symbols of a pattern.
func symbolsOf(re *syntax.Regexp, dialect Dialect) *symbols {
	s := &symbols{dialect: dialect, exact: true}
	if dialect == Binary {
		return s
	}
	var classes [][]rune
	known := map[string]bool{}
	walkClasses(re, func(ranges []rune) {
		beyond := beyondASCII(ranges)
		if beyond == nil {
			return
		}
		key := make([]byte, 0, 4*len(beyond))
		for _, c := range beyond {
			key = binary.LittleEndian.AppendUint32(key, uint32(c))
		}
		if !known[string(key)] {
			known[string(key)] = true
			classes = append(classes, beyond)
		}
	})
	s.first = []rune{utf8.RuneSelf}
	for _, ranges := range classes {
		for i := 0; i < len(ranges); i += 2 {
			s.first = append(s.first, ranges[i])
			if ranges[i+1] < unicode.MaxRune {
				s.first = append(s.first, ranges[i+1]+1)
			}
		}
	}
	slices.Sort(s.first)
	s.first = slices.Compact(s.first)
	// The classes that a range of characters is in are its signature.
	signatures := make([][]byte, len(s.first))
	for number, ranges := range classes {
		at := 0
		for i := 0; i < len(ranges); i += 2 {
			for ; at < len(s.first) && s.first[at] <= ranges[i+1]; at++ {
				if s.first[at] >= ranges[i] {
					signatures[at] = binary.LittleEndian.AppendUint32(signatures[at], uint32(number))
				}
			}
		}
	}
	numbers := map[string]byte{}
	next := utf8.RuneSelf
	for _, signature := range signatures {
		number, ok := numbers[string(signature)]
		if !ok {
			number = byte(min(next, lastSymbol))
			s.exact = s.exact && next <= lastSymbol
			numbers[string(signature)] = number
			next++
		}
		s.symbol = append(s.symbol, number)
	}
	return s
}

// walkClasses calls visit with the ranges of every class of characters of a pattern.
func walkClasses(re *syntax.Regexp, visit func(ranges []rune)) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			visit(orbit(c, re.Flags&syntax.FoldCase != 0))
		}
	case syntax.OpCharClass:
		visit(re.Rune)
	}
	for _, sub := range re.Sub {
		walkClasses(sub, visit)
	}
}

// beyondASCII is the part of the ranges that is not ASCII; nil if that is nothing or everything.
func beyondASCII(ranges []rune) []rune {
	var out []rune
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i+1] >= utf8.RuneSelf {
			out = append(out, max(ranges[i], utf8.RuneSelf), ranges[i+1])
		}
	}
	if len(out) > 2 {
		out = sortRanges(out)
	}
	if len(out) == 2 && out[0] == utf8.RuneSelf && out[1] == unicode.MaxRune {
		return nil
	}
	return out
}

// sortRanges is the ranges in order, without overlaps. Those of an orbit come in no order.
func sortRanges(ranges []rune) []rune {
	pairs := make([][2]rune, 0, len(ranges)/2)
	for i := 0; i < len(ranges); i += 2 {
		pairs = append(pairs, [2]rune{ranges[i], ranges[i+1]})
	}
	slices.SortFunc(pairs, func(a, b [2]rune) int { return int(a[0] - b[0]) })
	out := ranges[:0]
	for _, p := range pairs {
		if n := len(out); n > 0 && p[0] <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p[1])
			continue
		}
		out = append(out, p[0], p[1])
	}
	return out
}

// set is the symbols of the characters in ranges.
func (s *symbols) set(ranges []rune) byteset.Set {
	var out byteset.Set
	limit := rune(utf8.RuneSelf - 1)
	if s.dialect == Binary {
		limit = 0xff
	}
	for i := 0; i < len(ranges); i += 2 {
		low, high := ranges[i], ranges[i+1]
		if low <= limit {
			out = out.Union(byteset.Range(byte(low), byte(min(high, limit))))
		}
		if high <= limit || s.dialect == Binary {
			continue
		}
		at, _ := slices.BinarySearch(s.first, max(low, limit+1))
		for ; at < len(s.first) && s.first[at] <= high; at++ {
			out.Add(s.symbol[at])
		}
	}
	return out
}

// of is the symbol of a character beyond ASCII.
func (s *symbols) of(c rune) byte {
	low, high := 0, len(s.first)
	for high-low > 1 {
		if mid := int(uint(low+high) / 2); s.first[mid] <= c {
			low = mid
		} else {
			high = mid
		}
	}
	return s.symbol[low]
}
