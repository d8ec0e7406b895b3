package pattern

import (
	"encoding/binary"
	"math"
	"slices"
)

// Limits on a table.
const (
	maxEntries = 1<<16 - 256 // of a table of all rows; 16 bits say where a row begins
	maxPartial = 1 << 15     // entries of a table of some rows
	maxRows    = 5000        // while it is being made
	maxSteps   = 1_500_000   // edges followed to make it
)

// determiner makes the table of a dfa. It computes rows in the order in which ordinary values are expected to reach them:
// where not all of them can be kept, those are.
type determiner struct {
	machine *machine
	columns int
	rows    []row
	known   map[string]uint32
	filled  []uint32   // the rows that were computed, in order
	next    []uint32   // by computed row and class, the number of a row
	cost    []int      // by class, how rare it is
	queue   [][]uint32 // by cost, the rows to compute
	buckets [][]uint16
	key     []byte
	steps   int
}

// row is the machine's states after what was read. The one in which a match may begin is not among them: it is known
// from what stands in front.
type row struct {
	before before
	states []uint16
	cost   int
	number int // among the computed ones, or missing
}

const missing = -1

// determine makes the automaton of m.
func determine(m *machine) *dfa {
	b := &determiner{machine: m, columns: m.columns, known: map[string]uint32{}, buckets: make([][]uint16, m.columns)}
	b.costs()
	b.rows = append(b.rows, row{number: matched})
	b.filled = append(b.filled, matched)
	b.next = make([]uint32, m.columns)
	var base [befores]uint32
	for p := range befores {
		base[p] = b.row(p, nil, 0)
	}
	limit := min(maxRows, 2*maxEntries/m.columns)
	for cost := 0; cost < len(b.queue); cost++ {
		for i := 0; i < len(b.queue[cost]); i++ {
			at := b.queue[cost][i]
			if b.rows[at].number != missing {
				continue
			}
			if len(b.filled) == limit || b.steps > maxSteps {
				return b.partial(base)
			}
			b.fill(at, base)
		}
	}
	if d := b.whole(base[startOfText]); d != nil {
		return d
	}
	return b.partial(base)
}

// costs is how rare the classes are in ordinary values.
func (b *determiner) costs() {
	b.cost = make([]int, b.columns)
	shares := make([]float64, b.columns)
	for c := range 256 {
		shares[b.machine.class[c]] += share(byte(c))
	}
	for c, s := range shares {
		b.cost[c] = max(1, int(-4*math.Log2(s+1e-6)))
	}
}

// row is the number of the row, which may be new, and is reached at that cost; states is in order and belongs to the caller.
func (b *determiner) row(p before, states []uint16, cost int) uint32 {
	if b.machine.starts[p] == match || len(states) > 0 && states[0] == match {
		return matched
	}
	// Of what is in front only the beginning matters that it makes.
	key := binary.LittleEndian.AppendUint16(b.key[:0], b.machine.starts[p])
	for _, s := range states {
		key = binary.LittleEndian.AppendUint16(key, s)
	}
	b.key = key
	at, ok := b.known[string(key)]
	if !ok {
		at = uint32(len(b.rows))
		b.known[string(key)] = at
		b.rows = append(b.rows, row{p, slices.Clone(states), math.MaxInt, missing})
	}
	if r := &b.rows[at]; r.number == missing && cost < r.cost {
		r.cost = cost
		for len(b.queue) <= cost {
			b.queue = append(b.queue, nil)
		}
		b.queue[cost] = append(b.queue[cost], at)
	}
	return at
}

// fill computes the transitions of a row.
func (b *determiner) fill(at uint32, base [befores]uint32) {
	r, m := &b.rows[at], b.machine
	r.number = len(b.filled)
	b.filled = append(b.filled, at)
	p, cost := r.before, r.cost
	for _, s := range r.states {
		own := m.edges[m.states[s].first:m.states[s].end]
		b.steps += len(own)
		for _, e := range own {
			b.buckets[e.class] = append(b.buckets[e.class], e.to)
		}
	}
	start := m.states[m.starts[p]]
	begun := m.edges[start.first:start.end]
	fresh := b.rows[base[p]].number * b.columns
	for c := range b.columns {
		n := 0
		for n < len(begun) && int(begun[n].class) == c {
			n++
		}
		bucket := b.buckets[c]
		if len(bucket) == 0 && at != base[p] {
			// Nothing goes on: it is as if nothing had begun before.
			b.next = append(b.next, b.next[fresh+c])
		} else {
			for _, e := range begun[:n] {
				bucket = append(bucket, e.to)
			}
			b.steps += len(bucket)
			slices.Sort(bucket)
			b.next = append(b.next, b.row(m.becomes[c], slices.Compact(bucket), cost+b.cost[c]))
		}
		b.buckets[c] = bucket[:0]
		begun = begun[n:]
	}
}

func (b *determiner) ends(r *row) bool {
	m := b.machine
	if m.states[m.starts[r.before]].ends {
		return true
	}
	return slices.ContainsFunc(r.states, func(s uint16) bool { return m.states[s].ends })
}

// whole is the table of all rows, those that no value tells apart in one; nil if it is too large.
func (b *determiner) whole(start uint32) *dfa {
	next, ends := make([]uint32, len(b.next)), newBits(len(b.filled))
	for i, to := range b.next {
		next[i] = uint32(b.rows[to].number)
	}
	for number, at := range b.filled {
		if number == matched || b.ends(&b.rows[at]) {
			ends.Set(number)
		}
	}
	group, firsts := minimize(next, b.columns, ends)
	if len(firsts)*b.columns > maxEntries {
		return nil
	}
	d := &dfa{class: b.machine.class, columns: b.columns, ends: newBits(len(firsts))}
	d.next = make([]uint16, 0, len(firsts)*b.columns)
	for g, r := range firsts {
		for _, to := range next[int(r)*b.columns : (int(r)+1)*b.columns] {
			d.next = append(d.next, uint16(int(group[to])*b.columns))
		}
		if ends.Has(int(r)) {
			d.ends.Set(g)
		}
	}
	d.start = int(group[b.rows[start].number]) * b.columns
	// A row stands for nothing being begun only if all of its group do.
	d.resets = newBits(len(firsts))
	for g := range firsts {
		d.resets.Set(g)
	}
	for number, at := range b.filled {
		if !b.resets(at) {
			d.resets.clear(int(group[number]))
		}
	}
	return d
}

// resets says that nothing that began before is left in a row.
func (b *determiner) resets(at uint32) bool { return at != matched && len(b.rows[at].states) == 0 }

// partial is the table of the first rows.
func (b *determiner) partial(base [befores]uint32) *dfa {
	count := min(len(b.filled), maxPartial/b.columns)
	rest := &rest{machine: b.machine}
	d := &dfa{class: b.machine.class, columns: b.columns, ends: newBits(count), resets: newBits(count), rest: rest}
	for p, at := range base {
		rest.base[p] = uint16(b.rows[at].number * b.columns)
	}
	d.start = int(rest.base[startOfText])
	d.next = make([]uint16, 0, count*b.columns)
	for number, at := range b.filled[:count] {
		r := &b.rows[at]
		for _, to := range b.next[number*b.columns : (number+1)*b.columns] {
			n := b.rows[to].number
			if n == missing || n >= count {
				d.next = append(d.next, elsewhere)
				continue
			}
			d.next = append(d.next, uint16(n*b.columns))
		}
		if number == matched || b.ends(r) {
			d.ends.Set(number)
		}
		if b.resets(at) {
			d.resets.Set(number)
		}
		rest.add(r.before, r.states)
	}
	rest.index()
	return d
}
