package transform

import "gatehouse/rules/program/byteset"

// cmdLineSpecial are the bytes that cmdLine changes wherever they stand.
var cmdLineSpecial = byteset.Range('A', 'Z').Union(byteset.Of("\"'\\^,;\t\r\n"))

// cmdLineStays: without those, only a space before a space, a slash or a parenthesis changes something.
func cmdLineStays(mask byteset.Set, in string) bool {
	if mask.Intersects(cmdLineSpecial) {
		return false
	}
	for i := 1; i < len(in); i++ {
		if in[i-1] == ' ' && (in[i] == ' ' || in[i] == '/' || in[i] == '(') {
			return false
		}
	}
	return true
}

// cmdLine undoes what shells ignore: it drops quotes, backslashes and carets, makes one space of each run of separators,
// drops it before "/" and "(", and lowers ASCII letters.
func cmdLine(s *Scratch, in string) (string, bool, error) {
	b := s.Room(len(in))
	changed, space := false, false
	for i := range len(in) {
		c := in[i]
		switch c {
		case '"', '\'', '\\', '^':
			changed = true
			continue
		case ' ', ',', ';', '\t', '\r', '\n':
			changed = changed || space || c != ' '
			if !space {
				b = append(b, ' ')
			}
			space = true
			continue
		case '/', '(':
			if space {
				b = b[:len(b)-1]
				changed = true
			}
		default:
			if c-'A' < 26 {
				c += 'a' - 'A'
				changed = true
			}
		}
		b = append(b, c)
		space = false
	}
	if !changed {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}
