package compare

import (
	"testing"

	"gatehouse/rules"
)

func TestSettle(t *testing.T) {
	a, b, c := Outcome{Uninspected: true}, Outcome{}, Outcome{Exclusions: []string{"x"}}
	for _, test := range []struct {
		name      string
		reference []Outcome // one answer after the other
		want      Agreement
	}{
		{"same", []Outcome{b}, Same},
		{"always another", []Outcome{a, a, a}, Different},
		{"asked once", []Outcome{a}, Different},
		{"sometimes the candidate's", []Outcome{a, a, b}, OneOfSeveral},
		{"sometimes a third, then the candidate's", []Outcome{a, c, b}, OneOfSeveral},
		{"sometimes a third", []Outcome{a, c, a}, Unsettled},
	} {
		i := 0
		got := Settle(test.reference[0], b, Times(len(test.reference)-1, func() Outcome { i++; return test.reference[i] }))
		if got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestExcepted(t *testing.T) {
	with := rules.Policy{Sources: []rules.Source{{}, {Text: `SecRule ARGS "!@validateNID cl .*" "id:1,deny"`}}}
	panicked := Outcome{Err: "inspect request body: panic: runtime error"}
	for _, c := range []struct {
		name                 string
		policy               rules.Policy
		reference, candidate Outcome
		want                 bool
	}{
		{"the reference panics", with, panicked, Outcome{}, true},
		{"another policy", rules.Policy{Sources: []rules.Source{{Text: "SecRule"}}}, panicked, Outcome{}, false},
		{"the candidate panics", with, Outcome{}, panicked, false},
		{"both do", with, panicked, panicked, false},
		{"another error", with, Outcome{Err: "read the body: gone"}, Outcome{}, false},
		{"another answer", with, Outcome{Uninspected: true}, Outcome{}, false},
	} {
		if got := Excepted(c.policy, c.reference, c.candidate); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
