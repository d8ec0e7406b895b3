package program

import (
	"strconv"

	"gatehouse/rules"
	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/byteset"
	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
)

// evaluate runs a rule with the links of its chain, and answers whether all of them matched.
func (t *Tx) evaluate(index int) bool {
	r := t.program.Rules[index]
	t.at = index
	clear(t.matched)
	t.matched = t.matched[:0]
	clear(t.targets)
	rec := record{rule: r, targets: t.targets[:0]}
	matched := t.evaluateLinks(r, index, &rec)
	t.targets = rec.targets
	if !matched {
		return false
	}
	if r.recorded && (len(r.Next) > 0 || !r.decides) && r.message.set {
		if message := t.expand(&r.message); message != "" {
			rec.message, rec.data = message, ""
			if r.data.set {
				rec.data = t.expand(&r.data)
			}
		}
	}
	if r.SkipAfter != "" {
		t.skipAfter = r.SkipAfter
	}
	if r.Skip > 0 {
		t.skip = r.Skip
	}
	t.disrupt(r)
	if r.Severity != resolve.NoSeverity && r.Severity < t.highestSeverity {
		t.highestSeverity = r.Severity
	}
	if r.recorded {
		first := len(t.recorded)
		t.recorded = append(t.recorded, rec.targets...)
		rec.targets = t.recorded[first:len(t.recorded):len(t.recorded)]
		t.records = append(t.records, rec)
	}
	t.checkUnfold()
	return true
}

// evaluateLinks runs a rule and the links of its chain up to the first that does not match, and answers whether all did.
func (t *Tx) evaluateLinks(r *Rule, index int, rec *record) bool {
	if !t.evaluateLink(r, r, index, rec) {
		return false
	}
	for _, link := range r.Next {
		if !t.evaluateLink(link, r, -1, rec) {
			return false
		}
	}
	return true
}

// checkUnfold lets the rules run that folding had decided, if the rule that runs breaks what folding assumed.
func (t *Tx) checkUnfold() {
	for level := Generic - 1; level >= t.level; level-- {
		if t.program.Foldings[level].Unfolds.Has(t.at) {
			t.unfold(level + 1)
			return
		}
	}
}

// unfold goes on at a level that assumes less. What was assigned so far is what the rules so far have assigned.
func (t *Tx) unfold(to Level) {
	for ; t.level < to; t.level++ {
		orBits(t.active, t.program.Foldings[t.level].Rest)
	}
}

func (t *Tx) disrupt(r *Rule) {
	switch r.Disruptive.Kind {
	case resolve.Deny, resolve.Drop, resolve.Redirect:
		i := &interruption{rule: r, phase: t.phase}
		switch {
		case t.engine == engineOn:
			t.interruption = i
			t.unfold(Constant) // the rest of the phase does not run
		case t.engine == engineDetectionOnly && t.kept == nil:
			t.kept = i
		}
	case resolve.Allow, resolve.AllowPhase, resolve.AllowRequest:
		if t.engine == engineOn {
			t.allow = r.Disruptive.Kind
		}
	}
}

// evaluateLink runs one rule of a chain on all its values and answers whether one matched.
func (t *Tx) evaluateLink(r, starter *Rule, index int, rec *record) bool {
	t.rule = r
	if !r.decides {
		t.onMatch(r, starter, match{}, rec)
		return true
	}
	any := false
	t.excepting = t.exceptions
	for i := range r.targets {
		target := &r.targets[i]
		if index >= 0 && t.program.Nominated.Has(index) {
			t.found = t.candidateFields(t.found[:0], target, starter, index)
		} else {
			t.found = t.fieldsOf(t.found[:0], target, starter)
		}
		for j := range t.found {
			f := &t.found[j]
			if r.multiMatch {
				any = t.evaluateSteps(r, starter, f, rec) || any
				continue
			}
			if value, mask := t.transformed(r, f); t.test(r, value, mask) {
				any = true
				t.onMatch(r, starter, match{f.variable, f.key, value}, rec)
			}
		}
	}
	return any
}

// evaluateSteps runs a rule with multiMatch: on the value and after every transformation that changes it.
func (t *Tx) evaluateSteps(r, starter *Rule, f *field, rec *record) bool {
	if f.at >= 0 {
		if text := &t.look.texts[t.look.values[f.at].text]; unchanged(r.steps, text) {
			if !t.test(r, f.value, &text.mask) {
				return false
			}
			t.onMatch(r, starter, match{f.variable, f.key, f.value}, rec)
			return true
		}
	}
	// The transformations come first, as the reference has them.
	texts := append(t.steps[:0], f.value)
	value := f.value
	for _, step := range r.steps {
		out, changed, err := step.Apply(&t.scratch, value)
		if err == nil && changed {
			value = out
			texts = append(texts, out)
		}
	}
	t.steps = texts
	any := false
	for _, s := range texts {
		if t.test(r, s, nil) {
			any = true
			t.onMatch(r, starter, match{f.variable, f.key, s}, rec)
		}
	}
	return any
}

