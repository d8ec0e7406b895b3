package macro_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	reference "github.com/corazawaf/coraza/v3/experimental/plugins/macro"
	"github.com/corazawaf/coraza/v3/types/variables"
	"github.com/google/go-cmp/cmp"

	"gatehouse/rules/program/macro"
	"gatehouse/rules/program/variable"
)

// tokensOf are the reference's tokens of a text that it takes.
func tokensOf(t *testing.T, m reference.Macro) []macro.Token {
	t.Helper()
	var out []macro.Token
	tokens := reflect.ValueOf(m).Elem().FieldByName("tokens")
	for i := range tokens.Len() {
		token := tokens.Index(i)
		v := variables.RuleVariable(token.FieldByName("variable").Uint())
		id, _ := variable.Parse(v.Name())
		if (id == variable.Unknown) != (v == variables.Unknown) {
			t.Fatalf("variable %s is not ours", v.Name())
		}
		out = append(out, macro.Token{Text: token.FieldByName("text").String(), Variable: id, Key: token.FieldByName("key").String()})
	}
	if out == nil {
		out = []macro.Token{{}} // ours always has one
	}
	return out
}

// TestParseAgreesWithReference reads texts made of pieces: the same are errors, and the others have the same tokens.
func TestParseAgreesWithReference(t *testing.T) {
	pieces := strings.Split("%{|}|%|{|.|tx|TX.A|REQUEST_HEADERS.Host|tx.a_b-0[1]|MATCHED_VAR|MATCHED_VAR_NAME|nothing.x|UNKNOWN|a b|'|\\|\x00|\xff|é|ſ|%{tx.Score}|%{rule.id}|%{args}|+|,|tx..|}}|%%{|%25", "|")
	random := rand.New(rand.NewPCG(7, 7))
	texts := []string{"", "%{", "%{}", "%{tx.a%{", "%{a%{tx.b}", "%{tx.a}%{", "%{tx.", "%{tx.}", "a%{b"}
	for range 60_000 {
		var b strings.Builder
		for range 1 + random.IntN(5) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		texts = append(texts, b.String())
	}
	taken := 0
	for _, text := range texts {
		want, refused := reference.NewMacro(text)
		got, err := macro.Parse(text)
		switch {
		case (err != nil) != (refused != nil):
			t.Fatalf("%q: error %v, the reference says %v", text, err, refused)
		case err != nil:
			if got.Set() {
				t.Fatalf("%q is an error and set", text)
			}
			continue
		}
		taken++
		if got.Text != want.String() || !got.Set() {
			t.Fatalf("%q: text %q, set %v", text, got.Text, got.Set())
		}
		if diff := cmp.Diff(tokensOf(t, want), got.Tokens); diff != "" {
			t.Fatalf("%q: tokens (-reference +ours):\n%s", text, diff)
		}
		if got.Constant() && (len(got.Tokens) != 1 || got.Tokens[0] != (macro.Token{Text: text})) {
			t.Fatalf("%q is constant and has tokens %v", text, got.Tokens)
		}
	}
	if taken < 6_000 {
		t.Errorf("%d texts were taken, want at least 6,000", taken)
	}
}

func TestConstant(t *testing.T) {
	for text, want := range map[string]bool{"a": true, "5%": true, "{}": true, "%{tx.a}": false, "a%{tx.a}b": false, "a%{": false} {
		m, err := macro.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if m.Constant() != want {
			t.Errorf("%q: constant %v, want %v", text, m.Constant(), want)
		}
	}
	if (macro.Macro{}).Set() {
		t.Error("the zero macro is set")
	}
}
