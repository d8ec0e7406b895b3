package pattern

import "math/bits"

// Mask is a set of bytes.
type Mask [4]uint64

// single is the set of b alone.
func single(b byte) (m Mask) { m.add(b); return m }

// MaskOf is the set of bytes that occur in value.
func MaskOf(value string) Mask {
	var a, b, c, d uint64
	for i := 0; i < len(value); i++ {
		x := value[i]
		bit := uint64(1) << (x & 63)
		switch x >> 6 {
		case 0:
			a |= bit
		case 1:
			b |= bit
		case 2:
			c |= bit
		default:
			d |= bit
		}
	}
	return Mask{a, b, c, d}
}

// Has reports whether b is in the set.
func (m Mask) Has(b byte) bool { return m[b>>6]>>(b&63)&1 != 0 }

// Intersects reports whether the sets have a byte in common.
func (m Mask) Intersects(n Mask) bool {
	return m[0]&n[0]|m[1]&n[1]|m[2]&n[2]|m[3]&n[3] != 0
}

// Within reports whether every byte of m is in n.
func (m Mask) Within(n Mask) bool {
	return m[0]&^n[0]|m[1]&^n[1]|m[2]&^n[2]|m[3]&^n[3] == 0
}

func (m *Mask) add(b byte) { m[b>>6] |= 1 << (b & 63) }

func (m *Mask) addRange(lo, hi byte) {
	for b := int(lo); b <= int(hi); b++ {
		m.add(byte(b))
	}
}

func (m Mask) and(n Mask) Mask {
	return Mask{m[0] & n[0], m[1] & n[1], m[2] & n[2], m[3] & n[3]}
}

func (m Mask) or(n Mask) Mask {
	return Mask{m[0] | n[0], m[1] | n[1], m[2] | n[2], m[3] | n[3]}
}

func (m Mask) without(n Mask) Mask {
	return Mask{m[0] &^ n[0], m[1] &^ n[1], m[2] &^ n[2], m[3] &^ n[3]}
}

func (m Mask) empty() bool { return m == Mask{} }

func (m Mask) count() int {
	return bits.OnesCount64(m[0]) + bits.OnesCount64(m[1]) + bits.OnesCount64(m[2]) + bits.OnesCount64(m[3])
}

// fold is b with ASCII letters in lower case.
func fold(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// The alphabets of values. A value is looked at with the automaton of the first alphabet that has all its bytes; the
// last one has every byte. They are fixed: nothing is ever computed for a mask that a client chose.
var alphabets = []Mask{
	alphabet(letters + digits + " -_.,:/@%+=&?"),
	{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)},
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

func alphabet(s string) (m Mask) {
	for i := 0; i < len(s); i++ {
		m.add(s[i])
	}
	return m
}

// alphabetOf is the index of the smallest alphabet of a value with these bytes.
func alphabetOf(m Mask) int {
	for i := range alphabets[:len(alphabets)-1] {
		if m.Within(alphabets[i]) {
			return i
		}
	}
	return len(alphabets) - 1
}
