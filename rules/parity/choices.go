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
	// theme are the words that a policy and its requests have in common; nil before the policy is made.
	theme *theme
}

// theme is a small part of the vocabulary, such that values meet the rules that are about them.
type theme struct{ words, attacks, names, headers []string }

func (c *Choices) newTheme() {
	some := func(list []string, n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = pick(c, list)
		}
		return out
	}
	c.theme = &theme{words: some(words, 8), attacks: some(attacks, 5), names: some(plainNames, 3), headers: some(headerNames, 2)}
}

// themed is mostly one of the theme's part of a list.
func (c *Choices) themed(list []string, part func(*theme) []string) string {
	if c.theme != nil && c.Chance(75) {
		return pick(c, part(c.theme))
	}
	return pick(c, list)
}

func (c *Choices) word() string { return c.themed(words, func(t *theme) []string { return t.words }) }

func (c *Choices) attack() string {
	return c.themed(attacks, func(t *theme) []string { return t.attacks })
}

func (c *Choices) header() string {
	return c.themed(headerNames, func(t *theme) []string { return t.headers })
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
