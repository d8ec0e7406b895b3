package pattern

import "gatehouse/rules/program/byteset"

// node is a regular expression over bytes. Its language holds that of the pattern it was made from: it may be larger
// where that is simpler (runes beyond ASCII), never smaller.
type node struct {
	op       op
	set      byteset.Set // of opBytes
	assert   assert      // of opAssert
	subs     []*node
	min, max int // of opRepeat; max -1 is no limit
}

type op uint8

const (
	opNone   op = iota // matches nothing
	opEmpty            // the empty string
	opBytes            // one byte of set
	opAssert           // the empty string where the assertion holds
	opConcat
	opAlternate
	opRepeat
)

type assert uint8

const (
	beginLine assert = iota
	endLine
	beginText
	endText
	wordBoundary
	noWordBoundary
)

var (
	none  = &node{op: opNone}
	empty = &node{op: opEmpty}
)

func oneOf(m byteset.Set) *node {
	if m.Empty() {
		return none
	}
	return &node{op: opBytes, set: m}
}

func text(s string) *node {
	var subs []*node
	for i := 0; i < len(s); i++ {
		subs = append(subs, oneOf(byteset.Range(s[i], s[i])))
	}
	return concat(subs...)
}

// concat is the subs one after the other.
func concat(subs ...*node) *node {
	var flat []*node
	for _, s := range subs {
		switch s.op {
		case opNone:
			return none
		case opEmpty:
		case opConcat:
			flat = append(flat, s.subs...)
		default:
			flat = append(flat, s)
		}
	}
	switch len(flat) {
	case 0:
		return empty
	case 1:
		return flat[0]
	}
	return &node{op: opConcat, subs: flat}
}

// alternate is one of the subs. Single bytes become one set.
func alternate(subs ...*node) *node {
	var flat []*node
	var bytes byteset.Set
	for _, s := range subs {
		switch s.op {
		case opNone:
		case opBytes:
			bytes = bytes.Union(s.set)
		case opAlternate:
			for _, t := range s.subs {
				if t.op == opBytes {
					bytes = bytes.Union(t.set)
				} else {
					flat = append(flat, t)
				}
			}
		default:
			flat = append(flat, s)
		}
	}
	if !bytes.Empty() {
		flat = append(flat, oneOf(bytes))
	}
	switch len(flat) {
	case 0:
		return none
	case 1:
		return flat[0]
	}
	return &node{op: opAlternate, subs: flat}
}

// repeat is sub between low and high times; high -1 is no limit.
func repeat(sub *node, low, high int) *node {
	switch {
	case high == 0 || sub.op == opEmpty:
		return empty
	case sub.op == opNone && low == 0:
		return empty
	case sub.op == opNone:
		return none
	case low == 1 && high == 1:
		return sub
	}
	return &node{op: opRepeat, subs: []*node{sub}, min: low, max: high}
}

// prune is n restricted to strings over alphabet.
func prune(n *node, alphabet byteset.Set) *node {
	switch n.op {
	case opBytes:
		if n.set.Within(alphabet) {
			return n
		}
		return oneOf(n.set.Intersect(alphabet))
	case opConcat, opAlternate, opRepeat:
		subs := make([]*node, len(n.subs))
		for i, s := range n.subs {
			subs[i] = prune(s, alphabet)
		}
		switch n.op {
		case opConcat:
			return concat(subs...)
		case opAlternate:
			return alternate(subs...)
		default:
			return repeat(subs[0], n.min, n.max)
		}
	}
	return n
}

// shortest is the length in bytes of the shortest string of n.
func shortest(n *node) int {
	switch n.op {
	case opBytes:
		return 1
	case opConcat:
		sum := 0
		for _, s := range n.subs {
			sum = min(sum+shortest(s), lengthCap)
		}
		return sum
	case opAlternate:
		least := lengthCap
		for _, s := range n.subs {
			least = min(least, shortest(s))
		}
		return least
	case opRepeat:
		return min(shortest(n.subs[0])*n.min, lengthCap)
	}
	return 0
}

// lengthCap keeps lengths from overflowing in nested repetitions.
const lengthCap = 1 << 20
