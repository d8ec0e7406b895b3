package operator

import "gatehouse/rules/program/byteset"

// Needs returns bytes of which every value has one that the operator matches; ok is false if none are known. It is for
// operators that look for no text. If it is not nil, may says of values that have one whether the operator may match.
func Needs(o Operator) (set byteset.Set, may func(value string, mask byteset.Set) bool, ok bool) {
	switch o := o.(type) {
	case *guarded:
		return o.needs, nil, true
	case *byteRange:
		return o.allowed.Complement(), nil, true
	case detectXSS:
		// A tag begins with the one, a value of an attribute comes after the other.
		return byteset.Of("<="), mayBeXSS, true
	case detectSQLi:
		return sqlWordBytes.Complement(), mayBeSQLi, true
	}
	return set, nil, false
}
