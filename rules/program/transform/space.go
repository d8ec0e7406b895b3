package transform

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/rules/program/byteset"
)

// asciiSpace is C's isspace.
const asciiSpace = " \t\n\r\f\v"

func isASCIISpace(c byte) bool { return c == ' ' || c-'\t' < 5 }

// runSpecial are the bytes, the space aside, that compressWhitespace may change: ASCII's white space, a 0xA0 that stands
// alone, and the last bytes of U+0085 and U+00A0.
var runSpecial = byteset.Of("\t\n\v\f\r\x85\xa0")

// compressWhitespaceStays: with no white space but the space, only two of them in a row change something.
func compressWhitespaceStays(mask byteset.Set, in string) bool {
	if mask.Intersects(runSpecial) {
		return false
	}
	for i := 1; i < len(in); i++ {
		if in[i] == ' ' && in[i-1] == ' ' {
			return false
		}
	}
	return true
}

// compressWhitespace makes one space of each run of white space: ASCII's, U+0085, U+00A0, and bytes 0xA0 that are in no
// character.
func compressWhitespace(s *Scratch, in string) (string, bool, error) {
	at := 0
	for at < len(in) && in[at] < utf8.RuneSelf && !isASCIISpace(in[at]) {
		at++
	}
	if at == len(in) {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	changed, inRun := false, false
	for i := at; i < len(in); {
		c, size := in[i], 1
		space := isASCIISpace(c)
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(in[i:])
			space = c == 0xa0 || r == 0x85 || r == 0xa0
		}
		switch {
		case !space:
			b = append(b, in[i:i+size]...)
		case inRun:
			changed = true
		default:
			b = append(b, ' ')
			changed = changed || c != ' '
		}
		inRun = space
		i += size
	}
	if !changed {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}

// removeWhitespace drops all of Unicode's white space. It makes U+FFFD of bytes that are no UTF-8, and does not report
// that.
func removeWhitespace(s *Scratch, in string) (string, bool, error) {
	at := 0
	for at < len(in) && in[at] < utf8.RuneSelf && !isASCIISpace(in[at]) {
		at++
	}
	if at == len(in) {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	dropped, repaired := false, false
	for i := at; i < len(in); {
		c := in[i]
		if c < utf8.RuneSelf {
			if isASCIISpace(c) {
				dropped = true
			} else {
				b = append(b, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(in[i:])
		if unicode.IsSpace(r) {
			dropped = true
		} else {
			repaired = repaired || r == utf8.RuneError && size == 1
			b = utf8.AppendRune(b, r)
		}
		i += size
	}
	if !dropped && !repaired {
		return in, false, nil
	}
	return s.Keep(b), dropped, nil
}

func trim(_ *Scratch, in string) (string, bool, error) {
	out := strings.Trim(in, asciiSpace)
	return out, len(out) != len(in), nil
}

func trimLeft(_ *Scratch, in string) (string, bool, error) {
	out := strings.TrimLeft(in, asciiSpace)
	return out, len(out) != len(in), nil
}

func trimRight(_ *Scratch, in string) (string, bool, error) {
	out := strings.TrimRight(in, asciiSpace)
	return out, len(out) != len(in), nil
}

func trimStays(mask byteset.Set, in string) bool {
	return trimLeftStays(mask, in) && trimRightStays(mask, in)
}

func trimLeftStays(_ byteset.Set, in string) bool { return in == "" || !isASCIISpace(in[0]) }

func trimRightStays(_ byteset.Set, in string) bool { return in == "" || !isASCIISpace(in[len(in)-1]) }
