package parity

import (
	"hash/fnv"
	"math/rand/v2"
)

// Choices are what generators decide by: random numbers of a seed, or the bytes of a fuzzer, of which small changes make
// small changes of what is generated.
type Choices struct {
	data []byte // used up first
	rng  *rand.Rand
}

// Seeded are the choices of a seed.
func Seeded(seed uint64) *Choices {
	return &Choices{rng: rand.New(rand.NewPCG(seed, 0x67617465))}
}

// FromBytes are the choices that data says, and once it is used up, random ones that depend on it.
func FromBytes(data []byte) *Choices {
	h := fnv.New64a()
	_, _ = h.Write(data) // never an error
	return &Choices{data: data, rng: rand.New(rand.NewPCG(h.Sum64(), 0x67617465))}
}

// N is a number from 0 to n-1.
func (c *Choices) N(n int) int {
	if n <= 1 {
		return 0
	}
	if len(c.data) == 0 {
		return c.rng.IntN(n)
	}
	v := int(c.data[0])
	c.data = c.data[1:]
	if n > 256 && len(c.data) > 0 {
		v = v<<8 | int(c.data[0])
		c.data = c.data[1:]
	}
	return v % n
}

// Chance is true in so many of a hundred cases.
func (c *Choices) Chance(percent int) bool { return c.N(100) < percent }

// pick is one of a list.
func pick[T any](c *Choices, list []T) T { return list[c.N(len(list))] }

// weighted is one of several, each with its share.
func weighted[T any](c *Choices, list []share[T]) T {
	total := 0
	for _, s := range list {
		total += s.share
	}
	n := c.N(total)
	for _, s := range list {
		if n -= s.share; n < 0 {
			return s.value
		}
	}
	return list[0].value
}

type share[T any] struct {
	share int
	value T
}
