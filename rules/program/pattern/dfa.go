package pattern

import (
	"encoding/binary"
	"slices"

	"gatehouse/rules/program/byteset"
)

// dfa decides whether a value may hold a match, in one step a byte. It is built as a whole when the pattern is
// compiled, within maxRows rows, and never changes.
type dfa struct {
	class   [256]uint8
	columns int
	next    []uint16 // next[row*columns+class]; matched is the row of values that have a match
	ends    Bits     // the rows in which the end of the value makes a match
	exact   bool     // nothing of the pattern was relaxed
}

// Limits on one automaton: rows while it is being made, and entries of its table.
const (
	maxRows    = 3000
	maxWork    = 20_000_000 // instructions looked at
	maxEntries = 40_000
	matched    = 0
	initial    = 1
)

// tries is how exact an automaton may be, from the most to the least: how often a repetition is spelled out, and after
// how many bytes the pattern is cut off, if it is.
var tries = []struct{ copies, depth int }{{24, 0}, {1, 0}, {1, 3}}

// newDFA is an automaton that accepts whatever n matches somewhere in a value. Where that of the whole pattern is
// too large it is made of less: repetitions lose their limits, then only the pattern's beginning is looked at.
// nil if even that is too large.
func newDFA(n *node) *dfa {
	size := 0
	for _, try := range tries {
		a := newNFA(n, try.copies)
		if a == nil || try.depth == 0 && len(a.insts) == size {
			continue // too large, or what was too large before
		}
		size = len(a.insts)
		if try.depth > 0 {
			a.cut(try.depth)
		}
		d := determine(a)
		if d == nil {
			continue
		}
		d.minimize()
		if len(d.next) <= maxEntries {
			d.exact = try.copies == 24
			return d
		}
	}
	return nil
}

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

func afterOf(b byte) after {
	switch {
	case b == '\n':
		return lineNext
	case wordByte(b):
		return wordNext
	}
	return otherNext
}

// becomes is what stands in front of the next position.
var becomes = [afters]before{lineNext: afterLine, wordNext: afterWord, otherNext: afterOther}

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

// builder makes a dfa. A row stands for what is in front of the position and the instructions that began earlier;
// those that begin at the position are the same for every row and are kept apart.
type builder struct {
	nfa      *nfa
	dfa      *dfa
	example  []byte // one byte of every class
	rows     []row
	known    map[string]uint16
	starting map[[2]uint8]*closure
	mark     []int32 // per instruction, the round in which a closure had it
	round    int32
	to       []int32 // buffers of fill and row
	key      []byte
	work     int
}

type row struct {
	before before
	insts  []int32
}

// closure is what can consume a byte at a position, and where it leads.
type closure struct {
	matched bool
	insts   []int32
	steps   [][]int32 // per class, of the starting ones
}

// determine is the deterministic automaton of a, or nil if it is too large.
func determine(a *nfa) *dfa {
	b := &builder{
		nfa: a, dfa: &dfa{}, known: map[string]uint16{}, starting: map[[2]uint8]*closure{},
		mark: make([]int32, len(a.insts)),
	}
	b.classes()
	b.rows = []row{{}, {before: startOfText}}
	for at := initial; at < len(b.rows); at++ {
		if len(b.rows) > maxRows || b.work > maxWork {
			return nil
		}
		b.fill(at)
	}
	b.dfa.ends = newBits(len(b.rows))
	b.dfa.ends.Set(matched)
	for at := initial; at < len(b.rows); at++ {
		if b.closure(b.rows[at].insts, b.rows[at].before, endOfText).matched ||
			b.start(b.rows[at].before, endOfText).matched {
			b.dfa.ends.Set(at)
		}
	}
	return b.dfa
}

// classes groups the bytes that no instruction tells apart.
func (b *builder) classes() {
	kinds := [afters]byteset.Set{}
	for c := range 256 {
		kinds[afterOf(byte(c))].Add(byte(c))
	}
	parts := []byteset.Set{kinds[lineNext], kinds[wordNext], kinds[otherNext]}
	seen := map[byteset.Set]bool{}
	for _, i := range b.nfa.insts {
		if i.kind != instBytes || seen[i.set] {
			continue
		}
		seen[i.set] = true
		for _, p := range parts {
			in := p.Intersect(i.set)
			if in.Empty() || in == p {
				continue
			}
			parts[slices.Index(parts, p)] = in
			parts = append(parts, p.Minus(in))
		}
	}
	b.dfa.columns = len(parts)
	b.example = make([]byte, len(parts))
	for i, p := range parts {
		for c := range 256 {
			if p.Has(byte(c)) {
				b.dfa.class[c] = uint8(i)
				b.example[i] = byte(c)
			}
		}
	}
	// Row matched stays where it is.
	b.dfa.next = make([]uint16, len(parts))
}

