package operator

import (
	"math"
	"strings"
)

// Comparison decides an operator whose argument may have macros, on the value and the expanded argument.
type Comparison func(value, argument string) bool

// Compare finds the comparison of that name, which is case-sensitive.
func Compare(name string) (Comparison, bool) {
	switch name {
	case "beginsWith":
		return strings.HasPrefix, true
	case "endsWith":
		return strings.HasSuffix, true
	case "contains", "strmatch":
		return strings.Contains, true
	case "within":
		return newWithin(), true
	case "streq":
		return func(value, argument string) bool { return value == argument }, true
	case "eq":
		return func(value, argument string) bool { return Number(value) == Number(argument) }, true
	case "ge":
		return func(value, argument string) bool { return Number(value) >= Number(argument) }, true
	case "gt":
		return func(value, argument string) bool { return Number(value) > Number(argument) }, true
	case "le":
		return func(value, argument string) bool { return Number(value) <= Number(argument) }, true
	case "lt":
		return func(value, argument string) bool { return Number(value) < Number(argument) }, true
	}
	return nil, false
}

// With is the operator for an argument that is known. Any text is allowed, the empty one too.
func (c Comparison) With(argument string) Operator { return comparison{c, argument} }

type comparison struct {
	holds    Comparison
	argument string
}

// Match implements Operator.
func (c comparison) Match(value string, _ *Captures) bool { return c.holds(value, c.argument) }

// Number reads a decimal number as the numeric operators do: text that is none counts as 0, and a number beyond 64 bits
// as the nearest that fits.
func Number(text string) int64 {
	digits := text
	negative := false
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		negative = digits[0] == '-'
		digits = digits[1:]
	}
	if digits == "" {
		return 0
	}
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	var n uint64
	for i := range len(digits) {
		d := uint64(digits[i] - '0')
		if d > 9 {
			return 0
		}
		// What follows a number beyond 64 bits without a sign is not looked at.
		if n > (math.MaxUint64-d)/10 {
			n = math.MaxUint64
			break
		}
		n = n*10 + d
	}
	n = min(n, limit)
	if negative {
		return int64(-n)
	}
	return int64(n)
}
