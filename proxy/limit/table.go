package limit

import (
	"sync"
	"sync/atomic"
)

// The shape of a table. A slot takes 16 bytes, a set two lines of a processor's cache.
const (
	shardBits = 5
	shards    = 1 << shardBits
	ways      = 8
)

// slot is the bucket of one key. A bucket that is full tells nothing, so a slot whose moment has passed is free:
// what is idle needs no sweeping.
type slot struct {
	key  uint64 // hash of the key; clients do not know its seed
	full int64  // when the bucket is full again
}

// set is where keys with the same low bits of their hash are.
type set [ways]slot

// table holds the buckets of one limit. It grows as keys come, by doubling one shard at a time, until every shard has
// as many sets as the process allows each limit. From then on a new key takes the place of the one in its set that
// lacks the least.
//
// That makes it dear to have one's own bucket dropped to get a full one: each other slot of the set must hold a key
// that lacks more. Nobody can tell which keys share a set, so it takes about as many requests as the table has slots,
// times what is missing in the bucket, to win back what is missing in the bucket.
type table struct {
	most   *atomic.Int64 // sets that a shard may have; a power of two
	shards [shards]shard
}

// shard is a part of a table with a lock of its own.
type shard struct {
	mu   sync.Mutex // guards sets
	sets []set      // their number is 0 or a power of two
	_    [32]byte   // shards that are used at the same time stand in lines of their own
}

// take takes one request of a key at now out of its bucket. It gives how long to wait if there is no room, or 0.
func (t *table) take(b bucket, now int64, key uint64) (wait int64) {
	s := &t.shards[key>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(now, key, int(t.most.Load()))
	full := i.full
	if i.key != key { // free, or dropped
		full = now
	}
	newFull, wait := b.take(now, full)
	if wait == 0 {
		*i = slot{key: key, full: newFull}
	}
	return wait
}

// find gives the slot of a key, or the one that it takes.
func (s *shard) find(now int64, key uint64, most int) *slot {
	if s.sets == nil {
		s.sets = make([]set, 1)
	}
	for {
		in := &s.sets[key&uint64(len(s.sets)-1)]
		least := &in[0]
		for i := range in {
			if in[i].key == key {
				return &in[i]
			}
			if in[i].full < least.full {
				least = &in[i]
			}
		}
		if least.full <= now || len(s.sets) >= most {
			return least
		}
		s.grow()
	}
}

// grow doubles the sets. The keys of one set go to two, so all of them have room.
func (s *shard) grow() {
	old := s.sets
	s.sets = make([]set, 2*len(old))
	for i := range old {
		for j, x := range old[i] {
			if x.full > 0 { // ever used
				s.sets[x.key&uint64(len(s.sets)-1)][j] = x
			}
		}
	}
}

// shrink halves the sets until there are at most most of them. Of the keys that have no room, those that lack the least
// are dropped.
func (s *shard) shrink(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.sets) > max(1, most) {
		half := len(s.sets) / 2
		sets := make([]set, half)
		for i := range sets {
			sets[i] = s.sets[i]
			for _, x := range s.sets[i+half] {
				sets[i].keep(x)
			}
		}
		s.sets = sets
	}
}

// keep puts x in the place of the slot that lacks the least, unless x lacks still less.
func (in *set) keep(x slot) {
	least := &in[0]
	for i := range in {
		if in[i].full < least.full {
			least = &in[i]
		}
	}
	if x.full > least.full {
		*least = x
	}
}

// shrink drops what is over the process's bound.
func (t *table) shrink() {
	for i := range t.shards {
		t.shards[i].shrink(int(t.most.Load()))
	}
}
