// Package load drives servers with the requests of a mix: wrk as fast as they answer, vegeta at a rate that does not wait
// for them.
package load

import (
	"slices"
	"time"
)

// Latency is how long replies took, in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99_9_us"`
}

// latencyOf sorts times and picks the percentiles, each the least time that so many are not above.
func latencyOf(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	slices.Sort(times)
	at := func(perMille int) float64 {
		i := (len(times)*perMille + 999) / 1000
		return float64(times[max(i, 1)-1]) / float64(time.Microsecond)
	}
	return Latency{P50: at(500), P90: at(900), P99: at(990), P999: at(999)}
}
