package variable_test

import (
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types/variables"

	"gatehouse/rules/program/variable"
)

// TestNamesAgreeWithReference: both know the same variables under the same names.
func TestNamesAgreeWithReference(t *testing.T) {
	known := 0
	for n := range 256 {
		theirs := variables.RuleVariable(n)
		again, err := variables.Parse(theirs.Name())
		if err != nil {
			continue // not a variable
		}
		if again != theirs {
			t.Errorf("%s is the reference's name of two variables", theirs.Name())
		}
		known++
		id, ok := variable.Parse(theirs.Name())
		if !ok || id.Name() != theirs.Name() {
			t.Errorf("%s is not ours, but %q", theirs.Name(), id.Name())
		}
	}
	if want := variable.Count - gaps(); known != want {
		t.Errorf("the reference has %d variables, we have %d", known, want)
	}
	for id := range variable.ID(variable.Count) {
		if id.Name() == "" {
			continue
		}
		if _, err := variables.Parse(id.Name()); err != nil {
			t.Errorf("the reference has no %s", id.Name())
		}
		if lower, ok := variable.Parse(strings.ToLower(id.Name())); !ok || lower != id {
			t.Errorf("%s in lower case is %v", id.Name(), lower)
		}
	}
}

// gaps counts the numbers that only separate kinds.
func gaps() int {
	n := 0
	for id := range variable.ID(variable.Count) {
		if id.Name() == "" {
			n++
		}
	}
	return n
}

// TestKindsAgreeWithReference compares what the reference holds a variable in.
func TestKindsAgreeWithReference(t *testing.T) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig())
	if err != nil {
		t.Fatal(err)
	}
	tx := waf.NewTransaction()
	defer tx.Close()
	state := tx.(plugintypes.TransactionState)
	count := make(map[variable.Kind]int)
	for id := range variable.ID(variable.Count) {
		if id.Name() == "" {
			continue
		}
		theirs, err := variables.Parse(id.Name())
		if err != nil {
			t.Fatal(err)
		}
		var want variable.Kind
		held := state.Collection(theirs)
		_, single := held.(collection.Single)
		_, keyed := held.(collection.Keyed)
		_, changeable := held.(collection.Map)
		switch {
		case held == nil, held.Name() == "":
			want = variable.Empty
		case single:
			want = variable.Single
		case !keyed: // what the arguments' lengths add up to
			want = variable.Derived
		case !changeable || held == state.Collection(variables.RequestXML) && id == variable.XML:
			want = variable.Derived
		default:
			want = variable.Collection
		}
		count[want]++
		if id.Kind() != want {
			t.Errorf("%s is of kind %d, want %d: the reference has %T", id.Name(), id.Kind(), want, held)
		}
	}
	for _, kind := range []variable.Kind{variable.Empty, variable.Single, variable.Collection, variable.Derived} {
		if count[kind] < 10 {
			t.Errorf("%d variables of kind %d, want at least 10", count[kind], kind)
		}
	}
}

// TestCaseSensitiveKeys are those that the reference does not lower.
func TestCaseSensitiveKeys(t *testing.T) {
	for id := range variable.ID(variable.Count) {
		want := strings.HasPrefix(id.Name(), "ARGS") && id != variable.ArgsPath && id != variable.ArgsCombinedSize
		if id.CaseSensitive() != want {
			t.Errorf("%s: case-sensitive keys %v, want %v", id.Name(), id.CaseSensitive(), want)
		}
	}
}
