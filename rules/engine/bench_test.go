package engine_test

import (
	"fmt"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// BenchmarkOrdinary judges requests of a browser, all different, at two paranoia levels.
func BenchmarkOrdinary(b *testing.B) {
	for _, paranoia := range []int{1, 4} {
		b.Run(fmt.Sprint("PL", paranoia), func(b *testing.B) {
			set := load(b, engine.Options{}, policyOf(b, paranoia))
			requests := make([]*rules.Request, 2000)
			for i := range requests {
				requests[i] = ordinary(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				judgeOrdinary(set, requests[i%len(requests)])
			}
		})
	}
}