// fill computes the transitions of a row.
func (b *builder) fill(at int) {
	r := b.rows[at]
	var own [afters]*closure
	for class, c := range b.example {
		n := afterOf(c)
		if own[n] == nil {
			own[n] = b.closure(r.insts, r.before, n)
		}
		start := b.start(r.before, n)
		if own[n].matched || start.matched {
			b.dfa.next = append(b.dfa.next, matched)
			continue
		}
		b.round++
		to := b.step(b.to[:0], own[n].insts, c)
		for _, i := range start.steps[class] {
			if b.mark[i] != b.round {
				b.mark[i] = b.round
				to = append(to, i)
			}
		}
		b.to = to
		b.dfa.next = append(b.dfa.next, b.row(becomes[n], to))
	}
}

// row is the number of the row, which may be new.
func (b *builder) row(p before, insts []int32) uint16 {
	slices.Sort(insts)
	if len(insts) > 0 && insts[0] == 0 {
		return matched // instruction 0 is the match
	}
	key := append(b.key[:0], byte(p))
	for _, i := range insts {
		key = binary.LittleEndian.AppendUint16(key, uint16(i))
	}
	b.key = key
	if at, ok := b.known[string(key)]; ok {
		return at
	}
	at := uint16(len(b.rows))
	b.known[string(key)] = at
	b.rows = append(b.rows, row{p, slices.Clone(insts)})
	return at
}

// step adds to to where the instructions lead with c, each once in a round.
func (b *builder) step(to, insts []int32, c byte) []int32 {
	b.work += len(insts)
	for _, i := range insts {
		if !b.nfa.insts[i].set.Has(c) {
			continue
		}
		if o := b.nfa.insts[i].out[0]; b.mark[o] != b.round {
			b.mark[o] = b.round
			to = append(to, o)
		}
	}
	return to
}

// start is the closure of the pattern's beginning.
func (b *builder) start(p before, n after) *closure {
	key := [2]uint8{uint8(p), uint8(n)}
	c := b.starting[key]
	if c != nil {
		return c
	}
	c = b.closure([]int32{b.nfa.start}, p, n)
	for _, e := range b.example {
		b.round++
		c.steps = append(c.steps, b.step(nil, c.insts, e))
	}
	b.starting[key] = c
	return c
}

// closure follows forks and the assertions that hold.
func (b *builder) closure(insts []int32, p before, n after) *closure {
	b.round++
	out := &closure{}
	stack := slices.Clone(insts)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		b.work++
		if b.mark[i] == b.round {
			continue
		}
		b.mark[i] = b.round
		switch in := &b.nfa.insts[i]; in.kind {
		case instMatch:
			out.matched = true
		case instBytes:
			out.insts = append(out.insts, i)
		case instFork:
			stack = append(stack, in.out...)
		case instAssert:
			if holds(in.assert, p, n) {
				stack = append(stack, in.out...)
			}
		}
	}
	return out
}

// minimize makes one row of all rows that no value tells apart.
func (d *dfa) minimize() {
	rows := len(d.next) / d.columns
	group := make([]uint16, rows)
	for r := range group {
		switch {
		case r == matched:
		case d.ends.Has(r):
			group[r] = 1
		default:
			group[r] = 2
		}
	}
	var first []int // the first row of each group
	for {
		count := len(first)
		first = first[:0]
		known := make(map[string]uint16, count)
		next := make([]uint16, rows)
		key := make([]byte, 0, 2*d.columns+2)
		for r := range rows {
			key = binary.LittleEndian.AppendUint16(key[:0], group[r])
			for _, to := range d.next[r*d.columns : (r+1)*d.columns] {
				key = binary.LittleEndian.AppendUint16(key, group[to])
			}
			g, ok := known[string(key)]
			if !ok {
				g = uint16(len(first))
				known[string(key)] = g
				first = append(first, r)
			}
			next[r] = g
		}
		group = next
		if len(first) == count {
			break
		}
	}
	small := dfa{class: d.class, columns: d.columns, ends: newBits(len(first))}
	for g, r := range first {
		for _, to := range d.next[r*d.columns : (r+1)*d.columns] {
			small.next = append(small.next, group[to])
		}
		if d.ends.Has(r) {
			small.ends.Set(g)
		}
	}
	*d = small
}

// may reports whether value may hold a match.
func (d *dfa) may(value string) bool {
	at, columns := initial, d.columns
	for i := 0; i < len(value); i++ {
		at = int(d.next[at*columns+int(d.class[value[i]])])
		if at == matched {
			return true
		}
	}
	return d.ends.Has(at)
}

func (d *dfa) bytes() int { return 2*len(d.next) + 8*len(d.ends) + len(d.class) }
