package resolve

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/rules/program/macro"
	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/seclang"
)

// kind is what sort of action it is, which decides how lists of them are merged.
type kind uint8

const (
	effect     kind = iota // what happens with each match, and settings of the rule
	metadata               // about the rule itself; read first, never a default
	disruptive             // what happens to the request; one for a rule
)

func kindOf(name string) kind {
	switch name {
	case "accuracy", "id", "maturity", "msg", "phase", "rev", "severity", "tag", "ver":
		return metadata
	case "allow", "block", "deny", "drop", "pass", "redirect":
		return disruptive
	}
	return effect
}

// collapse leaves one disruptive action: the last, in the place of the first.
func collapse(actions []seclang.Action) []seclang.Action {
	at := -1
	var out []seclang.Action
	for _, a := range actions {
		switch {
		case kindOf(a.Name) != disruptive:
			out = append(out, a)
		case at < 0:
			at = len(out)
			out = append(out, a)
		default:
			out[at] = a
		}
	}
	return out
}

// merge puts default actions in front of those of a rule. Both are collapsed.
func merge(actions, defaults []seclang.Action) []seclang.Action {
	var out []seclang.Action
	var disrupt seclang.Action
	for _, a := range defaults {
		switch kindOf(a.Name) {
		case disruptive:
			disrupt = a
		case effect:
			out = append(out, a)
		}
	}
	own := false
	for _, a := range actions {
		if kindOf(a.Name) == disruptive {
			if a.Name == "block" {
				continue
			}
			own = true
		}
		out = append(out, a)
	}
	if !own {
		out = append(out, disrupt)
	}
	return out
}

// apply gives the rule the actions of a list, with the default actions of its phase if there is an environment.
func (r *Rule) apply(actions []seclang.Action, e *environment) (seclang.Position, error) {
	actions = collapse(actions)
	for _, a := range actions {
		if kindOf(a.Name) == metadata {
			if err := r.metadata(a.Name, a.Value); err != nil {
				return a.Position, err
			}
		}
	}
	if e != nil {
		if defaults := e.of(r.Phase); defaults != nil {
			actions = merge(actions, defaults)
		}
	}
	for _, a := range actions {
		var err error
		switch kindOf(a.Name) {
		case disruptive:
			err = r.setDisruptive(a.Name, a.Value)
		case effect:
			err = r.effect(a.Name, a.Value)
		}
		if err != nil {
			return a.Position, fmt.Errorf("%s: %w", a, err)
		}
	}
	r.setStatus()
	return seclang.Position{}, nil
}

func (r *Rule) metadata(name, value string) (err error) {
	switch name {
	case "id":
		r.ID, err = strconv.Atoi(value)
		if err == nil && r.ID < 1 {
			err = errors.New("ids are whole numbers from 1")
		}
	case "phase":
		r.Phase, err = parsePhase(value)
	case "msg":
		r.Message, err = r.parseText(unquote(value))
	case "severity":
		r.Severity, err = parseSeverity(value)
	case "rev":
		r.Revision = value
	case "tag":
		r.Tags = append(r.Tags, value)
	case "accuracy", "maturity":
		if n, notNumber := strconv.Atoi(value); notNumber != nil || n < 1 || n > 9 {
			err = errors.New("write a number from 1 to 9")
		}
	}
	if err == nil && value == "" {
		err = errors.New("the value is missing")
	}
	if err != nil {
		return fmt.Errorf("%s:%s: %w", name, value, err)
	}
	return nil
}

var disruptiveKinds = map[string]DisruptiveKind{
	"pass": Pass, "deny": Deny, "drop": Drop, "redirect": Redirect, "block": Block, "allow": Allow,
}

func (r *Rule) setDisruptive(name, value string) error {
	r.Disruptive = Disruptive{Kind: disruptiveKinds[name], Data: value}
	switch {
	case name == "redirect" && value == "":
		return errors.New("the target is missing")
	case name == "allow" && value == "phase":
		r.Disruptive = Disruptive{Kind: AllowPhase}
	case name == "allow" && value == "request":
		r.Disruptive = Disruptive{Kind: AllowRequest}
	case name == "allow" && value != "":
		return errors.New("write allow, allow:phase or allow:request")
	case name != "redirect" && value != "":
		return errors.New("this action takes no value")
	}
	return nil
}

