package policy

import (
	"errors"
	"fmt"

	"gatehouse/rules"
	"gatehouse/rules/crs"
)

// Set is one policy after what it extends was merged in.
type Set struct {
	Name       string
	CRS        CRS
	Rules      []Rule
	SecLang    []rules.Source
	Exclusions []Exclusion
}

// Application is what an application adds to its policy.
type Application struct {
	Name       string
	Rules      []Rule
	Exclusions []Exclusion
}

// Lower writes a policy as rule text, which is all that engines see of it. Applications that add nothing get the same
// text, byte for byte, so that they share one rule set.
//
// The sources, in order: base directives; CRS's settings; exclusions; structured rules; the operator's rules; CRS; the
// operator's changes to loaded rules (SecRuleRemove*, SecRuleUpdate*); the end marker. Of rules, those of the policy
// come before those of the application, and the first that blocks or allows decides.
//
// Problems of structured objects are one error that names each; problems of the operator's SecLang are
// rules.TextErrors.
func Lower(set Set, app Application, lists map[string]List) (rules.Policy, error) {
	release, err := crs.Load(set.CRS.Version)
	if err != nil {
		return rules.Policy{}, fmt.Errorf("policy %s: crs.version: %w", set.Name, err)
	}
	if err := checkAll(set, app, lists); err != nil {
		return rules.Policy{}, err
	}
	p := rules.Policy{
		Name:    set.Name,
		Sources: []rules.Source{{Name: "gatehouse/base.conf", Text: baseText}},
		Limits:  rules.Limits{Arguments: maxArguments, JSONDepth: maxJSONDepth},
	}
	if len(app.Rules)+len(app.Exclusions) > 0 {
		p.Name += "/" + app.Name
	}
	setup, err := setupSources(set.CRS, release)
	if err != nil {
		return rules.Policy{}, fmt.Errorf("policy %s: %w", set.Name, err)
	}
	p.Sources = append(p.Sources, setup...)

	exclusions := exclusionLowering{ids: numbering{next: firstExclusion, last: lastExclusion, what: "exclusions"}}
	for _, e := range append(set.Exclusions[:len(set.Exclusions):len(set.Exclusions)], app.Exclusions...) {
		if err := exclusions.exclusion(e); err != nil {
			return rules.Policy{}, fmt.Errorf("exclusion %s: %w", e.Name, err)
		}
	}
	p.Sources = append(p.Sources, source("gatehouse/exclusions.conf", exclusions.text.String())...)

	structured := ruleLowering{lists: lists, ids: numbering{next: firstRuleID, last: lastRuleID, what: "rules"}}
	for _, r := range append(set.Rules[:len(set.Rules):len(set.Rules)], app.Rules...) {
		if err := structured.rule(r); err != nil {
			return rules.Policy{}, fmt.Errorf("rule %s: %w", r.Name, err)
		}
	}
	p.Sources = append(p.Sources, source("gatehouse/rules.conf", structured.text.String())...)

	custom, err := splitSecLang(set.SecLang, release)
	if err != nil {
		return rules.Policy{}, err
	}
	p.Sources = append(p.Sources, custom.before...)
	p.Sources = append(p.Sources, release.Rules...)
	p.Sources = append(p.Sources, custom.after...)
	p.Sources = append(p.Sources, source("gatehouse/end.conf", "SecMarker "+EndMarker+"\n")...)
	return p, nil
}

// checkAll refuses what CheckRule and CheckExclusion refuse: lowering relies on it.
func checkAll(set Set, app Application, lists map[string]List) error {
	names := map[string]bool{}
	for n := range lists {
		names[n] = true
	}
	var errs []error
	report := func(what, name string, problems []Problem) {
		for _, p := range problems {
			errs = append(errs, fmt.Errorf("%s %s: %s: %s", what, name, p.Path, p.Message))
		}
	}
	for _, r := range set.Rules {
		report("rule", r.Name, CheckRule(r, names))
	}
	for _, r := range app.Rules {
		report("rule", r.Name, CheckRule(r, names))
	}
	for _, e := range set.Exclusions {
		report("exclusion", e.Name, CheckExclusion(e, true))
	}
	for _, e := range app.Exclusions {
		report("exclusion", e.Name, CheckExclusion(e, false))
	}
	return errors.Join(errs...)
}

// source is a source, or none if there is no text.
func source(name, text string) []rules.Source {
	if text == "" {
		return nil
	}
	return []rules.Source{{Name: name, Text: text}}
}
