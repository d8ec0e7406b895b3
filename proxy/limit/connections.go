package limit

import (
	"net/netip"
	"sync"
)

// Connections bounds how many connections one client has open at once; an IPv6 client is its /64, as for rate limits. A
// nil Connections bounds nothing. It may be used concurrently.
type Connections struct {
	most int

	mu   sync.Mutex // guards open
	open map[netip.Addr]int
}

// NewConnections allows most connections to each client.
func NewConnections(most int) *Connections {
	return &Connections{most: most, open: map[netip.Addr]int{}}
}

// Open counts a connection of addr, and reports whether it is one that the client may have; if not, it is not counted.
func (c *Connections) Open(addr netip.Addr) bool {
	if c == nil {
		return true
	}
	addr = subscriber(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[addr] >= c.most {
		return false
	}
	c.open[addr]++
	return true
}

// Close gives back what Open counted.
func (c *Connections) Close(addr netip.Addr) {
	if c == nil {
		return
	}
	addr = subscriber(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[addr]--; c.open[addr] <= 0 {
		delete(c.open, addr)
	}
}

// Clients is how many clients have a connection.
func (c *Connections) Clients() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
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
