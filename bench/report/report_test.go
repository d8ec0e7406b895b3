package report

import (
	"strings"
	"testing"
)

// TestTable shows that the table has every server of every scenario, what was left out, and why a run is void.
func TestTable(t *testing.T) {
	r := sample()
	r.Void = []string{"an attack passed"}
	var b strings.Builder
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"standard: a shop's visitors", "attacks50: attacks", "Gatehouse, CRS            74.2 [71.3 to 77.0]", "nginx + ModSecurity, CRS  2595.3",
		"3.33 [3.33 to 3.33]", "0.0286 [0.0286 to 0.0286]", "beyond it", "5000   Gatehouse, CRS  222.5 [213.9 to 231.0]", "left out: Caddy: caddy is not installed", "VOID: an attack passed",
		"nginx, p99 of benign requests at saturation: 0.6 ms without attacks, 0.6 ms with 50 %: 1.00 times",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestScale(t *testing.T) {
	s := newScale([]float64{20, 0, 3000}, 100, 500)
	for v, want := range map[float64]float64{10: 100, 100: 233.3, 1000: 366.7, 10_000: 500, 0: 100, 1: 100, 1e9: 500} {
		if got := s.at(v); got != want {
			t.Errorf("%v is at %v, want %v", v, got, want)
		}
	}
	if got := len(s.ticks()); got != 4 {
		t.Errorf("%d ticks, want 4", got)
	}
	if got := newScale(nil, 0, 10).at(1); got != 0 {
		t.Errorf("1 on a scale of nothing is at %v", got)
	}
}

// TestPageOfVoidRun shows that a page says so.
func TestPageOfVoidRun(t *testing.T) {
	r := sample()
	var valid, void strings.Builder
	if err := r.HTML(&valid); err != nil {
		t.Fatal(err)
	}
	r.Void = []string{"an attack passed"}
	if err := r.HTML(&void); err != nil {
		t.Fatal(err)
	}
	const says = "This run is void"
	if strings.Contains(valid.String(), says) || !strings.Contains(void.String(), says) || !strings.Contains(void.String(), "an attack passed") {
		t.Error("the page of a void run does not say so, or that of another does")
	}
}
