package operator

import _ "embed"

// sqlWords has two bits for every word that libinjection's table of keywords has: for those that are keywords, and for
// the first words of its phrases (a Bloom filter: some other words have these bits too). TestSQLWords says how to renew it.
//
//go:embed sqlwords.bin
var sqlWords string

// wordHash is the hash of a word, in whichever case its letters are.
type wordHash uint32

// add appends a byte to the word. (This is FNV-1a, begun with 0.)
func (h wordHash) add(c byte) wordHash { return (h ^ wordHash(c|0x20)) * 16777619 }

// listed reports whether libinjection may know the word. It knows no empty one.
func (h wordHash) listed() bool {
	p, q := h.bits()
	return sqlWords[p>>3]>>(p&7)&1 != 0 && sqlWords[q>>3]>>(q&7)&1 != 0
}

// bits are the bits of the word.
func (h wordHash) bits() (p, q wordHash) { return h >> 17, h >> 2 & 0x7fff }
