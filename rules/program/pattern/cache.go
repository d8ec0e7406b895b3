package pattern

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"runtime"
	"slices"
	"sync"
	"weak"

	"gatehouse/rules/program/byteset"
)

// Source is a pattern that is not compiled yet.
type Source struct {
	Kind    Kind
	Text    string   // the argument, or the bytes; not of Phrases
	Phrases []string // of Phrases
	// May, of Bytes, says whether a value may match that has one of the bytes; nil says that it may. Mask is the set of its
	// bytes. It is known by Name.
	May  func(value string, mask byteset.Set) bool
	Name string
}

// Compile compiles the source.
func (s Source) Compile() (*Pattern, error) {
	switch s.Kind {
	case Regexp:
		return NewRegexp(s.Text)
	case Phrases:
		return NewPhrases(s.Phrases), nil
	case Bytes:
		return NewBytes(byteset.Of(s.Text), s.May), nil
	}
	return NewLiteral(s.Kind, s.Text), nil
}

// key tells sources apart: a digest, as phrases may be long.
func (s Source) key() [sha256.Size]byte {
	h := sha256.New()
	write := func(text string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	h.Write([]byte{byte(s.Kind)})
	write(s.Text)
	write(s.Name)
	for _, p := range s.Phrases {
		write(p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Cache compiles every pattern and every set once, for as long as somebody has it: what nobody refers to any more goes
// away, so that it does not grow with rules that change. The zero Cache is empty. It is safe for concurrent use; who
// comes second waits, and finds what the first one compiled.
type Cache struct {
	mu       sync.Mutex // guards what follows, and is held while something is compiled
	patterns map[[sha256.Size]byte]weak.Pointer[Pattern]
	sets     []weak.Pointer[Set]
}

// Patterns compiles the sources, on all processors; the answers are in their order. The error is that of the first one
// that cannot be compiled.
func (c *Cache) Patterns(sources []Source) ([]*Pattern, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.patterns, func(_ [sha256.Size]byte, p weak.Pointer[Pattern]) bool { return p.Value() == nil })
	out := make([]*Pattern, len(sources))
	keys := make([][sha256.Size]byte, len(sources))
	first := map[[sha256.Size]byte]int{}
	var missing []int
	for i, s := range sources {
		keys[i] = s.key()
		if out[i] = c.patterns[keys[i]].Value(); out[i] != nil {
			continue
		}
		if _, twice := first[keys[i]]; !twice {
			first[keys[i]] = i
			missing = append(missing, i)
		}
	}
	// Long sources take longest: they are not left for the end.
	slices.SortStableFunc(missing, func(i, j int) int { return sources[j].size() - sources[i].size() })
	errs := make([]error, len(sources))
	inParallel(len(missing), func(n int) {
		i := missing[n]
		out[i], errs[i] = sources[i].Compile()
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if c.patterns == nil {
		c.patterns = map[[sha256.Size]byte]weak.Pointer[Pattern]{}
	}
	for i := range sources {
		if out[i] == nil {
			out[i] = out[first[keys[i]]]
		}
		c.patterns[keys[i]] = weak.Make(out[i])
	}
	return out, nil
}

func (s Source) size() int {
	n := len(s.Text)
	for _, p := range s.Phrases {
		n += len(p)
	}
	return n
}

// Set is the set of the patterns, in this order.
func (c *Cache) Set(patterns []*Pattern) *Set {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets = slices.DeleteFunc(c.sets, func(p weak.Pointer[Set]) bool { return p.Value() == nil })
	for _, p := range c.sets {
		if s := p.Value(); s != nil && slices.Equal(s.patterns, patterns) {
			return s
		}
	}
	s := NewSet(patterns)
	c.sets = append(c.sets, weak.Make(s))
	return s
}

// Len is how many patterns and sets are in use.
func (c *Cache) Len() (patterns, sets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.patterns {
		if p.Value() != nil {
			patterns++
		}
	}
	for _, p := range c.sets {
		if p.Value() != nil {
			sets++
		}
	}
	return patterns, sets
}

// inParallel calls do for the numbers below n, in order as far as they begin, and waits for all of them.
func inParallel(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	work := make(chan int)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wait.Wait()
}
