package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

// Clients bounds how many of something one client has at once: connections, requests. An IPv6 client is its /64, as for rate
// limits. A nil Clients bounds nothing. It may be used concurrently; clients that differ seldom wait for each other.
type Clients struct {
	most   int
	seed   maphash.Seed
	shards [64]clientShard
}

// clientShard holds the counts of some clients.
type clientShard struct {
	mu    sync.Mutex // guards count
	count map[netip.Addr]int
}

// NewClients allows most to each client.
func NewClients(most int) *Clients {
	c := &Clients{most: most, seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].count = map[netip.Addr]int{}
	}
	return c
}

// Take counts one for addr, and reports whether the client may have it; if not, it is not counted.
func (c *Clients) Take(addr netip.Addr) bool {
	if c == nil {
		return true
	}
	addr, s := c.shard(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count[addr]
	if n >= c.most {
		return false
	}
	s.count[addr] = n + 1
	return true
}

// Give gives back what Take counted.
func (c *Clients) Give(addr netip.Addr) {
	if c == nil {
		return
	}
	addr, s := c.shard(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.count[addr]; n > 1 {
		s.count[addr] = n - 1
	} else {
		delete(s.count, addr)
	}
}

// Len is how many clients have one.
func (c *Clients) Len() int {
	total := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		total += len(s.count)
		s.mu.Unlock()
	}
	return total
}

// shard finds where a client is counted, and as whom.
func (c *Clients) shard(addr netip.Addr) (netip.Addr, *clientShard) {
	addr = subscriber(addr)
	return addr, &c.shards[maphash.Comparable(c.seed, addr)%uint64(len(c.shards))]
}

// subscriber is what one client cannot change at will of its address: all of IPv4, the first 64 bits of IPv6.
func subscriber(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	prefix, err := addr.Prefix(64)
	if err != nil { // no address: those without count together
		return netip.Addr{}
	}
	return prefix.Addr()
}
