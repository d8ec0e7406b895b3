package rulestesting_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/rules/coraza"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/rulestest/rulestesting"
)

// pathVariable is set for the test binary that TestRunReports starts: what to run there.
const pathVariable = "RULESTESTING_PATH"

const policy = `-- policy --
SecRule ARGS:q "@streq evil" "id:1,phase:1,deny,log"

`

const attack = "-- request an attack --\nGET /?q=evil\n\n-- expect --\n"

// TestRunReports shows that a test fails when a file is not met, and only then. It runs itself in another process, since
// a test that fails in this one would fail it.
func TestRunReports(t *testing.T) {
	if path := os.Getenv(pathVariable); path != "" {
		rulestesting.Run(t, coraza.New(coraza.Options{}), path, rulestesting.Options{
			Runner: rulestest.ReferenceEngine,
			Check: func(_ *rulestest.Case, o rulestest.Outcome) string {
				if len(o.Result.Matches) == 0 {
					return "checked: no match"
				}
				return ""
			},
		})
		return
	}
	const clean = "-- request a clean one --\nGET /?q=good\n\n-- expect --\npass\n"
	for _, c := range []struct {
		name, text string
		want       []string // in the output; none if the test has to pass
	}{
		{"met", policy + attack + "block 403\nby 1\n", nil},
		{"wrong verdict", policy + attack + "pass\n", []string{"f.rules:8: an attack, in block", "f.rules:8: an attack, in detect"}},
		{"wrong rule", policy + attack + "block\nby 2\n", []string{"f.rules:9: an attack, in block", "want by 2"}},
		{"wrong in detect", policy + attack + "block\nin detect absent 1\n", []string{"f.rules:9: an attack, in detect"}},
		{"check", policy + clean, []string{"in block: checked: no match", "in detect: checked: no match"}},
		{"no policy", clean, []string{"f.rules has no policy"}},
		{"a policy that does not load", "-- policy --\nSecRule\n" + clean, []string{"policy:1"}},
		{"a configuration that nobody reads", "-- configuration --\nversion: 1\n" + clean, []string{"has a configuration, and nothing here reads it"}},
		{"no case", policy, []string{"f.rules:1: the file has no request"}},
		{"a mistake", policy + attack + "blok\n", []string{`f.rules:8: "blok" cannot be expected`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.rules")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRunReports$", "-test.v")
			command.Env = append(os.Environ(), pathVariable+"="+path)
			out, err := command.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if failed := err != nil; failed != (len(c.want) > 0) {
				t.Errorf("failed: %t\n%s", failed, out)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

func TestRunCounts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.rules": policy + attack + "block\n",
		"b.rules": policy + attack + "block\n-- request another --\nGET /\n-- expect --\npass\n",
		"c.txt":   "not a test",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checked := 0
	ran := rulestesting.Run(t, coraza.New(coraza.Options{}), dir, rulestesting.Options{Check: func(*rulestest.Case, rulestest.Outcome) string {
		checked++
		return ""
	}})
	if ran.Files != 2 || ran.Cases != 3 || ran.Judged[rulestest.ModeBlock] != 3 || ran.Judged[rulestest.ModeDetect] != 3 || checked != 6 {
		t.Errorf("%+v, %d outcomes checked; want 2 files with 3 cases, each in block and in detect", ran, checked)
	}
}
