package program

import (
	"slices"

	"gatehouse/rules/program/vars"
)

// extra are the fields of TX without a slot, whose names were made by macros: in the order in which they were first set.
type extra struct {
	entries []vars.Entry
	// index finds them by name, once there are many. A client decides how many there are.
	index map[string]int
}

// fewExtra is how many are looked through one by one.
const fewExtra = 16

// at is where the field of that name, in lower case, is in entries, or -1.
func (x *extra) at(name string) int {
	if len(x.entries) <= fewExtra {
		for i := range x.entries {
			if x.entries[i].Key == name {
				return i
			}
		}
		return -1
	}
	if len(x.index) == 0 {
		if x.index == nil {
			x.index = make(map[string]int)
		}
		for i := range x.entries {
			x.index[x.entries[i].Key] = i
		}
	}
	if i, ok := x.index[name]; ok {
		return i
	}
	return -1
}

// set sets a field.
func (x *extra) set(name, value string) { x.put(x.at(name), name, value) }

// put sets the field that is at i in entries, or adds it if i is -1.
func (x *extra) put(i int, name, value string) {
	if i >= 0 {
		x.entries[i].Value = value
		return
	}
	if len(x.index) > 0 {
		x.index[name] = len(x.entries)
	}
	x.entries = append(x.entries, vars.Entry{Key: name, Lower: name, Value: value})
}

// unset removes a field.
func (x *extra) unset(name string) {
	if i := x.at(name); i >= 0 {
		x.entries = slices.Delete(x.entries, i, i+1)
		clear(x.index)
	}
}

// reset removes all.
func (x *extra) reset() {
	clear(x.entries)
	x.entries = x.entries[:0]
	clear(x.index)
}
