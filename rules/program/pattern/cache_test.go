package pattern

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func sourcesOf(args ...string) []Source {
	var out []Source
	for _, a := range args {
		out = append(out, Source{Kind: Regexp, Text: a})
	}
	return out
}

func patternsOf(t *testing.T, c *Cache, sources ...Source) []*Pattern {
	t.Helper()
	out, err := c.Patterns(sources)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCacheCompilesOnce(t *testing.T) {
	var c Cache
	first := patternsOf(t, &c, sourcesOf("a", "b", "a")...)
	second := patternsOf(t, &c, sourcesOf("c", "a")...)
	if first[0] != first[2] || first[0] != second[1] || first[0] == first[1] || first[0] == second[0] {
		t.Error("equal sources are not the same pattern, or others are")
	}
	if c.Set(first) != c.Set(append([]*Pattern(nil), first...)) || c.Set(first) == c.Set(second) {
		t.Error("equal sets are not the same, or others are")
	}
	if patterns, sets := c.Len(); patterns != 3 || sets != 2 {
		t.Errorf("%d patterns and %d sets, want 3 and 2", patterns, sets)
	}
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
}

func TestCacheTellsSourcesApart(t *testing.T) {
	var c Cache
	sources := []Source{
		{Kind: Regexp, Text: "a b"},
		{Kind: Contains, Text: "a b"},
		{Kind: Phrases, Phrases: []string{"a b"}},
		{Kind: Phrases, Phrases: []string{"a", "b"}},
		{Kind: Phrases, Phrases: []string{"a", "", "b"}},
		{Kind: Phrases},
		{Kind: Equals},
	}
	seen := map[*Pattern]int{}
	for i, p := range patternsOf(t, &c, sources...) {
		if other, ok := seen[p]; ok {
			t.Errorf("sources %d and %d are the same", other, i)
		}
		seen[p] = i
	}
}

func TestCacheReportsTheFirstError(t *testing.T) {
	var c Cache
	if _, err := c.Patterns(sourcesOf("a", "b(", "c)")); err == nil || !strings.Contains(err.Error(), `"b("`) {
		t.Errorf("error %v, want one that names b(", err)
	}
}

// TestCacheForgets: what nobody has is not kept.
func TestCacheForgets(t *testing.T) {
	var c Cache
	kept := patternsOf(t, &c, sourcesOf("kept")...)
	for n := range 20 {
		c.Set(patternsOf(t, &c, sourcesOf("kept", strings.Repeat("a", n+1))...))
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		runtime.GC()
		patterns, sets := c.Len()
		if patterns == 1 && sets == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d patterns and %d sets, want 1 and 0", patterns, sets)
		}
	}
	if again := patternsOf(t, &c, sourcesOf("kept")...); again[0] != kept[0] {
		t.Error("a pattern that is in use was compiled again")
	}
}

func TestCacheIsSafeForConcurrentUse(t *testing.T) {
	var c Cache
	var wait sync.WaitGroup
	found := make([][]*Pattern, 8)
	for i := range found {
		wait.Go(func() {
			found[i], _ = c.Patterns(sourcesOf("x+", "y+", "[ab]z"))
			c.Set(found[i])
		})
	}
	wait.Wait()
	for _, ps := range found {
		for j := range ps {
			if ps[j] != found[0][j] {
				t.Fatal("patterns were compiled twice")
			}
		}
	}
}
