package pattern

import "gatehouse/rules/program/byteset"

// alphabets are the alphabets of values. A value is looked at with the automaton of the first alphabet that has all its
// bytes; the last one has every byte. They are fixed: nothing is ever computed for a set of bytes that a client chose.
var alphabets = []byteset.Set{
	byteset.Of(letters + digits + " -_.,:/@%+=&?"),
	anyByte,
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

var (
	alphanumeric = byteset.Of(letters + digits)
	anyByte      = byteset.Range(0, 0xff)
)

// alphabetOf is the index of the smallest alphabet of a value with these bytes.
func alphabetOf(m byteset.Set) int {
	for i := range alphabets[:len(alphabets)-1] {
		if m.Within(alphabets[i]) {
			return i
		}
	}
	return len(alphabets) - 1
}

// fold is b with ASCII letters in lower case.
func fold(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// foldSet is m with ASCII letters in lower case.
func foldSet(m byteset.Set) byteset.Set {
	const upper = (1<<26 - 1) << ('A' & 63)
	m[1] = m[1]&^upper | m[1]&upper<<('a'-'A')
	return m
}
