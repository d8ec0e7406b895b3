package engine_test

import (
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/engine"
	"gatehouse/rules/program"
)

// TestProfileCountsRules shows that a profile has each rule that ran, how often it ran and matched, and that it changes nothing.
func TestProfileCountsRules(t *testing.T) {
	profile := new(program.Profile)
	policy := rules.Policy{Name: "p", Sources: []rules.Source{{Name: "rules.conf", Text: `SecRule REQUEST_METHOD "@streq GET" "id:1,phase:1,pass,log,msg:'a'"
SecRule REQUEST_METHOD "@rx ^(?:POST|PUT)$" "id:2,phase:1,pass,log,msg:'b'"
SecRule &ARGS "@eq 1" "id:3,phase:2,deny,log,msg:'c'"
`}}}
	for _, o := range []engine.Options{{}, {Profile: profile}} {
		set, err := engine.New(o).Load(policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"/", "/?a=1", "/?a=1&b=2"} {
			tx := set.Begin(&rules.Request{Method: "GET", Target: target, Protocol: "HTTP/1.1"})
			if _, err := tx.RequestHeaders(); err != nil {
				t.Fatal(err)
			}
			i, err := tx.RequestBody(rules.Body{})
			if err != nil {
				t.Fatal(err)
			}
			if refused := target == "/?a=1"; (i != nil) != refused {
				t.Errorf("%s, profile %v: %+v", target, o.Profile != nil, i)
			}
			if n := len(tx.Close().Matches); n != 1 && !(n == 2 && target == "/?a=1") {
				t.Errorf("%s, profile %v: %d rules matched", target, o.Profile != nil, n)
			}
		}
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := map[int][2]int{}
	for _, c := range profile.Rules() {
		got[c.Rule] = [2]int{c.Runs, c.Matches}
		if c.Source != "rules.conf" || c.Line != c.Rule || c.Time <= 0 {
			t.Errorf("%+v", c)
		}
	}
	if want := map[int][2]int{1: {3, 3}, 3: {2, 1}}; len(got) != len(want) || got[1] != want[1] || got[3] != want[3] {
		t.Errorf("runs and matches by rule are %v, want %v", got, want)
	}
	if profile.Patterns() <= 0 {
		t.Error("looking for patterns took no time")
	}
}
