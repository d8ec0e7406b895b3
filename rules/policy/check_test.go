package policy

import (
	"strings"
	"testing"
)

func TestCheckRule(t *testing.T) {
	lists := map[string]bool{"office": true}
	ok := When{Path: Strings{"/admin/**"}}
	for _, c := range []struct {
		name  string
		rule  Rule
		path  string // of the only problem; empty for none
		words string
	}{
		{"good", Rule{Name: "a", When: ok, Then: ActionBlock, Stage: StageEnforce}, "", ""},
		{"good without a stage", Rule{Name: "a", When: ok, Then: ActionBlock}, "", ""},
		{"good with everything", Rule{Name: "a-1.b_C", When: When{
			Client: Strings{"office", "192.0.2.1", "2001:db8::/32"}, Host: Strings{"*", "*.a.example", "b.example"},
			Path: Strings{"/", "/a/*/b*.js", "/**"}, Methods: Strings{"GET", "X-CUSTOM"},
			Any: []When{{Host: Strings{"a.example"}}}, Not: &When{Client: Strings{"office"}},
		}, Then: ActionAllow, Stage: StageDetect}, "", ""},
		{"no name", Rule{When: ok, Then: ActionBlock}, "name", "missing"},
		{"quote in name", Rule{Name: "it's", When: ok, Then: ActionBlock}, "name", "letters, digits"},
		{"long name", Rule{Name: strings.Repeat("a", 65), When: ok, Then: ActionBlock}, "name", "64"},
		{"no action", Rule{Name: "a", When: ok}, "then", "block or allow"},
		{"unknown action", Rule{Name: "a", When: ok, Then: "blok"}, "then", `did you mean "block"`},
		{"unknown stage", Rule{Name: "a", When: ok, Then: ActionBlock, Stage: "enforced"}, "stage", `did you mean "enforce"`},
		{"no condition", Rule{Name: "a", Then: ActionBlock}, "when", "every request"},
		{"allow everything", Rule{Name: "a", When: When{Path: Strings{"/**"}}, Then: ActionAllow}, "when", "switch the WAF off"},
		{"allow everyone", Rule{Name: "a", When: When{Client: Strings{"0.0.0.0/0"}}, Then: ActionAllow}, "when", "switch the WAF off"},
		{"allow any that is all", Rule{Name: "a", When: When{Any: []When{{Path: Strings{"/a"}}, {Host: Strings{"*"}}}}, Then: ActionAllow}, "when", "switch the WAF off"},
		{"allow all but some", Rule{Name: "a", When: When{Path: Strings{"/**"}, Not: &When{Methods: Strings{"POST"}}}, Then: ActionAllow}, "", ""},
		{"unknown list", Rule{Name: "a", When: When{Client: Strings{"offices"}}, Then: ActionBlock}, "when.client[0]", "lists: office"},
		{"bad address", Rule{Name: "a", When: When{Client: Strings{"192.0.2.300"}}, Then: ActionBlock}, "when.client[0]", "neither"},
		{"host with port", Rule{Name: "a", When: When{Host: Strings{"a.example/x"}}, Then: ActionBlock}, "when.host[0]", "without scheme"},
		{"host with a port of its own", Rule{Name: "a", When: When{Host: Strings{"a.example:8443"}}, Then: ActionBlock}, "when.host[0]", "holds a port; hosts are compared without it: a.example"},
		{"address with brackets", Rule{Name: "a", When: When{Host: Strings{"[2001:db8::1]"}}, Then: ActionBlock}, "when.host[0]", `did you mean "2001:db8::1"`},
		{"address in long form", Rule{Name: "a", When: When{Host: Strings{"2001:db8:0::1"}}, Then: ActionBlock}, "when.host[0]", `did you mean "2001:db8::1"`},
		{"not an address", Rule{Name: "a", When: When{Host: Strings{"a:b:c"}}, Then: ActionBlock}, "when.host[0]", "is not a host"},
		{"host in upper case", Rule{Name: "a", When: When{Host: Strings{"A.example"}}, Then: ActionBlock}, "when.host[0]", `did you mean "a.example"`},
		{"wildcard within host", Rule{Name: "a", When: When{Host: Strings{"a.*.example"}}, Then: ActionBlock}, "when.host[0]", "first label"},
		{"path without slash", Rule{Name: "a", When: When{Path: Strings{"/a", "admin"}}, Then: ActionBlock}, "when.path[1]", `did you mean "/admin"`},
		{"path with query", Rule{Name: "a", When: When{Path: Strings{"/a?b"}}, Then: ActionBlock}, "when.path[0]", "without query"},
		{"rest in the middle", Rule{Name: "a", When: When{Path: Strings{"/a/**/b"}}, Then: ActionBlock}, "when.path[0]", "last segment"},
		{"dots in path", Rule{Name: "a", When: When{Path: Strings{"/a/../b"}}, Then: ActionBlock}, "when.path[0]", "resolved"},
		{"method in lower case", Rule{Name: "a", When: When{Methods: Strings{"post"}}, Then: ActionBlock}, "when.method[0]", `did you mean "POST"`},
		{"not a method", Rule{Name: "a", When: When{Methods: Strings{"GET POST"}}, Then: ActionBlock}, "when.method[0]", "not a method"},
		{"within any and not", Rule{Name: "a", When: When{Any: []When{{Not: &When{Path: Strings{"x"}}}}}, Then: ActionBlock}, "when.any[0].not.path[0]", "slash"},
		{"empty not", Rule{Name: "a", When: When{Path: Strings{"/a"}, Not: &When{}}, Then: ActionBlock}, "when.not", "empty"},
	} {
		t.Run(c.name, func(t *testing.T) { compare(t, CheckRule(c.rule, lists), c.path, c.words) })
	}
	deep := When{Path: Strings{"/a"}}
	for range 10 {
		deep = When{Not: &When{Any: []When{deep}}}
	}
	if len(CheckRule(Rule{Name: "a", When: deep, Then: ActionBlock}, nil)) == 0 {
		t.Error("deep nesting is accepted")
	}
}

