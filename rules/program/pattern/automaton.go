package pattern

import (
	"encoding/binary"
	"slices"
)

// automaton finds which of many literals occur in a value, without regard to the case of ASCII letters: an
// Aho-Corasick automaton. Columns are classes of bytes that no literal tells apart. It never changes after it is built.
//
// The states of the last one or two bytes, in which it is nearly always, are in a table by these bytes. The children
// of longer ones lie in one array at the state's base plus the class, rows interleaved. A state without the child
// gives way to its longest suffix that has children; as that is shorter, there are no more such steps than bytes.
type automaton struct {
	class   [256]uint8
	columns int
	pairs   []step   // pairs[previous*columns+class]
	entries []entry  // an entry of another owner is none
	fails   []uint32 // by base, the base of the longest suffix with children; 0 is the table of pairs
	states  int
	owners  [][]uint32 // the patterns of an output; none for output 0. Each is applied at most once for a value
}

// step is where a transition leads: the base of the state, and the number of its output.
type step uint32

const (
	outputBits = 14
	maxOutputs = 1 << outputBits
	maxBase    = 1 << (32 - outputBits)
)

func (s step) base() uint32   { return uint32(s) >> outputBits }
func (s step) output() uint32 { return uint32(s) & (maxOutputs - 1) }

// entry is a transition of the state with base owner.
type entry struct {
	owner uint32
	to    step
}

// build makes the automaton of the literals of n patterns. Literals are cut to a common length where the tables
// would be too large: a value that has a literal has its beginning.
func build(literals [][]string) *automaton {
	for length := maxLiteral; ; length-- {
		t := newTrie(literals, length)
		if length > 1 && t.size() > maxBase {
			continue
		}
		if a := t.automaton(); a != nil {
			return a
		}
	}
}

// trie is the automaton while it is being built.
type trie struct {
	class   [256]uint8
	columns int
	next    []int32    // 0: none yet
	owners  [][]uint32 // the patterns whose literals end at the state
	depth   []uint8    // the length of the state's string
}

func newTrie(literals [][]string, length int) *trie {
	t := &trie{columns: 1}
	for _, set := range literals {
		for _, s := range set {
			for i := range min(len(s), length) {
				if b := s[i]; t.class[b] == 0 {
					t.class[b] = uint8(t.columns)
					t.columns++
				}
			}
		}
	}
	for b := byte('A'); b <= 'Z'; b++ {
		t.class[b] = t.class[fold(b)]
	}
	t.node()
	for p, set := range literals {
		for _, s := range set {
			t.insert(s[:min(len(s), length)], uint32(p))
		}
	}
	return t
}

func (t *trie) size() int { return len(t.owners) }

func (t *trie) node() int32 {
	t.next = append(t.next, make([]int32, t.columns)...)
	t.owners = append(t.owners, nil)
	t.depth = append(t.depth, 0)
	return int32(len(t.owners) - 1)
}

func (t *trie) insert(s string, pattern uint32) {
	at := int32(0)
	for i := 0; i < len(s); i++ {
		edge := int(at)*t.columns + int(t.class[s[i]])
		if t.next[edge] == 0 {
			child := t.node()
			t.next[edge] = child
			t.depth[child] = uint8(i + 1)
		}
		at = t.next[edge]
	}
	if !slices.Contains(t.owners[at], pattern) {
		t.owners[at] = append(t.owners[at], pattern)
	}
}

// automaton lays the states out; nil if it is too large.
func (t *trie) automaton() *automaton {
	order, fail := t.link()
	a := &automaton{class: t.class, columns: t.columns, states: t.size(), owners: [][]uint32{nil}}
	outputs := t.outputs(a, order)
	if len(a.owners) > maxOutputs {
		return nil
	}
	p := packer{columns: t.columns, owners: make([]uint32, t.columns), free: t.columns}
	bases := make([]uint32, t.size())
	for _, s := range order {
		children := t.children(s)
		switch {
		case t.depth[s] < 2:
			continue
		case children == nil:
			bases[s] = bases[fail[s]]
		default:
			bases[s] = p.place(children)
		}
		if bases[s] >= maxBase {
			return nil
		}
	}
	to := func(s int32) step { return step(bases[s]<<outputBits | outputs[s]) }
	for previous := range t.columns {
		for c := range t.columns {
			a.pairs = append(a.pairs, to(t.at(t.at(0, previous), c)))
		}
	}
	// A row may end before its last column: room for the columns of any base.
	a.entries = make([]entry, len(p.owners)+t.columns)
	a.fails = make([]uint32, len(p.owners))
	for _, s := range order {
		if children := t.children(s); t.depth[s] >= 2 && children != nil {
			a.fails[bases[s]] = bases[fail[s]]
			for _, c := range children {
				a.entries[int(bases[s])+c] = entry{bases[s], to(t.at(s, c))}
			}
		}
	}
	return a
}

