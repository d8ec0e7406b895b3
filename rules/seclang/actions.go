package seclang

import (
	"strconv"
	"strings"
)

// actions reads name:value,name:'value',name.
func (p *parser) actions(t part) []Action {
	var out []Action
	s := t.text
	key, colon := 0, -1
	quoted := false
	flush := func(end int) {
		name, value, at := s[key:end], "", key
		if colon >= 0 {
			name, value = s[key:colon], strings.TrimSpace(s[colon+1:end])
		}
		at += len(name) - len(strings.TrimLeft(name, " \t"))
		a := Action{Position: p.at(t, min(at, max(len(s)-1, 0))), Name: strings.ToLower(strings.TrimSpace(name))}
		a.Value = value
		if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
			a.Value, a.Quote = value[1:n-1], value[:1]
		}
		if p.action(a) {
			out = append(out, a)
		}
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i-1] == '\\':
		case s[i] == '\'':
			quoted = !quoted
		case quoted:
		case s[i] == ':' && colon < 0:
			colon = i
		case s[i] == ',':
			flush(i)
			key, colon = i+1, -1
		}
	}
	if quoted {
		p.fail(t.line(key), `a single quote in the actions is not closed; a quote within a text is written \'`)
		return out
	}
	flush(len(s))
	return out
}

// action checks one action's name and whether it has a value.
func (p *parser) action(a Action) bool {
	need, known := actionNames[a.Name]
	switch {
	case a.Name == "":
		p.fail(a.Line, "an action is missing between two commas, or at the end")
	case !known:
		p.fail(a.Line, "%q is not an action%s", a.Name, suggest(a.Name, actionNames))
	case need == valueNeeded && a.Value == "":
		p.fail(a.Line, "the action %s needs a value: %s:...", a.Name, a.Name)
	case need == valueNone && a.Value != "":
		p.fail(a.Line, "the action %s takes no value; remove :%s", a.Name, a.Value)
	default:
		return true
	}
	return false
}

// values checks what the values of a rule's actions have to be for every rule.
func (p *parser) values(d *Directive) {
	for _, a := range d.Rule.Actions {
		switch a.Name {
		case "id":
			if n, err := strconv.Atoi(a.Value); err != nil || n < 1 {
				p.fail(a.Line, "id:%s is not a rule id; ids are whole numbers from 1", a.Value)
			}
		case "phase":
			if phases[a.Value] == 0 {
				p.fail(a.Line, "phase:%s is not a phase; write 1 to 5, request, response or logging", a.Value)
			}
		case "t":
			if !transformations[strings.ToLower(a.Value)] {
				p.fail(a.Line, "t:%s is not a transformation%s", a.Value, suggest(strings.ToLower(a.Value), transformations))
			}
		case "status":
			if n, err := strconv.Atoi(a.Value); err != nil || n < 200 || n > 599 {
				p.fail(a.Line, "status:%s is not a status that can be answered; write 200 to 599", a.Value)
			}
		case "ctl":
			name, _, ok := strings.Cut(a.Value, "=")
			if !ok || !ctlNames[name] {
				p.fail(a.Line, "ctl:%s is not a setting%s; write ctl:NAME=VALUE", a.Value, suggest(name, ctlNames))
			}
		case "setvar":
			p.setvar(a)
		}
	}
}

func (p *parser) setvar(a Action) {
	name, _, _ := strings.Cut(strings.TrimPrefix(a.Value, "!"), "=")
	collection, key, ok := strings.Cut(name, ".")
	if !ok || !strings.EqualFold(collection, "tx") || strings.TrimSpace(key) == "" {
		p.fail(a.Line, "setvar:%s: variables are written tx.name, as in setvar:tx.score=+5", a.Value)
	}
}

// link checks what a link of a chain cannot have.
func (p *parser) link(d *Directive) {
	for _, a := range d.Rule.Actions {
		switch {
		case disruptive[a.Name] || a.Name == "skip" || a.Name == "skipafter":
			p.fail(a.Line, "the action %s cannot stand in a link of a chain; move it to the chain's first rule on line %d", a.Name, p.starter.Line)
		case a.Name == "id":
			p.fail(a.Line, "a link of a chain has no id of its own; remove it (the chain's first rule is on line %d)", p.starter.Line)
		case a.Name == "phase":
			p.fail(a.Line, "a link of a chain runs in the phase of the chain's first rule on line %d; remove phase", p.starter.Line)
		}
	}
}
