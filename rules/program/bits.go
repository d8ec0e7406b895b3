package program

import (
	"math/bits"

	"gatehouse/rules/program/pattern"
)

// Bits is a set of small numbers: of rules by their index in a program, or of patterns by their index in a set.
type Bits = pattern.Bits

// NewBits returns an empty set for numbers below n.
func NewBits(n int) Bits { return make(Bits, (n+63)/64) }

// orBits puts what is in c into b.
func orBits(b, c Bits) {
	for i, w := range c {
		b[i] |= w
	}
}

// nextBit is the smallest number from first on that is in both sets, or -1.
func nextBit(a, b Bits, first int) int {
	i := first / 64
	if i >= len(a) {
		return -1
	}
	w := a[i] & b[i] & (^uint64(0) << (first % 64))
	for w == 0 {
		i++
		if i >= len(a) {
			return -1
		}
		w = a[i] & b[i]
	}
	return i*64 + bits.TrailingZeros64(w)
}

// isEmpty says whether nothing is in the set.
func isEmpty(b Bits) bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}
