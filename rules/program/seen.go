package program

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"gatehouse/rules/program/byteset"
	"gatehouse/rules/program/variable"
)

// seen is what looking at a value came to. It follows from the class and the value alone, so that it holds wherever the
// value comes again.
type seen struct {
	class uint64
	value string
	mask  byteset.Set
	bytes int // scanned

	run, nominated []int32 // the rules that may match it, in order, as Class.Run and look.nominated
}

// memory keeps what looking at values came to, for those that clients send again and again. It has a fixed size and
// serves all programs. It is safe for concurrent use, without locks: a slot is read and replaced as a whole.
type memory struct {
	seed  maphash.Seed
	slots [memorySlots]memorySlot
}

type memorySlot struct {
	kept atomic.Pointer[seen]
	// last is the hash of the last value that was not found here. Only one that comes twice in a row is kept: values that
	// never come again cost no memory.
	last atomic.Uint64
}

const (
	memorySlots = 1 << 14 // a power of two
	// longestSeen is how long a value may be that is kept. With the slots it bounds the memory to about 8 MiB.
	longestSeen = 256
)

var remembered = memory{seed: maphash.MakeSeed()}

// classes counts the classes, to number them: a number does not hold the memory of a program that is no longer used.
var classes atomic.Uint64

// find returns what is known of a value, or nil and its place.
func (m *memory) find(class uint64, value string) (*seen, memoryPlace) {
	hash := maphash.String(m.seed, value) ^ class*0x9e3779b97f4a7c15
	slot := &m.slots[hash%memorySlots]
	if s := slot.kept.Load(); s != nil && s.class == class && s.value == value {
		return s, memoryPlace{}
	}
	return nil, memoryPlace{slot, hash}
}

// memoryPlace is where a value belongs that was not found.
type memoryPlace struct {
	slot *memorySlot
	hash uint64
}

// again says whether the value is the one that was not found here before.
func (p memoryPlace) again() bool { return p.slot.last.Swap(p.hash) == p.hash }

// keep keeps what is known of the value, in the place of another. The value may change afterwards.
func (p memoryPlace) keep(s seen) {
	s.value = strings.Clone(s.value)
	p.slot.kept.Store(&s)
}

// repeats says whether the values of a place come again and again and are no secrets: the names of fields, and headers
// that say what a browser or a service is.
func repeats(v variable.ID, names bool, key string) bool {
	if names {
		return true
	}
	if v != variable.RequestHeaders && v != variable.ResponseHeaders {
		return false
	}
	switch key {
	case "accept", "accept-charset", "accept-encoding", "accept-language", "access-control-request-headers",
		"access-control-request-method", "cache-control", "connection", "content-encoding", "content-language",
		"content-length", "content-type", "dnt", "host", "if-modified-since", "keep-alive", "origin", "pragma", "priority",
		"range", "save-data", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode",
		"sec-fetch-site", "sec-fetch-user", "sec-gpc", "server", "strict-transport-security", "te",
		"transfer-encoding", "upgrade", "upgrade-insecure-requests", "user-agent", "vary", "via", "x-content-type-options",
		"x-frame-options", "x-powered-by", "x-requested-with", "x-xss-protection":
		return true
	}
	return false
}
