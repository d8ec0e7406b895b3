package engine

import (
	"strings"
	"testing"

	"gatehouse/rules/engine/compare"
)

// TestBoth compares each transaction when it is closed.
func TestBoth(t *testing.T) {
	var got []Comparison
	e, _ := open(t, Options{Mode: Both, Compared: func(c Comparison) { got = append(got, c) }})
	set, err := e.Load(policyNamed("shop", testPolicy))
	if err != nil {
		t.Fatal(err)
	}
	if c := set.(interface{ Coverage() Coverage }).Coverage(); len(c.Reference) > 0 || c.Rules != 3 {
		t.Errorf("the coverage is %+v", c)
	}
	right := get(set, "/?q=attack")
	pair := set.(*Pair)
	pair.program.(*onProgram).RuleSet = wrong{pair.program.(*onProgram).RuleSet, 1}
	altered := get(set, "/?q=attack")
	if len(got) != 2 || got[0].Result != right || got[1].Result != altered {
		t.Fatalf("compared %d transactions, want 2, each with its result", len(got))
	}
	if got[0].Differ() || got[0].String() != "" {
		t.Errorf("right answers differ: %s", &got[0])
	}
	if !got[1].Differ() || !strings.Contains(got[1].String(), "rule 1: reference matched") {
		t.Errorf("a wrong answer gives %q", &got[1])
	}
	again := pair.Judge(&got[1].Exchange)
	if !again.Differ() || again.String() != got[1].String() {
		t.Errorf("judged again: %q", &again)
	}
	if c := pair.Judge(&compare.Exchange{Request: *request("GET", "/")}); c.Differ() {
		t.Errorf("a request without an attack: %s", &c)
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
	if n := e.reference.Loaded(); n != 0 {
		t.Errorf("the reference holds %d policies", n)
	}
}

// TestBothOfNeither refuses what one engine refuses.
func TestBothOfNeither(t *testing.T) {
	e, _ := open(t, Options{Mode: Both})
	if set, err := e.Load(policyNamed("broken", "SecNothing")); err == nil || set != nil {
		t.Errorf("a policy with an unknown directive loads as %v, with error %v", set, err)
	}
}
