package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/config/configtest"
	"gatehouse/rules/coraza"
	"gatehouse/rules/policy"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/rulestest/rulestesting"
)

// TestBehaviour runs the test files of what policies and applications can say: CRS settings, rules, lists, exclusions,
// SecLang.
func TestBehaviour(t *testing.T) {
	ran := rulestesting.Run(t, coraza.New(coraza.Options{Target: policy.TargetOf}), "testdata", rulestesting.Options{
		Runner: rulestest.ReferenceEngine, Lower: configtest.Lower, Check: oursAreNotShown,
	})
	const atLeast = 275
	if ran.Cases < atLeast || ran.Judged[rulestest.ModeBlock] != ran.Cases || ran.Judged[rulestest.ModeDetect] != ran.Cases {
		t.Errorf("%+v, want at least %d cases, each in block and in detect", ran, atLeast)
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

// TestBehaviourCanFail turns every expectation of the test files into its opposite, and wants every line reported in
// every mode in which it counts.
func TestBehaviourCanFail(t *testing.T) {
	files, err := rulestest.Files("testdata")
	if err != nil {
		t.Fatal(err)
	}
	engine := coraza.New(coraza.Options{Target: policy.TargetOf})
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := rulestest.Parse(name, opposite(t, string(text)))
			if err != nil {
				t.Fatal(err)
			}
			set := rulestesting.Load(t, engine, f, configtest.Lower)
			for i := range f.Cases {
				c := &f.Cases[i]
				_, outcomes := rulestest.CheckCase(set, c, rulestest.ReferenceEngine)
				for _, mode := range rulestest.Modes() {
					var got, want []string
					for _, e := range c.In(mode, rulestest.ReferenceEngine).Expect {
						if word, rest, _ := strings.Cut(e.Text, " "); word != "in" || strings.HasPrefix(rest, string(mode)+" ") {
							want = append(want, e.Text)
						}
					}
					for _, d := range c.In(mode, rulestest.ReferenceEngine).Check(outcomes[mode]) {
						got = append(got, d.Want)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("line %d: %s, in %s: of the wrong expectations, these are reported (-want +got):\n%s", c.Line, c.Name, mode, diff)
					}
				}
			}
		})
	}
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
