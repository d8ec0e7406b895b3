package pattern

import (
	"slices"

	"gatehouse/rules/program/byteset"
)

// machine is a nondeterministic automaton without forks and assertions: those are resolved in its states, which know what
// stands in front of them. Its edges are by class of symbols, and a class says what stands behind a position.
type machine struct {
	class   [256]uint8 // of a symbol
	columns int
	becomes []before // by class: what stands in front of the next position
	states  []state
	edges   []edge
	starts  [befores]uint16 // the state in which a match begins
}

// state is a place in the pattern. State 0 is the match.
type state struct {
	first, end uint32 // its edges, by class; one to the match is the only one of its class
	ends       bool   // the end of the text makes it a match
}

// edge leads to a state with a symbol of the class.
type edge struct {
	class uint8
	to    uint16
}

const match = 0

// minColumns keeps the second entry of a table free for a mark.
const minColumns = 2

// Limits on a machine.
const (
	maxStates = 30_000
	maxEdges  = 300_000
	maxWork   = 5_000_000 // instructions looked at
)

// before is what stands in front of a position, as far as assertions care.
type before uint8

const (
	startOfText before = iota
	afterLine
	afterWord
	afterOther
	befores
)

// after is what stands behind a position.
type after uint8

const (
	endOfText after = iota
	lineNext
	wordNext
	otherNext
	afters
)

func wordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_'
}

func holds(a assert, b before, n after) bool {
	switch a {
	case beginLine:
		return b == startOfText || b == afterLine
	case endLine:
		return n == endOfText || n == lineNext
	case beginText:
		return b == startOfText
	case endText:
		return n == endOfText
	case wordBoundary:
		return (b == afterWord) != (n == wordNext)
	default:
		return (b == afterWord) == (n == wordNext)
	}
}

// place is where a state stands: at an instruction, and behind what; befores if no assertion cares.
type place struct {
	inst   int32
	before before
}

// machineBuilder makes a machine of an nfa.
type machineBuilder struct {
	nfa     *nfa
	machine *machine
	next    []after // by class: what it is behind a position
	ofSet   map[byteset.Set][]uint8
	known   map[place]uint16
	places  []place // by state
	mark    []int32 // by instruction, the round in which a closure had it
	round   int32
	stack   []int32
	found   []int32 // the instructions of the last closure
	work    int     // instructions looked at
	full    bool    // it would be too large
}

// newMachine is the machine of a, or nil if it would be too large.
func newMachine(a *nfa) *machine {
	b := &machineBuilder{
		nfa: a, machine: &machine{}, ofSet: map[byteset.Set][]uint8{}, known: map[place]uint16{}, mark: make([]int32, len(a.insts)),
		places: []place{{}},
	}
	b.classes()
	m := b.machine
	m.states = []state{{}}
	for p := range befores {
		m.starts[p] = b.state(a.start, p)
	}
	for at := 1; at < len(b.places); at++ {
		b.fill(at)
		if b.full || len(m.edges) > maxEdges || b.work > maxWork {
			return nil
		}
	}
	return m
}

// classes groups the symbols that no instruction tells apart.
func (b *machineBuilder) classes() {
	var lines, words bool
	seen := map[byteset.Set]bool{}
	for _, i := range b.nfa.insts {
		switch {
		case i.kind == instBytes:
			seen[i.set] = true
		case i.kind == instAssert && (i.assert == wordBoundary || i.assert == noWordBoundary):
			words = true
		case i.kind == instAssert:
			lines = true
		}
	}
	if lines {
		seen[byteset.Range('\n', '\n')] = true
	}
	if words {
		seen[byteset.Of(letters+digits+"_")] = true
	}
	parts := []byteset.Set{anyByte}
	for set := range seen {
		for i, p := range parts {
			if in := p.Intersect(set); !in.Empty() && in != p {
				parts[i] = in
				parts = append(parts, p.Minus(in))
			}
		}
	}
	// The order of seen is random; that of the classes is not.
	slices.SortFunc(parts, func(p, q byteset.Set) int { return first(p) - first(q) })
	m := b.machine
	m.columns = max(len(parts), minColumns)
	for i, p := range parts {
		for c := range 256 {
			if p.Has(byte(c)) {
				m.class[c] = uint8(i)
			}
		}
		// Without an assertion that cares, a class may have words and others.
		kind, becomes := otherNext, afterOther
		switch c := byte(first(p)); {
		case lines && c == '\n':
			kind, becomes = lineNext, afterLine
		case words && wordByte(c):
			kind, becomes = wordNext, afterWord
		}
		b.next = append(b.next, kind)
		m.becomes = append(m.becomes, becomes)
	}
	for len(b.next) < m.columns { // of no symbol
		b.next = append(b.next, otherNext)
		m.becomes = append(m.becomes, afterOther)
	}
}

