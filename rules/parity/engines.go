package parity

import (
	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
)

// Reference is a new engine whose answers are right.
func Reference() rules.Engine {
	return coraza.New(coraza.Options{Target: policy.TargetOf})
}

// Candidate is a new engine of the kind that is held against the reference.
func Candidate() rules.Engine {
	return engine.New(engine.Options{Target: policy.TargetOf})
}

// Compiled says whether a rule set of the candidate runs on its own, rather than hand its transactions to the reference,
// in which case comparing it shows nothing.
func Compiled(set rules.RuleSet) bool {
	says, ok := set.(interface{ Coverage() engine.Coverage })
	return ok && len(says.Coverage().Reference) == 0
}
