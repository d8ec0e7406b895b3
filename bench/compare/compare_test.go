package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/bench/mix"
	"gatehouse/bench/report"
)

// TestScenarios shows that every scenario has a mix and somebody to measure, that the full run has at least five rounds,
// and that the quick one fits its time.
func TestScenarios(t *testing.T) {
	full, quick := scenarios(false), scenarios(true)
	if len(full) < 10 || len(quick) == 0 || len(quick) >= len(full) {
		t.Fatalf("%d scenarios, %d of them quick", len(full), len(quick))
	}
	mixes := map[string]bool{}
	for _, s := range append(full, quick...) {
		if _, err := mix.Find(s.mix); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		mixes[s.mix] = true
		if s.seconds < time.Second || s.steady < time.Second || s.paranoia < 1 || s.rounds < 1 {
			t.Errorf("%+v", s)
		}
	}
	for _, s := range full {
		if s.rounds < 5 {
			t.Errorf("%s has %d rounds", s.name, s.rounds)
		}
	}
	if len(mixes) != len(mix.Mixes()) {
		t.Errorf("%d of %d mixes are in a scenario", len(mixes), len(mix.Mixes()))
	}
}

// TestCurves shows that each curve has points in order, and that what it varies reaches the servers.
func TestCurves(t *testing.T) {
	if len(curves()) != 5 {
		t.Errorf("%d curves", len(curves()))
	}
	for _, c := range curves() {
		if len(c.at) < 2 || !slices.IsSorted(c.at) {
			t.Errorf("%s: points %v", c.name, c.at)
		}
		var last string
		for i, at := range c.at {
			s := scenario{mix: "shop"}
			c.set(&s, at)
			now := fmt.Sprint(s)
			if i > 0 && now == last {
				t.Errorf("%s: %d is as the point before", c.name, at)
			}
			last = now
			if m, err := s.traffic(); err != nil || m.Hosts > m.Count {
				t.Errorf("%s: %d: %d hosts, %d requests, %v", c.name, at, m.Hosts, m.Count, err)
			}
		}
	}
}

func TestUnknownScenario(t *testing.T) {
	for _, o := range []options{{only: "standard,fast"}, {only: "rules,fast", curves: true}} {
		if _, err := o.scenarios(); err == nil || !strings.Contains(err.Error(), `"fast"`) {
			t.Errorf("got %v", err)
		}
	}
}

func TestFolder(t *testing.T) {
	r := &report.Result{Date: time.Date(2027, time.January, 15, 23, 0, 0, 0, time.UTC), Machine: report.Machine{CPU: "Intel(R) Xeon(R) CPU E5-2680 @ 2.40GHz", Cores: 4}}
	if got, want := folder(r), "intel-xeon-e5-2680-2-40ghz-4-cores-2027-01-15"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
