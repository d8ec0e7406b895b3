package operator

import (
	"math/rand/v2"
	"testing"
)

// TestLeading compares the operator with the expression that it stands for.
func TestLeading(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	alphabet := []string{"a", "Z", "9", ";", ",", " ", "\n", "\t", "/", "é", "\u2028", "\xff", "\xc3", "\ufffd", "\x00", "+"}
	matched := 0
	for _, argument := range []string{
		`\A([^;,\s]+)`, `^[^;\s]+`, `^([a-z]+)`, `\A[^a-z]+`, `^[\w/+]+`, `^[é-ü;]+`, `(?i)^[a-z]+`, `^(?:[a-z]+)`,
	} {
		op, err := newRx(argument)
		if err != nil {
			t.Fatal(err)
		}
		l, ok := op.(*leading)
		if !ok {
			t.Fatalf("%s is not recognised", argument)
		}
		for range 20_000 {
			value := ""
			for range r.IntN(8) {
				value += alphabet[r.IntN(len(alphabet))]
			}
			var got, want Captures
			ok, should := l.Match(value, &got), l.other.Match(value, &want)
			if ok != should {
				t.Fatalf("%s on %q: %v, want %v", argument, value, ok, should)
			}
			for i := range 10 {
				text, set := got.Field(i)
				if wantText, wantSet := want.Field(i); text != wantText || set != wantSet {
					t.Fatalf("%s on %q: capture %d is %q %v, want %q %v", argument, value, i, text, set, wantText, wantSet)
				}
			}
			if ok {
				matched++
			}
			if l.Match(value, nil) != should {
				t.Fatalf("%s on %q: without captures %v", argument, value, !should)
			}
		}
	}
	if matched < 20_000 {
		t.Errorf("only %d values matched", matched)
	}
	for _, argument := range []string{`[a-z]+`, `^[a-z]+?`, `^[a-z]*`, `^[a-z]+$`, `^([a-z])+`, `^a+b`, `^(([a-z]+))`, `^[a-z]{2,}`} {
		op, err := newRx(argument)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := op.(*leading); ok {
			t.Errorf("%s is taken for one", argument)
		}
	}
}
