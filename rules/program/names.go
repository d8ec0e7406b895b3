package program

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Names numbers the fields of TX that rules name, for all programs of an engine. It is safe for concurrent use.
type Names struct {
	mu     sync.Mutex // serializes Slot
	latest atomic.Pointer[nameTable]
}

// nameTable is the state of Names at a time. It is immutable.
type nameTable struct {
	slots map[string]int
	names []string
	// lengths are by the first byte of names how long they are. Names made by macros tend to be of other lengths.
	lengths [256]uint64
}

// lengthBit is the bit of a name's length.
func lengthBit(name string) uint64 { return 1 << min(len(name), 63) }

// slot is the number of a field, if it has one.
func (t *nameTable) slot(name string) (slot int, ok bool) {
	if name != "" && t.lengths[name[0]]&lengthBit(name) == 0 {
		return 0, false
	}
	slot, ok = t.slots[name]
	return slot, ok
}

// add gives a name that has none the next slot.
func (t *nameTable) add(name string) (slot int) {
	slot = len(t.names)
	t.slots[name] = slot
	t.names = append(t.names, name)
	if name != "" {
		t.lengths[name[0]] |= lengthBit(name)
	}
	return slot
}

// captureSlots are the fields that captures go to, and 10, which the reference sets with them: they are the first slots.
const captureSlots = 11

// NewNames returns names with the slots that every program has.
func NewNames() *Names {
	t := &nameTable{slots: make(map[string]int)}
	for i := range captureSlots {
		t.add(strconv.Itoa(i))
	}
	for _, name := range scoreNames {
		t.add(name)
	}
	n := &Names{}
	n.latest.Store(t)
	return n
}

// Slot returns the number of a field, whose name is in lower case.
func (n *Names) Slot(name string) int {
	if slot, ok := n.latest.Load().slots[name]; ok {
		return slot
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.latest.Load()
	if slot, ok := old.slots[name]; ok {
		return slot
	}
	next := &nameTable{slots: maps.Clone(old.slots), names: slices.Clip(old.names), lengths: old.lengths}
	slot := next.add(name)
	n.latest.Store(next)
	return slot
}
