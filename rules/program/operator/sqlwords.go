package operator

import _ "embed"

// sqlWords has a bit for the hash of every word that libinjection's table of keywords has: of those that are keywords,
// and of the first word of those phrases. Some other words have the same hash. TestSQLWords says how to renew it.
//
//go:embed sqlwords.bin
var sqlWords string

// wordHash is the hash of a word, in whichever case its letters are.
type wordHash uint32

// add appends a byte to the word. (This is FNV-1a, begun with 0.)
func (h wordHash) add(c byte) wordHash { return (h ^ wordHash(c|0x20)) * 16777619 }

// listed reports whether libinjection may know the word. It knows no empty one.
func (h wordHash) listed() bool { return sqlWords[h>>20]>>(h>>17&7)&1 != 0 }
