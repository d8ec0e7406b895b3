package transform

import "sort"

// hexValue is the value of a hexadecimal digit, or 16 and more.
func hexValue(c byte) byte {
	if d := c - '0'; d < 10 {
		return d
	}
	if d := c | 0x20 - 'a'; d < 6 {
		return d + 10
	}
	return 16
}

// hexPair is the value of two hexadecimal digits.
func hexPair(a, b byte) (value byte, ok bool) {
	high, low := hexValue(a), hexValue(b)
	return high<<4 | low&15, high|low < 16
}

func indexEncoded(in string, from int) int {
	for i := from; i < len(in); i++ {
		if in[i] == '%' || in[i] == '+' {
			return i
		}
	}
	return -1
}

// urlDecode reports every value with a "%" or "+" as changed.
func urlDecode(s *Scratch, in string) (string, bool, error) {
	at := indexEncoded(in, 0)
	if at < 0 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	changed := false
	for i := at; i < len(in); i++ {
		c := in[i]
		switch c {
		case '+':
			c = ' '
			changed = true
		case '%':
			if i+2 < len(in) {
				if value, ok := hexPair(in[i+1], in[i+2]); ok {
					c = value
					i += 2
					changed = true
				}
			}
		}
		b = append(b, c)
	}
	if !changed {
		return in, true, nil
	}
	return s.Keep(b), true, nil
}

// urlDecodeUni also decodes %uHHHH: to the ASCII look-alike if there is one, else to the low byte. It reports what it did.
func urlDecodeUni(s *Scratch, in string) (string, bool, error) {
	at := indexEncoded(in, 0)
	if at < 0 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	changed := false
	for i := at; i < len(in); {
		c := in[i]
		if c == '+' {
			b = append(b, ' ')
			i++
			changed = true
			continue
		}
		if c != '%' {
			next := indexEncoded(in, i)
			if next < 0 {
				next = len(in)
			}
			b = append(b, in[i:next]...)
			i = next
			continue
		}
		if i+1 < len(in) && in[i+1]|0x20 == 'u' {
			if i+5 < len(in) {
				high, ok := hexPair(in[i+2], in[i+3])
				low, ok2 := hexPair(in[i+4], in[i+5])
				if ok && ok2 {
					b = append(b, bestFit(high, low))
					i += 6
					changed = true
					continue
				}
			}
			b = append(b, in[i], in[i+1])
			i += 2
			continue
		}
		if i+2 < len(in) {
			if value, ok := hexPair(in[i+1], in[i+2]); ok {
				b = append(b, value)
				i += 3
				changed = true
				continue
			}
		}
		b = append(b, c)
		i++
	}
	if !changed {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}

// bestFit is the byte for the code point high<<8 | low.
func bestFit(high, low byte) byte {
	code := uint16(high)<<8 | uint16(low)
	i := sort.Search(len(bestFitRuns), func(i int) bool { return bestFitRuns[i].first > code }) - 1
	if i >= 0 {
		if at := int(code - bestFitRuns[i].first); at < len(bestFitRuns[i].to) {
			return bestFitRuns[i].to[at]
		}
	}
	if high == 0xff && low > 0 && low < 0x5f {
		return low + 0x20
	}
	return low
}

// bestFitRuns maps runs of code points to their look-alikes in code page 20127 (US-ASCII).
var bestFitRuns = []struct {
	first uint16
	to    string
}{
	{0x00a0, " !c"},
	{0x00a4, "$Y|"},
	{0x00a9, "Ca<"},
	{0x00ad, "-R"},
	{0x00b2, "23"},
	{0x00b7, ".,1o>"},
	{0x00c0, "AAAAAAACEEEEIIIIDNOOOOO"},
	{0x00d8, "OUUUUY"},
	{0x00e0, "aaaaaaaceeeeiiii"},
	{0x00f1, "nooooo"},
	{0x00f8, "ouuuuy"},
	{0x00ff, "yAaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi"},
	{0x0134, "JjKk"},
	{0x0139, "LlLlLl"},
	{0x0141, "LlNnNnNn"},
	{0x014c, "OoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZ"},
	{0x017b, "ZzZz"},
	{0x0180, "b"},
	{0x0189, "D"},
	{0x0191, "Ff"},
	{0x0197, "I"},
	{0x019a, "l"},
	{0x019f, "OOo"},
	{0x01ab, "t"},
	{0x01ae, "TUu"},
	{0x01b6, "z"},
	{0x01cd, "AaIiOoUuUuUuUuUu"},
	{0x01de, "Aa"},
	{0x01e4, "GgGgKkOoOo"},
	{0x01f0, "j"},
	{0x0261, "g"},
	{0x02b9, `'"`},
	{0x02bc, "'"},
	{0x02c4, "^"},
	{0x02c6, "^"},
	{0x02c8, "'"},
	{0x02cb, "`"},
	{0x02cd, "_"},
	{0x02dc, "~"},
	{0x0300, "`"},
	{0x0302, "^~"},
	{0x030e, `"`},
	{0x0331, "__"},
	{0x2000, "       "},
	{0x2010, "--"},
	{0x2013, "--"},
	{0x2018, "'',"},
	{0x201c, `"""`},
	{0x2022, "."},
	{0x2026, "."},
	{0x2032, "'"},
	{0x2035, "`"},
	{0x2039, "<>"},
	{0x2122, "T"},
	{0xff01, `!"#$%&'()*+,-./0123456789:;<=>`},
	{0xff20, "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"},
}

func urlEncode(s *Scratch, in string) (string, bool, error) {
	const digits = "0123456789abcdef"
	at := 0
	for at < len(in) && alphanumeric(in[at]) || at < len(in) && in[at] == '*' {
		at++
	}
	if at == len(in) {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	for i := at; i < len(in); i++ {
		switch c := in[i]; {
		case c == ' ':
			b = append(b, '+')
		case alphanumeric(c), c == '*':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return s.Keep(b), true, nil
}

func alphanumeric(c byte) bool { return c-'0' < 10 || c|0x20-'a' < 26 }
