package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// Difference is what is not the same in two outcomes. Its lines quote values of the request, except for those of Redacted.
type Difference struct {
	// Verdict lists what has to be the same, one thing a line.
	Verdict []string
	// Redacted says the same as Verdict, as far as it can be said without anything that a client sent.
	Redacted []string
	// Texts lists messages and data of rules that matched one value or none, and the order of matches.
	Texts []string
	// Ordered lists messages and data of rules that matched several values: they show one of these.
	Ordered []string
}

// Diff compares the outcome of the reference with that of the candidate. Failed inspections are the same, whatever was
// found until then.
func Diff(reference, candidate Outcome) Difference {
	d := differ{}
	if reference.Err != "" || candidate.Err != "" {
		if (reference.Err != "") != (candidate.Err != "") {
			failed := "the reference failed"
			if candidate.Err != "" {
				failed = "the candidate failed"
			}
			d.verdict(failed, "error", cmp.Or(reference.Err, "none"), cmp.Or(candidate.Err, "none"))
		}
		return d.Difference
	}
	d.interruption("interruption", reference.Interruption, candidate.Interruption)
	d.interruption("interruption that the caller saw", reference.Seen, candidate.Seen)
	d.matches(reference.Matches, candidate.Matches)
	d.scores(reference.Scores, candidate.Scores)
	d.compare("uninspected", strconv.FormatBool(reference.Uninspected), strconv.FormatBool(candidate.Uninspected))
	d.compare("exclusions", strings.Join(reference.Exclusions, " "), strings.Join(candidate.Exclusions, " "))
	if len(d.Verdict) == 0 && !slices.Equal(reference.Order, candidate.Order) {
		d.text("order of matches", fmt.Sprint(reference.Order), fmt.Sprint(candidate.Order))
	}
	return d.Difference
}

type differ struct{ Difference }

// verdict adds a line about what, and redacted, which holds nothing that a client sent.
func (d *differ) verdict(redacted, what, reference, candidate string) {
	d.Verdict = append(d.Verdict, fmt.Sprintf("%s: reference %s, candidate %s", what, reference, candidate))
	if !slices.Contains(d.Redacted, redacted) {
		d.Redacted = append(d.Redacted, redacted)
	}
}

func (d *differ) text(what, reference, candidate string) {
	d.Texts = append(d.Texts, fmt.Sprintf("%s: reference %s, candidate %s", what, reference, candidate))
}

func (d *differ) ordered(what, reference, candidate string) {
	d.Ordered = append(d.Ordered, fmt.Sprintf("%s: reference %s, candidate %s", what, reference, candidate))
}

// compare is for what clients have no words in.
func (d *differ) compare(what, reference, candidate string) {
	if reference != candidate {
		reference, candidate = cmp.Or(reference, "none"), cmp.Or(candidate, "none")
		d.verdict(fmt.Sprintf("%s: reference %s, candidate %s", what, reference, candidate), what, reference, candidate)
	}
}

func (d *differ) interruption(what string, reference, candidate *rules.Interruption) {
	if r, c := interruptionText(reference), interruptionText(candidate); r != c {
		d.verdict(fmt.Sprintf("%s: reference %s, candidate %s", what, brief(reference), brief(candidate)), what, r, c)
	}
}

// brief is an interruption without where it redirects to, which a rule may take from the request.
func brief(i *rules.Interruption) string {
	if i == nil {
		return "none"
	}
	return fmt.Sprintf("%d in phase %d (%s %d)", i.Rule, i.Phase, i.Action, i.Status)
}

func interruptionText(i *rules.Interruption) string {
	if i == nil || i.Data == "" {
		return brief(i)
	}
	return brief(i) + " to " + strconv.Quote(i.Data)
}

// matches walks both lists, which are sorted by rule.
func (d *differ) matches(reference, candidate []rules.Match) {
	for len(reference) > 0 || len(candidate) > 0 {
		switch {
		case len(candidate) == 0 || len(reference) > 0 && reference[0].Rule < candidate[0].Rule:
			d.alone("reference", reference[0], "matched "+targetsText(reference[0].Targets), "did not match")
			reference = reference[1:]
		case len(reference) == 0 || candidate[0].Rule < reference[0].Rule:
			d.alone("candidate", candidate[0], "did not match", "matched "+targetsText(candidate[0].Targets))
			candidate = candidate[1:]
		default:
			d.match(reference[0], candidate[0])
			reference, candidate = reference[1:], candidate[1:]
		}
	}
}

