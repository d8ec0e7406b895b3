package program

import (
	"maps"
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
	slots   map[string]int
	names   []string
	longest int // bytes of the longest name: names made by macros tend to be longer
}

// slot is the number of a field, if it has one.
func (t *nameTable) slot(name string) (slot int, ok bool) {
	if len(name) > t.longest {
		return 0, false
	}
	slot, ok = t.slots[name]
	return slot, ok
}

// captureSlots are the fields that captures go to, and 10, which the reference sets with them: they are the first slots.
const captureSlots = 11

// NewNames returns names with the slots that every program has.
func NewNames() *Names {
	t := &nameTable{slots: make(map[string]int)}
	add := func(name string) {
		t.slots[name] = len(t.names)
		t.names = append(t.names, name)
		t.longest = max(t.longest, len(name))
	}
	for i := range captureSlots {
		add(strconv.Itoa(i))
	}
	for _, name := range scoreNames {
		add(name)
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
	slot := len(old.names)
	slots := maps.Clone(old.slots)
	slots[name] = slot
	n.latest.Store(&nameTable{slots: slots, names: append(old.names[:slot:slot], name), longest: max(old.longest, len(name))})
	return slot
}
