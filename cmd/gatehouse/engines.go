package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
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

// offline judges requests by a configuration on the chosen engine, or on both.
type offline struct {
	*proxy.Inspector
	engine *engine.Engine

	mu          sync.Mutex                 // guards differences
	differences map[*rules.Result][]string // that nobody has asked for yet
}

// modes are those of the engine, by the value of -engine.
var modes = map[string]engine.Mode{engineProgram: engine.Program, engineReference: engine.Reference, engineBoth: engine.Both}

func newOffline(loaded *config.Loaded, choice string) (*offline, error) {
	o := &offline{differences: map[*rules.Result][]string{}}
	o.engine = engine.New(engine.Options{Target: policy.TargetOf, Mode: modes[choice], Compared: o.compared})
	var err error
	if o.Inspector, err = proxy.NewInspector(loaded, zap.NewNop(), o.engine); err != nil {
		return nil, errors.Join(err, o.engine.Close())
	}
	return o, nil
}

// compared keeps in what the engines differ. Values of the request are left out: they may be secrets.
func (o *offline) compared(c engine.Comparison) {
	if !c.Differ() {
		return
	}
	var lines []string
	for _, line := range c.Difference.Redacted {
		lines = append(lines, strings.ReplaceAll(line, "candidate", engineProgram))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.differences[c.Result] = lines
}

// Differences says in what the engines differ about a report's request, one thing a line: nothing with one engine.
func (o *offline) Differences(r *proxy.Report) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.differences[r.Result]
	delete(o.differences, r.Result)
	return d
}

// Close frees the rule sets.
func (o *offline) Close() error { return errors.Join(o.Inspector.Close(), o.engine.Close()) }
