package coraza

import (
	"slices"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/corazawaf/coraza/v3/types/variables"

	"gatehouse/rules"
)

// Tags by which lowered text marks its own rules.
const (
	// TagInternal marks rules that are never shown.
	TagInternal = "gatehouse/internal"
	// TagExclusion, followed by its name, marks the rule that is an operator's exclusion.
	TagExclusion = "gatehouse/exclusion:"
)

// collect reads what the transaction found. It has to run before the transaction is closed.
func (t *transaction) collect() *rules.Result {
	v := t.state.Variables()
	result := &rules.Result{
		Interruption: t.interruption,
		Uninspected:  t.tx.IsRuleEngineOff(),
		Scores:       readScores(v),
	}
	processor := v.RequestBodyProcessor().Get()
	for _, m := range t.tx.MatchedRules() {
		if names, internal := marks(m.Rule().Tags()); internal || len(names) > 0 {
			for _, name := range names {
				if !slices.Contains(result.Exclusions, name) {
					result.Exclusions = append(result.Exclusions, name)
				}
			}
			continue
		}
		if logged, ok := m.(interface{ Log() bool }); ok && !logged.Log() {
			continue
		}
		result.Matches = append(result.Matches, t.match(m, processor))
	}
	return result
}

// marks reads our own tags: the exclusions that the rule stands for, and whether it is to be hidden.
func marks(tags []string) (exclusions []string, internal bool) {
	for _, tag := range tags {
		if tag == TagInternal {
			internal = true
		}
		if name, ok := strings.CutPrefix(tag, TagExclusion); ok {
			exclusions = append(exclusions, name)
		}
	}
	return exclusions, internal
}

func (t *transaction) match(m types.MatchedRule, processor string) rules.Match {
	r := m.Rule()
	match := rules.Match{
		Rule:       r.ID(),
		Phase:      rules.Phase(r.Phase()),
		Message:    m.Message(),
		Data:       m.Data(),
		Severity:   severity(r.Severity()),
		Tags:       slices.Clone(r.Tags()),
		Disruptive: disruptionOf(m).refuses(),
	}
	match.File, match.Line = t.waf.loaded.placeOf(r.File())
	for _, d := range m.MatchedDatas() {
		if d.Variable() == variables.Unknown {
			continue
		}
		name := d.Variable().Name()
		if d.Variable() == variables.RequestXML {
			name = variables.XML.Name() // as rules and exclusions write it
		}
		target := rules.MatchedTarget{
			Variable: name,
			Target:   t.target(t.place(name, d), d.Key(), processor),
			Value:    d.Value(),
		}
		if d.Key() != "" {
			target.Variable += ":" + d.Key()
		}
		match.Targets = append(match.Targets, target)
	}
	return match
}

// place is the variable that a value came from: ARGS and ARGS_NAMES hold the arguments of query and body together. A
// name that both have is told by its value; if that does not help either, the variable stays as it is.
func (t *transaction) place(name string, d types.MatchData) string {
	suffix, ok := strings.CutPrefix(name, "ARGS")
	if !ok || suffix != "" && suffix != "_NAMES" {
		return name
	}
	query := t.state.Variables().ArgsGet().Get(strings.ToLower(d.Key()))
	body := t.state.Variables().ArgsPost().Get(strings.ToLower(d.Key()))
	switch inQuery, inBody := slices.Contains(query, d.Value()), slices.Contains(body, d.Value()); {
	case len(body) == 0 && len(query) > 0, inQuery && !inBody:
		return "ARGS_GET" + suffix
	case len(query) == 0 && len(body) > 0, inBody && !inQuery:
		return "ARGS_POST" + suffix
	}
	return name
}

// severity is the name as SecLang writes it.
func severity(s types.RuleSeverity) string {
	if s == types.RuleSeverityUnset {
		return ""
	}
	return strings.ToUpper(s.String())
}

// placeOf is the source and line of a rule, read out of the name of its file.
func (l *loaded) placeOf(file string) (source string, line int) {
	p, ok := parsePosition(file)
	if !ok || p.source >= len(l.places) || p.directive >= len(l.places[p.source].lines) {
		return "", 0
	}
	return l.places[p.source].name, l.places[p.source].lines[p.directive]
}

// phaseOf is the phase of the rule that interrupted.
func phaseOf(tx types.Transaction, i *types.Interruption) rules.Phase {
	if i == nil {
		return 0
	}
	for _, m := range tx.MatchedRules() {
		if m.Rule().ID() == i.RuleID {
			return rules.Phase(m.Rule().Phase())
		}
	}
	return 0
}

// categories are the attack classes that CRS scores on their own.
var categories = []string{
	"sql_injection", "xss", "rce", "lfi", "rfi", "php_injection", "http_violation", "session_fixation",
}

// readScores reads the scores that CRS keeps in TX.
func readScores(v plugintypes.TransactionVariables) rules.Scores {
	score := func(key string) int {
		values := v.TX().Get(key)
		if len(values) == 0 {
			return 0
		}
		n, err := strconv.Atoi(values[0])
		if err != nil {
			return 0 // not set by CRS
		}
		return n
	}
	s := rules.Scores{
		Inbound:           score("blocking_inbound_anomaly_score"),
		InboundThreshold:  score("inbound_anomaly_score_threshold"),
		Outbound:          score("blocking_outbound_anomaly_score"),
		OutboundThreshold: score("outbound_anomaly_score_threshold"),
		Detection:         score("detection_inbound_anomaly_score"),
	}
	for _, c := range categories {
		if n := score(c + "_score"); n != 0 {
			if s.Categories == nil {
				s.Categories = make(map[string]int)
			}
			s.Categories[c] = n
		}
	}
	return s
}
