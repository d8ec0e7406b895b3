package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/bench/load"
)

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 4}, Spread{4, 1, 9}},
		{[]float64{9, 1, 4, 2}, Spread{3, 1, 9}},
	} {
		if got := SpreadOf(c.values); got != c.want {
			t.Errorf("of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

// TestSummarize shows that ratios are those of rounds, not of medians, and that medians are taken round by round.
func TestSummarize(t *testing.T) {
	rounds := func(cpu ...float64) []Round {
		out := make([]Round, len(cpu))
		for i, c := range cpu {
			out[i] = Round{CPU: c, Rate: 1000 / c, RSS: 10 + c, Saturate: load.Latency{P50: c, P90: 2 * c, P99: 3 * c, P999: 4 * c}}
		}
		return out
	}
	s := Scenario{Servers: []Server{
		{Name: "theirs", Rounds: rounds(10, 40, 80)},
		{Name: "ours", Ours: true, Rounds: rounds(20, 20, 20)},
		{Name: "fewer", Rounds: rounds(5)},
	}}
	s.Servers[1].Rounds[1].Steady = &Steady{Benign: load.Latency{P50: 7}, Attacks: &load.Latency{P99: 8}, Requests: 100, Late: 3}
	s.Servers[1].Rounds[2].Steady = &Steady{Benign: load.Latency{P50: 9}, Attacks: &load.Latency{P99: 10}, Requests: 50, Late: 5}
	s.Servers[1].Rounds[0].Flood = &Flood{Calm: load.Latency{P99: 2}, Under: load.Latency{P99: 6}, Ratio: 3}
	s.Summarize()
	theirs, ours, fewer := s.Servers[0].Summary, s.Servers[1].Summary, s.Servers[2].Summary
	if want := (Spread{0.5, 0.25, 2}); theirs.Ratio == nil || *theirs.Ratio != want {
		t.Errorf("ratio %v, want %v", theirs.Ratio, want)
	}
	if ours.Ratio != nil {
		t.Errorf("ours has a ratio to itself: %v", ours.Ratio)
	}
	if want := (Spread{4, 4, 4}); fewer.Ratio == nil || *fewer.Ratio != want {
		t.Errorf("ratio %v, want %v", fewer.Ratio, want)
	}
	want := Summary{
		CPU: Spread{20, 20, 20}, Rate: Spread{50, 50, 50}, RSS: Spread{30, 30, 30},
		Saturate: load.Latency{P50: 20, P90: 40, P99: 60, P999: 80},
		Steady:   &Steady{Benign: load.Latency{P50: 8}, Attacks: &load.Latency{P99: 9}, Requests: 150, Late: 4},
		Flood:    &Flood{Calm: load.Latency{P99: 2}, Under: load.Latency{P99: 6}, Ratio: 3},
	}
	if diff := cmp.Diff(want, ours); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}
