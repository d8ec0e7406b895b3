package resolve

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// source is a source with its rules in all environments in which it was needed.
type source struct {
	text   rules.Source
	parsed sync.Once
	// What follows is set by parse.
	file   *seclang.File
	errs   rules.TextErrors
	stated [6]bool // the phases of its SecDefaultActions

	mu       sync.Mutex // guards variants
	variants map[[sha256.Size]byte]*variant
}

// variant is a source in one environment.
type variant struct {
	steps   []step
	end     *environment
	errs    rules.TextErrors
	general []Unsupported
}

// step is a rule to add, or a directive that changes settings or the rules so far.
type step struct {
	rule      *Rule
	directive *seclang.Directive
}

func newSource(text rules.Source) *source {
	return &source{text: text, variants: make(map[[sha256.Size]byte]*variant)}
}

func (s *source) parse() {
	s.parsed.Do(func() {
		s.file, s.errs = seclang.Parse(s.text)
		for _, d := range s.file.Directives {
			if d.Name != seclang.SecDefaultAction {
				continue
			}
			for phase, stated := range statedPhases(d) {
				s.stated[phase] = s.stated[phase] || stated
			}
		}
	})
}

// in is the source in an environment.
func (s *source) in(e *environment) *variant {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.variants[e.digest]
	if !ok {
		v = s.build(e)
		s.variants[e.digest] = v
	}
	return v
}

func (s *source) build(e *environment) *variant {
	v := &variant{}
	digest := sha256.Sum256(fmt.Appendf(nil, "%d %s %s%s", len(s.text.Name), s.text.Name, e.digest[:], s.text.Text))
	for i, d := range s.file.Directives {
		switch {
		case d.Name == seclang.SecDefaultAction, d.Name == seclang.SecDataset:
			e = e.with(d)
			continue
		case d.Rule == nil && d.Name != seclang.SecMarker:
			v.steps = append(v.steps, step{directive: d})
			continue
		}
		var r *Rule
		if d.Rule == nil {
			r = &Rule{Place: d.Position, Marker: d.Args, Severity: NoSeverity}
		} else {
			if e.problem != nil {
				v.errs = append(v.errs, *e.problem)
				e = e.withoutProblem()
			}
			r = v.chain(d, e)
		}
		r.Identity = Identity{Source: digest, Index: i}
		r.origin = s
		v.steps = append(v.steps, step{rule: r})
	}
	v.end = e
	return v
}

// chain builds a rule with its links.
func (v *variant) chain(d *seclang.Directive, e *environment) *Rule {
	r := v.rule(d, e)
	last := r
	for _, l := range d.Rule.Links {
		link := v.rule(l, e)
		// The phase is that of the starter, and only a starter disrupts and skips.
		link.Phase, link.Disruptive, link.Skip, link.SkipAfter = 0, Disruptive{}, 0, ""
		r.Links = append(r.Links, link)
		last = link
	}
	if last.chain {
		v.general = append(v.general, Unsupported{Place: d.Position, Reason: "SecDefaultAction has the action chain"})
	}
	return r
}

// rule builds a rule without its links.
func (v *variant) rule(d *seclang.Directive, e *environment) *Rule {
	r := &Rule{Place: d.Position, Phase: 2, Severity: NoSeverity}
	fail := func(at seclang.Position, err error) {
		v.errs = append(v.errs, rules.TextError{Source: at.Source, Line: at.Line, Message: err.Error()})
	}
	for _, variable := range d.Rule.Variables {
		if err := r.addVariable(variable); err != nil {
			fail(variable.Position, err)
		}
	}
	if d.Rule.Operator != nil {
		if err := r.setOperator(d.Rule.Operator, e); err != nil {
			fail(d.Rule.Operator.Position, err)
		}
	}
	if len(d.Rule.Actions) > 0 {
		if at, err := r.apply(d.Rule.Actions, e); err != nil {
			fail(at, err)
		}
	}
	return r
}

// unsupported keeps the first reason why only the reference evaluates the rule.
func (r *Rule) unsupported(format string, arguments ...any) {
	if r.Unsupported == "" {
		r.Unsupported = fmt.Sprintf(format, arguments...)
	}
}
