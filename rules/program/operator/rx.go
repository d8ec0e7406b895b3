package operator

import (
	"regexp"

	"rsc.io/binaryregexp"

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
		re, err := binaryregexp.Compile(expression)
		if err != nil {
			return nil, err
		}
		return rx{re.MatchString, re.FindStringSubmatchIndex}, nil
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return rx{re.MatchString, re.FindStringSubmatchIndex}, nil
}

type rx struct {
	match func(value string) bool
	find  func(value string) []int
}

// Match implements Operator. The captures are the whole match and the first eight groups; a group that took no part in
// the match is set, to nothing.
func (r rx) Match(value string, captures *Captures) bool {
	// To find that there is no match is cheaper without the groups.
	if !r.match(value) {
		return false
	}
	if captures != nil {
		r.Capture(value, captures)
	}
	return true
}

// Capture implements Capturer.
func (r rx) Capture(value string, captures *Captures) (start int) {
	found := r.find(value)
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
