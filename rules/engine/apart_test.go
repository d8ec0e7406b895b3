package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// TestPoliciesAreKeptApart loads policies that are nearly the same on one engine, which shares what it compiles for them.
// Each has to answer as the reference does.
func TestPoliciesAreKeptApart(t *testing.T) {
	// Every policy looks for one pattern after the same steps or others; the first has more patterns than a word has bits.
	var many strings.Builder
	many.WriteString(`SecRule ARGS_GET:two "@rx ^helloworld" "id:1,phase:1,pass,log,t:none,t:lowercase,t:removeWhitespace"` + "\n")
	for i := range 70 {
		fmt.Fprintf(&many, "SecRule REQUEST_HEADERS:X-%d \"@rx a%d$\" \"id:%d,phase:1,pass,log\"\n", i, i, 2+i)
	}
	texts := []string{many.String()}
	for _, pattern := range []string{"^helloworld", "^hello world", "^Hello World"} {
		for _, steps := range []string{
			"t:none,t:lowercase,t:removeWhitespace", "t:none,t:removeWhitespace,t:lowercase", "t:none,t:lowercase", "t:none",
			"multiMatch,t:none,t:lowercase,t:removeWhitespace", "multiMatch,t:none,t:lowercase",
		} {
			texts = append(texts, fmt.Sprintf(`SecRule ARGS_GET:two "@rx %s" "id:1,phase:1,pass,log,%s"`+"\n", pattern, steps))
		}
	}
	for _, source := range []struct{ name, file string }{{"of CRS", "crs-4.25.0/rules.conf"}, {"of the policy", "rules.conf"}} {
		t.Run(source.name, func(t *testing.T) {
			e, reference := engine.New(engine.Options{}), engine.New(engine.Options{Mode: engine.Reference})
			var sets, references []rules.RuleSet
			for i, text := range texts {
				p := rules.Policy{Name: fmt.Sprint(i), Sources: []rules.Source{{Name: source.file, Text: text}}}
				set, err := e.Load(p)
				if err != nil {
					t.Fatal(err)
				}
				if c := set.(interface{ Coverage() engine.Coverage }).Coverage(); len(c.Reference) > 0 {
					t.Fatalf("not compiled: %v", c.Reference)
				}
				other, err := reference.Load(p)
				if err != nil {
					t.Fatal(err)
				}
				sets, references = append(sets, set), append(references, other)
			}
			for i := range sets {
				matched := 0
				for _, wire := range exchanges {
					got := judge(t, sets[i], []byte(wire), false)
					matched += len(got.Matches)
					if diff := differ(t, references[i], []byte(wire), false, got); diff != "" {
						t.Fatalf("policy %d (-reference +program):\n%s\n%s\n%q", i, diff, texts[i], wire)
					}
				}
				if i == 0 && matched == 0 {
					t.Error("nothing matched at all")
				}
			}
		})
	}
}

// TestResultsKeepTheirText shows that a result does not change when the memory of its transaction is used again.
func TestResultsKeepTheirText(t *testing.T) {
	p := rules.Policy{Name: "kept", Sources: []rules.Source{{Name: "rules.conf", Text: `
SecRule ARGS "@rx (.)" "id:1,phase:1,pass,log,capture,t:none,t:hexEncode,msg:'of %{MATCHED_VAR} and %{tx.1}',logdata:'data %{MATCHED_VAR_NAME} is %{MATCHED_VAR}'"
SecRule REMOTE_ADDR|REQUEST_LINE|SERVER_PORT "@rx ." "id:2,phase:1,pass,log,msg:'%{MATCHED_VAR}',logdata:'%{MATCHED_VAR}'"
SecAction "id:3,phase:1,pass,log,msg:'%{REQUEST_LINE}',logdata:'%{REQUEST_LINE}'"
`}}}
	var name []byte // of a target, in memory that is used again
	set := load(t, engine.Options{Target: func(variable, key, _ string) string {
		name = append(append(append(name[:0], variable...), ' '), key...)
		return unsafe.String(unsafe.SliceData(name), len(name))
	}}, p)
	judged := func(query string) *rules.Result {
		tx := set.Begin(&rules.Request{Method: "GET", Target: "/%41?" + query, Protocol: "HTTP/1.1"})
		if _, err := tx.RequestHeaders(); err != nil {
			t.Fatal(err)
		}
		return tx.Close()
	}
	first := judged("%41rgument=%61bc")
	before := fmt.Sprintf("%v", first.Matches)
	for range 5 { // one of them gets the memory of the first
		judged("%5A%5A%5A%5A%5A%5A%5A%5A=%5A%5A%5A&%5A=%5A%5A%5A%5A%5A%5A%5A%5A%5A%5A%5A")
	}
	if after := fmt.Sprintf("%v", first.Matches); after != before {
		t.Errorf("was  %s\nis   %s", before, after)
	}
	if !strings.Contains(before, "data ARGS:Argument is 616263") {
		t.Errorf("got %s", before)
	}
}
