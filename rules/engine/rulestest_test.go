package engine_test

import (
	"testing"

	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
	"gatehouse/rules/rulestest/rulestesting"
)

// TestRulestestFiles runs the test files of rule text on the engine. Those of policies are run by package policy.
func TestRulestestFiles(t *testing.T) {
	e := engine.New(engine.Options{Target: policy.TargetOf})
	if ran := rulestesting.Run(t, e, "../rulestest/testdata/engine", rulestesting.Options{}); ran.Cases < 50 {
		t.Errorf("only %d cases", ran.Cases)
	}
}
