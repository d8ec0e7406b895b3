package operator

import (
	"strings"
	"sync/atomic"
)

// newWithin is @within. Its argument is mostly a long list that stays the same, in which most values are not: what pieces
// the first few arguments have is remembered, so that a value with another piece need not be looked for.
func newWithin() Comparison {
	const lists = 4 // applications of different kinds have different ones
	var known [lists]atomic.Pointer[pieces]
	return func(value, argument string) bool {
		if len(value) < piece || len(argument) < manyPieces {
			return strings.Contains(argument, value)
		}
		for i := range known {
			p := known[i].Load()
			if p == nil {
				p = newPieces(argument)
				if !known[i].CompareAndSwap(nil, p) {
					break
				}
			}
			if p.text == argument {
				return p.mayHold(value) && strings.Contains(argument, value)
			}
		}
		return strings.Contains(argument, value)
	}
}

const (
	piece      = 4  // bytes
	manyPieces = 64 // bytes of a text that is not searched at once anyway
	pieceBits  = 12
)

// pieces are those of a text, by their hashes: those that are not in set are not in the text.
type pieces struct {
	text string
	set  [1 << pieceBits / 64]uint64
}

func newPieces(text string) *pieces {
	p := &pieces{text: strings.Clone(text)} // what macros make does not outlive the request
	for i := 0; i+piece <= len(text); i++ {
		h := hashPiece(text, i)
		p.set[h/64] |= 1 << (h % 64)
	}
	return p
}

// mayHold says whether a value of at least one piece may be in the text, by its first, middle and last piece.
func (p *pieces) mayHold(value string) bool {
	last := len(value) - piece
	return p.has(value, 0) && p.has(value, last/2) && p.has(value, last)
}

func (p *pieces) has(value string, at int) bool {
	h := hashPiece(value, at)
	return p.set[h/64]>>(h%64)&1 != 0
}

// hashPiece is the hash of the piece at an index.
func hashPiece(s string, at int) uint32 {
	const odd = 0x9e3779b1
	b := s[at : at+piece]
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24) * odd >> (32 - pieceBits)
}
