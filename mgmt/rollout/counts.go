package rollout

import (
	"math"
	"slices"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// sample is what a gateway had counted at some time.
type sample struct {
	Boot    string            `json:"boot"`
	Memory  int64             `json:"memory"` // resident bytes
	Windows []fleetapi.Window `json:"windows,omitempty"`
}

func sampleOf(r *fleetapi.Report) sample {
	return sample{Boot: r.Boot, Memory: r.Memory, Windows: r.Windows}
}

// counts is what requests came to.
type counts struct {
	requests, blocked, detected, own5xx, upstream5xx int64
	added                                            []int64 // by fleetapi.LatencyBounds
}

func (c *counts) add(w *fleetapi.Window, sign int64) {
	c.requests += sign * w.Requests
	c.blocked += sign * w.Blocked
	c.detected += sign * w.Detected
	c.own5xx += sign * w.Own5xx
	c.upstream5xx += sign * w.Upstream5xx
	if c.added == nil {
		c.added = make([]int64, len(fleetapi.LatencyBounds)+1)
	}
	for i := range min(len(w.Added), len(c.added)) {
		c.added[i] += sign * w.Added[i]
	}
}

func (c *counts) join(d counts) {
	w := fleetapi.Window{Requests: d.requests, Blocked: d.blocked, Detected: d.detected, Own5xx: d.own5xx, Upstream5xx: d.upstream5xx, Added: d.added}
	c.add(&w, 1)
}

// since adds to by, for each application, what was counted between two samples under the revisions that take chooses. A process that began
// after the first sample has counted all of it since. Counts of a revision that the gateway has forgotten meanwhile are left out.
func since(by map[string]counts, before, now sample, take func(revision.Order) bool) {
	for i := range now.Windows {
		w := &now.Windows[i]
		if !take(w.Revision) {
			continue
		}
		c := by[w.Application]
		c.add(w, 1)
		if before.Boot == now.Boot {
			for j := range before.Windows {
				if b := &before.Windows[j]; b.Revision == w.Revision && b.Application == w.Application {
					c.add(b, -1)
				}
			}
		}
		by[w.Application] = c
	}
}

// total is the sum over all applications.
func total(by map[string]counts) (sum counts) {
	for _, c := range by {
		sum.join(c)
	}
	return sum
}

// applications are the names, in order.
func applications(by map[string]counts) []string {
	names := make([]string, 0, len(by))
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// share is a of b, 0 of nothing.
func share(a, b int64) float64 {
	if b <= 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// score says by how many standard errors two shares differ, if both were the same in truth (the pooled test of two proportions).
func score(a, n, b, m int64) float64 {
	if n <= 0 || m <= 0 {
		return 0
	}
	pooled := share(a+b, n+m)
	deviation := math.Sqrt(pooled * (1 - pooled) * (1/float64(n) + 1/float64(m)))
	if deviation == 0 {
		return 0
	}
	return (share(a, n) - share(b, m)) / deviation
}

// quantile is the upper bound, in microseconds, of the time within which a share of the requests was inspected.
func (c *counts) quantile(q float64) int64 {
	need, sum := q*float64(c.requests), int64(0)
	for i, n := range c.added {
		if sum += n; float64(sum) >= need {
			return fleetapi.LatencyBounds[min(i, len(fleetapi.LatencyBounds)-1)]
		}
	}
	return fleetapi.LatencyBounds[len(fleetapi.LatencyBounds)-1]
}
