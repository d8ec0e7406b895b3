package engine

import (
	"errors"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
)

// TestEvaluated counts each transaction once, by what became of it.
func TestEvaluated(t *testing.T) {
	fails := func(t *testing.T, set rules.RuleSet) {
		tx := set.Begin(request("POST", "/", rules.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}))
		if _, err := tx.RequestHeaders(); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.RequestBody(rules.Body{Reader: iotest.ErrReader(errors.New("gone")), Length: -1}); err == nil {
			t.Error("no error")
		}
		tx.Close()
		tx.Close()
	}
	for _, c := range []struct {
		name string
		mode Mode
		want map[Result]int
	}{
		{"program", Program, map[Result]int{Clean: 1, Matched: 2, Failed: 1}},
		{"reference", Reference, map[Result]int{OnReference: 3, Failed: 1}},
		{"both", Both, map[Result]int{Clean: 1, Matched: 2, Failed: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, w := open(t, Options{Mode: c.mode, Sample: 1})
			set, err := e.Load(policyNamed("shop", testPolicy))
			if err != nil {
				t.Fatal(err)
			}
			get(set, "/")
			get(set, "/?q=attack")
			judge(set, request("GET", "/"), "", "a leak")
			fails(t, set)
			if diff := cmp.Diff(c.want, w.evaluated); diff != "" {
				t.Errorf("evaluated (-want +got):\n%s", diff)
			}
			if err := set.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
