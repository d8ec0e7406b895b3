package parity

import (
	"slices"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// Draft is a policy as trees, to be changed and printed.
type Draft struct {
	Sources []DraftSource
	Limits  rules.Limits
}

// DraftSource is one source of a draft.
type DraftSource struct {
	Name       string
	Directives []*seclang.Directive
	// Text stands for the directives if they could not be parsed.
	Text string
}

// ParseDraft reads a policy.
func ParseDraft(p rules.Policy) Draft {
	d := Draft{Limits: p.Limits}
	for _, s := range p.Sources {
		source := DraftSource{Name: s.Name}
		if f, errs := seclang.Parse(s); errs == nil {
			source.Directives = f.Directives
		} else {
			source.Text = s.Text
		}
		d.Sources = append(d.Sources, source)
	}
	return d
}

// Policy prints the draft. Sources without text are left out.
func (d Draft) Policy() rules.Policy {
	p := rules.Policy{Name: "draft", Limits: d.Limits}
	for _, s := range d.Sources {
		text := s.Text
		if text == "" {
			f := seclang.File{Name: s.Name, Directives: s.Directives}
			text = f.String()
		}
		if strings.TrimSpace(text) != "" {
			p.Sources = append(p.Sources, rules.Source{Name: s.Name, Text: text})
		}
	}
	return p
}

// with is a copy in which one source has other directives.
func (d Draft) with(source int, directives []*seclang.Directive) Draft {
	d.Sources = slices.Clone(d.Sources)
	d.Sources[source].Directives = directives
	return d
}

// cloneRule is a copy of a rule's directive down to the lists that are changed: variables, actions, links.
func cloneRule(d *seclang.Directive) *seclang.Directive {
	c := *d
	if d.Rule == nil {
		return &c
	}
	r := *d.Rule
	r.Variables = slices.Clone(r.Variables)
	r.Actions = slices.Clone(r.Actions)
	if r.Operator != nil {
		o := *r.Operator
		r.Operator = &o
	}
	r.Links = nil
	for _, l := range d.Rule.Links {
		r.Links = append(r.Links, cloneRule(l))
	}
	c.Rule = &r
	return &c
}

// allRules are all rules of a draft, links among them.
func (d Draft) allRules() []*seclang.Rule {
	var out []*seclang.Rule
	for _, s := range d.Sources {
		for _, x := range s.Directives {
			if x.Rule == nil {
				continue
			}
			out = append(out, x.Rule)
			for _, l := range x.Rule.Links {
				out = append(out, l.Rule)
			}
		}
	}
	return out
}

// mustParse reads text that is part of this package.
func mustParse(name, text string) []*seclang.Directive {
	f, errs := seclang.Parse(rules.Source{Name: name, Text: text})
	if errs != nil {
		panic(errs) // text of this package, seen by every test
	}
	return f.Directives
}
