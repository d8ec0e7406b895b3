package tuning

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// Validity is how long a suggested exclusion is valid: long enough to settle the matter at its root.
const Validity = 90 * 24 * time.Hour

// maxRules is the most rules that one exclusion may name.
const maxRules = 50

// Suggestion is what would let the request of an event pass.
type Suggestion struct {
	// Exclusions are what to add to the application. There is none if Refused is set.
	Exclusions []policy.Exclusion
	// Refused says why an exclusion would be wrong, and what helps instead.
	Refused string
	// Notes say what the exclusions do not.
	Notes []string
	// Messages are what the rules say of themselves.
	Messages map[int]string
}

// Suggest gives the smallest exclusions with which a request like that of e passes. They expire Validity after now.
func Suggest(e *event.Event, now time.Time) Suggestion {
	if e.Verdict == event.Pass {
		return Suggestion{Refused: "Nothing refused the request."}
	}
	if e.Reason != event.CRSScore && e.Reason != event.Rule {
		return Suggestion{Refused: Advice(e)}
	}
	matches := Contributing(e)
	if len(matches) == 0 {
		return Suggestion{Refused: "The record does not name the rules that refused the request" + dropped(e) + ". gatehouse inspect judges the request again, if you have it."}
	}
	s := Suggestion{Messages: map[int]string{}}
	for i := range matches {
		m := &matches[i]
		if name := ownRule(m); name != "" {
			return Suggestion{Refused: fmt.Sprintf("It is your own rule %q that refused the request: narrow its when:, or set stage: detect on it. Exclusions are for the rules of CRS and of custom SecLang.", name)}
		}
		if why := policy.Protected(m.Rule); why != "" {
			return Suggestion{Refused: fmt.Sprintf("Rule %d cannot be excluded: %s.", m.Rule, why)}
		}
		s.Messages[m.Rule] = m.Message
	}
	needed, spared := fewestOf(e, matches)
	s.Exclusions = exclusions(e, needed, now)
	if len(spared) > 0 {
		s.Notes = append(s.Notes, stays(spared))
	}
	if e.RulesDropped > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d more rules matched than the record has room for: the exclusion may not be enough.", e.RulesDropped))
	}
	if e.Reason == event.Rule {
		s.Notes = append(s.Notes, "The rule refused the request on its own; rules that come after it may still refuse a request that it lets pass.")
	}
	return s
}

// stays says which rules the exclusions leave alone.
func stays(spared []rules.Match) string {
	if len(spared) == 1 {
		return fmt.Sprintf("Rule %d stays in force there: what it adds to the score is below the threshold.", spared[0].Rule)
	}
	return "The rules " + ids(spared) + " stay in force there: what they add to the score is below the threshold."
}

// dropped says that rules are missing in the record.
func dropped(e *event.Event) string {
	if e.RulesDropped == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d had no room in it)", e.RulesDropped)
}

// fewestOf gives the fewest of the contributing matches without which the request passes, and the others. It looks at
// each score by itself.
func fewestOf(e *event.Event, matches []rules.Match) (needed, spared []rules.Match) {
	if e.Reason != event.CRSScore {
		return matches, nil
	}
	isInbound := func(m *rules.Match) bool { return m.Phase <= rules.PhaseRequestBody }
	inNeeded, inSpared := fewest(selected(matches, isInbound), e.Scores.Inbound, e.Scores.InboundThreshold)
	outNeeded, outSpared := fewest(selected(matches, func(m *rules.Match) bool { return !isInbound(m) }), e.Scores.Outbound, e.Scores.OutboundThreshold)
	return append(inNeeded, outNeeded...), append(inSpared, outSpared...)
}

// exclusions takes the matches away where they matched: one exclusion for the rules that matched at the same targets.
func exclusions(e *event.Event, matches []rules.Match, now time.Time) []policy.Exclusion {
	path := PathPattern(e.Path)
	var out []policy.Exclusion
	at := map[string]int{}
	for i := range matches {
		m := &matches[i]
		targets := targetsOf(m)
		key := strings.Join(targets, "\n")
		if k, ok := at[key]; ok && len(out[k].Rules) < maxRules {
			out[k].Rules = append(out[k].Rules, m.Rule)
			continue
		}
		at[key] = len(out)
		x := policy.Exclusion{
			Rules: []int{m.Rule}, Path: path, Targets: targets, WholeRequest: len(targets) == 0,
			Reason: "false positive", Expires: policy.Date(now.UTC().Add(Validity).Format(time.DateOnly)),
		}
		if e.Incident != "" {
			x.Reason += ", incident " + e.Incident
		}
		if isMethod(e.Method) {
			x.Methods = policy.Strings{e.Method}
		}
		out = append(out, x)
	}
	taken := map[string]bool{}
	for i := range out {
		out[i].Name = exclusionName(&out[i], taken)
	}
	return out
}

// isMethod says whether an exclusion can name the method.
func isMethod(m string) bool {
	return m != "" && strings.IndexFunc(m, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' && r != '_' }) < 0
}

// exclusionName is made of the path's last fixed segments, the first target and the first rule:
// orders-notes-comment-942100.
func exclusionName(x *policy.Exclusion, taken map[string]bool) string {
	words := nameWords(x.Path, "/")
	words = words[max(0, len(words)-2):]
	if len(words) == 0 {
		words = []string{"root"}
	}
	if len(x.Targets) > 0 {
		target := nameWords(x.Targets[0], ":.[]")
		words = append(words, target[max(0, len(target)-1):]...)
	}
	name := strings.Join(append(words, strconv.Itoa(x.Rules[0])), "-")
	base := name
	for n := 2; taken[name]; n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	taken[name] = true
	return name
}

// nameWords gives the parts of s, cut at the separators, as words that a name can hold.
func nameWords(s, separators string) []string {
	var words []string
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		word := strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
				return r
			case r >= 'A' && r <= 'Z':
				return r + 'a' - 'A'
			case r == '.' || r == ' ':
				return '-'
			}
			return -1
		}, part)
		if word = strings.Trim(word[:min(len(word), 16)], "-_"); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// ids lists the rules of matches.
func ids(matches []rules.Match) string {
	var out []string
	for _, m := range matches {
		out = append(out, strconv.Itoa(m.Rule))
	}
	return strings.Join(out, ", ")
}
