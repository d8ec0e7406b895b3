package proxy

import (
	"fmt"
	"net/netip"
	"sync"

	"gatehouse/proxy/clientip"
)

// A window of recent clients is judged when it is full, and a client is suspicious from this share.
const (
	clientWindow    = 1024
	suspiciousShare = 0.9
)

// recentClients remembers the clients of the last requests, to notice that all of them look like one: a sign that
// trusted_hops does not fit what stands in front.
type recentClients struct {
	mu     sync.Mutex // guards the ring
	ring   [clientWindow]netip.Addr
	next   int
	filled bool
}

// add notes the client of a request, if the address is one of a proxy of ours. Under contention it skips some.
func (r *recentClients) add(c clientip.Client) {
	if !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	addr := netip.Addr{}
	if c.Shared {
		addr = c.Addr.Addr()
	}
	r.ring[r.next] = addr
	if r.next++; r.next == clientWindow {
		r.next, r.filled = 0, true
	}
}

// warning says what looks wrong, empty if nothing does.
func (r *recentClients) warning() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.filled {
		return ""
	}
	counts := map[netip.Addr]int{}
	for _, a := range r.ring {
		if a.IsValid() {
			counts[a]++
		}
	}
	for a, n := range counts {
		if share := float64(n) / clientWindow; share >= suspiciousShare {
			return fmt.Sprintf("%.0f %% of the requests share client %s, an address of your own proxies: check trusted_hops and trusted_proxies of the listener", 100*share, a)
		}
	}
	return ""
}

// warnings lists likely mistakes.
func (s *Server) warnings(st *state) []string {
	list := []string{}
	for _, w := range st.warnings {
		list = append(list, w.String())
	}
	if w := s.clients.warning(); w != "" {
		list = append(list, w)
	}
	return list
}

// listenerStatus lists the bound listeners.
func (s *Server) listenerStatus() []ListenerStatus {
	list := []ListenerStatus{}
	for _, l := range s.listeners.Status() {
		list = append(list, ListenerStatus{Name: l.Name, Address: l.Addr.String(), Protocol: string(l.Protocol), Connections: l.Connections})
	}
	return list
}
