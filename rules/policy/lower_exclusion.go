package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// exclusionLowering turns exclusions into text.
//
// An exclusion is one rule that asks for its scope and sets a flag, and for each target rules that ask for the flag
// and for the target, and take the target from the named rules. The latter carry the exclusion's tag, so that a record
// names an exclusion when it took effect.
//
// Query and body arguments are a case of their own. Rules look at ARGS, which holds both, and an exception for a key
// of ARGS is an exception for both. So a key of ARGS is taken from the rules in phase 2 only, when both are known, and
// only if the other place has no argument of that name; a request that sends the name in both places is inspected in
// both. Body targets also ask for the body processor: a form field cannot pose as a JSON field by its name.
type exclusionLowering struct {
	ids  numbering
	text strings.Builder
}

func (l *exclusionLowering) exclusion(e Exclusion) error {
	scope, err := scopeOf(e)
	if err != nil {
		return err
	}
	id, err := l.ids.take()
	if err != nil {
		return err
	}
	tag := "tag:'" + TagExclusion + e.Name + "'"
	if e.WholeRequest {
		chain{
			id: id, phase: 1, conditions: scope,
			actions: []string{"pass", "nolog", tag},
			effects: e.removals(),
		}.writeTo(&l.text)
		return nil
	}
	flag := "gatehouse_scope_" + strconv.Itoa(id)
	chain{
		id: id, phase: 1, conditions: scope,
		actions: []string{"pass", "nolog", "tag:'" + TagInternal + "'"},
		effects: []string{"setvar:tx." + flag + "=1"},
	}.writeTo(&l.text)
	for _, s := range e.Targets {
		t, err := ParseTarget(s)
		if err != nil {
			return err
		}
		for _, x := range exceptionsOf(t) {
			id, err := l.ids.take()
			if err != nil {
				return err
			}
			chain{
				id: id, phase: x.phase,
				conditions: append([]condition{{variable: "TX:" + flag, operator: "@eq 1"}}, x.conditions...),
				actions:    []string{"pass", "nolog", tag},
				effects:    e.targetRemovals(x.targets),
			}.writeTo(&l.text)
		}
	}
	return nil
}

// scopeOf is when the exclusion holds: at its path, hosts and methods, until the end of its day. What tells most requests
// apart comes first: the rest is not looked at in other requests.
func scopeOf(e Exclusion) ([]condition, error) {
	var out []condition
	if e.Path != "" {
		out = append(out, pathCondition([]string{e.Path}, strictly))
	}
	if len(e.Hosts) > 0 {
		out = append(out, hostCondition(e.Hosts))
	}
	if len(e.Methods) > 0 {
		out = append(out, methodCondition(e.Methods))
	}
	if e.Expires != "" {
		end, err := e.Expires.End()
		if err != nil {
			return nil, err
		}
		out = append(out, before(end))
	}
	if len(out) == 0 {
		out = append(out, condition{variable: "REQUEST_METHOD", operator: "@unconditionalMatch"})
	}
	return out, nil
}

// removals take whole rules out of the request.
func (e Exclusion) removals() []string {
	var out []string
	for _, id := range e.Rules {
		out = append(out, "ctl:ruleRemoveById="+strconv.Itoa(id))
	}
	for _, tag := range e.Tags {
		out = append(out, "ctl:ruleRemoveByTag="+tag)
	}
	return out
}

// targetRemovals take targets from the rules.
func (e Exclusion) targetRemovals(targets []string) []string {
	var out []string
	for _, t := range targets {
		for _, id := range e.Rules {
			out = append(out, fmt.Sprintf("ctl:ruleRemoveTargetById=%d;%s", id, t))
		}
		for _, tag := range e.Tags {
			out = append(out, fmt.Sprintf("ctl:ruleRemoveTargetByTag=%s;%s", tag, t))
		}
	}
	return out
}

// exception is a set of SecLang targets that are taken from rules in one phase under some conditions.
type exception struct {
	phase      int
	conditions []condition
	targets    []string
}

// exceptionsOf says how a target is taken from rules.
func exceptionsOf(t Target) []exception {
	where, key := excludable[t.Kind], t.key()
	if whole, ok := wholes[t.Kind]; ok && t.Name == "" {
		where, key = whole, ""
	} else if kinds[t.Kind] == nameNone {
		key = ""
	}
	out := where.exceptions(key)
	if t.Kind == KindBody {
		out = append(out, textBody.exceptions(textArgument)...)
	}
	return out
}

func (p place) exceptions(key string) []exception {
	selector := ""
	if key != "" {
		selector = ":" + key
	}
	var conditions []condition
	if p.processors != "" {
		conditions = append(conditions, matches("REQBODY_PROCESSOR", strings.Split(p.processors, "|")))
	}
	if p.present != "" {
		conditions = append(conditions, condition{variable: "&" + p.present + selector, operator: "@gt 0"})
	}
	own := exception{phase: p.phase, conditions: conditions}
	for _, v := range p.variables {
		own.targets = append(own.targets, v+selector)
	}
	if p.shared == "" {
		return []exception{own}
	}
	out := []exception{own}
	if p.processors == "" { // the query is known in phase 1 already, and so are rules that look at it alone
		out[0].phase = 1
	}
	return append(out, exception{
		phase:      2,
		conditions: append(conditions[:len(conditions):len(conditions)], condition{variable: "&" + p.other + selector, operator: "@eq 0"}),
		targets:    []string{p.shared + selector},
	})
}
