package resolve

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strconv"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// environment is what decides how a rule reads, beside its own text. It is immutable.
type environment struct {
	// defaults are the default actions by phase, nil if there are none.
	defaults [6][]seclang.Action
	// problem is about a SecDefaultAction. The reference complains when a rule follows.
	problem  *rules.TextError
	datasets map[string][]string
	digest   [sha256.Size]byte
}

// startEnvironment is what stands in front of every text. Stated are the phases for which the text has default actions
// in a way that the driver sees.
func startEnvironment(stated [6]bool) *environment {
	e := &environment{}
	for _, phase := range []int{1, 3, 4} {
		if !stated[phase] {
			e.defaults[phase] = standardDefaults(phase)
			e.digest[phase] = 1
		}
	}
	return e
}

func standardDefaults(phase int) []seclang.Action {
	return []seclang.Action{{Name: "phase", Value: strconv.Itoa(phase)}, {Name: "log"}, {Name: "auditlog"}, {Name: "pass"}}
}

var phase2Defaults = standardDefaults(2)

// of are the default actions for a phase.
func (e *environment) of(phase int) []seclang.Action {
	if phase == 2 && e.defaults[2] == nil {
		return phase2Defaults
	}
	return e.defaults[phase]
}

// statedPhases are the phases that a SecDefaultAction names in a way that the driver sees.
func statedPhases(d *seclang.Directive) (stated [6]bool) {
	for _, a := range d.Actions {
		if a.Name != "phase" || a.Quote == `"` {
			continue
		}
		for _, phase := range []int{1, 3, 4} {
			stated[phase] = stated[phase] || a.Value == strconv.Itoa(phase)
		}
	}
	return stated
}

// with is the environment behind a SecDefaultAction or SecDataset.
func (e *environment) with(d *seclang.Directive) *environment {
	next := *e
	next.digest = sha256.Sum256([]byte(string(e.digest[:]) + d.String()))
	if d.Dataset != nil {
		next.datasets = maps.Clone(e.datasets)
		if next.datasets == nil {
			next.datasets = make(map[string][]string)
		}
		next.datasets[d.Dataset.Name] = d.Dataset.Values
		return &next
	}
	if next.problem != nil {
		return &next
	}
	actions := collapse(d.Actions)
	phase, err := next.checkDefaults(actions)
	if err != nil {
		next.problem = &rules.TextError{Source: d.Source, Line: d.Line, Message: err.Error()}
		return &next
	}
	next.defaults[phase] = actions
	return &next
}

// withoutProblem is for what follows once the problem was reported.
func (e *environment) withoutProblem() *environment {
	next := *e
	next.problem = nil
	next.digest = sha256.Sum256(e.digest[:])
	return &next
}

// checkDefaults checks the actions of a SecDefaultAction and answers their phase.
func (e *environment) checkDefaults(actions []seclang.Action) (int, error) {
	phase, disrupts := 0, false
	for _, a := range actions {
		kind := kindOf(a.Name)
		switch {
		case a.Name == "phase":
			var err error
			if phase, err = parsePhase(a.Value); err != nil {
				return 0, err
			}
		case kind == disruptive:
			disrupts = true
		case kind == metadata, a.Name == "t":
			return 0, fmt.Errorf("the action %s cannot be a default action; write it in each rule", a.Name)
		}
	}
	switch {
	case phase == 0:
		return 0, fmt.Errorf("the default actions have no phase; add phase:1 to phase:5")
	case !disrupts:
		return 0, fmt.Errorf("the default actions have no disruptive action; add pass or deny")
	case e.defaults[phase] != nil:
		return 0, fmt.Errorf("there are default actions for phase %d already; remove one of the two", phase)
	}
	return phase, nil
}
