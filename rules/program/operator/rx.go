package operator

import (
	"regexp"
	"regexp/syntax"
	"sync"

	"rsc.io/binaryregexp"
	binarysyntax "rsc.io/binaryregexp/syntax"

	"gatehouse/rules/program/pattern"
)

// newRx compiles @rx.
func newRx(argument string) (Operator, error) {
	switch argument {
	case `^.*$`, `.*`, `^.*`, `.*$`:
		// As a dot matches line ends too, these match every value whole.
		return whole{}, nil
	}
	expression, dialect := pattern.Expression(argument)
	if dialect == pattern.Binary {
		if _, err := binarysyntax.Parse(expression, binarysyntax.Perl); err != nil {
			return nil, err
		}
		return rx{sync.OnceValue(func() matcher { return binaryregexp.MustCompile(expression) })}, nil
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	any := rx{sync.OnceValue(func() matcher { return regexp.MustCompile(expression) })}
	if l, ok := newLeading(parsed, any); ok {
		return l, nil
	}
	return any, nil
}

// rx is compiled when it is first asked: most expressions never are, as patterns decide, and they take much memory.
type rx struct{ compiled func() matcher }

// matcher is what regexp and binaryregexp have in common.
type matcher interface {
	MatchString(value string) bool
	FindStringSubmatchIndex(value string) []int
}

// Match implements Operator. The captures are the whole match and the first eight groups; a group that took no part in
// the match is set, to nothing.
func (r rx) Match(value string, captures *Captures) bool {
	// To find that there is no match is cheaper without the groups.
	if !r.compiled().MatchString(value) {
		return false
	}
	if captures != nil {
		r.Capture(value, captures)
	}
	return true
}

// Capture implements Capturer.
func (r rx) Capture(value string, captures *Captures) (start int) {
	found := r.compiled().FindStringSubmatchIndex(value)
	if found == nil {
		captures.Read += len(value)
		return -1
	}
	captures.Read, captures.Rest = captures.Read+found[1], len(value)-found[1]
	for i := range min(len(found)/2, 9) {
		text := ""
		if found[2*i] >= 0 {
			text = value[found[2*i]:found[2*i+1]]
		}
		captures.set(i, text)
	}
	return found[0]
}

// whole is @rx with an expression that matches every value, from its start to its end.
type whole struct{}

// Match implements Operator.
func (whole) Match(value string, captures *Captures) bool {
	if captures != nil {
		captures.set(0, value)
	}
	return true
}
