package pattern

import "slices"

// rest is what decides where a table has no row.
type rest struct {
	machine *machine
	base    [befores]uint16 // the rows in which nothing has begun
	// By number of a row: what is in front of it, where its states begin in states, and the sum of their hashes.
	before []before
	first  []uint32
	sums   []uint64
	states []uint16
	slots  []uint16 // rows by their sum: an open hash table of numbers, 0 for none
}

// threads is the memory of a run of a machine, any one at a time.
type threads struct {
	now, next []uint16
	mark      []uint32 // by state, the step in which it was added
	step      uint32
	sum       uint64 // of next
}

// add adds a row. Its states are in order.
func (r *rest) add(p before, states []uint16) {
	if r.first == nil {
		r.first = []uint32{0}
	}
	sum := r.begin(p)
	for _, s := range states {
		sum += mix(s)
	}
	r.before = append(r.before, p)
	r.sums = append(r.sums, sum)
	r.states = append(r.states, states...)
	r.first = append(r.first, uint32(len(r.states)))
}

// begin is the part of a row's sum that is for what stands in front. Of that only the beginning matters that it makes.
func (r *rest) begin(p before) uint64 { return ^mix(r.machine.starts[p]) }

// index makes the hash table. The first row is the match, and is not looked for.
func (r *rest) index() {
	size := 1
	for size < 2*len(r.sums) {
		size *= 2
	}
	r.slots = make([]uint16, size)
	for number := 1; number < len(r.sums); number++ {
		at := r.sums[number] & uint64(size-1)
		for r.slots[at] != 0 {
			at = (at + 1) & uint64(size-1)
		}
		r.slots[at] = uint16(number)
	}
}

// find is the number of the row with what t.next has, or 0. It puts t.next in order if it may be one.
func (r *rest) find(t *threads, p before) int {
	sum, mask := t.sum+r.begin(p), uint64(len(r.slots)-1)
	for at := sum & mask; r.slots[at] != 0; at = (at + 1) & mask {
		number := int(r.slots[at])
		if r.sums[number] != sum || r.machine.starts[r.before[number]] != r.machine.starts[p] {
			continue
		}
		slices.Sort(t.next)
		if slices.Equal(t.next, r.states[r.first[number]:r.first[number+1]]) {
			return number
		}
	}
	return 0
}

func mix(s uint16) uint64 {
	x := (uint64(s) + 1) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>32
}

// run runs the machine from a row on, at index i. It reports whether there is a match, and otherwise at which index and
// row the table goes on, or elsewhere if the end came first.
func (d *dfa) run(value string, i, at int, t *threads) (found bool, back, row int) {
	r := d.rest
	m := r.machine
	if len(t.mark) < len(m.states) {
		t.mark = make([]uint32, len(m.states))
	}
	number := at / d.columns
	p := r.before[number]
	t.now = append(t.now[:0], r.states[r.first[number]:r.first[number+1]]...)
	for i < len(value) {
		class, width := d.classOf(value[i:])
		t.begin()
		for _, s := range t.now {
			t.add(m.of(s, class))
		}
		if len(t.next) == 0 {
			// Nothing goes on: it is as if nothing had begun before.
			return false, i, int(r.base[p])
		}
		t.add(m.of(m.starts[p], class))
		p = m.becomes[class]
		if t.mark[match] == t.step || m.starts[p] == match {
			return true, i, matched
		}
		i += width
		if number := r.find(t, p); number != 0 {
			return false, i, number * d.columns
		}
		t.now, t.next = t.next, t.now
	}
	ends := m.states[m.starts[p]].ends || slices.ContainsFunc(t.now, func(s uint16) bool { return m.states[s].ends })
	return ends, i, elsewhere
}

func (t *threads) begin() {
	t.next, t.sum = t.next[:0], 0
	t.step++
	if t.step == 0 {
		clear(t.mark)
		t.step = 1
	}
}

func (t *threads) add(edges []edge) {
	for _, e := range edges {
		if t.mark[e.to] != t.step {
			t.mark[e.to] = t.step
			t.next = append(t.next, e.to)
			t.sum += mix(e.to)
		}
	}
}

func (r *rest) bytes() int {
	return len(r.before) + 4*len(r.first) + 8*len(r.sums) + 2*len(r.states) + 2*len(r.slots) + r.machine.bytes()
}
