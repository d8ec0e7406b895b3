package policy_test

import (
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/rulestest"
)

// head is the start of test files of rules: headers of a request that no rule of CRS minds.
const head = `-- headers --
Host: shop.example.com
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
Accept: */*

`

// parseCases reads the cases of a test file that is written in the test.
func parseCases(t *testing.T, text string) []rulestest.Case {
	t.Helper()
	f, err := rulestest.Parse(t.Name(), head+text)
	if err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

// checkCases runs cases on the reference.
func checkCases(t *testing.T, set rules.RuleSet, cases []rulestest.Case) {
	t.Helper()
	for i := range cases {
		differences, _ := rulestest.CheckCase(set, &cases[i], rulestest.ReferenceEngine)
		for _, d := range differences {
			t.Error(d)
		}
	}
}

// mustLoad loads a policy into the reference, until the test ends.
func mustLoad(t *testing.T, p rules.Policy) rules.RuleSet {
	t.Helper()
	set, err := coraza.New(coraza.Options{}).Load(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}
