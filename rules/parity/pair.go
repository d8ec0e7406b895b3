package parity

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/rulestest"
)

// Engines are what is compared. Both are used from one goroutine at a time.
type Engines struct{ Reference, Candidate rules.Engine }

// Pair is a policy in both engines.
type Pair struct{ Reference, Candidate rules.RuleSet }

// ErrRefused says that there is nothing to compare: both engines refuse a policy, or the reference fails to load it for a
// reason that is not in its text (two of its operators cannot have the same argument, whatever policies they are in).
var ErrRefused = errors.New("the policy is refused")

// LoadError says that one engine refuses a policy and the other does not.
type LoadError struct{ Reference, Candidate error }

func (e *LoadError) Error() string {
	if e.Reference != nil {
		return fmt.Sprintf("the reference refuses the policy and the candidate loads it: %v", e.Reference)
	}
	return fmt.Sprintf("the candidate refuses the policy and the reference loads it: %v", e.Candidate)
}

// Load loads a policy into both engines. The error is ErrRefused, with why, or a *LoadError.
func (e Engines) Load(p rules.Policy) (*Pair, error) {
	reference, errReference := e.Reference.Load(p)
	candidate, errCandidate := e.Candidate.Load(p)
	pair := &Pair{Reference: reference, Candidate: candidate}
	switch {
	case errReference == nil && errCandidate == nil:
		return pair, nil
	case errReference != nil && (errCandidate != nil || strings.Contains(errReference.Error(), "panic: interface conversion")):
		pair.Reference = nil
		if errCandidate != nil {
			pair.Candidate = nil
		}
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrRefused, errReference), pair.Close())
	case errReference != nil:
		pair.Reference = nil
	default:
		pair.Candidate = nil
	}
	return nil, errors.Join(&LoadError{Reference: errReference, Candidate: errCandidate}, pair.Close())
}

// Close closes what is loaded.
func (p *Pair) Close() error {
	var errs []error
	for _, set := range []rules.RuleSet{p.Reference, p.Candidate} {
		if set != nil {
			errs = append(errs, set.Close())
		}
	}
	return errors.Join(errs...)
}

// The comparison is that of the gateway's own samples.
type (
	// Outcome is what an engine made of an exchange.
	Outcome = compare.Outcome
	// Difference is what is not the same in two outcomes.
	Difference = compare.Difference
	// Agreement says how two engines answered.
	Agreement = compare.Agreement
)

// The agreements.
const (
	Same         = compare.Same
	OneOfSeveral = compare.OneOfSeveral
	Unsettled    = compare.Unsettled
	Different    = compare.Different
)

// Comparison is what came of an exchange on both engines.
type Comparison struct {
	Agreement
	Reference, Candidate Outcome
	// Difference of the two outcomes, empty if they are the same.
	Difference Difference
	// Bounded says that the candidate gave no verdict, as judging took more work than it may.
	Bounded bool
	// Time is what each engine took for its first answer.
	Time struct{ Reference, Candidate time.Duration }
}

// overBound is in the text of every rules.BoundError.
const overBound = "judging the request takes more than"

// Compare runs an exchange on both engines. If they disagree about the verdict, the reference is asked up to again times
// more; if they disagree about texts alone, up to againText times.
func (p *Pair) Compare(x *Exchange, mode rulestest.Mode, again, againText int) Comparison {
	var c Comparison
	start := time.Now()
	c.Reference = x.Run(p.Reference, mode)
	between := time.Now()
	c.Candidate = x.Run(p.Candidate, mode)
	c.Time.Reference, c.Time.Candidate = between.Sub(start), time.Since(between)
	c.Difference = compare.Diff(c.Reference, c.Candidate)
	if c.Bounded = strings.Contains(c.Candidate.Err, overBound); c.Bounded {
		c.Agreement = Unsettled
		return c
	}
	ask := func() Outcome { return x.Run(p.Reference, mode) }
	c.Agreement = compare.Settle(c.Reference, c.Candidate, compare.Times(again, ask))
	if c.Agreement == Same && len(c.Difference.Texts) > 0 {
		for range againText {
			if len(compare.Diff(ask(), c.Candidate).Texts) == 0 {
				c.Difference.Texts = nil
				break
			}
		}
	}
	return c
}