// unchanged says that none of the steps changes the text.
func unchanged(steps []*transform.Func, text *text) bool {
	for _, step := range steps {
		if !step.Unchanged(text.mask, text.s) {
			return false
		}
	}
	return true
}

// candidateFields are the values of a target that patterns nominated for the rule.
func (t *Tx) candidateFields(out []field, target *target, starter *Rule, index int) []field {
	head := &t.look.heads[index]
	c := head.first
	if !head.loud && t.level < Generic && len(t.exceptions) == 0 {
		c = head.last // the others come to nothing
	}
	for c != 0 {
		candidate := t.look.candidates[c-1]
		c = candidate.next
		if f, ok := t.fieldOf(target, int(candidate.value)); ok && !t.excepted(target, starter, &f) {
			out = append(out, f)
		}
	}
	return out
}

// fieldOf is a value as the target sees it; ok is false if it does not.
func (t *Tx) fieldOf(target *target, at int) (f field, ok bool) {
	v := &t.look.values[at]
	switch {
	case v.variable == variable.TX:
		if target.Variable != variable.TX || target.slot != int(v.index) || target.Regex != nil || target.Key == "" {
			return f, false
		}
		return field{variable: variable.TX, key: target.Key, lower: target.Key, value: t.look.texts[v.text].s, at: at}, true
	case v.variable.Kind() == variable.Single:
		return field{variable: v.variable, value: t.look.texts[v.text].s, at: at}, target.Variable == v.variable
	}
	for _, s := range SourcesOf(target.Variable) {
		if s.Variable != v.variable || s.Names != v.names {
			continue
		}
		e := &t.vars.Lists[v.variable][v.index]
		if !selected(target, v.names, e) {
			return f, false
		}
		return field{variable: s.Reported, key: e.Key, lower: e.Lower, value: t.look.texts[v.text].s, at: at}, true
	}
	return f, false
}

// test decides a rule's operator. Mask is the set of the value's bytes, or nil.
func (t *Tx) test(r *Rule, value string, mask *byteset.Set) bool {
	var holds bool
	if !t.spend(len(value) + 1) {
		return false
	}
	if r.costly != nil {
		if mask == nil {
			mask = new(byteset.Of(value))
		}
		if !t.spend(r.costly.Cost(value, *mask)) {
			return false
		}
	}
	switch {
	case r.compare != nil:
		holds = r.compare(value, t.expand(&r.argument))
	case r.captures:
		t.captures.Reset()
		if mask != nil && r.masked != nil {
			holds = r.masked.MatchMasked(value, *mask, &t.captures)
		} else {
			holds = r.operator.Match(value, &t.captures)
		}
		if t.captures.Any() {
			t.spend(captureCost*t.captures.Read + restCost*t.captures.Rest)
			for i, s := range t.captures.Fields() {
				t.set(i, s)
			}
		}
	case mask != nil && r.masked != nil:
		holds = r.masked.MatchMasked(value, *mask, nil)
	default:
		holds = r.operator.Match(value, nil)
	}
	return holds != r.negated
}

// captureCost is how many times dearer it is to find what a regular expression captures than to decide that it matches, up
// to the end of the match; restCost is that of what may be read beyond it.
const (
	captureCost = 64
	restCost    = 4
)

// spend notes work, in bytes given to operators, and answers whether there may be more.
func (t *Tx) spend(bytes int) bool {
	t.spent += bytes
	if most := t.program.Bounds.Work; most > 0 && t.spent > most && t.over == nil {
		t.over = &rules.BoundError{What: "bytes of work", Limit: most}
	}
	return t.over == nil
}

// onMatch notes a match and does what it causes.
func (t *Tx) onMatch(r, starter *Rule, m match, rec *record) {
	t.matched = append(t.matched, m)
	t.lastMatch, t.matchedVar = m, m.value
	for i := range r.effects {
		t.effect(&r.effects[i])
	}
	if !starter.recorded {
		return
	}
	rec.targets = append(rec.targets, m)
	// The message of a chain's starter, and of an action, is expanded when all has matched.
	if r == starter && (len(r.Next) > 0 || !r.decides) {
		return
	}
	if rec.message == "" && r.message.set {
		rec.message = t.expand(&r.message)
		if rec.message != "" && r.data.set {
			rec.data = t.expand(&r.data)
		}
	}
}

// ruleField is a field of RULE.
func (t *Tx) ruleField(key string) (string, bool) {
	switch key {
	case "id":
		return strconv.Itoa(t.rule.logID), true
	case "rev":
		return t.rule.Revision, true
	case "severity":
		return severityName(t.rule.Severity), true
	}
	return "", false
}
