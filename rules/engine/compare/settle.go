package compare

import (
	"strings"

	"gatehouse/rules"
)

// Agreement says how two engines answered.
type Agreement int

// The agreements.
const (
	// Same answers.
	Same Agreement = iota
	// OneOfSeveral: the reference does not always answer the same, and the candidate gave one of its answers.
	OneOfSeveral
	// Unsettled: the reference does not always answer the same, and was not seen to answer as the candidate did.
	Unsettled
	// Different: the reference always answers the same, and the candidate otherwise.
	Different
)

func (a Agreement) String() string {
	return [...]string{"same", "one of several", "unsettled", "different"}[a]
}

// Settle says how the verdict of the candidate stands to that of the reference. If they differ, the reference is asked
// again until it agrees with the candidate or ask says that it was asked enough.
func Settle(reference, candidate Outcome, ask func() (Outcome, bool)) Agreement {
	if len(Diff(reference, candidate).Verdict) == 0 {
		return Same
	}
	agreement := Different
	for {
		once, asked := ask()
		switch {
		case !asked:
			return agreement
		case len(Diff(once, candidate).Verdict) == 0:
			return OneOfSeveral
		case len(Diff(once, reference).Verdict) > 0:
			agreement = Unsettled
		}
	}
}

// Times is an ask of Settle that asks up to n times.
func Times(n int, ask func() Outcome) func() (Outcome, bool) {
	return func() (Outcome, bool) {
		if n--; n < 0 {
			return Outcome{}, false
		}
		return ask(), true
	}
}

// Excepted says whether two outcomes differ because the reference has no answer, in a place that is documented:
// @validateNid panics there for a number without a digit.
func Excepted(p rules.Policy, reference, candidate Outcome) bool {
	if candidate.Err != "" || !strings.Contains(reference.Err, "panic: ") {
		return false
	}
	for _, s := range p.Sources {
		if strings.Contains(strings.ToLower(s.Text), "@validatenid") {
			return true
		}
	}
	return false
}
