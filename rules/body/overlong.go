package body

import "strings"

// Shortest writes every character of s that is encoded in more bytes than it needs in as few as it needs, which is how
// lenient decoders read it. Other bytes, valid UTF-8 or not, stay.
func Shortest(s string) string {
	if !mayBeOverlong(s) {
		return s
	}
	var b strings.Builder
	from := 0
	for i := 0; i < len(s); {
		r, n := overlong(s[i:])
		if n == 0 {
			i++
			continue
		}
		b.WriteString(s[from:i])
		b.WriteRune(r)
		i += n
		from = i
	}
	if from == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}

// mayBeOverlong says whether s holds a byte with which such characters begin.
func mayBeOverlong(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case 0xc0, 0xc1, 0xe0, 0xf0, 0xf8, 0xfc:
			return true
		}
	}
	return false
}

// overlong reads the character at the start of s if it is encoded in more bytes than it needs; n is 0 if it is not.
func overlong(s string) (r rune, n int) {
	var least rune
	switch c := s[0]; {
	case c == 0xc0 || c == 0xc1:
		r, n, least = rune(c&0x1f), 2, 0x80
	case c == 0xe0:
		r, n, least = rune(c&0x0f), 3, 0x800
	case c == 0xf0:
		r, n, least = rune(c&0x07), 4, 0x10000
	case c == 0xf8:
		r, n, least = rune(c&0x03), 5, 0x200000
	case c == 0xfc:
		r, n, least = rune(c&0x01), 6, 0x4000000
	}
	if n == 0 || len(s) < n {
		return 0, 0
	}
	for i := 1; i < n; i++ {
		if s[i]&0xc0 != 0x80 {
			return 0, 0
		}
		r = r<<6 | rune(s[i]&0x3f)
	}
	if r >= least {
		return 0, 0
	}
	return r, n
}
