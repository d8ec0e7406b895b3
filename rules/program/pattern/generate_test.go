package pattern

import (
	"math/rand/v2"
	"regexp/syntax"
	"unicode"
)

// generator makes strings from the syntax tree of a pattern: not all of them match, as assertions are ignored, but
// most do.
type generator struct {
	rng    *rand.Rand
	binary bool
}

func (g generator) matching(re *syntax.Regexp) string {
	return string(g.add(nil, re))
}

func (g generator) add(out []byte, re *syntax.Regexp) []byte {
	if len(out) > 4000 {
		return out
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 {
				for range g.rng.IntN(4) {
					c = unicode.SimpleFold(c)
				}
			}
			out = g.rune(out, c)
		}
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			i := g.rng.IntN(len(re.Rune)/2) * 2
			lo, hi := re.Rune[i], re.Rune[i+1]
			if hi > 0x2100 && lo < 0x2000 && g.rng.IntN(8) > 0 {
				hi = min(hi, lo+0x60) // mostly characters that occur
			}
			out = g.rune(out, lo+rune(g.rng.Int32N(int32(hi-lo)+1)))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out = append(out, byte(g.rng.IntN(256)))
	case syntax.OpCapture:
		out = g.add(out, re.Sub[0])
	case syntax.OpStar:
		out = g.times(out, re.Sub[0], 0, 3)
	case syntax.OpPlus:
		out = g.times(out, re.Sub[0], 1, 3)
	case syntax.OpQuest:
		out = g.times(out, re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		high := re.Max
		if high == -1 {
			high = re.Min + 3
		}
		out = g.times(out, re.Sub[0], re.Min, min(high, re.Min+5))
	case syntax.OpConcat:
		for _, s := range re.Sub {
			out = g.add(out, s)
		}
	case syntax.OpAlternate:
		out = g.add(out, re.Sub[g.rng.IntN(len(re.Sub))])
	case syntax.OpBeginLine, syntax.OpEndLine:
		if g.rng.IntN(8) == 0 {
			out = append(out, '\n')
		}
	}
	return out
}

func (g generator) times(out []byte, re *syntax.Regexp, low, high int) []byte {
	for range low + g.rng.IntN(high-low+1) {
		out = g.add(out, re)
	}
	return out
}

// rune adds a character; U+FFFD may as well be an invalid byte.
func (g generator) rune(out []byte, c rune) []byte {
	switch {
	case g.binary:
		return append(out, byte(c))
	case c == unicode.ReplacementChar && g.rng.IntN(2) == 0:
		return append(out, byte(0x80+g.rng.IntN(0x80)))
	}
	return append(out, string(c)...)
}

// mutate changes a few bytes of a value, or puts something around it.
func (g generator) mutate(s string) string {
	b := []byte(s)
	for range 1 + g.rng.IntN(3) {
		at := g.rng.IntN(len(b) + 1)
		switch g.rng.IntN(8) {
		case 0:
			b = append(b[:at:at], append([]byte{byte(g.rng.IntN(256))}, b[at:]...)...)
		case 1:
			if at < len(b) {
				b[at] = byte(g.rng.IntN(256))
			}
		case 2:
			if at < len(b) {
				b = append(b[:at:at], b[at+1:]...)
			}
		case 3:
			if at < len(b) && (b[at]|0x20 >= 'a' && b[at]|0x20 <= 'z') {
				b[at] ^= 0x20
			}
		case 4:
			b = append([]byte(clutter[g.rng.IntN(len(clutter))]), b...)
		case 5:
			b = append(b, clutter[g.rng.IntN(len(clutter))]...)
		case 6:
			word := clutter[g.rng.IntN(len(clutter))]
			b = append(b[:at:at], append([]byte(word), b[at:]...)...)
		case 7:
			b = b[at:]
		}
	}
	return string(b)
}

// clutter is what attackers put between and around.
var clutter = []string{
	"\xff", "\x00", "\n", " ", "a", "\u017f", "\u212a", "'", `"`, "\\", "xyz\n", "\r\n", "%20", "/**/", "\xef\xbf\xbd", ";", "\xc5",
	"lorem ipsum dolor sit amet, consectetur ", "=", "1", "_", "\xe2\x80", "<", ">", "(", "$@", "{}", "word word",
}

// noise is a value of random bytes from an alphabet of one's choice.
func (g generator) noise(n int) string {
	sets := []string{
		letters, letters + digits + " ", "abcdefghijklmnopqrstuvwxyz ./-_=&", "()'\"<>;:,.!@#$%^&*[]{}|\\ \n\t", string(highBytesString),
		"0123456789abcdef.:[]", "select union from or and '\"-#",
	}
	set := sets[g.rng.IntN(len(sets))]
	b := make([]byte, n)
	for i := range b {
		b[i] = set[g.rng.IntN(len(set))]
	}
	return string(b)
}

var highBytesString = func() []byte {
	var b []byte
	for c := range 256 {
		b = append(b, byte(c))
	}
	return b
}()