// setStatus sets the status that the disruptive action answers.
func (r *Rule) setStatus() {
	status := 0
	switch r.Disruptive.Kind {
	case Deny:
		status = r.status
		if status == 0 {
			status = http.StatusForbidden
		}
	case Redirect:
		switch r.status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect:
			status = r.status
		default:
			status = http.StatusFound
		}
	}
	r.Disruptive.Status = status
}

func (r *Rule) effect(name, value string) (err error) {
	switch name {
	case "log", "nolog":
		r.Log = name == "log"
		return noValue(value)
	case "auditlog", "noauditlog": // there is no audit log
		return noValue(value)
	case "capture":
		r.Capture = true
		return noValue(value)
	case "multimatch":
		r.MultiMatch = true
		return noValue(value)
	case "chain":
		r.chain = true
		return noValue(value)
	case "status":
		if r.status, err = strconv.Atoi(value); err == nil && (r.status < 200 || r.status > 599) {
			r.unsupported("status:%d", r.status)
		}
		return err
	case "t":
		return r.addTransformation(value)
	case "logdata":
		r.Data, err = r.parseText(value)
		return err
	case "skip":
		if r.Skip, err = strconv.Atoi(value); err == nil && r.Skip < 1 {
			err = errors.New("write a number from 1")
		}
		return err
	case "skipafter":
		if r.SkipAfter = unquote(value); r.SkipAfter == "" {
			err = errors.New("the marker is missing")
		}
		return err
	case "setvar":
		return r.setVar(value)
	case "ctl":
		return r.ctl(value)
	case "expirevar": // does nothing in the reference
		return nil
	case "initcol": // likewise
		if !strings.Contains(value, "=") {
			err = errors.New("write initcol:collection=key")
		}
		return err
	case "exec", "setenv":
		r.unsupported("the action %s", name)
		return nil
	}
	r.unsupported("the action %s", name)
	return nil
}

func (r *Rule) addTransformation(name string) error {
	if name == "none" {
		r.Transformations = nil
		return nil
	}
	if _, ok := transform.Lookup(name); !ok {
		return fmt.Errorf("there is no transformation %q", name)
	}
	r.Transformations = append(r.Transformations, name)
	return nil
}

func (r *Rule) setVar(value string) error {
	e := Effect{Kind: SetVar}
	text, remove := strings.CutPrefix(value, "!")
	if remove {
		e.Kind = UnsetVar
	}
	name, assigned, ok := strings.Cut(text, "=")
	collection, key, _ := strings.Cut(name, ".")
	if !strings.EqualFold(collection, "TX") || strings.TrimSpace(key) == "" {
		return errors.New("write setvar:tx.name=value")
	}
	var err error
	if e.Key, err = r.parseText(key); err != nil {
		return err
	}
	if !ok {
		r.unsupported("setvar:%s has no =", value) // with it, the reference fails when the rule matches
		return nil
	}
	if e.Text, err = r.parseText(assigned); err != nil {
		return err
	}
	r.Effects = append(r.Effects, e)
	return nil
}

// parseText reads a text with macros.
func (r *Rule) parseText(text string) (macro.Macro, error) {
	m, err := macro.Parse(text)
	for _, t := range m.Tokens {
		if t.Variable == variable.JSON {
			r.unsupported("%%{%s} in a text", t.Text) // the reference fails when it expands it
		}
	}
	return m, err
}

func noValue(value string) error {
	if value != "" {
		return errors.New("this action takes no value")
	}
	return nil
}

// unquote takes one pair of quotes off.
func unquote(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

func parsePhase(text string) (int, error) {
	switch text {
	case "request":
		return 2, nil
	case "response":
		return 4, nil
	case "logging":
		return 5, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 5 {
		return 0, errors.New("phases are 1 to 5, request, response and logging")
	}
	return n, nil
}

var severities = []string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}

func parseSeverity(text string) (int, error) {
	lower := strings.ToLower(text)
	for n, name := range severities {
		if text == strconv.Itoa(n) || lower == name {
			return n, nil
		}
	}
	return 0, errors.New("severities are 0 to 7, or EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO and DEBUG")
}
