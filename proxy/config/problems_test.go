package config

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// testOptions are fixed, so that golden files are.
var testOptions = Options{
	CRSVersions: []string{"4.25.0", "4.22.0"},
	Now:         func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) },
}

// TestProblems compares what is reported for each bad configuration with its golden file.
func TestProblems(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inputs = append(inputs, "testdata/problems/merge", "testdata/problems/nothing-here", "testdata/problems/absent")
	shapes := map[string]bool{}
	quotes := regexp.MustCompile(`"(\\.|[^"\\])*"|[0-9]+`)
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			_, err := testOptions.Load(input)
			if err == nil {
				t.Fatal("no problem was reported")
			}
			for _, p := range err.(Problems) {
				shapes[quotes.ReplaceAllString(p.Message, "")] = true
			}
			got := strings.ReplaceAll(err.Error()+"\n", cwd+"/", "")
			golden := strings.TrimSuffix(input, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
	if len(shapes) < 60 {
		t.Errorf("only %d different messages are covered", len(shapes))
	}
	t.Logf("%d different messages", len(shapes))
}
