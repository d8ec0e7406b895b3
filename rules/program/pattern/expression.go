package pattern

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Dialect says which package decides an @rx pattern.
type Dialect uint8

// The dialects.
const (
	// Text is Go's regexp: runes, and each invalid byte is U+FFFD.
	Text Dialect = iota
	// Binary is rsc.io/binaryregexp: every byte is a character of its own.
	Binary
)

// Expression is what the engine compiles for the argument of @rx: (?sm) is put in front, unless the pattern names
// bytes that are not valid UTF-8. Then it is left as it is and matched byte by byte.
func Expression(arg string) (string, Dialect) {
	text := "(?sm)" + arg
	if utf8.ValidString(unescape(text)) {
		return text, Text
	}
	return arg, Binary
}

// unescape replaces \xNN and \x{NN} by the byte, as far as the engine does when it looks for invalid UTF-8: a value
// below 0x100 in either form. Everything else stays, backslashes included.
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		rest := s[i:]
		if rest[0] != '\\' {
			out = append(out, rest[0])
			continue
		}
		if len(rest) < 4 {
			return string(append(out, rest...))
		}
		b, n := hexEscape(rest)
		out = append(out, b)
		i += n - 1
	}
	return string(out)
}

// hexEscape reads the escape at the start of s: the byte and the length of the escape, or the backslash and 1.
func hexEscape(s string) (byte, int) {
	if s[1] != 'x' {
		return s[0], 1
	}
	digits, n := s[2:4], 4
	if len(s) >= 6 && s[2] == '{' {
		end := strings.IndexByte(s, '}')
		if end > 0 {
			// The engine reads the first two digits and takes the whole for read.
			if end < 5 {
				return s[0], 1
			}
			digits, n = s[3:5], end+1
		}
	}
	v, err := strconv.ParseUint(digits, 16, 8)
	if err != nil {
		return s[0], 1
	}
	return byte(v), n
}