func (t *trie) at(s int32, class int) int32 { return t.next[int(s)*t.columns+class] }

// children are the classes with which s is continued: other transitions lead to states that are no longer than s.
func (t *trie) children(s int32) []int {
	var out []int
	for c := range t.columns {
		if t.depth[t.at(s, c)] > t.depth[s] {
			out = append(out, c)
		}
	}
	return out
}

// outputs numbers the distinct sets of owners, by state; 0 is no owners.
func (t *trie) outputs(a *automaton, order []int32) []uint32 {
	out := make([]uint32, t.size())
	known := map[string]uint32{}
	var key []byte
	for _, s := range order {
		if len(t.owners[s]) == 0 {
			continue
		}
		slices.Sort(t.owners[s])
		key = key[:0]
		for _, p := range t.owners[s] {
			key = binary.LittleEndian.AppendUint32(key, p)
		}
		number, ok := known[string(key)]
		if !ok {
			number = uint32(len(a.owners))
			known[string(key)] = number
			a.owners = append(a.owners, t.owners[s])
		}
		out[s] = number
	}
	return out
}

// packer finds places for rows in one array.
type packer struct {
	columns int
	owners  []uint32 // by slot; 0 is free
	used    []bool   // by base
	free    int      // no slot before this one is free, the first columns apart: those stay so, for base 0
}

// place is the base of a row with these columns. Rows without any share base 0.
func (p *packer) place(columns []int) uint32 {
	if len(columns) == 0 {
		return 0
	}
	for p.free < len(p.owners) && p.owners[p.free] != 0 {
		p.free++
	}
	for base := max(p.free-columns[0], 1); ; base++ {
		// The first free slot does not suit: so that time stays linear, it is given up.
		if base > p.free+16*p.columns {
			p.free += p.columns
		}
		for len(p.used) <= base {
			p.used = append(p.used, false)
		}
		if !p.used[base] && p.fits(base, columns) {
			p.used[base] = true
			for _, c := range columns {
				for len(p.owners) <= base+c {
					p.owners = append(p.owners, 0)
				}
				p.owners[base+c] = uint32(base)
			}
			return uint32(base)
		}
	}
}

func (p *packer) fits(base int, columns []int) bool {
	for _, c := range columns {
		if base+c < p.columns || base+c < len(p.owners) && p.owners[base+c] != 0 {
			return false
		}
	}
	return true
}

// link fills in the missing transitions and the owners of suffixes, and returns the states in breadth-first order
// with the longest suffix of each.
func (t *trie) link() (order, fail []int32) {
	fail = make([]int32, t.size())
	order = []int32{0}
	for i := 0; i < len(order); i++ {
		s := order[i]
		if s != 0 {
			t.owners[s] = merge(t.owners[s], t.owners[fail[s]])
		}
		for c := range t.columns {
			edge, across := int(s)*t.columns+c, int(fail[s])*t.columns+c
			switch child := t.next[edge]; {
			case child != 0:
				if s != 0 {
					fail[child] = t.next[across]
				}
				order = append(order, child)
			case s != 0:
				t.next[edge] = t.next[across]
			}
		}
	}
	return order, fail
}

func merge(a, b []uint32) []uint32 {
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}

// scan adds the patterns of all literals in value to out. seen has a bit for every output, all zero before and after.
func (a *automaton) scan(value string, out, seen Bits) {
	var base uint32
	previous, columns := 0, a.columns
	for i := 0; i < len(value); i++ {
		class := int(a.class[value[i]])
		var to step
		for {
			if base == 0 {
				to = a.pairs[previous*columns+class]
				break
			}
			if e := &a.entries[int(base)+class]; e.owner == base {
				to = e.to
				break
			}
			base = a.fails[base]
		}
		previous, base = class, to.base()
		if o := to.output(); o != 0 {
			seen.Set(int(o))
		}
	}
	for w, word := range seen {
		if word == 0 {
			continue
		}
		seen[w] = 0
		for output := range ones(w, word) {
			for _, p := range a.owners[output] {
				out.Set(int(p))
			}
		}
	}
}

// bytes is the memory of the tables.
func (a *automaton) bytes() int {
	n := 4*len(a.pairs) + 8*len(a.entries) + 4*len(a.fails)
	for _, o := range a.owners {
		n += 24 + 4*len(o)
	}
	return n
}
