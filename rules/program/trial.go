package program

import (
	"regexp"
	"strings"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
)

// Captures is the number of fields of TX that captures go to; their slots are the first.
const Captures = captureSlots

// Trial executes rules while a policy is compiled. It knows constants alone.
type Trial struct{ t *Tx }

// NewTrial begins a trial of a sealed program.
func (p *Program) NewTrial() *Trial {
	t := newTx(p)
	t.begin()
	t.level = Generic
	return &Trial{t}
}

// Run executes a rule that depends on constants alone, and answers whether it matched and what it assigned.
func (x *Trial) Run(index int) (matched bool, assignments []Assignment) {
	x.t.writes = &assignments
	x.t.skipAfter, x.t.skip = "", 0
	matched = x.t.evaluate(index)
	x.t.writes = nil
	return matched, assignments
}

// Matches says whether a rule, without its chain and its effects, matches.
func (x *Trial) Matches(r *Rule) bool {
	if !r.decides {
		return true
	}
	for i := range r.targets {
		for _, f := range x.t.fieldsOf(nil, &r.targets[i], r) {
			if value, mask := x.t.transformed(r, &f); x.t.test(r, value, mask) {
				return true
			}
		}
	}
	return false
}

// Slot is the number of a field of TX, or -1 if no rule names it.
func (p *Program) Slot(name string) int {
	if slot, ok := p.names.slot(name); ok {
		return slot
	}
	return -1
}

// Fields is how many fields of TX have a slot.
func (p *Program) Fields() int { return len(p.names.names) }

// Taken are the slots of the fields whose names an expression takes.
func (p *Program) Taken(by *regexp.Regexp) (slots []int) {
	for slot, name := range p.names.names {
		if by.MatchString(name) {
			slots = append(slots, slot)
		}
	}
	return slots
}

// Argument is what the argument of a rule's operator comes to now, if all that it refers to is constant.
func (x *Trial) Argument(r *Rule) string { return strings.Clone(x.t.expand(&r.argument)) }

// Fails says that the rule, its chain left aside, does nothing for a value, whatever else is in the transaction. Argument is that
// of an operator whose argument refers to fields; without one, nothing is said of it.
func (r *Rule) Fails(value string, argument ...string) bool {
	if !r.decides || r.multiMatch || r.captures && r.negated || r.compare != nil && len(argument) == 0 {
		return false
	}
	var scratch transform.Scratch
	for _, step := range r.steps {
		value, _, _ = step.Apply(&scratch, value)
	}
	if r.compare != nil {
		return r.compare(value, argument[0]) == r.negated
	}
	return r.operator.Match(value, nil) == r.negated
}

// Selects says whether a ctl action is about the rule.
func Selects(s *resolve.Selection, r *Rule) bool { return selects(s, r) }

// Effects are what happens for each match of the rule, its chain left aside.
func (r *Rule) Effects() []Effect { return r.effects }

// Exclusions are the names of the exclusions that the rule stands for.
func (r *Rule) Exclusions() []string { return r.exclusions }

// ArgumentFields are the fields of TX that the argument of the rule's operator refers to; ok is false if it refers to
// anything else.
func (r *Rule) ArgumentFields() (names []string, ok bool) { return r.argument.fields() }

// TextFields are the fields of TX that the text of a setvar refers to; ok is false if it refers to anything else.
func (e *Effect) TextFields() (names []string, ok bool) { return e.text.fields() }

// KeyPrefix is the text in front of the first macro of a setvar's key.
func (e *Effect) KeyPrefix() string { return e.key.prefix() }

func (t *template) fields() (names []string, ok bool) {
	for _, p := range t.parts {
		switch p.variable {
		case variable.Unknown:
		case variable.TX:
			names = append(names, p.key)
		default:
			return nil, false
		}
	}
	return names, true
}
