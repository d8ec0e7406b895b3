package inspect

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// reasonOf gives the event reason of a disruptive rule: the base rules and the score rules have their own.
func reasonOf(rule int) (event.Reason, string) {
	switch rule {
	case 949110, 949111:
		return event.CRSScore, "the anomaly score reached the threshold"
	case 959100, 959101:
		return event.CRSScore, "the outbound anomaly score of the reply reached the threshold"
	case 200002:
		return event.BodySyntax, "the request body does not parse"
	case 200003:
		return event.BodySyntax, "the multipart body is not strictly well-formed"
	case 200004, 200005:
		return event.Arguments, "the request has more arguments than are inspected"
	case 200009:
		return event.BodySyntax, "the request target does not parse"
	}
	return event.Rule, fmt.Sprintf("rule %d", rule)
}

// conclude completes the outcome by what the transaction found: in detect, what block would have done; and for a rule
// of the operator's, its name.
func (i *Inspection) conclude(result *rules.Result) {
	defer i.sayOutbound(result)
	if i.broken == CauseWorkBound && i.outcome.Reason == event.WorkBound && result.Interruption != nil {
		i.outcome.Verdict = event.Pass // in block it would have been refused before it took that work
	}
	if result.Interruption != nil && i.outcome.Verdict == event.Pass {
		reason, detail := reasonOf(result.Interruption.Rule)
		i.decide(event.Detect, reason, detail)
	}
	for _, m := range result.Matches {
		staged := slices.Contains(m.Tags, policy.TagStageDetect)
		if staged && i.outcome.Verdict == event.Pass {
			i.decide(event.Detect, event.Rule, "")
		} else if result.Interruption == nil || m.Rule != result.Interruption.Rule {
			continue
		}
		if i.outcome.Reason != event.Rule {
			return
		}
		for _, tag := range m.Tags {
			if name, ok := strings.CutPrefix(tag, policy.TagList); ok {
				i.outcome.Reason = event.List
				i.outcome.Detail = "list " + name
			}
			if name, ok := strings.CutPrefix(tag, policy.TagRule); ok && i.outcome.Reason == event.Rule {
				i.outcome.Detail = "rule " + name
				if staged {
					i.outcome.Detail += ", which is in stage detect"
				}
			}
		}
		return
	}
}

// sayOutbound says in the detail that it was the reply which a rule refused.
func (i *Inspection) sayOutbound(result *rules.Result) {
	const outbound = "outbound"
	x := result.Interruption
	if x == nil || strings.Contains(i.outcome.Detail, outbound) {
		return
	}
	switch i.outcome.Reason {
	case event.Rule, event.List, event.CRSScore:
	default: // it was not the rule that decided
		return
	}
	if x.Phase == rules.PhaseResponseHeaders || x.Phase == rules.PhaseResponseBody {
		i.outcome.Detail = outbound + ": " + i.outcome.Detail
	}
}
