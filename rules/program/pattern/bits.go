package pattern

import (
	"iter"
	"math/bits"
)

// Bits is a set of small numbers, here of patterns by their index.
type Bits []uint64

func newBits(n int) Bits { return make(Bits, (n+63)/64) }

// Has reports whether i is in the set.
func (b Bits) Has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

// All yields the numbers in the set, in order.
func (b Bits) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, word := range b {
			for i := range ones(w, word) {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// Len is how many numbers are in the set.
func (b Bits) Len() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// Set puts i into the set.
func (b Bits) Set(i int) { b[i/64] |= 1 << (i % 64) }

func (b Bits) clear(i int) { b[i/64] &^= 1 << (i % 64) }

func (b Bits) and(c Bits) {
	for w := range b {
		b[w] &= c[w]
	}
}

// ones yields the numbers of word w of a set.
func ones(w int, word uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for ; word != 0; word &= word - 1 {
			if !yield(w*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}
