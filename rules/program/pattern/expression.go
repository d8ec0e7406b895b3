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

// Expression is the regular expression that @rx decides for an argument, and the package that does. Package regexp gets
// (?sm) in front: a dot matches line ends, and ^ and $ match at them. An argument that names bytes which are not valid
// UTF-8 is matched byte by byte, as it is.
func Expression(arg string) (string, Dialect) {
	text := "(?sm)" + arg
	if utf8.ValidString(unescape(text)) {
		return text, Text
	}
	return arg, Binary
}

// unescape replaces \xNN and \x{NN} by the byte, as the reference does when it looks for invalid UTF-8. It knows nothing
// of the rest of the syntax: "\\\xff" is a backslash and the byte too. What is no escape of a byte stands for itself.
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		rest := s[i:]
		if rest[0] == '\\' && len(rest) < 4 {
			return string(append(out, rest...))
		}
		b, size := hexEscape(rest)
		if size == 0 {
			b, size = rest[0], 1
		}
		out = append(out, b)
		i += size
	}
	return string(out)
}

// hexEscape reads \xNN or \x{NN} at the start of s. The size is 0 if there is none.
func hexEscape(s string) (b byte, size int) {
	if len(s) < 4 || s[:2] != `\x` {
		return 0, 0
	}
	digits, size := s[2:4], 4
	if s[2] == '{' && len(s) >= 6 {
		if end := strings.IndexByte(s, '}'); end >= 0 {
			// More than two digits in braces count with their first two.
			digits, size = s[3:end], end+1
			digits = digits[:min(2, len(digits))]
		}
	}
	v, err := strconv.ParseUint(digits, 16, 8)
	if err != nil || len(digits) < 2 {
		return 0, 0
	}
	return byte(v), size
}