func compare(t *testing.T, problems []Problem, path, words string) {
	t.Helper()
	switch {
	case path == "" && len(problems) > 0:
		t.Errorf("refused: %v", problems)
	case path == "":
	case len(problems) != 1:
		t.Errorf("got %d problems, want one: %v", len(problems), problems)
	case problems[0].Path != path || !strings.Contains(problems[0].Message, words):
		t.Errorf("got %v, want %s with %q", problems[0], path, words)
	}
}

func TestCheckExclusion(t *testing.T) {
	good := Exclusion{Name: "a", Rules: []int{942100}, Path: "/a", Targets: Strings{"query:q"}, Reason: "r"}
	with := func(f func(*Exclusion)) Exclusion {
		e := good
		f(&e)
		return e
	}
	for _, c := range []struct {
		name  string
		e     Exclusion
		app   bool
		path  string
		words string
	}{
		{"good", good, true, "", ""},
		{"good with everything", with(func(e *Exclusion) {
			e.Rules, e.Tags = nil, Strings{"attack-sqli", "OWASP_CRS/ATTACK-XSS"}
			e.Hosts, e.Methods, e.Owner, e.Expires = Strings{"*.a.example"}, Strings{"POST"}, "team", "2027-06-30"
			e.Targets = Strings{"json:items[*].comment", "header:user-agent", "cookie:sid", "xml:text", "file", "query_name:*"}
		}), false, "", ""},
		{"one rule in every request", with(func(e *Exclusion) { e.Path, e.Targets, e.WholeRequest = "", nil, true }), false, "", ""},
		{"no name", with(func(e *Exclusion) { e.Name = "" }), true, "name", "missing"},
		{"no reason", with(func(e *Exclusion) { e.Reason = " " }), true, "reason", "why"},
		{"no rules", with(func(e *Exclusion) { e.Rules = nil }), true, "rules", "attack-sqli"},
		{"rules and tags", with(func(e *Exclusion) { e.Tags = Strings{"attack-xss"} }), true, "tags", "one exclusion for"},
		{"many rules", with(func(e *Exclusion) { e.Rules = make([]int, 0); e.Rules = append(e.Rules, manyRules()...) }), true, "rules", "more than 50"},
		{"no targets", with(func(e *Exclusion) { e.Targets = nil }), true, "targets", "whole_request: true"},
		{"targets and whole", with(func(e *Exclusion) { e.WholeRequest = true }), true, "targets", "not both"},
		{"unknown target", with(func(e *Exclusion) { e.Targets = Strings{"args:q"} }), true, "targets[0]", "query:NAME"},
		{"target that cannot be excluded", with(func(e *Exclusion) { e.Targets = Strings{"client"} }), true, "targets[0]", "not excluded"},
		{"hosts of an application", with(func(e *Exclusion) { e.Hosts = Strings{"a.example"} }), true, "hosts", "application's own hosts"},
		{"bad host", with(func(e *Exclusion) { e.Hosts = Strings{"https://a.example"} }), false, "hosts[0]", "without scheme"},
		{"bad path", with(func(e *Exclusion) { e.Path = "^/a$" }), true, "path", "slash"},
		{"bad method", with(func(e *Exclusion) { e.Methods = Strings{"get"} }), true, "methods[0]", `did you mean "GET"`},
		{"bad date", with(func(e *Exclusion) { e.Expires = "30.06.2027" }), true, "expires", "2027-06-30"},
		{"impossible date", with(func(e *Exclusion) { e.Expires = "2027-02-30" }), true, "expires", "not a date"},
		{"evaluation", with(func(e *Exclusion) { e.Rules = []int{942100, 949110} }), true, "rules[1]", "evaluate"},
		{"early evaluation", with(func(e *Exclusion) { e.Rules = []int{949111} }), true, "rules[0]", "evaluate"},
		{"outbound evaluation", with(func(e *Exclusion) { e.Rules = []int{959100} }), true, "rules[0]", "evaluate"},
		{"report", with(func(e *Exclusion) { e.Rules = []int{980170} }), true, "rules[0]", "report"},
		{"base rule", with(func(e *Exclusion) { e.Rules = []int{200002} }), true, "rules[0]", "body parser"},
		{"last base rule", with(func(e *Exclusion) { e.Rules = []int{200009} }), true, "rules[0]", "body parser"},
		{"rule of ours", with(func(e *Exclusion) { e.Rules = []int{110000} }), true, "rules[0]", "gateway's own"},
		{"not an id", with(func(e *Exclusion) { e.Rules = []int{0} }), true, "rules[0]", "not a rule id"},
		{"all of CRS", with(func(e *Exclusion) { e.Rules, e.Tags = nil, Strings{"OWASP_CRS"} }), true, "tags[0]", "switch the WAF off"},
		{"all of CRS in other case", with(func(e *Exclusion) { e.Rules, e.Tags = nil, Strings{"owasp_crs"} }), true, "tags[0]", "switch the WAF off"},
		{"a level", with(func(e *Exclusion) { e.Rules, e.Tags = nil, Strings{"paranoia-level/1"} }), true, "tags[0]", "switch the WAF off"},
		{"every application", with(func(e *Exclusion) { e.Rules, e.Tags = nil, Strings{"application-multi"} }), true, "tags[0]", "switch the WAF off"},
		{"text in a tag", with(func(e *Exclusion) { e.Rules, e.Tags = nil, Strings{"a;ARGS,deny"} }), true, "tags[0]", "not a tag"},
		{"a class on a whole host", with(func(e *Exclusion) {
			e.Rules, e.Tags, e.Path, e.Targets, e.WholeRequest = nil, Strings{"attack-sqli"}, "", nil, true
		}), true, "path", "for the host"},
		{"a class on every path", with(func(e *Exclusion) {
			e.Rules, e.Tags, e.Path, e.Targets, e.WholeRequest = nil, Strings{"attack-sqli"}, "/**", nil, true
		}), true, "path", "for the host"},
	} {
		t.Run(c.name, func(t *testing.T) { compare(t, CheckExclusion(c.e, !c.app), c.path, c.words) })
	}
}

func manyRules() []int {
	var out []int
	for i := range 51 {
		out = append(out, 942100+i)
	}
	return out
}

func TestDateEnd(t *testing.T) {
	end, err := Date("2027-06-30").End()
	if err != nil || end.Format("2006-01-02T15:04:05Z07:00") != "2027-07-01T00:00:00Z" {
		t.Errorf("got %v, %v", end, err)
	}
	if never, err := Date("").End(); err != nil || !never.IsZero() {
		t.Errorf("got %v, %v", never, err)
	}
}
