package listener

import (
	"net/netip"
	"sync"

	"gatehouse/proxy/limit"
)

// clientShare is a connection's part of what its client may have open.
type clientShare struct {
	mu     sync.Mutex // guards all below
	client netip.Addr // if it is counted
	closed bool
}

// admit counts the connection against its client, and reports whether the client may have it. A trusted proxy's own
// address is not counted: behind it are many clients.
func (c *conn) admit() bool {
	addr := c.info.Client.Addr()
	if c.gen.trusted.Contains(addr) {
		return true
	}
	s := &c.share
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // by a drain
		return true
	}
	if !c.owner.set.clients.Take(addr) {
		return false
	}
	s.client = addr
	return true
}

// close gives the client what it had.
func (s *clientShare) close(clients *limit.Clients) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client.IsValid() {
		clients.Give(s.client)
	}
	s.client, s.closed = netip.Addr{}, true
}
