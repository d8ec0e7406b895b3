//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/bench/peers"
	"gatehouse/bench/report"
)

// quickest are options of a run that takes seconds.
func quickest(t *testing.T, scenarios string) *options {
	t.Helper()
	if _, err := exec.LookPath("wrk"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("wrk is not installed: apt-get install wrk")
		}
		t.Skip("wrk is not installed: apt-get install wrk")
	}
	return &options{
		quick: true, root: "../..", out: t.TempDir(), only: scenarios, filter: "gatehouse,net-http", rounds: 2, seconds: time.Second,
		settings: report.Settings{Workers: 1, Connections: 8, Rate: 100, Seed: 1},
	}
}

// TestCompare runs the gateway beside net/http's proxy, and reads what was recorded.
func TestCompare(t *testing.T) {
	o := quickest(t, "standard")
	var progress, table strings.Builder
	result, err := o.compare(t.Context(), &progress)
	if err == nil {
		err = o.record(result, &table)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	files, err := filepath.Glob(filepath.Join(o.out, "*", "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%q is recorded, %v", files, err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(files[0]), "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report.Result
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Scenarios) != 1 || len(r.Scenarios[0].Servers) != 2 || len(r.LeftOut) != len(peers.All())-2 {
		t.Fatalf("%d scenarios, %d left out\n%s", len(r.Scenarios), len(r.LeftOut), text)
	}
	ours, theirs := r.Scenarios[0].Servers[0], r.Scenarios[0].Servers[1]
	for _, v := range []report.Server{ours, theirs} {
		if len(v.Rounds) != o.rounds || v.Checked < 300 {
			t.Errorf("%s: %d rounds, %d replies checked", v.Name, len(v.Rounds), v.Checked)
		}
		for _, round := range v.Rounds {
			// Between what a request cannot cost and what none here costs.
			if round.CPU < 5 || round.CPU > 20_000 || round.Rate < 10 || round.RSS < 5 || round.Saturate.P50 <= 0 || round.Steady == nil {
				t.Errorf("%s: %+v", v.Name, round)
			}
		}
	}
	want := ours.Rounds[0].CPU / theirs.Rounds[0].CPU
	if got := theirs.Summary.Ratio; got == nil || got.Least > want || got.Most < want {
		t.Errorf("ratio %v, want %v in it", got, want)
	}
	if !strings.Contains(table.String(), "Gatehouse, CRS") {
		t.Errorf("no table:\n%s", table.String())
	}
	// Each round begins where the one before ended.
	order := []string{"round 1 of 2: Gatehouse", "round 1 of 2: net/http", "round 2 of 2: net/http", "round 2 of 2: Gatehouse"}
	at := 0
	for _, turn := range order {
		next := strings.Index(progress.String(), turn)
		if next < at {
			t.Errorf("%q comes at %d, and the turn before at %d\n%s", turn, next, at, progress.String())
		}
		at = next
	}
}

// TestVoid shows that a run is void when attacks pass, and when there are no records.
func TestVoid(t *testing.T) {
	o := quickest(t, "attacks50")
	var progress strings.Builder
	run := comparison{dir: t.TempDir(), settings: o.settings, progress: &progress}
	for _, p := range peers.All() {
		if p.Name == "net-http" {
			p.Inspects, p.Records = true, true // which it does not
			run.peers = append(run.peers, p)
		}
	}
	var err error
	if run.built, err = peers.Build(t.Context(), o.root, t.TempDir(), run.peers); err != nil {
		t.Fatal(err)
	}
	s := scenario{name: "void", mix: "attacks50", paranoia: 1, who: everyone, seconds: time.Second, steady: time.Second, rounds: 1}
	if _, err := run.run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(run.void, "\n")
	for _, want := range []string{"an attack got 200", "0 requests of", "0 bytes of records"} { // by the replies, by wrk's counts, by the file
		if !strings.Contains(all, want) {
			t.Errorf("void for %q, want %q", all, want)
		}
	}
	if err := o.record(&report.Result{Void: run.void}, &progress); err == nil || !strings.Contains(err.Error(), "void") {
		t.Errorf("recorded with %v", err)
	}
}
