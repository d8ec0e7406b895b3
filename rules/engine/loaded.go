package engine

import (
	"maps"
	"sync"
	"weak"

	"gatehouse/rules/program"
)

// ready is the program of a policy.
type ready struct {
	set      *program.RuleSet
	coverage Coverage
}

// loaded finds the programs of policies that somebody has, by their text and limits: a policy that is loaded again, as at a
// reload that changes others, is neither checked nor compiled again. The zero loaded is empty. It is safe for concurrent use.
type loaded struct {
	mu       sync.Mutex // guards programs
	programs map[digest]weak.Pointer[ready]
}

// find is the program of a policy, or nil.
func (l *loaded) find(key digest) *ready {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.programs[key].Value()
}

// keep remembers a program for as long as somebody has it.
func (l *loaded) keep(key digest, j *ready) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.programs == nil {
		l.programs = make(map[digest]weak.Pointer[ready])
	}
	maps.DeleteFunc(l.programs, func(_ digest, p weak.Pointer[ready]) bool { return p.Value() == nil })
	l.programs[key] = weak.Make(j)
}
