// Package engine is the engine that the gateway runs: compiled programs, and the reference where a policy needs it.
//
// Invariant: a policy runs on a program only if the compiler supports every one of its rules; else all of its
// transactions run on the reference, and Coverage says why.
package engine

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"gatehouse/rules"
	"gatehouse/rules/compile"
	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/coraza"
	"gatehouse/rules/program"
)

// Mode says which engine judges.
type Mode uint8

// The modes.
const (
	// Program runs programs, and the reference for policies that need it.
	Program Mode = iota
	// Reference runs the reference for all policies.
	Reference
	// Both judges every transaction by the program, and when it is closed by the reference too: Compared gets both
	// results. It is for comparing, not for serving.
	Both
)

// Options configure an Engine.
type Options struct {
	// Log receives what is worth knowing about loads; nil discards it.
	Log *zap.Logger
	// Target names matched values in the syntax of exclusions, as coraza.Options.Target does.
	Target func(variable, key, processor string) string
	Mode   Mode
	// Bounds of the work for one request. Zero takes the defaults; they do not hold on the reference.
	Bounds program.Bounds

	// Sample is the share of the transactions on programs, 0 to 1, that run on the reference too, after they are closed. 0
	// is none. Neither clients nor what they send have a say in which.
	Sample float64
	// SampleCPU is the share of one core that this may take in the long run, 0.05 if it is 0.
	SampleCPU float64
	// MaxSampleBytes bounds the body and the response body of such a transaction; larger ones are not compared. 64 KiB if
	// it is 0.
	MaxSampleBytes int
	// Spool is the directory to which what the engines disagree about is written, requests and replies as they were
	// received: nobody else may read it. If it is empty, nothing is written.
	Spool string
	// SpoolBytes bounds the files in Spool together, 16 MiB if it is 0. The oldest are deleted.
	SpoolBytes int64
	// Observer counts; nil counts nothing.
	Observer Observer

	// Profile gets what rules on programs cost; nil for none.
	Profile *program.Profile

	// Compared is called in mode Both for every transaction, by the goroutine that closes it.
	Compared func(Comparison)
}

// Engine loads policies. It is safe for concurrent use.
type Engine struct {
	options   Options
	log       *zap.Logger
	reference *coraza.Engine
	compiler  *compile.Compiler
	trees     *resolve.Cache
	loaded    loaded
	sampler   *sampler // nil if nothing is sampled
}

var _ rules.Engine = (*Engine)(nil)

// Coverage says how many rules of a policy are compiled.
type Coverage struct {
	// Rules counts the rules and markers.
	Rules int
	// Reference are the rules for which the policy runs on the reference; none if it does not.
	Reference []ReferenceRule
}

// ReferenceRule is a rule that only the reference evaluates.
type ReferenceRule struct {
	Source string
	Line   int
	Rule   int
	Reason string
}

// DefaultBounds keep the worst that one request costs to judge near a second of one core. Ordinary requests are far below:
// a body of 1 MiB takes about 20 MiB of Bytes.
var DefaultBounds = program.Bounds{Values: 50_000, Bytes: 256 << 20, Work: 256 << 20}

// New returns an engine without policies. It has to be closed if it samples.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Bounds == (program.Bounds{}) {
		o.Bounds = DefaultBounds
	}
	e := &Engine{
		options:   o,
		log:       o.Log.Named("engine"),
		reference: coraza.New(coraza.Options{Log: o.Log, Target: o.Target}),
		compiler:  compile.New(),
		trees:     new(resolve.Cache),
	}
	if o.Sample > 0 && o.Mode == Program {
		e.sampler = newSampler(e)
	}
	return e
}

// Load loads p. Problems in its text are returned as rules.TextErrors, all of them at once.
func (e *Engine) Load(p rules.Policy) (rules.RuleSet, error) {
	if e.options.Mode != Both {
		return e.load(p)
	}
	pair, err := e.LoadBoth(p)
	if err != nil {
		return nil, err
	}
	return pair, nil
}

