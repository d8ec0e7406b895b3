package proxy

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters finds the counters of a vector by what their labels are made of, which costs less than the labels themselves.
// The zero counters with a make are empty. They are safe for concurrent use, and take no lock for what was found before.
type counters[K comparable] struct {
	make  func(K) prometheus.Counter
	mu    sync.Mutex // serializes additions
	found atomic.Pointer[map[K]prometheus.Counter]
}

// of is the counter of a key. There must be few keys: a client must not decide how many.
func (c *counters[K]) of(key K) prometheus.Counter {
	if found := c.found.Load(); found != nil {
		if counter, ok := (*found)[key]; ok {
			return counter
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[K]prometheus.Counter{}
	if found := c.found.Load(); found != nil {
		maps.Copy(next, *found)
	}
	counter, ok := next[key]
	if !ok {
		counter = c.make(key)
		next[key] = counter
		c.found.Store(&next)
	}
	return counter
}
