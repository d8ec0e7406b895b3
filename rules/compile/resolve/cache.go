package resolve

import (
	"sync"
	"weak"

	"gatehouse/rules"
)

// Cache resolves policies and shares among them the rules that they have in common: as long as a rule of a source is in
// use, resolving the same source again yields the same pointers. The zero Cache is ready for use. It is safe for
// concurrent use.
type Cache struct {
	mu      sync.Mutex // guards what follows
	sources map[rules.Source]weak.Pointer[source]
	// sweep is the number of sources at which those that are not in use are dropped.
	sweep int

	files files
}

// minSweep is the number of sources below which looking for unused ones is not worth it.
const minSweep = 64

// source finds a source, or parses it.
func (c *Cache) source(text rules.Source) *source {
	c.mu.Lock()
	if s := c.sources[text].Value(); s != nil {
		c.mu.Unlock()
		s.parse()
		return s
	}
	s := newSource(text)
	c.drop()
	if c.sources == nil {
		c.sources = make(map[rules.Source]weak.Pointer[source])
	}
	c.sources[text] = weak.Make(s)
	c.mu.Unlock()
	s.parse()
	return s
}

// drop forgets the sources that are not in use, when there are twice as many as last time.
func (c *Cache) drop() {
	if len(c.sources) < max(c.sweep, minSweep) {
		return
	}
	for text, pointer := range c.sources {
		if pointer.Value() == nil {
			delete(c.sources, text)
		}
	}
	c.sweep = 2 * len(c.sources)
}
