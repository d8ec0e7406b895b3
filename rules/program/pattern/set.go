package pattern

import (
	"math/bits"
	"slices"

	"gatehouse/rules/program/byteset"
)

// Set nominates patterns for values. It is immutable and safe for concurrent use.
type Set struct {
	patterns []*Pattern
	stages   []stage // by alphabet
	scratch  int     // words of a scratch's outputs
}

// stage is the first look at values of one alphabet.
type stage struct {
	always    Bits // possible, and without literals
	sought    Bits // possible, with literals
	automaton *automaton
	spelled   []byteset.Set // the bytes of each literal, if there are few; nil else
}

// fewLiterals is up to how many literals are looked at before a value is: then it need not be, if it lacks their bytes.
const fewLiterals = 24

// NewSet compiles the patterns together. Their indexes are the numbers in what Nominate answers.
func NewSet(patterns []*Pattern) *Set {
	s := &Set{patterns: slices.Clone(patterns), stages: make([]stage, len(alphabets))}
	inParallel(len(alphabets), func(i int) { s.stages[i] = newStage(patterns, i) })
	for _, st := range s.stages {
		s.scratch = max(s.scratch, (len(st.automaton.owners)+63)/64)
	}
	return s
}

func newStage(patterns []*Pattern, alphabet int) stage {
	st := stage{always: newBits(len(patterns)), sought: newBits(len(patterns))}
	found := make([][]string, len(patterns))
	for j, p := range patterns {
		switch sh := p.shapes[alphabet]; {
		case !sh.possible:
		case sh.literals == nil:
			st.always.Set(j)
		default:
			st.sought.Set(j)
			found[j] = sh.literals
		}
	}
	st.automaton = build(found)
	if all := slices.Concat(found...); len(all) <= fewLiterals {
		st.spelled = make([]byteset.Set, 0, len(all))
		for _, literal := range all {
			st.spelled = append(st.spelled, byteset.Of(literal))
		}
	}
	return st
}

// Scratch is the memory that Nominate works in. It belongs to one goroutine and one set.
type Scratch struct {
	nominated Bits
	outputs   outputs
	lanes     lanes
	threads   threads
	running   [laneCount]int // the patterns in the lanes
}

// NewScratch makes a scratch for the set.
func (s *Set) NewScratch() *Scratch {
	return &Scratch{nominated: newBits(len(s.patterns)), outputs: outputs{seen: make(Bits, s.scratch)}}
}

// Nominate answers the patterns among want that value may match; all others do not match it. A nil want is all
// patterns; mask has to be byteset.Of(value). The answer is valid until the scratch is used again. It takes time linear
// in the value: one step a byte for the literals, and at most one for each pattern of want.
func (s *Set) Nominate(scratch *Scratch, value string, mask byteset.Set, want Bits) Bits {
	st := &s.stages[alphabetOf(mask)]
	out := scratch.nominated
	sought := false
	if want == nil {
		copy(out, st.always)
		sought = true
	} else {
		for w := range out {
			out[w] = st.always[w] & want[w]
			sought = sought || st.sought[w]&want[w] != 0
		}
	}
	if sought && st.canHave(mask) {
		st.automaton.scan(value, out, &scratch.outputs)
		if want != nil {
			out.and(want)
		}
	}
	s.decide(scratch, value, mask)
	return out
}

// canHave reports whether a value with these bytes can have a literal.
func (st *stage) canHave(mask byteset.Set) bool {
	if st.spelled == nil {
		return true
	}
	mask = foldSet(mask)
	for _, literal := range st.spelled {
		if literal.Within(mask) {
			return true
		}
	}
	return false
}

// decide leaves out of the nominated patterns those that do not match.
func (s *Set) decide(scratch *Scratch, value string, mask byteset.Set) {
	out, l := scratch.nominated, &scratch.lanes
	for w, word := range out {
		for ; word != 0; word &= word - 1 {
			i := w*64 + bits.TrailingZeros64(word)
			possible, undecided := s.patterns[i].precheck(value, mask)
			switch {
			case !possible:
				out.clear(i)
			case undecided == nil:
			case undecided.symbols == nil:
				if !undecided.match(value, &scratch.threads) {
					out.clear(i)
				}
			default:
				scratch.running[l.used] = i
				if l.add(undecided); l.used == laneCount {
					scratch.runLanes(value)
				}
			}
		}
	}
	if l.used > 0 {
		scratch.runLanes(value)
	}
}

// runLanes decides the patterns in the lanes.
func (s *Scratch) runLanes(value string) {
	s.lanes.run(value, &s.threads)
	for k, i := range s.running[:s.lanes.used] {
		if !s.lanes.found[k] {
			s.nominated.clear(i)
		}
	}
	s.lanes.used = 0
}

// Stats is how large a set is.
type Stats struct {
	Patterns int
	// States and Bytes are of the literal automata, all alphabets together; Bytes is the memory of their tables.
	States, Bytes int
	// DFAs is how many patterns have an automaton of their own, DFABytes the memory of those.
	DFAs, DFABytes int
	// Always is, by alphabet, how many patterns have no literals; Impossible how many cannot match at all.
	Always, Impossible []int
}

// Stats measures the set.
func (s *Set) Stats() Stats {
	out := Stats{Patterns: len(s.patterns)}
	for i, st := range s.stages {
		out.States += st.automaton.states()
		out.Bytes += st.automaton.bytes()
		out.Always = append(out.Always, st.always.Len())
		impossible := 0
		for _, p := range s.patterns {
			if !p.shapes[i].possible {
				impossible++
			}
		}
		out.Impossible = append(out.Impossible, impossible)
	}
	for _, p := range s.patterns {
		if p.dfa != nil {
			out.DFAs++
			out.DFABytes += p.dfa.bytes()
		}
	}
	return out
}
