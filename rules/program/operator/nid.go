package operator

import (
	"errors"
	"regexp"
	"strings"
)

// nid matches values in which the pattern finds a valid national identification number.
type nid struct {
	pattern *regexp.Regexp
	valid   func(text string) bool
}

func newNid(argument string) (Operator, error) {
	country, expression, ok := strings.Cut(argument, " ")
	n := nid{}
	switch {
	case ok && country == "cl":
		n.valid = validChile
	case ok && country == "us":
		n.valid = validUnitedStates
	default:
		return nil, errors.New(`argument is not "cl" or "us" and a pattern`)
	}
	var err error
	n.pattern, err = regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Match implements Operator. Of the first ten that the pattern finds, those that are valid are captured, each in the
// field of its place.
func (n nid) Match(value string, captures *Captures) bool {
	found := false
	for i, at := range n.pattern.FindAllStringIndex(value, 10) {
		text := value[at[0]:at[1]]
		if n.valid(text) {
			found = true
			if captures != nil {
				captures.set(i, text)
			}
		}
	}
	return found
}

// validChile checks a RUT: digits, and a check digit modulo 11 that may be "k".
func validChile(text string) bool {
	if len(text) < 8 {
		return false
	}
	text = keep(strings.ToLower(text), "0123456789k")
	if text == "" {
		return false
	}
	last := len(text) - 1
	sum, factor := int64(0), int64(2)
	for rest := Number(text[:last]); rest != 0; rest /= 10 {
		sum += rest % 10 * factor
		factor++
		if factor > 7 {
			factor = 2
		}
	}
	const digits = "0k987654321"
	return text[last] == digits[sum%11]
}

// validUnitedStates checks a social security number.
func validUnitedStates(text string) bool {
	text = keep(text, "0123456789")
	if len(text) < 9 {
		return false
	}
	area, group, serial := Number(text[:3]), Number(text[3:5]), Number(text[5:9])
	if area == 0 || group == 0 || serial == 0 || area >= 740 || area == 666 {
		return false
	}
	sequence, equal := true, true
	for i := 1; i < len(text); i++ {
		sequence = sequence && text[i] == text[i-1]+1
		equal = equal && text[i] == text[i-1]
	}
	return !sequence && !equal
}

// keep returns the bytes of text that are in set, which is ASCII.
func keep(text, set string) string {
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(set, text[i]) >= 0 {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}
