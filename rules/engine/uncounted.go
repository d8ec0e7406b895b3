package engine

import "gatehouse/rules"

// Uncounted is the rule set without what is counted and sampled, for transactions that are no traffic. It is closed with
// the rule set.
func (s *onProgram) Uncounted() rules.RuleSet { return s.RuleSet }

// Uncounted is the same on the reference.
func (s *onReference) Uncounted() rules.RuleSet { return s.RuleSet }
