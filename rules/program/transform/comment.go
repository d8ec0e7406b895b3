package transform

import (
	"strings"

	"gatehouse/rules/program/byteset"
)

// replaceComments makes a space of each C comment, also of one that does not end.
func replaceComments(s *Scratch, in string) (string, bool, error) {
	at := strings.Index(in, "/*")
	if at < 0 {
		return in, false, nil
	}
	b := s.Room(len(in))
	rest := in
	for at >= 0 {
		b = append(append(b, rest[:at]...), ' ')
		rest = rest[at+2:]
		end := strings.Index(rest, "*/")
		if end < 0 {
			rest = ""
			break
		}
		rest = rest[end+2:]
		at = strings.Index(rest, "/*")
	}
	return s.Keep(append(b, rest...)), true, nil
}

func replaceCommentsStays(_ byteset.Set, in string) bool { return !strings.Contains(in, "/*") }

func removeCommentsStays(mask byteset.Set, in string) bool {
	return !mask.Has('#') &&
		(!mask.Has('-') || !strings.Contains(in, "--")) &&
		(!mask.Has('*') || !strings.Contains(in, "/*"))
}

func removeCommentsCharStays(mask byteset.Set, in string) bool {
	return removeCommentsStays(mask, in) && (!mask.Has('*') || !strings.Contains(in, "*/"))
}

// removeComments drops C and HTML comments, and what follows "--" or "#". Either end ends either kind. The byte after an
// end is copied without a look at it, and if there is none, a NUL is; a comment without an end leaves a space.
func removeComments(s *Scratch, in string) (string, bool, error) {
	b := s.Room(len(in) + 1)
	changed := false
	for i := 0; i < len(in); {
		rest := in[i:]
		var inside int
		switch {
		case strings.HasPrefix(rest, "/*"):
			inside = 2
		case strings.HasPrefix(rest, "<!--"):
			inside = 4
		case strings.HasPrefix(rest, "--"), rest[0] == '#':
			return s.Keep(b), true, nil
		default:
			b = append(b, rest[0])
			i++
			continue
		}
		changed = true
		i += inside
		after := commentEnd(in, i)
		if after < 0 {
			b = append(b, ' ')
			break
		}
		if after < len(in) {
			b = append(b, in[after])
		} else {
			b = append(b, 0)
		}
		i = after + 1
	}
	if !changed {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}

// commentEnd returns the index after the first end of a comment at or after i, or -1.
func commentEnd(in string, i int) int {
	for ; i+1 < len(in); i++ {
		if in[i] == '*' && in[i+1] == '/' {
			return i + 2
		}
		if in[i] == '-' && in[i+1] == '-' && i+2 < len(in) && in[i+2] == '>' {
			return i + 3
		}
	}
	return -1
}

// removeCommentsChar drops the marks of comments and leaves what is between them.
func removeCommentsChar(s *Scratch, in string) (string, bool, error) {
	b := s.Room(len(in))
	for i := 0; i < len(in); {
		if n := commentMark(in[i:]); n > 0 {
			i += n
			continue
		}
		b = append(b, in[i])
		i++
	}
	if len(b) == len(in) {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}

// commentMark is the length of the mark at the start of in, which is not empty, or 0.
func commentMark(in string) int {
	switch in[0] {
	case '#':
		return 1
	case '/':
		if strings.HasPrefix(in, "/*") {
			return 2
		}
	case '*':
		if strings.HasPrefix(in, "*/") {
			return 2
		}
	case '<':
		if strings.HasPrefix(in, "<!--") {
			return 4
		}
	case '-':
		if strings.HasPrefix(in, "-->") {
			return 3
		}
		if strings.HasPrefix(in, "--") {
			return 2
		}
	}
	return 0
}