func (e *Engine) load(p rules.Policy) (rules.RuleSet, error) {
	key := digestOf(p)
	if j := e.loaded.find(key); j != nil {
		return e.onProgram(j, p), nil
	}
	reference, err := e.reference.Load(p)
	if err != nil {
		return nil, err
	}
	if e.options.Mode == Reference {
		return &onReference{RuleSet: reference, engine: e, coverage: Coverage{
			Rules: reference.Rules(), Reference: []ReferenceRule{{Reason: "the engine is set to run all policies on the reference"}},
		}}, nil
	}
	compiled, coverage := e.compile(p)
	if len(coverage.Reference) == 0 && coverage.Rules != reference.Rules() {
		coverage.Reference = []ReferenceRule{{
			Reason: fmt.Sprintf("the reference has %d rules, the compiler %d", reference.Rules(), coverage.Rules),
		}}
	}
	if len(coverage.Reference) > 0 {
		for _, r := range coverage.Reference {
			e.log.Warn("policy runs on the reference engine", zap.String("policy", p.Name), zap.String("source", r.Source),
				zap.Int("line", r.Line), zap.Int("rule", r.Rule), zap.String("reason", r.Reason))
		}
		return &onReference{RuleSet: reference, engine: e, coverage: coverage}, nil
	}
	if err := reference.Close(); err != nil {
		return nil, err
	}
	j := &ready{set: compiled, coverage: coverage}
	e.loaded.keep(key, j)
	return e.onProgram(j, p), nil
}

// onProgram has a program run a policy.
func (e *Engine) onProgram(j *ready, p rules.Policy) *onProgram {
	set := &onProgram{RuleSet: j.set, engine: e, ready: j}
	if e.sampler != nil {
		set.policy = e.sampler.retain(p)
	}
	return set
}

// Close stops what the engine does beside its transactions, and waits for it. Rule sets can be used on.
func (e *Engine) Close() error {
	if e.sampler == nil {
		return nil
	}
	return e.sampler.close()
}

// compile compiles a policy. Without a program, the coverage says why.
func (e *Engine) compile(p rules.Policy) (*program.RuleSet, Coverage) {
	resolved, err := e.trees.Resolve(p.Sources)
	if err != nil {
		// The reference has read the text: what the compiler cannot read, the reference runs.
		return nil, Coverage{Reference: problems(err)}
	}
	coverage := Coverage{Rules: len(resolved.Rules)}
	for _, u := range resolved.Unsupported {
		coverage.Reference = append(coverage.Reference, ReferenceRule{Source: u.Place.Source, Line: u.Place.Line, Reason: u.Reason})
	}
	compiled, unsupported := e.compiler.Program(resolved, compile.Options{Data: e.trees.Data, Shared: isCRS, Bounds: e.options.Bounds})
	for _, u := range unsupported {
		coverage.Reference = append(coverage.Reference, ReferenceRule{
			Source: u.Rule.Place.Source, Line: u.Rule.Place.Line, Rule: u.Rule.ID, Reason: u.Reason,
		})
	}
	if len(coverage.Reference) > 0 {
		return nil, coverage
	}
	return program.NewRuleSet(compiled, program.Options{
		Limits: limitsOf(p.Limits), Target: e.options.Target, Settings: resolved.Settings, Profile: e.options.Profile,
	}), coverage
}

// isCRS says whether a source is of a CRS release.
func isCRS(source string) bool { return strings.HasPrefix(source, "crs-") }

// The limits of policies that set none.
const (
	defaultArguments = 1000
	defaultJSONDepth = 128
)

func limitsOf(l rules.Limits) rules.Limits {
	if l.Arguments <= 0 {
		l.Arguments = defaultArguments
	}
	if l.JSONDepth <= 0 {
		l.JSONDepth = defaultJSONDepth
	}
	return l
}

// problems are errors about the text as reasons.
func problems(err error) []ReferenceRule {
	var text rules.TextErrors
	if !errors.As(err, &text) {
		return []ReferenceRule{{Reason: err.Error()}}
	}
	var out []ReferenceRule
	for _, e := range text {
		out = append(out, ReferenceRule{Source: e.Source, Line: e.Line, Reason: e.Message})
	}
	return out
}

// onReference is a policy that the reference runs.
type onReference struct {
	rules.RuleSet
	engine   *Engine
	coverage Coverage
}

// Begin starts the transaction of a request.
func (s *onReference) Begin(r *rules.Request) rules.Transaction {
	return s.engine.count(s.RuleSet.Begin(r), false)
}

// Coverage says which rules need the reference.
func (s *onReference) Coverage() Coverage { return s.coverage }

// onProgram is a policy that a program runs.
type onProgram struct {
	rules.RuleSet
	engine *Engine
	ready  *ready
	policy *sampledPolicy // nil if nothing is sampled
}

// Begin starts the transaction of a request.
func (s *onProgram) Begin(r *rules.Request) rules.Transaction {
	tx := s.RuleSet.Begin(r)
	if s.policy != nil {
		tx = s.engine.sampler.sample(tx, r, s.policy)
	}
	return s.engine.count(tx, true)
}

// Coverage says how many rules are compiled.
func (s *onProgram) Coverage() Coverage { return s.ready.coverage }

// Close frees the rule set, and what is kept to sample it.
func (s *onProgram) Close() error {
	err := s.RuleSet.Close()
	if s.policy != nil {
		err = errors.Join(err, s.policy.close())
	}
	return err
}
