package proxy

import (
	"go.uber.org/zap"

	"gatehouse/proxy/config"
	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// CheckReport is what Check found out about a good configuration.
type CheckReport struct {
	Applications []CheckedPolicies `json:"applications"`
}

// CheckedPolicies says how the rules of an application will run.
type CheckedPolicies struct {
	Name   string `json:"name"`
	Mode   string `json:"mode"`
	Policy string `json:"policy"`
	Coverage
}

// Coverage says on which engine the rules of an application run.
type Coverage struct {
	// Rules are those loaded: Compiled of them have become a program, for Reference of them only the reference engine can.
	Rules     int `json:"rules"`
	Compiled  int `json:"compiled"`
	Reference int `json:"reference"`
	// Engine judges the requests: EngineProgram if all rules are compiled, EngineReference if not. It is empty if nothing
	// is inspected.
	Engine string `json:"engine"`
	// OnReference are the rules and directives that are not compiled.
	OnReference []ReferenceRule `json:"on_reference"`
}

// The engines, as Coverage names them.
const (
	EngineProgram   = "program"
	EngineReference = "reference"
)

// ReferenceRule is a rule, or another directive, that only the reference engine follows.
type ReferenceRule struct {
	// File and Line are its place: in a file of the configuration, or in the product's own text of that name.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Rule   int    `json:"rule,omitempty"` // its id, 0 for a directive
	Reason string `json:"reason"`
}

// Check builds a configuration as a gateway would before serving it, and opens nothing.
func Check(loaded *config.Loaded) (*CheckReport, error) {
	i, err := NewInspector(loaded, zap.NewNop(), nil)
	if err != nil {
		return nil, err
	}
	report := &CheckReport{Applications: []CheckedPolicies{}}
	st := i.server.state.Load()
	for _, app := range st.apps {
		report.Applications = append(report.Applications, CheckedPolicies{
			Name: app.config.Name, Mode: string(app.config.Mode), Policy: app.config.Policy, Coverage: app.coverage,
		})
	}
	return report, i.Close()
}

// coverageOf says how a rule set runs. One that does not say runs on the reference.
func coverageOf(loaded *config.Loaded, set rules.RuleSet) Coverage {
	c := Coverage{Rules: set.Rules(), Engine: EngineProgram, OnReference: []ReferenceRule{}}
	says, ok := set.(interface{ Coverage() engine.Coverage })
	if !ok {
		c.Reference, c.Engine = c.Rules, EngineReference
		return c
	}
	covered := says.Coverage()
	for _, r := range covered.Reference {
		place := r.Source
		line := r.Line
		if p := loaded.Place(rules.TextErrors{{Source: r.Source, Line: r.Line}}); r.Source != "" && len(p) > 0 {
			place, line = p[0].File, p[0].Line
		}
		c.OnReference = append(c.OnReference, ReferenceRule{File: place, Line: line, Rule: r.Rule, Reason: r.Reason})
		c.Engine = EngineReference
	}
	c.Compiled = max(0, min(c.Rules, covered.Rules)-len(covered.Reference))
	c.Reference = c.Rules - c.Compiled
	return c
}
