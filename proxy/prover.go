package proxy

import (
	"go.uber.org/zap"

	"gatehouse/proxy/config"
	"gatehouse/rules"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
)

// Prover proves configurations offline, as a gateway does before it serves one: rules are parsed, compiled and self-tested, templates are
// executed, nothing is opened. What it compiled last is kept, so that the next configuration costs little if its rules
// are the same. It is safe for concurrent use.
type Prover struct{ engine *engine.Engine }

// NewProver makes a Prover that has compiled nothing.
func NewProver() *Prover { return &Prover{engine.New(engine.Options{Target: policy.TargetOf})} }

// Prove says why a gateway would refuse the configuration. Its error is of type config.Problems where that has places.
func (p *Prover) Prove(loaded *config.Loaded) error {
	i, err := NewInspector(loaded, zap.NewNop(), kept{p.engine})
	if err != nil {
		return err
	}
	return i.Close()
}

// kept hides the engine's Close: it is the Prover's.
type kept struct{ e *engine.Engine }

// Load implements rules.Engine.
func (k kept) Load(p rules.Policy) (rules.RuleSet, error) { return k.e.Load(p) }
