package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"

	"gatehouse/proxy"
	"gatehouse/rules"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
)

// The values of -engine.
const (
	engineProgram   = "program"
	engineReference = "reference"
	engineBoth      = "both"
)

// engineFlag declares -engine.
func engineFlag(flags *flag.FlagSet) *string {
	choice := engineProgram
	flags.Func("engine", "`engine` that judges: program, as in a gateway, reference, or both (default program)", func(s string) error {
		if !slices.Contains([]string{engineProgram, engineReference, engineBoth}, s) {
			return fmt.Errorf("%q is not an engine (program, reference, both)", s)
		}
		choice = s
		return nil
	})
	return &choice
}

// offlineEngine judges requests on the chosen engine, or on both.
type offlineEngine struct {
	*engine.Engine

	mu          sync.Mutex                 // guards differences
	differences map[*rules.Result][]string // that nobody has asked for yet
}

// modes are those of the engine, by the value of -engine.
var modes = map[string]engine.Mode{engineProgram: engine.Program, engineReference: engine.Reference, engineBoth: engine.Both}

func (c *cli) newOfflineEngine(choice string) *offlineEngine {
	e := &offlineEngine{differences: map[*rules.Result][]string{}}
	o := engine.Options{Target: policy.TargetOf, Mode: modes[choice], Compared: e.compared}
	if c.compiled != nil {
		e.Engine = c.compiled.With(o)
	} else {
		e.Engine = engine.New(o)
	}
	return e
}

// compared keeps in what the engines differ. Values of the request are left out: they may be secrets.
func (e *offlineEngine) compared(c engine.Comparison) {
	if !c.Differ() {
		return
	}
	var lines []string
	for _, line := range c.Difference.Redacted {
		lines = append(lines, strings.ReplaceAll(line, "candidate", engineProgram))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.differences[c.Result] = lines
}

// take gives in what the engines differ about a report's request, one thing a line: nothing with one engine.
func (e *offlineEngine) take(r *proxy.Report) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.differences[r.Result]
	delete(e.differences, r.Result)
	return d
}
