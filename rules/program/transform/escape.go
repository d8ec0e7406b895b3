package transform

import (
	"strings"
	"unicode/utf8"
)

// control is the control character of the C escapes \a to \v.
func control(c byte) (byte, bool) {
	switch c {
	case 'a':
		return '\a', true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'v':
		return '\v', true
	}
	return 0, false
}

// octal reads up to limit octal digits at the start of in.
func octal(in string, limit int) (value, digits int) {
	for digits < limit && digits < len(in) && in[digits]-'0' < 8 {
		value = value<<3 | int(in[digits]-'0')
		digits++
	}
	return value, digits
}

// hexRun reads up to six hexadecimal digits at the start of in.
func hexRun(in string) (value rune, digits int) {
	for digits < 6 && digits < len(in) {
		d := hexValue(in[digits])
		if d > 15 {
			break
		}
		value = value<<4 | rune(d)
		digits++
	}
	return value, digits
}

// fullWidth tells the full-width forms of ASCII.
func fullWidth(r rune) bool { return r >= 0xff01 && r <= 0xff5e }

// jsDecode decodes JavaScript's escapes to single bytes. A backslash that ends the value stays.
func jsDecode(s *Scratch, in string) (string, bool, error) {
	at := strings.IndexByte(in, '\\')
	if at < 0 || at == len(in)-1 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	for i := at; i < len(in); {
		if in[i] != '\\' || i+1 == len(in) {
			b = append(b, in[i])
			i++
			continue
		}
		c, size := jsEscape(in[i:])
		b = append(b, c)
		i += size
	}
	return s.Keep(b), true, nil
}

// jsEscape decodes the escape at the start of in, which has at least two bytes.
func jsEscape(in string) (c byte, size int) {
	switch c := in[1]; {
	case c == 'u':
		if len(in) > 2 && in[2] == '{' {
			if r, n := hexRun(in[3:]); n > 0 && 3+n < len(in) && in[3+n] == '}' {
				c = byte(r)
				if fullWidth(r) {
					c += 0x20
				}
				return c, n + 4
			}
		}
		if len(in) > 5 {
			high, ok := hexPair(in[2], in[3])
			low, ok2 := hexPair(in[4], in[5])
			if ok && ok2 {
				if high == 0xff && low > 0 && low < 0x5f {
					low += 0x20
				}
				return low, 6
			}
		}
	case c == 'x':
		if len(in) > 3 {
			if value, ok := hexPair(in[2], in[3]); ok {
				return value, 4
			}
		}
	case c-'0' < 8:
		// Three digits only if they make one byte.
		limit := 3
		if c > '3' {
			limit = 2
		}
		value, digits := octal(in[1:], limit)
		return byte(value), 1 + digits
	}
	if c, ok := control(in[1]); ok {
		return c, 2
	}
	return in[1], 2
}

// escapeSeqDecode decodes the escapes of ANSI C, and drops the backslash of others. One that ends the value stays.
func escapeSeqDecode(s *Scratch, in string) (string, bool, error) {
	at := strings.IndexByte(in, '\\')
	if at < 0 || at == len(in)-1 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	for i := at; i < len(in); {
		if in[i] != '\\' || i+1 == len(in) {
			b = append(b, in[i])
			i++
			continue
		}
		c := in[i+1]
		if value, ok := control(c); ok {
			b = append(b, value)
			i += 2
			continue
		}
		if c|0x20 == 'x' && i+3 < len(in) {
			if value, ok := hexPair(in[i+2], in[i+3]); ok {
				b = append(b, value)
				i += 4
				continue
			}
		}
		if value, digits := octal(in[i+1:], 3); digits > 0 {
			b = append(b, byte(value))
			i += 1 + digits
			continue
		}
		b = append(b, c)
		i += 2
	}
	return s.Keep(b), true, nil
}

// cssDecode decodes CSS escapes to UTF-8. It reports every value with a backslash as changed.
func cssDecode(s *Scratch, in string) (string, bool, error) {
	at := strings.IndexByte(in, '\\')
	if at < 0 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	for i := at; i < len(in); {
		if in[i] != '\\' {
			b = append(b, in[i])
			i++
			continue
		}
		i++
		if i == len(in) {
			break
		}
		r, digits := hexRun(in[i:])
		if digits == 0 {
			if in[i] != '\n' {
				b = append(b, in[i])
			}
			i++
			continue
		}
		i += digits
		if r == 0 {
			r = utf8.RuneError
		} else if fullWidth(r) {
			r -= 0xfee0
		}
		b = utf8.AppendRune(b, r)
		// One white space ends the escape and belongs to it.
		if i < len(in) && isASCIISpace(in[i]) {
			i++
		}
	}
	return s.Keep(b), true, nil
}
