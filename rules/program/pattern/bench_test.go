package pattern

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gatehouse/rules/program/byteset"
)

// BenchmarkNominate nominates on values that are all different. A request is the values of one, each with the patterns
// of the rules that look at its variable.
func BenchmarkNominate(b *testing.B) {
	all := crsPatterns(b)
	g := generator{rng: rand.New(rand.NewPCG(5, 6))}
	cases := map[string][]request{"tests": regressionRequests(b)}
	if r := recorded(b, 10); r != nil {
		cases["recorded"] = r
	}
	for _, level := range []int{1, 4} {
		var patterns []crsPattern
		for _, p := range all {
			if p.level <= level {
				patterns = append(patterns, p)
			}
		}
		set := setOf(patterns)
		for _, name := range []string{"recorded", "tests"} {
			if requests := cases[name]; requests != nil {
				b.Run(fmt.Sprintf("requests=%s/level=%d", name, level), func(b *testing.B) {
					benchmarkRequests(b, set, patterns, requests)
				})
			}
		}
		for _, size := range []int{64, 1024, 16384} {
			noise := make([]string, 2<<20/size)
			for i := range noise {
				noise[i] = g.noise(size)
			}
			b.Run(fmt.Sprintf("noise=%d/level=%d", size, level), func(b *testing.B) { benchmarkValues(b, set, noise) })
			b.Run(fmt.Sprintf("hostile=%d/level=%d", size, level), func(b *testing.B) {
				benchmarkValues(b, set, hostile(b, g, patterns, size))
			})
		}
	}
}

// BenchmarkSmallSet nominates the patterns of a few rules of one's own, beside those of the rule set, on
// recorded values of up to 200 bytes.
func BenchmarkSmallSet(b *testing.B) {
	requests := recorded(b, 10)
	if requests == nil {
		requests = regressionRequests(b)
	}
	var values []string
	var masks []byteset.Set
	for _, r := range requests {
		for _, v := range r {
			if len(v.text) <= 200 {
				values = append(values, v.text)
				masks = append(masks, byteset.Of(v.text))
			}
		}
	}
	values, masks = values[:4096], masks[:4096]
	for name, args := range map[string][]string{
		"patterns=1": {`(?i)^/admin/`},
		"patterns=5": {`(?i)^/admin/`, `\.(?:bak|old|sql)$`, `^[a-z0-9-]{1,40}$`, `(?i)evilbot|badcrawler`, `\b\d{16}\b`},
	} {
		b.Run(name, func(b *testing.B) {
			var patterns []*Pattern
			for _, a := range args {
				p, err := NewRegexp(a)
				if err != nil {
					b.Fatal(err)
				}
				patterns = append(patterns, p)
			}
			set := NewSet(patterns)
			scratch := set.NewScratch()
			n := 0
			for b.Loop() {
				set.Nominate(scratch, values[n%4096], masks[n%4096], nil)
				n++
			}
		})
	}
}

// hostile are values put together from what many patterns look for.
func hostile(b *testing.B, g generator, patterns []crsPattern, size int) []string {
	out := make([]string, min(2<<20/size, 4000))
	for i := range out {
		var v []byte
		for len(v) < size {
			own := ownValue(b, g, patterns[g.rng.IntN(len(patterns))])
			v = append(v, own[:len(own)*3/4]...) // not quite
		}
		out[i] = string(v[:size])
	}
	return out
}

func benchmarkRequests(b *testing.B, set *Set, patterns []crsPattern, requests []request) {
	wants := map[string]Bits{}
	wantOf := func(v value) Bits {
		key := v.variable
		if key == "REQUEST_HEADERS" {
			key += v.key
		}
		if wants[key] == nil {
			wants[key] = newBits(len(patterns))
			for i, p := range patterns {
				if p.looksAt(v) {
					wants[key].Set(i)
				}
			}
		}
		return wants[key]
	}
	type prepared struct {
		text string
		want Bits
	}
	var values [][]prepared
	total, size := 0, 0
	for _, r := range requests {
		var vs []prepared
		for _, v := range r {
			vs = append(vs, prepared{v.text, wantOf(v)})
			total++
			size += len(v.text)
		}
		values = append(values, vs)
	}
	scratch := set.NewScratch()
	candidates, n := 0, 0
	for b.Loop() {
		for _, v := range values[n%len(values)] {
			candidates += set.Nominate(scratch, v.text, byteset.Of(v.text), v.want).Len()
		}
		n++
	}
	b.ReportMetric(float64(candidates)/float64(n), "candidates/op")
	b.ReportMetric(float64(size)/float64(len(values)), "bytes/op")
	b.ReportMetric(float64(total)/float64(len(values)), "values/op")
}

func benchmarkValues(b *testing.B, set *Set, values []string) {
	scratch := set.NewScratch()
	candidates, n := 0, 0
	b.SetBytes(int64(len(values[0])))
	for b.Loop() {
		v := values[n%len(values)]
		candidates += set.Nominate(scratch, v, byteset.Of(v), nil).Len()
		n++
	}
	b.ReportMetric(float64(candidates)/float64(n), "candidates/op")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(len(values[0])), "ns/byte")
}

// BenchmarkCompile prints what the patterns of the rule set take, in time and memory: when they are seen first, and when
// another policy has them already.
func BenchmarkCompile(b *testing.B) {
	read := readCRS(b)
	sources := make([]Source, len(read))
	for i, p := range read {
		sources[i] = p.source()
	}
	compile := func(b *testing.B, c *Cache) *Set {
		patterns, err := c.Patterns(sources)
		if err != nil {
			b.Fatal(err)
		}
		return c.Set(patterns)
	}
	b.Run("first", func(b *testing.B) {
		var set *Set
		for b.Loop() {
			set = compile(b, &Cache{})
		}
		s := set.Stats()
		b.ReportMetric(float64(s.States), "states")
		b.ReportMetric(float64(s.Bytes), "table_bytes")
		b.ReportMetric(float64(s.DFABytes), "dfa_bytes")
	})
	b.Run("again", func(b *testing.B) {
		var c Cache
		first := compile(b, &c)
		for b.Loop() {
			if compile(b, &c) != first {
				b.Fatal("the set was compiled twice")
			}
		}
	})
}
