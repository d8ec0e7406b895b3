package compile

import (
	"maps"
	"slices"
	"strings"
	"weak"

	"gatehouse/rules/program/pattern"
)

// setCache keeps patterns and sets of patterns for as long as a program uses them.
type setCache struct {
	patterns map[string]weak.Pointer[pattern.Pattern]
	sets     map[string]weak.Pointer[pattern.Set]
}

// pattern finds or makes the pattern of a key.
func (c *setCache) pattern(key string, make func() (*pattern.Pattern, error)) (*pattern.Pattern, error) {
	if p := c.patterns[key].Value(); p != nil {
		return p, nil
	}
	p, err := make()
	if err != nil {
		return nil, err
	}
	if c.patterns == nil {
		c.patterns = map[string]weak.Pointer[pattern.Pattern]{}
	}
	c.patterns[key] = weak.Make(p)
	return p, nil
}

// regexp finds or makes the pattern of an @rx.
func (c *setCache) regexp(argument string) (*pattern.Pattern, error) {
	return c.pattern("rx\x00"+argument, func() (*pattern.Pattern, error) { return pattern.NewRegexp(argument) })
}

// get finds or makes the set of these patterns.
func (c *setCache) get(list patternList) *pattern.Set {
	keys := slices.SortedFunc(maps.Keys(list.numbers), func(a, b string) int { return list.numbers[a] - list.numbers[b] })
	key := strings.Join(keys, "\x01")
	if s := c.sets[key].Value(); s != nil {
		return s
	}
	c.sweep()
	s := pattern.NewSet(list.patterns)
	if c.sets == nil {
		c.sets = map[string]weak.Pointer[pattern.Set]{}
	}
	c.sets[key] = weak.Make(s)
	return s
}

// sweep forgets what no program uses any more.
func (c *setCache) sweep() {
	maps.DeleteFunc(c.sets, func(_ string, p weak.Pointer[pattern.Set]) bool { return p.Value() == nil })
	maps.DeleteFunc(c.patterns, func(_ string, p weak.Pointer[pattern.Pattern]) bool { return p.Value() == nil })
}
