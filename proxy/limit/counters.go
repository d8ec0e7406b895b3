package limit

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultKeys is how many keys a process counts at once unless told otherwise. They take 16 MiB.
const DefaultKeys = 1 << 20

// minSets is how many sets each shard of a limit has in any case: room for 1,024 keys, in 16 KiB.
const minSets = 4

// Counters are the buckets of all limits of a process. They outlive the limiters that use them, so that a limit whose
// definition did not change goes on counting through a reload. Counters may be used concurrently.
//
// Their memory is bounded: every limit has room for an equal part of the keys. It is taken as keys come, and given back
// when a limit goes away.
type Counters struct {
	seed  maphash.Seed // of this process: clients cannot aim at collisions
	epoch time.Time
	keys  int
	most  atomic.Int64 // sets that a shard of a limit may have

	mu     sync.Mutex // guards tables; taken before a shard's lock
	tables map[identity]*shared
}

// headroom is how long before the counters were made a time may be (30 years): tests bring their own clock.
const headroom = 30 * 365 * 24 * time.Hour

// identity says which limits count together.
type identity struct{ scope, name, definition string }

// shared is a table and the number of limiters that use it.
type shared struct {
	table table
	users int
}

// NewCounters makes counters with room for about keys keys in all limits together, DefaultKeys if that is 0. Each limit has
// room for 1,024 keys even if they are more than that together.
func NewCounters(keys int) *Counters {
	if keys <= 0 {
		keys = DefaultKeys
	}
	c := &Counters{seed: maphash.MakeSeed(), epoch: time.Now().Add(-headroom), keys: keys, tables: map[identity]*shared{}}
	c.share()
	return c
}

// acquire gives the table of a limit, and makes it if no limiter uses it yet.
func (c *Counters) acquire(id identity) *table {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.tables[id]
	if s == nil {
		s = &shared{table: table{most: &c.most}}
		c.tables[id] = s
		c.share()
	}
	s.users++
	return &s.table
}

// release gives a table back. The last user's keys are forgotten.
func (c *Counters) release(id identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.tables[id]
	if s.users--; s.users == 0 {
		delete(c.tables, id)
		c.share()
	}
}

// share divides the keys among the limits. The part is a power of two, so that it changes seldom while limits come and
// go.
func (c *Counters) share() {
	most := int64(max(minSets, floorPowerOfTwo(c.keys/(max(1, len(c.tables))*shards*ways))))
	if before := c.most.Swap(most); most >= before {
		return
	}
	for _, s := range c.tables {
		s.table.shrink()
	}
}

// at is the time of t on the counters' own clock, which is not set back.
func (c *Counters) at(t time.Time) int64 { return max(0, int64(t.Sub(c.epoch))) }

func floorPowerOfTwo(n int) int {
	if n < 1 {
		return 0
	}
	return 1 << (bits.Len(uint(n)) - 1)
}
