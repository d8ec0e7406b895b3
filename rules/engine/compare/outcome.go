package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/rules"
)

// Outcome is what an engine made of an exchange, in a form that does not depend on the order in which values were visited.
type Outcome struct {
	// Err is why inspection failed, empty if it did not.
	Err string
	// Seen is the interruption that the caller saw, Interruption that of the result.
	Seen, Interruption *rules.Interruption
	// Matches are by rule, the targets of each sorted.
	Matches []rules.Match
	// Order is the order in which the rules matched.
	Order       []int
	Scores      rules.Scores
	Uninspected bool
	Exclusions  []string // sorted
}

// OutcomeOf makes an outcome of what a transaction came to; seen and err are those of its methods. It shares no memory
// with the result that its owner could change.
func OutcomeOf(r *rules.Result, seen *rules.Interruption, err error) Outcome {
	o := Outcome{Seen: clone(seen), Interruption: clone(r.Interruption), Scores: r.Scores, Uninspected: r.Uninspected}
	if err != nil {
		o.Err = err.Error()
	}
	o.Scores.Categories = maps.Clone(r.Scores.Categories)
	o.Exclusions = slices.Sorted(slices.Values(r.Exclusions))
	for _, m := range r.Matches {
		o.Order = append(o.Order, m.Rule)
		m.Tags = slices.Clone(m.Tags)
		m.Targets = slices.SortedFunc(slices.Values(m.Targets), func(a, b rules.MatchedTarget) int {
			return cmp.Or(cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Target, b.Target))
		})
		o.Matches = append(o.Matches, m)
	}
	slices.SortStableFunc(o.Matches, func(a, b rules.Match) int { return a.Rule - b.Rule })
	return o
}

func clone(i *rules.Interruption) *rules.Interruption {
	if i == nil {
		return nil
	}
	c := *i
	return &c
}

// Matched says whether a rule matched.
func (o *Outcome) Matched(rule int) bool {
	return slices.ContainsFunc(o.Matches, func(m rules.Match) bool { return m.Rule == rule })
}

// String shows the outcome in lines. It quotes the request.
func (o *Outcome) String() string {
	if o.Err != "" {
		return "error: " + o.Err
	}
	lines := []string{"interruption " + interruptionText(o.Interruption)}
	for _, m := range o.Matches {
		lines = append(lines, fmt.Sprintf("rule %d in phase %d matched %s", m.Rule, m.Phase, targetsText(m.Targets)))
	}
	s := o.Scores
	lines = append(lines, fmt.Sprintf("scores inbound %d of %d, outbound %d of %d, detection %d (%s)",
		s.Inbound, s.InboundThreshold, s.Outbound, s.OutboundThreshold, s.Detection, cmp.Or(categoriesText(s.Categories), "no category")))
	if len(o.Exclusions) > 0 {
		lines = append(lines, "exclusions "+strings.Join(o.Exclusions, " "))
	}
	if o.Uninspected {
		lines = append(lines, "a rule switched inspection off")
	}
	return strings.Join(lines, "\n")
}
