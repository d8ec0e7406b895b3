package parity

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Stats count comparisons. They are safe for concurrent use.
type Stats struct {
	mu sync.Mutex // guards all below

	// Comparisons are exchanges that ran on both engines, and By how the engines agreed.
	Comparisons int
	By          map[Agreement]int
	// Matched, Interrupted and Failed are those of them in which the reference matched a rule, interrupted or failed.
	Matched, Interrupted, Failed int
	// Bounded names those of them that went over a bound of work of the candidate. They are in no class of By.
	Bounded []string
	// Texts are those that agree in the verdict and differ in a text that does not depend on an order; TextExamples are a
	// few. Ordered are those that differ in one that may.
	Texts        int
	Ordered      int
	TextExamples []string
	// Policies loaded into both engines, refused by both, and Uncompiled ones, which the candidate hands to the reference.
	Policies, Refused, Uncompiled int
	// Time spent in each engine.
	Reference, Candidate time.Duration
}

// Add counts a comparison.
func (s *Stats) Add(x *Exchange, c Comparison) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Comparisons++
	if s.By == nil {
		s.By = make(map[Agreement]int)
	}
	if c.Bounded {
		s.Bounded = append(s.Bounded, x.Name)
	} else {
		s.By[c.Agreement]++
	}
	if len(c.Reference.Matches) > 0 {
		s.Matched++
	}
	if c.Reference.Interruption != nil {
		s.Interrupted++
	}
	if c.Reference.Err != "" {
		s.Failed++
	}
	switch {
	case c.Agreement != Same:
	case len(c.Difference.Texts) == 0 && len(c.Difference.Ordered) > 0:
		s.Ordered++
	case len(c.Difference.Texts) > 0:
		s.Texts++
		const examples = 5
		if len(s.TextExamples) < examples {
			s.TextExamples = append(s.TextExamples, x.Name+": "+c.Difference.Texts[0])
		}
	}
	s.Reference += c.Time.Reference
	s.Candidate += c.Time.Candidate
}

// AddPolicy counts a policy that was loaded, or refused.
func (s *Stats) AddPolicy(pair *Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case pair == nil:
		s.Refused++
	case !Compiled(pair.Candidate):
		s.Uncompiled++
		s.Policies++
	default:
		s.Policies++
	}
}

// Count is the number of comparisons so far.
func (s *Stats) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Comparisons
}

// textReruns says how often to ask the reference again about texts: while there are few differences, often.
func (s *Stats) textReruns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	const few = 300
	if s.Texts < few {
		return 5
	}
	return 0
}

func (s *Stats) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d comparisons: %d same, %d one of several answers of the reference, %d unsettled, %d different\n",
		s.Comparisons, s.By[Same], s.By[OneOfSeveral], s.By[Unsettled], s.By[Different])
	fmt.Fprintf(&b, "rules matched in %d, %d interrupted, %d failed; texts alone differ in %d, and in %d more such that depend on an order\n",
		s.Matched, s.Interrupted, s.Failed, s.Texts, s.Ordered)
	if len(s.Bounded) > 0 {
		fmt.Fprintf(&b, "%d over a bound of work:\n", len(s.Bounded))
		for _, name := range s.Bounded {
			fmt.Fprintf(&b, "  %s\n", name)
		}
	}
	for _, e := range s.TextExamples {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	if s.Policies+s.Refused > 0 {
		fmt.Fprintf(&b, "%d policies, %d of them not compiled; %d more refused by both engines\n", s.Policies, s.Uncompiled, s.Refused)
	}
	if n := time.Duration(s.Comparisons); n > 0 {
		fmt.Fprintf(&b, "mean time: reference %v, candidate %v", (s.Reference / n).Round(time.Microsecond), (s.Candidate / n).Round(time.Microsecond))
	}
	return b.String()
}
