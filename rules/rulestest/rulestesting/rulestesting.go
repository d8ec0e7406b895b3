// Package rulestesting runs rulestest files as Go tests, on any engine.
package rulestesting

import (
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/rulestest"
)

// Options say what a file cannot.
type Options struct {
	// Runner is rulestest.ReferenceEngine if the engine is the reference.
	Runner rulestest.Runner
	// Lower gives the policy of a file with a configuration. Without it, such a file is a failure.
	Lower func(*rulestest.File) (rules.Policy, error)
	// Check looks at the outcome of each case in each mode, and says what is wrong with it. May be nil.
	Check func(*rulestest.Case, rulestest.Outcome) (problem string)
}

// Ran counts what was run.
type Ran struct {
	Files, Cases int
	// Judged counts cases by the mode in which they were judged and held against their expectations.
	Judged map[rulestest.Mode]int
}

// Run runs the test files at path on an engine, each case as a subtest that judges it in every mode. Files without a
// policy or a configuration, and a path without files, are failures.
func Run(t *testing.T, engine rules.Engine, path string, options Options) Ran {
	t.Helper()
	ran := Ran{Judged: make(map[rulestest.Mode]int)}
	files, err := rulestest.Files(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), rulestest.Extension), func(t *testing.T) {
			f, err := rulestest.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			ran.Files++
			ran.file(t, engine, f, options)
		})
	}
	return ran
}

func (ran *Ran) file(t *testing.T, engine rules.Engine, f *rulestest.File, options Options) {
	set := Load(t, engine, f, options.Lower)
	for i := range f.Cases {
		c := &f.Cases[i]
		t.Run(c.Name, func(t *testing.T) {
			differences, outcomes := rulestest.CheckCase(set, c, options.Runner)
			for _, d := range differences {
				t.Error(d)
			}
			ran.Cases++
			for mode, outcome := range outcomes {
				ran.Judged[mode]++
				if options.Check == nil {
					continue
				}
				if problem := options.Check(c, outcome); problem != "" {
					t.Errorf("in %s: %s", mode, problem)
				}
			}
		})
	}
}

// Load loads a file's policy, and closes the rule set when the test ends. lower is as in Options.
func Load(t *testing.T, engine rules.Engine, f *rulestest.File, lower func(*rulestest.File) (rules.Policy, error)) rules.RuleSet {
	t.Helper()
	p := rules.Policy{Name: f.Name, Sources: f.Sources, Limits: f.Limits}
	switch {
	case f.Configuration != "" && lower == nil:
		t.Fatalf("%s has a configuration, and nothing here reads it", f.Name)
	case f.Configuration != "":
		var err error
		if p, err = lower(f); err != nil {
			t.Fatal(err)
		}
	case len(f.Sources) == 0:
		t.Fatalf("%s has no policy", f.Name)
	}
	set, err := engine.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}
