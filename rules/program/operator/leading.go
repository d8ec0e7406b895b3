package operator

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// leading is @rx with an expression that asks for characters of a class at the start, as many as there are, and perhaps
// captures them: what rules read the media type of a Content-Type with.
type leading struct {
	class []rune // pairs of the first and last character of a range
	ascii [utf8.RuneSelf]bool
	group bool
	// lines says that the start of any line will do: then other decides where the first line has no match.
	lines bool
	other Operator
}

// newLeading makes the operator of an expression if it is one of that kind.
func newLeading(expression *syntax.Regexp, other Operator) (*leading, bool) {
	if expression.Op != syntax.OpConcat || len(expression.Sub) != 2 {
		return nil, false
	}
	l := &leading{other: other}
	switch expression.Sub[0].Op {
	case syntax.OpBeginText:
	case syntax.OpBeginLine:
		l.lines = true
	default:
		return nil, false
	}
	repeated := expression.Sub[1]
	if repeated.Op == syntax.OpCapture {
		l.group, repeated = true, repeated.Sub[0]
	}
	if repeated.Op != syntax.OpPlus || repeated.Flags&syntax.NonGreedy != 0 || repeated.Sub[0].Op != syntax.OpCharClass {
		return nil, false
	}
	l.class = repeated.Sub[0].Rune
	for i := 0; i+1 < len(l.class); i += 2 {
		for r := l.class[i]; r <= l.class[i+1] && r < utf8.RuneSelf; r++ {
			l.ascii[r] = true
		}
	}
	return l, true
}

// Match implements Operator.
func (l *leading) Match(value string, captures *Captures) bool {
	end := l.end(value)
	if end == 0 {
		return l.lines && strings.IndexByte(value, '\n') >= 0 && l.other.Match(value, captures)
	}
	if captures != nil {
		captures.set(0, value[:end])
		if l.group {
			captures.set(1, value[:end])
		}
	}
	return true
}

// end is how far the value is of the class. A byte that is not UTF-8 is read as U+FFFD, as package regexp does.
func (l *leading) end(value string) int {
	for i := 0; i < len(value); {
		if b := value[i]; b < utf8.RuneSelf {
			if !l.ascii[b] {
				return i
			}
			i++
			continue
		}
		r, width := utf8.DecodeRuneInString(value[i:])
		if !l.has(r) {
			return i
		}
		i += width
	}
	return len(value)
}

func (l *leading) has(r rune) bool {
	for i := 0; i+1 < len(l.class); i += 2 {
		if l.class[i] <= r && r <= l.class[i+1] {
			return true
		}
	}
	return false
}
