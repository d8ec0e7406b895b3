package upstream

import (
	"container/list"
	"context"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	maxIdle   = 512 // idle connections of one address
	maxGroups = 128 // server names of one address with connections of their own (verify_name: request_host)
)

// endpointKey tells endpoints apart.
type endpointKey struct {
	scheme, host string
	addr         netip.AddrPort
}

// endpoint is one resolved address of an upstream with its connections.
type endpoint struct {
	endpointKey
	u         *Upstream
	authority string // host and port of the URL, for health checks
	refused   error  // set when it is made: an address that is never used
	inflight  atomic.Int64
	health    health
	log       *zap.Logger
	stop      context.CancelFunc // ends the checks; set once by start, before the endpoint is published

	mu       sync.Mutex // guards the following
	groups   map[string]*group
	recent   *list.List // of *group, the most recently used first
	idle     int
	open     map[io.Closer]struct{} // HTTP/1.1 sockets, idle ones included
	draining bool                   // keeps no connection for later
	closed   bool                   // has none at all
}

// group holds the connections of one server name.
type group struct {
	name    string
	place   *list.Element
	idle    []*http1Conn // the most recently used last
	h2      []*http2Conn
	dialing *dialCall
}

func (u *Upstream) newEndpoint(k endpointKey, authority string) *endpoint {
	ep := &endpoint{
		endpointKey: k, u: u, authority: authority, refused: u.policy.check(k.addr),
		groups: map[string]*group{}, recent: list.New(), open: map[io.Closer]struct{}{}, stop: func() {},
		log: u.log.With(zap.String("host", k.host), zap.Stringer("address", k.addr)),
	}
	ep.health.since = time.Now()
	return ep
}

// serverName is the name that a TLS connection for a request is verified for; empty without TLS.
func (ep *endpoint) serverName(requestHost string) string {
	if ep.scheme != "https" {
		return ""
	}
	return ep.u.tls.serverName(ep.host, requestHost)
}

// groupOf finds or makes the group of a name and marks it as used. Beyond maxGroups the connections of the least
// recently used name are given up. The caller holds mu.
func (ep *endpoint) groupOf(name string) *group {
	if g := ep.groups[name]; g != nil {
		ep.recent.MoveToFront(g.place)
		return g
	}
	g := &group{name: name}
	g.place = ep.recent.PushFront(g)
	ep.groups[name] = g
	if len(ep.groups) > maxGroups {
		ep.dropGroup(ep.recent.Back().Value.(*group))
	}
	return g
}

// dropGroup gives up a group: idle connections close, busy ones when they are done. The caller holds mu.
func (ep *endpoint) dropGroup(g *group) {
	ep.recent.Remove(g.place)
	delete(ep.groups, g.name)
	for _, c := range g.idle {
		ep.idle--
		delete(ep.open, c.raw)
		_ = c.raw.Close()
	}
	g.idle = nil
	for _, c := range g.h2 {
		c.retire()
	}
}

// idleConn takes an idle connection of a name, or nil.
func (ep *endpoint) idleConn(name string) *http1Conn {
	for {
		ep.mu.Lock()
		g := ep.groups[name]
		if g == nil || len(g.idle) == 0 {
			ep.mu.Unlock()
			return nil
		}
		ep.recent.MoveToFront(g.place)
		last := len(g.idle) - 1
		c := g.idle[last]
		g.idle[last] = nil
		g.idle = g.idle[:last]
		ep.idle--
		ep.mu.Unlock()
		if c.fresh(time.Now()) {
			c.reused = true
			return c
		}
		c.close()
	}
}

// keep puts a connection aside for the next request, or closes it.
func (ep *endpoint) keep(c *http1Conn) {
	now := time.Now()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.draining || ep.idle >= maxIdle || !now.Before(c.expires) {
		delete(ep.open, c.raw)
		_ = c.raw.Close()
		return
	}
	c.idleSince = now
	g := ep.groupOf(c.name)
	g.idle = append(g.idle, c)
	ep.idle++
}

func (ep *endpoint) track(c *http1Conn) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.closed {
		_ = c.raw.Close()
		return
	}
	ep.open[c.raw] = struct{}{}
}

func (ep *endpoint) untrack(c *http1Conn) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	delete(ep.open, c.raw)
}

// sweep closes connections that were idle for too long, are too old, or were closed by the peer.
func (ep *endpoint) sweep(now time.Time) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	for _, g := range ep.groups {
		g.idle = slices.DeleteFunc(g.idle, func(c *http1Conn) bool {
			if c.fresh(now) {
				return false
			}
			ep.idle--
			delete(ep.open, c.raw)
			_ = c.raw.Close()
			return true
		})
		g.h2 = slices.DeleteFunc(g.h2, func(c *http2Conn) bool { return c.sweep(now) })
		if len(g.idle) == 0 && len(g.h2) == 0 && g.dialing == nil {
			ep.recent.Remove(g.place)
			delete(ep.groups, g.name)
		}
	}
}

// drain closes what is idle and keeps nothing for later; what is in flight goes on.
func (ep *endpoint) drain() {
	ep.stop()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.draining = true
	for _, g := range ep.groups {
		ep.dropGroup(g)
	}
}

// closeAll closes every connection at once, also those in use.
func (ep *endpoint) closeAll() {
	ep.drain()
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.closed = true
	for c := range ep.open {
		_ = c.Close()
	}
}

// connected notes that the address works.
func (ep *endpoint) connected() {
	if ep.health.connected(time.Now()) {
		ep.log.Info("address takes connections again")
	}
}

// failed notes that connecting failed.
func (ep *endpoint) failed(err error) {
	switch span := ep.health.failed(time.Now(), err); span {
	case 0:
	case firstEject:
		ep.log.Warn("address left alone after failed connects", zap.Duration("for", span), zap.Error(err))
	default: // longer every time: it is the same fault as before
		ep.log.Debug("address left alone for longer", zap.Duration("for", span), zap.Error(err))
	}
}

// release ends a request that pick counted.
func (ep *endpoint) release() {
	if ep.inflight.Add(-1) == 0 {
		ep.u.drained(ep)
	}
}

func (ep *endpoint) status(now time.Time) AddressStatus {
	s := AddressStatus{Address: ep.addr.String(), Host: ep.host, InFlight: ep.inflight.Load()}
	ep.health.status(now, &s)
	ep.mu.Lock()
	defer ep.mu.Unlock()
	s.Idle = ep.idle
	for c := range ep.open {
		if h2, ok := c.(*http2Conn); ok && h2.streams == 0 {
			s.Idle++
		}
	}
	s.Active = max(len(ep.open)-s.Idle, 0)
	switch {
	case ep.refused != nil:
		s.State, s.LastError = RefusedBy, ep.refused.Error()
	case ep.draining:
		s.State = Draining
	}
	return s
}
