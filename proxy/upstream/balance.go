package upstream

import (
	"slices"
	"time"

	"gatehouse/proxy/config"
)

// pick chooses an address for one attempt and counts it as in flight. Healthy addresses come first; if none is
// healthy, the others are tried all the same rather than refusing a request without trying. It gives nil if every
// address was tried.
func (u *Upstream) pick(tried []*endpoint) *endpoint {
	endpoints := *u.endpoints.Load()
	u.pickMu.Lock()
	defer u.pickMu.Unlock()
	now := time.Now()
	ep := u.choose(endpoints, func(ep *endpoint) bool { return ep.health.usable(now) && !slices.Contains(tried, ep) })
	if ep == nil {
		ep = u.choose(endpoints, func(ep *endpoint) bool { return !slices.Contains(tried, ep) })
	}
	if ep != nil {
		ep.health.chosen(now)
		ep.inflight.Add(1)
	}
	return ep
}

// choose applies the balancing method to the endpoints that may be used. Its starting point moves on with every call,
// so that ties rotate; with round robin the starting point decides.
func (u *Upstream) choose(endpoints []*endpoint, may func(*endpoint) bool) *endpoint {
	var best *endpoint
	var bestAt int
	for i := range endpoints {
		at := (u.next + i) % len(endpoints)
		ep := endpoints[at]
		if ep.refused != nil || !may(ep) {
			continue
		}
		if best == nil || ep.inflight.Load() < best.inflight.Load() {
			best, bestAt = ep, at
		}
		if u.config.Balance == config.RoundRobin {
			break
		}
	}
	if best != nil {
		u.next = bestAt + 1
	}
	return best
}
