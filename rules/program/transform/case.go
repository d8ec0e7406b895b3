package transform

import (
	"unicode"
	"unicode/utf8"
)

// lowercase and uppercase fold all of Unicode, and make U+FFFD of bytes that are no UTF-8.

func lowercase(s *Scratch, in string) (string, bool, error) {
	for i := range len(in) {
		if c := in[i]; c-'A' < 26 || c >= utf8.RuneSelf {
			return mapCase(s, in, i, 'A', unicode.ToLower)
		}
	}
	return in, false, nil
}

func uppercase(s *Scratch, in string) (string, bool, error) {
	for i := range len(in) {
		if c := in[i]; c-'a' < 26 || c >= utf8.RuneSelf {
			return mapCase(s, in, i, 'a', unicode.ToUpper)
		}
	}
	return in, false, nil
}

// mapCase maps in from index at. The 26 letters from first on change their case.
func mapCase(s *Scratch, in string, at int, first byte, fold func(rune) rune) (string, bool, error) {
	b := append(s.Room(len(in)), in[:at]...)
	changed := false
	for i := at; i < len(in); {
		c := in[i]
		if c < utf8.RuneSelf {
			if c-first < 26 {
				c ^= 0x20
				changed = true
			}
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(in[i:])
		folded := fold(r)
		changed = changed || folded != r || r == utf8.RuneError && size == 1
		b = utf8.AppendRune(b, folded)
		i += size
	}
	if !changed {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}
