package resolve

import (
	"errors"
	"strconv"
	"strings"

	"gatehouse/rules/program/variable"
)

// ctl adds what a ctl action does. What the reference ignores when it happens (a value that is none, an unknown
// variable) is left out.
func (r *Rule) ctl(text string) error {
	name, setting, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("write ctl:name=value")
	}
	value, targetText, _ := strings.Cut(setting, ";")
	target, err := ctlTarget(targetText)
	if err != nil {
		return err
	}
	add := func(e Effect) { r.Effects = append(r.Effects, e) }
	// A switch is on or off.
	toggle := func(kind EffectKind) {
		if v := strings.ToLower(value); v == "on" || v == "off" {
			add(Effect{Kind: kind, Value: v})
		}
	}
	switch name {
	case "ruleEngine":
		if v := strings.ToLower(value); v == "on" || v == "off" || v == "detectiononly" {
			add(Effect{Kind: SetEngine, Value: v})
		}
	case "requestBodyProcessor":
		add(Effect{Kind: SetBodyProcessor, Value: strings.ToUpper(value)})
	case "responseBodyProcessor":
		add(Effect{Kind: SetResponseProcessor, Value: strings.ToUpper(value)})
	case "forceRequestBodyVariable":
		toggle(ForceBody)
	case "forceResponseBodyVariable":
		toggle(ForceResponseBody)
	case "requestBodyAccess":
		toggle(SetBodyAccess)
	case "responseBodyAccess":
		toggle(SetResponseAccess)
	case "ruleRemoveById", "ruleRemoveByTag", "ruleRemoveByMsg":
		if s, ok := r.selection(name, value); ok {
			add(Effect{Kind: RemoveRules, Rules: s})
		}
	case "ruleRemoveTargetById", "ruleRemoveTargetByTag", "ruleRemoveTargetByMsg":
		if s, ok := r.selection(name, value); ok && target.Variable != variable.Unknown {
			add(Effect{Kind: RemoveTargets, Rules: s, Target: target})
		}
	case "auditEngine":
		if v := strings.ToLower(value); v == "on" || v == "relevantonly" {
			r.unsupported("ctl:%s", text)
		}
	case "auditLogParts", "hashEngine", "hashEnforcement", "debugLogLevel":
		// There is no audit log and no debug log, and the reference ignores the others.
	default: // limits, which are the gateway's to set, and what is not known
		r.unsupported("ctl:%s", name)
	}
	return nil
}

// selection reads which rules a ctl action is about; ok is false if it is about none.
func (r *Rule) selection(name, value string) (s Selection, ok bool) {
	switch {
	case strings.HasSuffix(name, "Tag"):
		return Selection{Tag: value}, value != ""
	case strings.HasSuffix(name, "Msg"):
		return Selection{Message: value}, value != ""
	}
	first, last, isRange := strings.Cut(value, "-")
	if !isRange {
		last = first
	}
	from, notFirst := strconv.Atoi(first)
	to, notLast := strconv.Atoi(last)
	if notFirst != nil || notLast != nil || from > to {
		return s, false
	}
	if from < 1 {
		r.unsupported("ctl:%s=%s is about markers, which have the id 0", name, value)
	}
	return Selection{First: from, Last: to}, true
}
