package pattern

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// automaton finds which of many literals occur in a value, without regard to the case of ASCII letters: an
// Aho-Corasick automaton with a table of all transitions. Columns are classes of bytes that no literal tells apart. A step
// is one load, and nothing in it depends on what the text is: long values are read in several places at once. It never
// changes after it is built.
type automaton struct {
	class   [256]uint8
	shift   uint       // a row has 1<<shift columns
	next    []uint16   // next[state<<shift+class]
	speaks  uint16     // the first state with an output
	output  []uint32   // by state from speaks on
	longest int        // bytes of the longest literal
	owners  [][]uint32 // the patterns of an output. Each is applied at most once for a value
}

// Limits on an automaton.
const (
	maxNumbers = 1<<16 - 1 // states
	maxTable   = 4 << 20   // entries
	// Longer literals make the table larger than they make the answer better: what is nominated is decided anyway.
	literalLength = 8
)

// build makes the automaton of the literals of n patterns. Literals are cut to a common length: a value that has a
// literal has its beginning.
func build(literals [][]string) *automaton {
	for length := literalLength; ; length-- {
		t := newTrie(literals, length)
		if length == 1 || t.size() <= maxNumbers && t.size()<<t.shift() <= maxTable {
			return t.automaton()
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

// shift is how many bits the number of a class has.
func (t *trie) shift() uint { return uint(bits.Len(uint(t.columns - 1))) }

// automaton makes the table. States with an output are the last ones.
func (t *trie) automaton() *automaton {
	order := t.link()
	a := &automaton{class: t.class, shift: t.shift()}
	number := make([]uint16, t.size())
	n := 0
	for _, speaks := range []bool{false, true} {
		if speaks {
			a.speaks = uint16(n)
		}
		for _, s := range order {
			if len(t.owners[s]) > 0 == speaks {
				number[s] = uint16(n)
				n++
			}
		}
	}
	a.next = make([]uint16, t.size()<<a.shift)
	a.output = make([]uint32, n-int(a.speaks))
	outputs := map[string]uint32{}
	for _, s := range order {
		row := a.next[int(number[s])<<a.shift:]
		for c := range t.columns {
			row[c] = number[t.next[int(s)*t.columns+c]]
		}
		a.longest = max(a.longest, int(t.depth[s]))
		if len(t.owners[s]) > 0 {
			a.output[number[s]-a.speaks] = a.outputOf(outputs, t.owners[s])
		}
	}
	return a
}

// outputOf finds or makes the output of these patterns.
func (a *automaton) outputOf(known map[string]uint32, owners []uint32) uint32 {
	slices.Sort(owners)
	var key []byte
	for _, p := range owners {
		key = binary.LittleEndian.AppendUint32(key, p)
	}
	output, ok := known[string(key)]
	if !ok {
		output = uint32(len(a.owners))
		known[string(key)] = output
		a.owners = append(a.owners, owners)
	}
	return output
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

func merge(a, b []uint32) []uint32 {
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}

// outputs are those that a scan came by. None are left after it.
type outputs struct {
	seen Bits
	list []uint32
}

func (o *outputs) add(output uint32) {
	if !o.seen.Has(int(output)) {
		o.seen.Set(int(output))
		o.list = append(o.list, output)
	}
}

// parallel is from which length on a value is read in four places at once.
const parallel = 96

// scan adds the patterns of all literals in value to out.
func (a *automaton) scan(value string, out Bits, found *outputs) {
	if len(value) >= parallel {
		a.scanLong(value, found)
	} else {
		a.scanFrom(value, 0, found)
	}
	for _, output := range found.list {
		found.seen.clear(int(output))
		for _, p := range a.owners[output] {
			out.Set(int(p))
		}
	}
	found.list = found.list[:0]
}

// scanFrom reads a text, from a state on.
func (a *automaton) scanFrom(text string, at uint16, found *outputs) {
	next, class, shift := a.next, &a.class, a.shift&15
	for i := 0; i < len(text); i++ {
		at = next[int(at)<<shift+int(class[text[i]])]
		if at >= a.speaks {
			found.add(a.output[at-a.speaks])
		}
	}
}

// scanLong reads the quarters of a value side by side: a processor waits for the table meanwhile. Each goes on beyond its
// end as far as a literal may that began in it.
func (a *automaton) scanLong(value string, found *outputs) {
	quarter := len(value) / 4
	v0, v1, v2, v3 := value[:quarter], value[quarter:2*quarter], value[2*quarter:3*quarter], value[3*quarter:4*quarter]
	next, class, shift, speaks := a.next, &a.class, a.shift&15, a.speaks
	var s0, s1, s2, s3 uint16
	for i := 0; i < len(v0) && i < len(v1) && i < len(v2) && i < len(v3); i++ {
		s0 = next[int(s0)<<shift+int(class[v0[i]])]
		s1 = next[int(s1)<<shift+int(class[v1[i]])]
		s2 = next[int(s2)<<shift+int(class[v2[i]])]
		s3 = next[int(s3)<<shift+int(class[v3[i]])]
		if max(s0, s1, s2, s3) >= speaks {
			for _, at := range [...]uint16{s0, s1, s2, s3} {
				if at >= speaks {
					found.add(a.output[at-speaks])
				}
			}
		}
	}
	for i, at := range [...]uint16{s0, s1, s2} {
		end := (i + 1) * quarter
		a.scanFrom(value[end:end+min(a.longest-1, len(value)-end)], at, found)
	}
	a.scanFrom(value[4*quarter:], s3, found)
}

// bytes is the memory of the tables.
func (a *automaton) bytes() int {
	n := 2*len(a.next) + 4*len(a.output)
	for _, o := range a.owners {
		n += 24 + 4*len(o)
	}
	return n
}

// states is how many states there are.
func (a *automaton) states() int { return len(a.next) >> a.shift }
