package pattern

import "gatehouse/rules/program/byteset"

// inst is an instruction of a nondeterministic automaton: a byte of set, an assertion, a fork, or the match.
type inst struct {
	kind   instKind
	set    byteset.Set
	assert assert
	out    []int32
}

type instKind uint8

const (
	instMatch instKind = iota
	instBytes
	instAssert
	instFork
)

// Limits on the automata.
const (
	maxInsts = 30_000 // of a nondeterministic automaton
)

// nfa is the automaton of a node. Instruction 0 is the match.
type nfa struct {
	insts []inst
	start int32
	// copies is how often a repeated node is spelled out; beyond that it may repeat without end.
	copies int
	full   bool // there were too many instructions
	// relaxed says that it accepts more than the node, as there are not so many copies.
	relaxed bool
}

// newNFA compiles n, or answers nil if it would be too large.
func newNFA(n *node, copies int) *nfa {
	a := &nfa{insts: []inst{{kind: instMatch}}, copies: copies}
	a.start = a.compile(n, 0)
	if a.full {
		return nil
	}
	return a
}

func (a *nfa) add(i inst) int32 {
	if len(a.insts) >= maxInsts {
		a.full = true
		return 0
	}
	a.insts = append(a.insts, i)
	return int32(len(a.insts) - 1)
}

// compile adds the instructions of n, after which next follows, and returns the first.
func (a *nfa) compile(n *node, next int32) int32 {
	if a.full {
		return 0
	}
	switch n.op {
	case opNone:
		return a.add(inst{kind: instFork})
	case opEmpty:
		return next
	case opBytes:
		return a.add(inst{kind: instBytes, set: n.set, out: []int32{next}})
	case opAssert:
		return a.add(inst{kind: instAssert, assert: n.assert, out: []int32{next}})
	case opConcat:
		for i := len(n.subs) - 1; i >= 0; i-- {
			next = a.compile(n.subs[i], next)
		}
		return next
	case opAlternate:
		fork := inst{kind: instFork}
		for _, s := range n.subs {
			fork.out = append(fork.out, a.compile(s, next))
		}
		return a.add(fork)
	}
	return a.repeat(n, next)
}

func (a *nfa) repeat(n *node, next int32) int32 {
	low, high := n.min, n.max
	if high > a.copies || low > a.copies {
		a.relaxed = true
		low, high = min(low, a.copies), -1
	}
	if high == -1 {
		loop := a.add(inst{kind: instFork})
		first := a.compile(n.subs[0], loop)
		if !a.full {
			a.insts[loop].out = []int32{first, next}
		}
		next = loop
		if low > 0 {
			next, low = first, low-1
		}
	}
	// What may follow, from the last copy to the first: without one there is none after it.
	end := next
	for range max(high-low, 0) {
		first := a.compile(n.subs[0], next)
		next = a.add(inst{kind: instFork, out: []int32{first, end}})
	}
	for range low {
		next = a.compile(n.subs[0], next)
	}
	return next
}
