package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/config/configtest"
	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/rulestest/rulestesting"
)

// TestBehaviour runs the test files of what policies and applications can say: CRS settings, rules, lists, exclusions,
// SecLang, on both engines. Every expectation in them is also turned into its opposite, which must not be met.
func TestBehaviour(t *testing.T) {
	t.Run("reference", func(t *testing.T) {
		behaviour(t, coraza.New(coraza.Options{Target: policy.TargetOf}), rulestest.ReferenceEngine)
	})
	t.Run("program", func(t *testing.T) {
		behaviour(t, &compiledOnly{t: t, Engine: engine.New(engine.Options{Target: policy.TargetOf})}, rulestest.AnyEngine)
	})
}

// compiledOnly is an engine whose policies must all be compiled: else the test would compare the reference with itself.
type compiledOnly struct {
	*engine.Engine
	t    *testing.T
	last rules.RuleSet // keeps what is compiled until the next policy is loaded, which shares it
}

func (e *compiledOnly) Load(p rules.Policy) (rules.RuleSet, error) {
	set, err := e.Engine.Load(p)
	if err == nil {
		if c := set.(interface{ Coverage() engine.Coverage }).Coverage(); len(c.Reference) > 0 {
			e.t.Errorf("policy %s is not compiled: %+v", p.Name, c.Reference)
		}
		e.last = set
	}
	return set, err
}

func behaviour(t *testing.T, e rules.Engine, runner rulestest.Runner) {
	opposites := readOpposites(t)
	lines := 0
	ran := rulestesting.Run(t, e, "testdata", rulestesting.Options{
		Runner: runner, Lower: configtest.Lower,
		Check: func(c *rulestest.Case, o rulestest.Outcome) string {
			if problem := oursAreNotShown(o); problem != "" {
				return problem
			}
			wrong := opposites[c.File][c.Name].In(o.Mode, runner)
			want := expectedIn(o.Mode, wrong)
			lines += len(want)
			var got []string
			for _, d := range wrong.Check(o) {
				got = append(got, d.Want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				return "of the wrong expectations, these are reported (-want +got):\n" + diff
			}
			return ""
		},
	})
	const atLeast = 275
	if ran.Cases < atLeast || ran.Judged[rulestest.ModeBlock] != ran.Cases || ran.Judged[rulestest.ModeDetect] != ran.Cases {
		t.Errorf("%+v, want at least %d cases, each in block and in detect", ran, atLeast)
	}
	if lines < 4*atLeast {
		t.Errorf("%d wrong expectations were reported, want at least %d: two a case and mode", lines, 4*atLeast)
	}
}

// oursAreNotShown says if a rule that lowering made for its own purposes is among the matches.
func oursAreNotShown(o rulestest.Outcome) string {
	for _, m := range o.Result.Matches {
		for _, tag := range m.Tags {
			if strings.HasPrefix(tag, policy.TagExclusion) || tag == policy.TagInternal {
				return "a rule of ours is shown: " + tag
			}
		}
	}
	return ""
}

// readOpposites reads the test files with every expectation turned into its opposite: cases by file and name.
func readOpposites(t *testing.T) map[string]map[string]*rulestest.Case {
	t.Helper()
	names, err := rulestest.Files("testdata")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]map[string]*rulestest.Case)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := rulestest.Parse(name, opposite(t, string(text)))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = make(map[string]*rulestest.Case)
		for i := range f.Cases {
			all[name][f.Cases[i].Name] = &f.Cases[i]
		}
	}
	return all
}

// expectedIn lists what a case expects in a mode.
func expectedIn(mode rulestest.Mode, c *rulestest.Case) []string {
	var lines []string
	for _, e := range c.Expect {
		if word, rest, _ := strings.Cut(e.Text, " "); word != "in" || strings.HasPrefix(rest, string(mode)+" ") {
			lines = append(lines, e.Text)
		}
	}
	return lines
}

// opposite replaces each expectation in a test file with one that the same outcome does not meet.
func opposite(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	expect := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "-- ") {
			expect = line == "-- expect --\n"
		} else if line := strings.TrimSpace(line); expect && line != "" {
			b.WriteString(oppositeLine(t, line) + "\n")
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

func oppositeLine(t *testing.T, line string) string {
	t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "pass":
		return "block"
	case "block", "detect":
		return "pass"
	case "by", "threshold", "tag":
		return line + "1"
	case "matches":
		return "absent " + rest
	case "absent":
		return "matches " + rest
	case "exclusions":
		return line + " another"
	case "inspected":
		return "uninspected"
	case "uninspected":
		return "inspected"
	case "in":
		mode, rest, _ := strings.Cut(rest, " ")
		return "in " + mode + " " + oppositeLine(t, rest)
	}
	t.Fatalf("there is no opposite of %q here; add one", line)
	return ""
}
