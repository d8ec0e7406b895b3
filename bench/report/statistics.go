package report

import (
	"slices"

	"gatehouse/bench/load"
)

// Spread is the median of some values, with the least and the most of them.
type Spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// SpreadOf is that of values; of none it is zero.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{Median: median(values), Least: slices.Min(values), Most: slices.Max(values)}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratios divides round by round, as what disturbs a machine disturbs the turns of one round alike. Rounds that either has
// not are left out.
func ratios(ours, theirs []Round) []float64 {
	var out []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i].CPU > 0 {
			out = append(out, ours[i].CPU/theirs[i].CPU)
		}
	}
	return out
}

// Summarize makes the summaries of all servers from their rounds.
func (s *Scenario) Summarize() {
	var ours []Round
	for _, server := range s.Servers {
		if server.Ours {
			ours = server.Rounds
		}
	}
	for i := range s.Servers {
		server := &s.Servers[i]
		server.Summary = summarize(server.Rounds)
		if r := ratios(ours, server.Rounds); !server.Ours && len(r) > 0 {
			spread := SpreadOf(r)
			server.Summary.Ratio = &spread
		}
	}
}

func summarize(rounds []Round) Summary {
	of := func(value func(Round) float64) []float64 {
		out := make([]float64, len(rounds))
		for i, r := range rounds {
			out[i] = value(r)
		}
		return out
	}
	s := Summary{
		CPU:  SpreadOf(of(func(r Round) float64 { return r.CPU })),
		Rate: SpreadOf(of(func(r Round) float64 { return r.Rate })),
		RSS:  SpreadOf(of(func(r Round) float64 { return r.RSS })),
	}
	var saturate, benign, attacks, calm, under []load.Latency
	var late, floods []float64
	for _, r := range rounds {
		saturate = append(saturate, r.Saturate)
		if r.Steady != nil {
			benign, late = append(benign, r.Steady.Benign), append(late, r.Steady.Late)
			if s.Steady == nil {
				s.Steady = &Steady{}
			}
			s.Steady.Requests += r.Steady.Requests
			if r.Steady.Attacks != nil {
				attacks = append(attacks, *r.Steady.Attacks)
			}
		}
		if r.Flood != nil {
			calm, under, floods = append(calm, r.Flood.Calm), append(under, r.Flood.Under), append(floods, r.Flood.Ratio)
		}
	}
	s.Saturate = medians(saturate)
	if s.Steady != nil {
		s.Steady.Benign, s.Steady.Late = medians(benign), median(late)
		if len(attacks) > 0 {
			of := medians(attacks)
			s.Steady.Attacks = &of
		}
	}
	if len(floods) > 0 {
		s.Flood = &Flood{Calm: medians(calm), Under: medians(under), Ratio: median(floods)}
	}
	return s
}

// medians are those of each percentile over the rounds.
func medians(of []load.Latency) load.Latency {
	pick := func(value func(load.Latency) float64) float64 {
		out := make([]float64, len(of))
		for i, l := range of {
			out[i] = value(l)
		}
		return median(out)
	}
	return load.Latency{
		P50:  pick(func(l load.Latency) float64 { return l.P50 }),
		P90:  pick(func(l load.Latency) float64 { return l.P90 }),
		P99:  pick(func(l load.Latency) float64 { return l.P99 }),
		P999: pick(func(l load.Latency) float64 { return l.P999 }),
	}
}
