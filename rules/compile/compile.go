// Package compile turns resolved rules into a program. See DESIGN.md.
//
// Invariant: the program gives the result that the rules have by their text. What the compiler does not prove that it
// supports is reported, never guessed and never left out.
package compile

import (
	"maps"
	"slices"
	"sync"
	"weak"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program"
	"gatehouse/rules/program/operator"
	"gatehouse/rules/program/pattern"
)

// Compiler compiles policies, and shares among them what they have in common. It is safe for concurrent use.
type Compiler struct {
	mu     sync.Mutex // guards everything below
	names  *program.Names
	chains program.Chains
	// rules are those of the policies in use.
	rules    map[resolve.Identity]weak.Pointer[program.Rule]
	sweep    int // the number of rules at which those that are not in use are dropped
	patterns pattern.Cache
	shapes   map[shapeKey]weak.Pointer[program.Shape]
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
	ready, failed := c.ready(policy.Rules, o)
	for i, r := range policy.Rules {
		if failed[i] != nil {
			unsupported = append(unsupported, Unsupported{r, failed[i].Error()})
			continue
		}
		if r.Marker != "" {
			p.Markers[r.Marker] = append(p.Markers[r.Marker], len(p.Rules))
		}
		p.Rules = append(p.Rules, ready[i])
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
	p.Always, p.Nominated = program.NewBits(len(p.Rules)), program.NewBits(len(p.Rules))
	p.Seal(c.names)
	constant, assumed := fold(p, program.Constant), fold(p, program.Assumed)
	if !assumed.extends(constant) {
		assumed = constant
		p.Foldings[program.Assumed] = constant.result
	}
	p.Watched = assumed.watched()
	c.group(p, constant, assumed, o)
	p.Seal(c.names)
	return p, nil
}

// ready finds or makes the rules ready to run. Failed has for each why only the reference can run it.
func (c *Compiler) ready(rules []*resolve.Rule, o Options) (ready []*program.Rule, failed []error) {
	ready, failed = make([]*program.Rule, len(rules)), make([]error, len(rules))
	var missing []int
	var sources []pattern.Source
	var owners []*resolve.Rule
	for i, r := range rules {
		if ready[i] = c.rules[r.Identity].Value(); ready[i] != nil {
			continue
		}
		missing = append(missing, i)
		for _, link := range append([]*resolve.Rule{r}, r.Links...) {
			source, ok, err := program.PatternOf(link, o.Data)
			if err != nil {
				failed[i] = err
			}
			if ok {
				sources = append(sources, source)
				owners = append(owners, link)
			}
		}
	}
	patterns, broken := c.compile(sources)
	context := program.Context{Names: c.names, Chains: &c.chains, Data: o.Data, Patterns: make(map[*resolve.Rule]*pattern.Pattern)}
	for i, owner := range owners {
		context.Patterns[owner] = patterns[i]
	}
	for _, i := range missing {
		r := rules[i]
		for n, owner := range owners {
			if broken[n] != nil && (owner == r || slices.Contains(r.Links, owner)) {
				failed[i] = broken[n]
			}
		}
		if failed[i] == nil {
			ready[i], failed[i] = program.NewRule(r, context)
		}
		if failed[i] == nil {
			c.rules[r.Identity] = weak.Make(ready[i])
		}
	}
	c.drop()
	return ready, failed
}

// compile compiles patterns, all at once if none is broken.
func (c *Compiler) compile(sources []pattern.Source) (patterns []*pattern.Pattern, broken map[int]error) {
	patterns, err := c.patterns.Patterns(sources)
	if err == nil {
		return patterns, nil
	}
	patterns, broken = make([]*pattern.Pattern, len(sources)), make(map[int]error)
	for i, source := range sources {
		if patterns[i], err = source.Compile(); err != nil {
			broken[i] = err
		}
	}
	return patterns, broken
}

// drop forgets the rules that are not in use, when there are twice as many as last time.
func (c *Compiler) drop() {
	if len(c.rules) < max(c.sweep, 2000) {
		return
	}
	maps.DeleteFunc(c.rules, func(_ resolve.Identity, p weak.Pointer[program.Rule]) bool { return p.Value() == nil })
	c.sweep = 2 * len(c.rules)
	c.dropShapes()
}
