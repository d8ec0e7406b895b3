package engine

import (
	"errors"
	"math"
	"strings"
	"sync"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
)

// Comparison is what both engines make of one transaction.
type Comparison struct {
	Exchange compare.Exchange
	// Result is that of the program, as its transaction returned it. Nil if there was no transaction.
	Result    *rules.Result
	Agreement compare.Agreement
	// Reference and Program are the outcomes. Program is the reference's own if the policy is not compiled.
	Reference, Program compare.Outcome
	Difference         compare.Difference
}

// Differ says whether the engines disagree. They do not if the reference gives one answer or the other by chance, or has
// none where that is documented.
func (c *Comparison) Differ() bool { return c.Agreement == compare.Different }

// String lists what the engines disagree about, one thing a line; it is empty if they agree. It quotes the request.
func (c *Comparison) String() string {
	if !c.Differ() {
		return ""
	}
	return strings.Join(c.Difference.Verdict, "\n")
}

// Pair is a policy on both engines. As a rule set it answers as the program does, and compares. It is safe for concurrent
// use.
type Pair struct {
	policy   rules.Policy
	program  rules.RuleSet
	compared func(Comparison)

	mu        sync.Mutex // one exchange at a time is run on the reference
	reference rules.RuleSet
}

// LoadBoth loads a policy into both engines, whatever the mode is.
func (e *Engine) LoadBoth(p rules.Policy) (*Pair, error) {
	program, err := e.load(p)
	if err != nil {
		return nil, err
	}
	reference, err := e.reference.Load(p)
	if err != nil {
		return nil, errors.Join(err, program.Close())
	}
	return &Pair{policy: p, program: program, reference: reference, compared: e.options.Compared}, nil
}

// Judge runs an exchange on both engines.
func (p *Pair) Judge(x *compare.Exchange) Comparison {
	return p.compare(recorded{exchange: *x, outcome: x.Run(p.program)})
}

// mostAsked is how often the reference is asked again before it counts as disagreeing.
const mostAsked = 30

func (p *Pair) compare(r recorded) Comparison {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Comparison{Exchange: r.exchange, Result: r.result, Program: r.outcome, Reference: r.exchange.Run(p.reference)}
	c.settle(p.policy, compare.Times(mostAsked, func() compare.Outcome { return r.exchange.Run(p.reference) }))
	return c
}

// settle finds the difference of the two outcomes, and whether it is one.
func (c *Comparison) settle(p rules.Policy, ask func() (compare.Outcome, bool)) {
	if compare.Excepted(p, c.Reference, c.Program) {
		return
	}
	c.Difference = compare.Diff(c.Reference, c.Program)
	c.Agreement = compare.Settle(c.Reference, c.Program, ask)
}

// Coverage says which engine the policy runs on.
func (p *Pair) Coverage() Coverage {
	return p.program.(interface{ Coverage() Coverage }).Coverage()
}

// Rules counts the rules.
func (p *Pair) Rules() int { return p.program.Rules() }

// Begin starts a transaction on the program. When it is closed, the reference judges it too.
func (p *Pair) Begin(r *rules.Request) rules.Transaction {
	tx := p.program.Begin(r)
	if p.compared == nil {
		return tx
	}
	return record(tx, r, math.MaxInt-1, func(r recorded) { p.compared(p.compare(r)) })
}

// Close frees the policy on both engines.
func (p *Pair) Close() error { return errors.Join(p.program.Close(), p.reference.Close()) }
