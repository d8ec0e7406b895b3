package program

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/variable"
)

// The tags by which lowered text marks its own rules.
const (
	tagInternal  = "gatehouse/internal"
	tagExclusion = "gatehouse/exclusion:"
)

// marks reads our own tags: the exclusions that the rule stands for, and whether it is to be hidden.
func marks(tags []string) (exclusions []string, internal bool) {
	for _, tag := range tags {
		if tag == tagInternal {
			internal = true
		}
		if name, ok := strings.CutPrefix(tag, tagExclusion); ok {
			exclusions = append(exclusions, name)
		}
	}
	return exclusions, internal
}

// collect is what the transaction found. Its strings are its own.
func (t *Tx) collect(name func(variable, key, processor string) string) *rules.Result {
	result := &rules.Result{Uninspected: t.engine == engineOff, Scores: t.scores()}
	processor := t.vars.Singles[variable.ReqbodyProcessor]
	own := newCopies(t.records)
	for i := range t.records {
		rec := &t.records[i]
		if len(rec.rule.exclusions) > 0 {
			for _, name := range rec.rule.exclusions {
				if !slices.Contains(result.Exclusions, name) {
					result.Exclusions = append(result.Exclusions, name)
				}
			}
			continue
		}
		if result.Matches == nil {
			result.Matches = make([]rules.Match, 0, len(t.records)-i)
		}
		result.Matches = append(result.Matches, t.match(rec, name, processor, own))
	}
	return result
}

// copies holds what a result has of the transaction, in one piece of memory each.
type copies struct {
	text    strings.Builder
	targets []rules.MatchedTarget
}

// targetLength is about what the name of a target has beside the key.
const targetLength = 16

// newCopies has room for what the records say.
func newCopies(records []record) *copies {
	c, text, targets := &copies{}, 0, 0
	for i := range records {
		rec := &records[i]
		text += len(rec.message) + len(rec.data)
		targets += len(rec.targets)
		for j := range rec.targets {
			d := &rec.targets[j]
			text += len(d.value) + len(d.variable.Name()) + len(":") + len(d.key) + targetLength + len(d.key)
		}
	}
	c.text.Grow(text)
	c.targets = make([]rules.MatchedTarget, 0, targets)
	return c
}

// of is a copy of the texts, one after the other.
func (c *copies) of(texts ...string) string {
	first := c.text.Len()
	for _, s := range texts {
		c.text.WriteString(s)
	}
	return c.text.String()[first:]
}

func (t *Tx) match(rec *record, name func(variable, key, processor string) string, processor string, own *copies) rules.Match {
	r := rec.rule
	m := rules.Match{
		Rule:     r.ID,
		Phase:    rules.Phase(r.Phase),
		Message:  own.of(rec.message),
		Data:     own.of(rec.data),
		Severity: severityText(r.Severity),
		Tags:     slices.Clip(r.Tags),
		File:     r.Place.Source,
		Line:     r.Place.Line,
	}
	switch r.Disruptive.Kind {
	case resolve.Deny, resolve.Drop, resolve.Redirect:
		m.Disruptive = true
	}
	first := len(own.targets)
	for i := range rec.targets {
		d := &rec.targets[i]
		if d.variable == variable.Unknown {
			continue
		}
		shown := d.variable
		if shown == variable.RequestXML {
			shown = variable.XML // as rules and exclusions write it
		}
		target := rules.MatchedTarget{Variable: shown.Name(), Value: own.of(d.value), Target: own.of(name(t.place(d, shown), d.key, processor))}
		if d.key != "" {
			target.Variable = own.of(shown.Name(), ":", d.key)
		}
		own.targets = append(own.targets, target)
	}
	if len(own.targets) > first {
		m.Targets = own.targets[first:len(own.targets):len(own.targets)]
	}
	return m
}

// place is the variable that a value came from: ARGS and ARGS_NAMES hold the arguments of query and body together. A
// name that both have is told by its value; if that does not help either, the variable stays as it is.
func (t *Tx) place(m *match, shown variable.ID) string {
	suffix := ""
	switch shown {
	case variable.Args:
	case variable.ArgsNames:
		suffix = "_NAMES"
	default:
		return shown.Name()
	}
	query, inQuery := t.argument(variable.ArgsGet, m)
	post, inBody := t.argument(variable.ArgsPost, m)
	switch {
	case !post && query, inQuery && !inBody:
		return "ARGS_GET" + suffix
	case !query && post, inBody && !inQuery:
		return "ARGS_POST" + suffix
	}
	return shown.Name()
}

// argument says whether a list of arguments has the key of a match, and whether it has its value under it.
func (t *Tx) argument(v variable.ID, m *match) (key, value bool) {
	lower := lowerText(m.key)
	for i := range t.vars.Lists[v] {
		if e := &t.vars.Lists[v][i]; e.Lower == lower {
			key = true
			value = value || e.Value == m.value
		}
	}
	return key, value
}

var severities = []string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}

// severityName is the name as %{RULE.severity} shows it.
func severityName(s int) string {
	if s < 0 || s >= len(severities) {
		return "unknown"
	}
	return severities[s]
}

// severityText is the name as SecLang writes it, empty for none.
func severityText(s int) string {
	if s == resolve.NoSeverity {
		return ""
	}
	return strings.ToUpper(severityName(s))
}

// The scores that CRS keeps in TX have the slots behind those of captures.
const (
	inboundScore = captureSlots + iota
	inboundThreshold
	outboundScore
	outboundThreshold
	detectionScore
	firstCategory
)

// categories are the attack classes that CRS scores on their own.
var categories = []string{
	"sql_injection", "xss", "rce", "lfi", "rfi", "php_injection", "http_violation", "session_fixation",
}

// scoreNames are the names of the scores, in the order of their slots.
var scoreNames = func() []string {
	names := []string{
		"blocking_inbound_anomaly_score", "inbound_anomaly_score_threshold",
		"blocking_outbound_anomaly_score", "outbound_anomaly_score_threshold", "detection_inbound_anomaly_score",
	}
	for _, c := range categories {
		names = append(names, c+"_score")
	}
	return names
}()

// scores reads the scores that CRS keeps in TX.
func (t *Tx) scores() rules.Scores {
	s := rules.Scores{
		Inbound: t.score(inboundScore), InboundThreshold: t.score(inboundThreshold),
		Outbound: t.score(outboundScore), OutboundThreshold: t.score(outboundThreshold),
		Detection: t.score(detectionScore),
	}
	for i, c := range categories {
		if n := t.score(firstCategory + i); n != 0 {
			if s.Categories == nil {
				s.Categories = make(map[string]int)
			}
			s.Categories[c] = n
		}
	}
	return s
}

// score is the number in a field, 0 if it has none: CRS did not set it then.
func (t *Tx) score(slot int) int {
	text, ok := t.field(slot)
	if !ok || text == "0" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
