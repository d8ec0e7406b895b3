package report

import (
	"time"

	"gatehouse/bench/load"
)

// sample is a result with all there can be in one.
func sample() *Result {
	server := func(name, title string, inspects, ours bool, factor float64) Server {
		s := Server{Name: name, Title: title, Inspects: inspects, Ours: ours, Checked: 1400}
		for round := range 5 {
			at := factor * (1 + float64(round)/50)
			latency := load.Latency{P50: 310.5 * at, P90: 620.25 * at, P99: 1900 * at, P999: 4000.125 * at}
			s.Rounds = append(s.Rounds, Round{
				CPU: 71.3 * at, Rate: 12_000 / at, RSS: 40 + 3*at, Requests: 60_000, Saturate: latency,
				Steady: &Steady{Benign: load.Latency{P50: 200 * at, P90: 240 * at, P99: 300 * at, P999: 900 * at}, Requests: 1000, Late: 150},
				Flood:  &Flood{Calm: latency, Under: latency, Ratio: 1 + at/100},
			})
		}
		return s
	}
	r := &Result{
		Date: time.Date(2027, time.January, 15, 12, 0, 0, 0, time.UTC), Commit: "0123abc",
		Machine:  Machine{CPU: "Some CPU", Cores: 2, MemoryMiB: 8000, Kernel: "Linux 6.1", System: "Debian", Load: "0.1 0.2 0.3", Seconds: 100},
		Settings: Settings{Rounds: 5, Workers: 1, Connections: 32, Rate: 200, Seed: 1},
		Versions: []Version{{Name: "gatehouse", Title: "Gatehouse, CRS", Text: "commit 0123abc"}},
		LeftOut:  []Version{{Name: "caddy", Title: "Caddy", Text: "caddy is not installed"}},
		Scenarios: []Scenario{
			{Name: "standard", Title: "a shop's visitors", Mix: "Shop", Requests: 4000, Hosts: 1, Paranoia: 1, Connections: 32, Seconds: 5},
			{Name: "attacks50", Title: "attacks", Mix: "Shop & <attacks>", Requests: 4000, AttackPercent: 50, Hosts: 1, Paranoia: 1, Connections: 32, Seconds: 5},
		},
	}
	for i := range r.Scenarios {
		r.Scenarios[i].Servers = []Server{
			server("gatehouse", "Gatehouse, CRS", true, true, 1), server("nginx", "nginx", false, false, 0.3),
			server("nginx-modsecurity", "nginx + ModSecurity, CRS", true, false, 35),
		}
		r.Scenarios[i].Summarize()
	}
	for i := range r.Scenarios[0].Servers[2].Rounds {
		r.Scenarios[0].Servers[2].Rounds[i].Steady = nil
	}
	r.Scenarios[0].Summarize()
	curve := Curve{Name: "rules", Title: "rules of the operator", Axis: "rules"}
	for i, at := range []int{0, 100, 5000} {
		s := Scenario{Servers: []Server{server("gatehouse", "Gatehouse, CRS", true, true, 1+float64(i)), server("net-http", "net/http", false, false, 2+float64(i))}}
		s.Summarize()
		curve.Points = append(curve.Points, Point{At: at, Servers: s.Servers})
	}
	r.Curves = append(r.Curves, curve)
	return r
}