// first is the first byte of a set that is not empty.
func first(s byteset.Set) int {
	c := 0
	for !s.Has(byte(c)) {
		c++
	}
	return c
}

// columnsOf is the classes of the symbols in set.
func (b *machineBuilder) columnsOf(set byteset.Set) []uint8 {
	out, ok := b.ofSet[set]
	if ok {
		return out
	}
	var in [256]bool
	for c := range 256 {
		if class := b.machine.class[c]; set.Has(byte(c)) && !in[class] {
			in[class] = true
			out = append(out, class)
		}
	}
	b.ofSet[set] = out
	return out
}

// state is the number of the state at an instruction.
func (b *machineBuilder) state(inst int32, p before) uint16 {
	// What no assertion looks at is the same whatever stands in front.
	at := place{inst, p}
	if number, ok := b.known[at]; ok {
		return number
	}
	plain := place{inst, befores}
	number, ok := b.known[plain]
	if !ok {
		asserts, matched := b.closure(inst, befores, endOfText)
		switch {
		case matched:
			b.known[plain] = match
			return match
		case len(b.places) >= maxStates:
			b.full = true
			return match
		case asserts:
			plain = at
		}
		number = uint16(len(b.places))
		b.known[plain] = number
		b.places = append(b.places, plain)
		b.machine.states = append(b.machine.states, state{})
	}
	b.known[at] = number
	return number
}

// closure follows forks from an instruction, and the assertions that hold; with befores it follows none. It reports
// whether there are assertions, and whether it is a match; b.found is what consumes a symbol.
func (b *machineBuilder) closure(inst int32, p before, n after) (asserts, matched bool) {
	b.round++
	b.found = b.found[:0]
	stack := append(b.stack[:0], inst)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.mark[i] == b.round {
			continue
		}
		b.mark[i] = b.round
		b.work++
		switch in := &b.nfa.insts[i]; in.kind {
		case instMatch:
			matched = true
		case instBytes:
			b.found = append(b.found, i)
		case instFork:
			stack = append(stack, in.out...)
		case instAssert:
			asserts = true
			if p != befores && holds(in.assert, p, n) {
				stack = append(stack, in.out...)
			}
		}
	}
	b.stack = stack
	return asserts, matched
}

// fill computes the edges of a state.
func (b *machineBuilder) fill(at int) {
	m, where := b.machine, b.places[at]
	first := len(m.edges)
	if where.before == befores {
		b.closure(where.inst, befores, endOfText)
		b.step(otherNext, true)
	} else {
		for n := lineNext; n < afters; n++ {
			_, matched := b.closure(where.inst, where.before, n)
			if matched {
				for c, kind := range b.next {
					if kind == n {
						m.edges = append(m.edges, edge{uint8(c), match})
					}
				}
				continue
			}
			b.step(n, false)
		}
	}
	_, ends := b.closure(where.inst, where.before, endOfText)
	own := m.edges[first:]
	slices.SortFunc(own, func(x, y edge) int {
		if x.class != y.class {
			return int(x.class) - int(y.class)
		}
		return int(x.to) - int(y.to)
	})
	// Twice the same is once, and beside the match nothing counts.
	kept := first
	for i, e := range own {
		if i > 0 {
			if last := m.edges[kept-1]; last.class == e.class && (last.to == e.to || last.to == match) {
				continue
			}
		}
		m.edges[kept] = e
		kept++
	}
	m.edges = m.edges[:kept]
	m.states[at] = state{first: uint32(first), end: uint32(kept), ends: ends}
}

// step adds the edges of the last closure for the classes of a kind, or for all.
func (b *machineBuilder) step(n after, all bool) {
	m := b.machine
	// What is found is used up before the next closure begins.
	found := slices.Clone(b.found)
	for _, i := range found {
		in := &b.nfa.insts[i]
		for _, c := range b.columnsOf(in.set) {
			if all || b.next[c] == n {
				m.edges = append(m.edges, edge{c, b.state(in.out[0], m.becomes[c])})
			}
		}
	}
}

// of is the edges of a state with a class.
func (m *machine) of(s uint16, class uint8) []edge {
	low, end := m.states[s].first, m.states[s].end
	for high := end; low < high; {
		if mid := (low + high) / 2; m.edges[mid].class < class {
			low = mid + 1
		} else {
			high = mid
		}
	}
	high := low
	for high < end && m.edges[high].class == class {
		high++
	}
	return m.edges[low:high]
}

func (m *machine) bytes() int {
	return len(m.class) + len(m.becomes) + 12*len(m.states) + 4*len(m.edges)
}
