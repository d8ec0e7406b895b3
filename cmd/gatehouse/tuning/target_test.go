package tuning

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
)

func TestTargetPattern(t *testing.T) {
	for _, c := range []struct{ name, in, value, want string }{
		{"query", "query:q", "x", "query:q"},
		{"list", "json:items[0].comment", "x", "json:items[*].comment"},
		{"lists in lists", "json:[0][12].x", "x", "json:[*][*].x"},
		{"a bracket in a name", `json:a\[0].b`, "x", `json:a\[0].b`},
		{"key of an identifier", "json:answers.7d444840-9dc0-11d1-b245-5ffdce74fad2.text", "x", "json:answers.*.text"},
		{"an index beside a key with a dot", `json:a\.b\.items\.1\.comment`, "x", `json:a\.b\.items\.*\.comment`},
		{"a number in a key with a dot", `json:v1\.2x\.b`, "x", `json:v1\.2x\.b`},
		{"the document", "json:", "x", "json:"},
		{"form with an index", "form:items[3][text]", "x", "form:items[*][text]"},
		{"form without a name", "form:", "x", "form:"},
		{"a star in a name", `query:a\*b`, "x", `query:a\*b`},
		{"a line break in a name", "form_name:a\nb", "x", "form_name:a*b"},
		{"bytes in a name", `form:a\xffb`, "x", "form:a*b"},
		{"masked name", "form:card ***(16)", "x", "form:card *"},
		{"cut name", "form:abc…(+200)", "x", "form:abc*"},
		{"whole", "uri", "x", "uri"},
		{"a header that is not there", "header:host", "0", ""},
		{"what cannot be excluded", "client", "x", ""},
		{"not a target", "nonsense:x", "x", ""},
		{"none", "", "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := targetPattern(rules.MatchedTarget{Variable: "X", Target: c.in, Value: c.value})
			if got != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %v, want %q", got, ok, c.want)
			}
		})
	}
}

func TestTargetsOf(t *testing.T) {
	query := rules.MatchedTarget{Variable: "ARGS_GET:q", Target: "query:q", Value: "x"}
	for _, c := range []struct {
		name string
		in   []rules.MatchedTarget
		want []string
	}{
		{"what rules made does not count", []rules.MatchedTarget{query, {Variable: "TX:0", Value: "x"}}, []string{"query:q"}},
		{"each once", []rules.MatchedTarget{query, query}, []string{"query:q"}},
		{"a value without a target", []rules.MatchedTarget{query, {Variable: "ARGS:a", Value: "x"}}, nil},
		{"a missing header does not count", []rules.MatchedTarget{query, {Variable: "REQUEST_HEADERS:Host", Target: "header:host", Value: "0"}}, []string{"query:q"}},
		{"nothing", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, targetsOf(&rules.Match{Targets: c.in})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
