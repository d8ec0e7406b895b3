package pattern

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// BenchmarkWorst prints what the slowest pattern takes for a byte of 64 KiB that are made for it: pieces of what it
// matches, again and again, which do not match.
func BenchmarkWorst(b *testing.B) {
	const size = 64 << 10
	patterns := crsPatterns(b)
	worst, rule := 0.0, 0
	for b.Loop() {
		g := generator{rng: rand.New(rand.NewPCG(13, 14))}
		worst = 0
		for _, p := range patterns {
			if p.kind != Regexp {
				continue
			}
			for range 4 {
				value := strings.Repeat(g.nearly(b, p), 1+size/200)[:size]
				each := math.Inf(1)
				for n := 0; n < 5 && each > worst; n++ { // what took longer may have been interrupted
					start := time.Now()
					p.Match(value)
					each = min(each, float64(time.Since(start).Nanoseconds())/size)
				}
				if each > worst {
					worst, rule = each, p.id
				}
			}
		}
	}
	b.ReportMetric(worst, "ns/byte")
	b.ReportMetric(float64(rule), "rule")
}

// nearly is pieces of what the pattern matches, so that they do not match, if that can be had.
func (g generator) nearly(t testing.TB, p crsPattern) string {
	var out string
	for range 20 {
		var v strings.Builder
		for v.Len() < 200 {
			piece := ownValue(t, g, p) + " "
			if g.rng.IntN(2) == 0 {
				piece = g.mutate(piece)
			}
			v.WriteString(piece[:len(piece)*(1+g.rng.IntN(9))/10])
		}
		if out = v.String(); !p.Match(out + out) {
			break
		}
	}
	return out
}
