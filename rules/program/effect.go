package program

import (
	"strconv"
	"strings"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/variable"
)

// effect does what a setvar or ctl says.
func (t *Tx) effect(e *Effect) {
	switch e.Kind {
	case resolve.SetVar:
		t.setVar(e)
	case resolve.UnsetVar:
		t.unsetName(t.expandLower(&e.key))
	case resolve.RemoveRules:
		t.removed = append(t.removed, &e.Rules)
		t.checkUnfold() // whether or not the rest of the chain matches
	case resolve.RemoveTargets:
		t.exceptions = append(t.exceptions, e.Effect)
	case resolve.SetEngine:
		switch e.Value {
		case "on":
			t.engine = engineOn
		case "off":
			t.engine = engineOff
		case "detectiononly":
			t.engine = engineDetectionOnly
		}
	case resolve.SetBodyProcessor:
		if t.phase <= 1 {
			t.vars.Singles[variable.ReqbodyProcessor] = e.Value
		}
	case resolve.ForceBody:
		t.forceBody = e.Value == "on"
	case resolve.SetBodyAccess:
		if t.phase <= 1 {
			t.bodyAccess = e.Value == "on"
		}
	case resolve.SetResponseAccess:
		if t.phase <= 3 {
			t.responseAccess = e.Value == "on"
		}
	case resolve.ForceResponseBody:
		t.forceResponse = e.Value == "on"
	}
}

// setVar sets a field of TX, or adds to it.
func (t *Tx) setVar(e *Effect) {
	text := t.expand(&e.text)
	slot, hasSlot, name := e.slot, true, ""
	if e.key.parts != nil {
		name = t.expandLower(&e.key)
		slot, hasSlot = t.program.names.slot(name)
	}
	if hasSlot {
		old, _ := t.field(slot)
		if value, ok := assigned(old, text); ok {
			t.set(slot, value)
		}
		return
	}
	at, old := t.extra.at(name), ""
	if at >= 0 {
		old = t.extra.entries[at].Value
	}
	if value, ok := assigned(old, text); ok {
		t.extra.put(at, name, value)
		t.otherSet(name)
	}
}

// isSum says whether the text of a setvar may be a number to add.
func isSum(text string) bool { return text != "" && (text[0] == '+' || text[0] == '-') }

// assigned is what a field becomes; ok is false if it stays as it is. A text that begins with a sign is arithmetic if a
// number follows; a sign alone stands for 0.
func assigned(old, text string) (value string, ok bool) {
	if !isSum(text) {
		return text, true
	}
	operand := 0
	if len(text) > 1 {
		n, err := strconv.Atoi(text[1:])
		if err != nil {
			return text, !strings.HasPrefix(text[1:], "tx.")
		}
		operand = n
	}
	sum := 0
	if old != "" {
		n, err := strconv.Atoi(old)
		if err != nil {
			return "", false
		}
		sum = n
	}
	if text[0] == '+' {
		return strconv.Itoa(sum + operand), true
	}
	return strconv.Itoa(sum - operand), true
}
