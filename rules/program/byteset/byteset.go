// Package byteset has sets of byte values. A value's set, computed once, answers in four machine words what a scan of
// the value would: whether it has a byte that a transformation or a pattern needs.
package byteset

import "math/bits"

// Set is a set of byte values. The zero Set is empty. Sets are compared with ==.
type Set [4]uint64

// Of returns the bytes that occur in s.
func Of(s string) Set {
	// Variables instead of an array stay in registers, and a table has no branch to be mispredicted.
	var low, high uint64
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := word(s[i : i+8])
		if x&0x8080808080808080 != 0 {
			return beyond(s[i:], low, high)
		}
		a, b, c, d := &bits64[x&0x7f], &bits64[x>>8&0x7f], &bits64[x>>16&0x7f], &bits64[x>>24&0x7f]
		low |= a[0] | b[0] | c[0] | d[0]
		high |= a[1] | b[1] | c[1] | d[1]
		a, b, c, d = &bits64[x>>32&0x7f], &bits64[x>>40&0x7f], &bits64[x>>48&0x7f], &bits64[x>>56&0x7f]
		low |= a[0] | b[0] | c[0] | d[0]
		high |= a[1] | b[1] | c[1] | d[1]
	}
	for ; i < len(s); i++ {
		if s[i] >= 0x80 {
			return beyond(s[i:], low, high)
		}
		b := &bits64[s[i]&0x7f]
		low |= b[0]
		high |= b[1]
	}
	return Set{low, high}
}

// word is the eight bytes of s as a number: one load, as the compiler has it.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// beyond adds the bytes of s to those below 0x80.
func beyond(s string, low, high uint64) Set {
	var r, t uint64
	for i := 0; i < len(s); i++ {
		x := s[i]
		bit := uint64(1) << (x & 63)
		switch x >> 6 {
		case 0:
			low |= bit
		case 1:
			high |= bit
		case 2:
			r |= bit
		default:
			t |= bit
		}
	}
	return Set{low, high, r, t}
}

// bits64 has, for each byte below 0x80, its bit in the first two words of a set.
var bits64 = func() (table [0x80][2]uint64) {
	for b := range table {
		table[b][b>>6] = 1 << (b & 63)
	}
	return table
}()

// Range returns the bytes from low to high, both included. It is empty if low > high.
func Range(low, high byte) Set {
	var s Set
	for b := int(low); b <= int(high); b++ {
		s.Add(byte(b))
	}
	return s
}

// Add puts b into s.
func (s *Set) Add(b byte) { s[b>>6] |= 1 << (b & 63) }

// Has reports whether b is in s.
func (s Set) Has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

// Intersects reports whether s and t have a byte in common.
func (s Set) Intersects(t Set) bool {
	return s[0]&t[0]|s[1]&t[1]|s[2]&t[2]|s[3]&t[3] != 0
}

// Union returns the bytes that are in s or in t.
func (s Set) Union(t Set) Set {
	return Set{s[0] | t[0], s[1] | t[1], s[2] | t[2], s[3] | t[3]}
}

// Intersect returns the bytes that are in s and in t.
func (s Set) Intersect(t Set) Set {
	return Set{s[0] & t[0], s[1] & t[1], s[2] & t[2], s[3] & t[3]}
}

// Minus returns the bytes of s that are not in t.
func (s Set) Minus(t Set) Set {
	return Set{s[0] &^ t[0], s[1] &^ t[1], s[2] &^ t[2], s[3] &^ t[3]}
}

// Complement returns the bytes that are not in s.
func (s Set) Complement() Set { return Set{^s[0], ^s[1], ^s[2], ^s[3]} }

// Within reports whether every byte of s is in t.
func (s Set) Within(t Set) bool {
	return s[0]&^t[0]|s[1]&^t[1]|s[2]&^t[2]|s[3]&^t[3] == 0
}

// String is the bytes of s, in order.
func (s Set) String() string {
	var b []byte
	for c := range 256 {
		if s.Has(byte(c)) {
			b = append(b, byte(c))
		}
	}
	return string(b)
}

// Empty reports whether s has no byte.
func (s Set) Empty() bool { return s == Set{} }

// Len is the number of bytes in s.
func (s Set) Len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}
