// Package compile turns resolved rules into a program. See DESIGN.md.
//
// Invariant: the program gives the result that the rules have by their text. What the compiler does not prove that it
// supports is reported, never guessed and never left out.
package compile

import (
	"fmt"
	"sync"
	"weak"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program"
	"gatehouse/rules/program/operator"
)

// Compiler compiles policies, and shares among them what they have in common. It is safe for concurrent use.
type Compiler struct {
	mu     sync.Mutex // guards everything below
	names  *program.Names
	chains program.Chains
	rules  map[resolve.Identity]weak.Pointer[program.Rule]
	sets   setCache
}

// New returns a compiler that knows no policy.
func New() *Compiler {
	return &Compiler{names: program.NewNames(), rules: make(map[resolve.Identity]weak.Pointer[program.Rule])}
}

// Options say how to compile one policy.
type Options struct {
	// Data finds the files and data sets that a rule's operator names.
	Data func(*resolve.Rule) operator.Data
	// Shared says that many policies have the rules of a source: their patterns are compiled together once.
	Shared func(source string) bool
	// Bounds of one transaction.
	Bounds program.Bounds
}

// Unsupported is a rule that only the reference evaluates.
type Unsupported struct {
	Rule   *resolve.Rule
	Reason string
}

// Program compiles a policy. If only the reference can evaluate some of its rules, they are answered, and no program.
func (c *Compiler) Program(policy *resolve.Policy, o Options) (*program.Program, []Unsupported) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var unsupported []Unsupported
	p := &program.Program{
		Bounds:     o.Bounds,
		Markers:    make(map[string][]int),
		DetectOnly: policy.DetectOnly,
	}
	for _, r := range policy.Rules {
		ready, err := c.rule(r, o)
		if err != nil {
			unsupported = append(unsupported, Unsupported{r, err.Error()})
			continue
		}
		if r.Marker != "" {
			p.Markers[r.Marker] = append(p.Markers[r.Marker], len(p.Rules))
		}
		p.Rules = append(p.Rules, ready)
	}
	if len(unsupported) > 0 {
		return nil, unsupported
	}
	for phase := range p.Phases {
		p.Phases[phase] = program.NewBits(len(p.Rules))
		for i, r := range p.Rules {
			if r.Phase == phase || r.Marker != "" {
				p.Phases[phase].Set(i)
			}
		}
	}
	p.Always, p.Generic = program.NewBits(len(p.Rules)), program.NewBits(len(p.Rules))
	p.Unfolds, p.Nominated = program.NewBits(len(p.Rules)), program.NewBits(len(p.Rules))
	p.Seal(c.names)
	f := fold(p)
	if err := c.group(p, f, o); err != nil {
		return nil, []Unsupported{{Rule: nil, Reason: fmt.Sprint(err)}}
	}
	p.Seal(c.names)
	return p, nil
}

// rule finds or makes the rule.
func (c *Compiler) rule(r *resolve.Rule, o Options) (*program.Rule, error) {
	if known := c.rules[r.Identity].Value(); known != nil {
		return known, nil
	}
	made, err := program.NewRule(r, program.Context{Names: c.names, Chains: &c.chains, Data: o.Data, Regexp: c.sets.regexp})
	if err != nil {
		return nil, err
	}
	c.rules[r.Identity] = weak.Make(made)
	return made, nil
}