// alone is a match of one engine.
func (d *differ) alone(engine string, m rules.Match, reference, candidate string) {
	rule := fmt.Sprintf("rule %d", m.Rule)
	var variables []string
	for _, t := range m.Targets {
		variables = append(variables, collection(t.Variable))
	}
	slices.Sort(variables)
	redacted := fmt.Sprintf("%s matched on the %s alone", rule, engine)
	if len(variables) > 0 {
		redacted += ", in " + strings.Join(slices.Compact(variables), ", ")
	}
	d.verdict(redacted, rule, reference, candidate)
}

// collection is the name of a variable without its key, which a client may have chosen.
func collection(variable string) string {
	name, _, _ := strings.Cut(variable, ":")
	return name
}

func (d *differ) match(reference, candidate rules.Match) {
	rule := fmt.Sprintf("rule %d", reference.Rule)
	d.compare(rule+": phase", strconv.Itoa(int(reference.Phase)), strconv.Itoa(int(candidate.Phase)))
	d.compare(rule+": severity", reference.Severity, candidate.Severity)
	d.compare(rule+": tags", strings.Join(reference.Tags, " "), strings.Join(candidate.Tags, " "))
	d.compare(rule+": place", fmt.Sprint(reference.File, ":", reference.Line), fmt.Sprint(candidate.File, ":", candidate.Line))
	d.compare(rule+": disruptive", strconv.FormatBool(reference.Disruptive), strconv.FormatBool(candidate.Disruptive))
	counts := make(map[rules.MatchedTarget]int)
	for _, t := range reference.Targets {
		counts[t]++
	}
	for _, t := range candidate.Targets {
		counts[t]--
	}
	for _, t := range slices.SortedFunc(maps.Keys(counts), func(a, b rules.MatchedTarget) int {
		return cmp.Or(cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Target, b.Target))
	}) {
		redacted := fmt.Sprintf("%s matched other values of %s", rule, collection(t.Variable))
		switch n := counts[t]; {
		case n > 0:
			d.verdict(redacted, rule+": "+targetText(t), fmt.Sprintf("%d times more", n), "less")
		case n < 0:
			d.verdict(redacted, rule+": "+targetText(t), "less", fmt.Sprintf("%d times more", -n))
		}
	}
	text := d.text
	if len(reference.Targets) > 1 {
		text = d.ordered
	}
	if reference.Message != candidate.Message {
		text(rule+": message", short(reference.Message), short(candidate.Message))
	}
	if reference.Data != candidate.Data {
		text(rule+": data", short(reference.Data), short(candidate.Data))
	}
}

func (d *differ) scores(reference, candidate rules.Scores) {
	for _, s := range []struct {
		name                 string
		reference, candidate int
	}{
		{"inbound score", reference.Inbound, candidate.Inbound},
		{"inbound threshold", reference.InboundThreshold, candidate.InboundThreshold},
		{"outbound score", reference.Outbound, candidate.Outbound},
		{"outbound threshold", reference.OutboundThreshold, candidate.OutboundThreshold},
		{"detection score", reference.Detection, candidate.Detection},
	} {
		d.compare(s.name, strconv.Itoa(s.reference), strconv.Itoa(s.candidate))
	}
	d.compare("scores of categories", categoriesText(reference.Categories), categoriesText(candidate.Categories))
}

func categoriesText(categories map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(categories)) {
		out = append(out, fmt.Sprintf("%s %d", name, categories[name]))
	}
	return strings.Join(out, ", ")
}

func targetsText(targets []rules.MatchedTarget) string {
	const most = 4
	var out []string
	for _, t := range targets[:min(len(targets), most)] {
		out = append(out, targetText(t))
	}
	if len(targets) > most {
		out = append(out, fmt.Sprintf("and %d more", len(targets)-most))
	}
	return strings.Join(out, ", ")
}

func targetText(t rules.MatchedTarget) string {
	s := strconv.Quote(t.Variable)
	if t.Target != "" {
		s += fmt.Sprintf(" (%q)", t.Target)
	}
	return s + " = " + short(t.Value)
}

// short quotes a text, cut in the middle if it is long.
func short(s string) string {
	const most = 160
	if len(s) > most {
		return fmt.Sprintf("%q...%q (%d bytes)", s[:most/2], s[len(s)-most/2:], len(s))
	}
	return strconv.Quote(s)
}
