package tuning

import (
	"slices"
	"strings"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// points are what a match adds to the anomaly score, by severity (CRS, crs-setup.conf).
var points = map[string]int{"CRITICAL": 5, "ERROR": 4, "WARNING": 3, "NOTICE": 2}

// Contributing gives the rules to which the event owes its verdict: those that added to the score, or the one that
// refused the request itself. Rules that only evaluate scores are not among them. A rule that matched twice is there
// once, with the targets of both.
func Contributing(e *event.Event) []rules.Match {
	switch e.Reason {
	case event.Rule:
		return selected(e.Rules, func(m *rules.Match) bool { return m.Disruptive && !evaluates(m.Rule) })
	case event.CRSScore:
		in, out := scored(e)
		return selected(e.Rules, func(m *rules.Match) bool {
			return counts(m) && (in && m.Phase <= rules.PhaseRequestBody || out && m.Phase > rules.PhaseRequestBody)
		})
	}
	return nil
}

// scored says which of the two scores reached its threshold.
func scored(e *event.Event) (inbound, outbound bool) {
	s := e.Scores
	inbound = s.InboundThreshold > 0 && s.Inbound >= s.InboundThreshold
	outbound = s.OutboundThreshold > 0 && s.Outbound >= s.OutboundThreshold
	if !inbound && !outbound { // a record without thresholds
		return true, true
	}
	return inbound, outbound
}

// counts says whether a match adds to a score.
func counts(m *rules.Match) bool {
	return points[m.Severity] > 0 && policy.Protected(m.Rule) == ""
}

// evaluates says whether a rule only compares a score with its threshold, or reports it.
func evaluates(id int) bool {
	return id >= 949_000 && id < 950_000 || id >= 959_000 && id < 960_000 || id >= 980_000 && id < 981_000
}

// selected gives the matches that take says, one for each rule.
func selected(matches []rules.Match, take func(*rules.Match) bool) []rules.Match {
	var out []rules.Match
	at := map[int]int{}
	for i := range matches {
		m := matches[i]
		if !take(&m) {
			continue
		}
		if k, ok := at[m.Rule]; ok {
			out[k].Targets = append(slices.Clip(out[k].Targets), m.Targets...)
			continue
		}
		at[m.Rule] = len(out)
		out = append(out, m)
	}
	return out
}

// fewest gives the fewest of the rules without which the score is below the threshold, in the order in which they
// matched, and those that may stay. If the record does not account for the score, all are needed.
func fewest(matches []rules.Match, score, threshold int) (needed, spared []rules.Match) {
	weights, ok := weigh(matches, score)
	if !ok || threshold <= 0 || score < threshold {
		return matches, nil
	}
	order := make([]int, len(matches))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d := weights[b] - weights[a]; d != 0 {
			return d
		}
		return whole(&matches[a]) - whole(&matches[b]) // what has a target is excluded more narrowly
	})
	remaining := score
	take := map[int]bool{}
	for _, i := range order {
		if remaining < threshold {
			break
		}
		take[i] = true
		remaining -= weights[i]
	}
	for i := range matches {
		if take[i] {
			needed = append(needed, matches[i])
		} else {
			spared = append(spared, matches[i])
		}
	}
	return needed, spared
}

// whole is 1 for a rule that looks at the request as a whole.
func whole(m *rules.Match) int {
	if len(targetsOf(m)) == 0 {
		return 1
	}
	return 0
}

// weigh gives what each rule added to the score: its points once, or once for each target. ok is false if neither
// makes up the score.
func weigh(matches []rules.Match, score int) (weights []int, ok bool) {
	for _, perTarget := range []bool{true, false} {
		weights = weights[:0]
		sum := 0
		for i := range matches {
			w := points[matches[i].Severity]
			if perTarget {
				w *= max(1, len(matches[i].Targets))
			}
			weights = append(weights, w)
			sum += w
		}
		if sum == score {
			return weights, true
		}
	}
	return nil, false
}

// ownRule gives the name of the structured rule that made the match, empty if none did.
func ownRule(m *rules.Match) string {
	for _, tag := range m.Tags {
		if name, ok := strings.CutPrefix(tag, policy.TagRule); ok {
			return name
		}
	}
	return ""
}
