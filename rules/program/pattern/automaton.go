package pattern

import (
	"slices"
)

// automaton finds which of many literals occur in a value, without regard to the case of ASCII letters: an
// Aho-Corasick automaton with its failure links followed beforehand, so that every byte is one step. Columns are
// classes of bytes that no literal tells apart. It never changes after it is built.
type automaton struct {
	class   [256]uint8
	columns int
	next    []uint16 // next[state*columns+class]
	// loud is the first state with literals: states are numbered so that all later ones have some.
	loud    uint16
	outputs []uint16 // of state loud+i: an index into sets
	sets    []Bits   // what is nominated; each is applied at most once for a value
}

const maxStates = 1 << 16

// build makes the automaton of the literals of n patterns, within maxStates and tableBytes. Literals are cut to a
// common length where they would not fit: a match has the beginning of a literal, too.
func build(literals [][]string, tableBytes int) *automaton {
	for length := maxLiteral; ; length-- {
		t := newTrie(literals, length)
		if length == 1 || t.size() < maxStates && 2*t.size()*t.columns <= tableBytes {
			return t.automaton(len(literals))
		}
	}
}

// trie is the automaton while it is being built.
type trie struct {
	class   [256]uint8
	columns int
	next    []int32 // 0: none yet
	owners  [][]int // the patterns whose literals end at the state
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
			t.insert(s[:min(len(s), length)], p)
		}
	}
	return t
}

func (t *trie) size() int { return len(t.owners) }

func (t *trie) node() int32 {
	t.next = append(t.next, make([]int32, t.columns)...)
	t.owners = append(t.owners, nil)
	return int32(len(t.owners) - 1)
}

func (t *trie) insert(s string, pattern int) {
	at := int32(0)
	for i := 0; i < len(s); i++ {
		edge := int(at)*t.columns + int(t.class[s[i]])
		if t.next[edge] == 0 {
			t.next[edge] = t.node()
		}
		at = t.next[edge]
	}
	if !slices.Contains(t.owners[at], pattern) {
		t.owners[at] = append(t.owners[at], pattern)
	}
}

// automaton follows the failure links in breadth-first order and renumbers the states: quiet ones first, near the
// root first, as those are the ones that ordinary values visit.
func (t *trie) automaton(patterns int) *automaton {
	order := t.link()
	number := make([]uint16, t.size())
	a := &automaton{class: t.class, columns: t.columns, next: make([]uint16, len(t.next))}
	count := 0
	for _, s := range order {
		if len(t.owners[s]) == 0 {
			number[s] = uint16(count)
			count++
		}
	}
	a.loud = uint16(count)
	known := map[string]uint16{}
	for _, s := range order {
		if len(t.owners[s]) == 0 {
			continue
		}
		number[s] = uint16(count)
		count++
		set := newBits(patterns)
		for _, p := range t.owners[s] {
			set.Set(p)
		}
		key := set.key()
		index, ok := known[key]
		if !ok {
			index = uint16(len(a.sets))
			known[key] = index
			a.sets = append(a.sets, set)
		}
		a.outputs = append(a.outputs, index)
	}
	for s := range t.size() {
		for c := range t.columns {
			a.next[int(number[s])*t.columns+c] = number[t.next[s*t.columns+c]]
		}
	}
	return a
}

// link fills in the missing transitions and the owners of suffixes, and returns the states in breadth-first order.
func (t *trie) link() []int32 {
	fail := make([]int32, t.size())
	order := []int32{0}
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
	return order
}

func merge(a, b []int) []int {
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}

// scan adds the patterns of all literals in value to out. seen has a bit for every set, all zero before and after.
func (a *automaton) scan(value string, out, seen Bits) {
	state, columns, loud := 0, a.columns, int(a.loud)
	for i := 0; i < len(value); i++ {
		state = int(a.next[state*columns+int(a.class[value[i]])])
		if state >= loud {
			seen.Set(int(a.outputs[state-loud]))
		}
	}
	for w, word := range seen {
		if word == 0 {
			continue
		}
		for set := range ones(w, word) {
			out.or(a.sets[set])
		}
		seen[w] = 0
	}
}

// bytes is the memory of the tables.
func (a *automaton) bytes() int {
	n := 2*len(a.next) + 2*len(a.outputs)
	for _, s := range a.sets {
		n += 8 * len(s)
	}
	return n
}

func (a *automaton) states() int {
	if a.columns == 0 {
		return 0
	}
	return len(a.next) / a.columns
}
