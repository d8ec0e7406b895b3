package parity

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repository = "../.."
	dataDir    = repository + "/../shared/data"
)

// long says whether to run everything rather than a sample: PARITY=long in the environment, as `make parity` has it.
func long() bool { return os.Getenv("PARITY") == "long" }

// engines are new ones.
func engines() Engines { return Engines{Reference: Reference(), Candidate: Candidate()} }

// mustLoad loads a policy into one engine until the test ends.
func mustLoad(t testing.TB, e rules.Engine, p rules.Policy) rules.RuleSet {
	t.Helper()
	set, err := e.Load(p)
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

func mustPolicy(t testing.TB, paranoia int) rules.Policy {
	t.Helper()
	p, err := CRSPolicy(paranoia)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// failures report differences: the first few made small, and no more than are readable.
type failures struct {
	t       testing.TB
	engines func() Engines
	count   atomic.Int32
	shrunk  atomic.Int32
}

const (
	mostShrunk   = 3
	mostFailures = 30
)

// report says that engines differ about a case, and whether it is worth going on.
func (f *failures) report(c Case, found Comparison, within time.Duration) (goOn bool) {
	n := f.count.Add(1)
	if n > mostFailures {
		return false
	}
	f.t.Errorf("%s, mode %s:\n  %s", c.Exchange.Name, c.Mode, strings.Join(found.Difference.Verdict, "\n  "))
	if f.shrunk.Add(1) > mostShrunk {
		return true
	}
	small := Shrink(f.engines(), c, within)
	comparison, differs := small.Differs(f.engines())
	if !differs {
		f.t.Logf("on its own it does not differ: it takes more of what came before it on the same rule sets")
		small, comparison = c, found
	}
	about := fmt.Sprintf("Found by comparing engines (%s), in mode %s:\n  %s", c.Exchange.Name, c.Mode, strings.Join(comparison.Difference.Verdict, "\n  "))
	text, err := File(about, small)
	if err != nil {
		f.t.Logf("cannot be stored as it is: %v\n%s\nthe exchange: %+v", err, text, *small.Exchange)
		return true
	}
	f.t.Logf("made small; to keep it, store it under rules/parity/testdata/found:\n\n%s", text)
	f.keep(text)
	return true
}

// keep stores the file if PARITY_FOUND names a directory.
func (f *failures) keep(text string) {
	directory := os.Getenv("PARITY_FOUND")
	if directory == "" {
		return
	}
	name := filepath.Join(directory, fmt.Sprintf("found-%x.rules", time.Now().UnixNano()))
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		f.t.Error(err)
	}
}
