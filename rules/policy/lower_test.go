package policy_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/policy"
	"gatehouse/rules/seclang"
)

func mustLower(t *testing.T, set policy.Set, app policy.Application, lists map[string]policy.List) rules.Policy {
	t.Helper()
	p, err := policy.Lower(set, app, lists)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sourceNames(p rules.Policy) []string {
	var out []string
	for _, s := range p.Sources {
		if len(out) > 0 && strings.HasPrefix(s.Name, "crs-") && strings.HasPrefix(out[len(out)-1], "crs-") && !strings.HasSuffix(out[len(out)-1], "setup.conf") {
			continue // one for the many files of CRS
		}
		out = append(out, s.Name)
	}
	return out
}

func TestSourcesInOrder(t *testing.T) {
	own := rules.Source{Name: "own.conf", Text: "SecAction \"id:1,pass\"\nSecRuleRemoveById 920350\n"}
	set := policy.Set{
		Name: "default", SecLang: []rules.Source{own},
		Rules:      []policy.Rule{{Name: "r", When: policy.When{Path: policy.Strings{"/a"}}, Then: policy.ActionBlock}},
		Exclusions: []policy.Exclusion{{Name: "e", Rules: []int{942100}, Targets: policy.Strings{"query:q"}, Reason: "r"}},
	}
	want := []string{
		"gatehouse/base.conf", "gatehouse/setup-gatehouse-1.conf", "gatehouse/settings.conf", "gatehouse/exclusions.conf",
		"gatehouse/rules.conf", "own.conf", "crs-4.25.0/REQUEST-901-INITIALIZATION.conf", "own.conf",
		"gatehouse/end.conf",
	}
	if diff := cmp.Diff(want, sourceNames(mustLower(t, set, policy.Application{}, nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stock := policy.Set{Name: "stock", CRS: policy.CRS{Version: "4.22.0", Setup: policy.SetupStock}}
	want = []string{
		"gatehouse/base.conf", "crs-4.22.0/crs-setup.conf", "gatehouse/settings.conf",
		"crs-4.22.0/REQUEST-901-INITIALIZATION.conf", "gatehouse/end.conf",
	}
	if diff := cmp.Diff(want, sourceNames(mustLower(t, stock, policy.Application{}, nil))); diff != "" {
		t.Errorf("stock (-want +got):\n%s", diff)
	}
}

// TestApplicationsShareText: applications that add nothing lower to the same text; one that adds something does not.
func TestApplicationsShareText(t *testing.T) {
	set := policy.Set{Name: "default"}
	a := mustLower(t, set, policy.Application{Name: "shop-one"}, nil)
	b := mustLower(t, set, policy.Application{Name: "shop-two"}, nil)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two applications differ:\n%s", diff)
	}
	for _, s := range a.Sources {
		if strings.Contains(s.Name+s.Text, "shop-one") {
			t.Errorf("%s holds the application's name", s.Name)
		}
	}
	c := mustLower(t, set, policy.Application{Name: "shop-three", Rules: []policy.Rule{
		{Name: "r", When: policy.When{Path: policy.Strings{"/a"}}, Then: policy.ActionBlock},
	}}, nil)
	if cmp.Equal(a.Sources, c.Sources) {
		t.Error("an application with a rule of its own has the same text")
	}
	if c.Name != "default/shop-three" {
		t.Errorf("its policy is called %q", c.Name)
	}
}

// TestLoweredText: every rule that lowering writes has an id of ours, once, and a tag of ours unless it speaks for
// itself, and every line is short enough for engines.
func TestLoweredText(t *testing.T) {
	list := map[string]policy.List{"many": nil}
	for i := range 20_000 {
		list["many"] = append(list["many"], policy.ListEntry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 32)})
	}
	var hosts policy.Strings
	for i := range 2_000 {
		hosts = append(hosts, fmt.Sprintf("host-%d.shop.example.com", i))
	}
	set := policy.Set{
		Name: "default",
		Rules: []policy.Rule{
			{Name: "many", When: policy.When{Client: policy.Strings{"many"}, Host: hosts}, Then: policy.ActionBlock},
			{Name: "any", When: policy.When{Any: []policy.When{{Host: hosts}, {Not: &policy.When{Client: policy.Strings{"many"}, Methods: policy.Strings{"GET"}}}}}, Then: policy.ActionAllow},
		},
		Exclusions: []policy.Exclusion{{Name: "e", Tags: policy.Strings{"attack-sqli"}, Hosts: hosts, Targets: policy.Strings{
			"query:q", "query", "form:a", "json:a[*]", "header:x", "cookie:c", "xml:text", "file", "file:f", "query_name:q",
			"form_name:a", "json_name:a", "header_name:x", "cookie_name:c", "part:f", "reply:server", "uri", "path", "body",
			"protocol", "request_line", "method", "reply_body",
		}, Reason: "r", Expires: "2030-01-01"}},
	}
	p := mustLower(t, set, policy.Application{}, list)
	seen := map[int]bool{}
	for _, s := range p.Sources {
		if !strings.HasPrefix(s.Name, "gatehouse/") {
			continue
		}
		f, errs := seclang.Parse(s)
		if errs != nil {
			t.Fatalf("%s: %v", s.Name, errs)
		}
		for _, d := range f.Directives {
			if d.Rule == nil {
				continue
			}
			id := d.Rule.ID()
			if seen[id] || seclang.ProtectedRange(id, id) == "" {
				t.Errorf("%s: id %d is taken twice or not ours", d.Position, id)
			}
			seen[id] = true
			if _, hidden := d.Rule.Action("nolog"); hidden && len(d.Rule.All("tag")) == 0 {
				t.Errorf("%s: rule %d is hidden and has no tag", d.Position, id)
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d rules of ours, want at least 50", len(seen))
	}
	checkCases(t, mustLoad(t, p), parseCases(t, `
-- request of the list, at the host --
GET /
Host: host-1999.shop.example.com

-- given --
client 10.78.31.1

-- expect --
block
by 110000
exclusions e

-- request one beyond the list --
GET /
Host: host-1999.shop.example.com

-- given --
client 10.78.32.1

-- expect --
pass
exclusions e
uninspected
`))
}

// TestArgumentsLimit: an attack in the first argument that is not inspected is refused for the number of arguments.
func TestArgumentsLimit(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a%d=1&", i)
		}
		return b.String()
	}
	const attack = "z=1%27%20OR%20%271%27=%271"
	form := func(body string) string {
		return "POST /\nContent-Type: application/x-www-form-urlencoded\n\n" + body
	}
	set := mustLoad(t, mustLower(t, policy.Set{Name: "default"}, policy.Application{}, nil))
	for _, c := range []struct{ name, request, expect string }{
		{"query", "GET /?" + many(1000) + attack, "block 400\nby 200004"},
		{"form", form(many(1000) + attack), "block 400\nby 200005"},
		{"at the limit", form(many(999) + "z=1"), "pass"},
		{"attack at the limit", form(many(999) + attack), "block\nby 949110"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkCases(t, set, parseCases(t, "-- request "+c.name+" --\n"+c.request+"\n-- expect --\n"+c.expect+"\n"))
		})
	}
}

// TestSecLangKeepsItsPlace: both halves of a source keep every line in its place.
func TestSecLangKeepsItsPlace(t *testing.T) {
	text := "# first\nSecRuleRemoveById \\\n  920350\nSecAction \"id:1,pass\"\n\nSecRuleRemoveByMsg \"XSS Attack Detected via libinjection\"\nSecAction \"id:2,pass\"\n"
	p := mustLower(t, policy.Set{Name: "p", SecLang: []rules.Source{{Name: "own.conf", Text: text}}}, policy.Application{}, nil)
	var halves []string
	for _, s := range p.Sources {
		if s.Name == "own.conf" {
			halves = append(halves, s.Text)
		}
	}
	want := []string{
		"# first\n\n\nSecAction \"id:1,pass\"\n\n\nSecAction \"id:2,pass\"\n",
		"\nSecRuleRemoveById \\\n  920350\n\n\nSecRuleRemoveById 941100 941101\n\n",
	}
	if diff := cmp.Diff(want, halves); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLowerRefuses(t *testing.T) {
	secLang := func(texts ...string) policy.Set {
		s := policy.Set{Name: "p"}
		for i, text := range texts {
			s.SecLang = append(s.SecLang, rules.Source{Name: fmt.Sprintf("%d.conf", i), Text: text})
		}
		return s
	}
	for _, c := range []struct {
		name  string
		set   policy.Set
		app   policy.Application
		words string
		text  bool // the error is rules.TextErrors
	}{
		{"version", policy.Set{Name: "p", CRS: policy.CRS{Version: "3.0.0"}}, policy.Application{}, "4.25.0", false},
		{"setup", policy.Set{Name: "p", CRS: policy.CRS{Setup: "own"}}, policy.Application{}, "gatehouse-1", false},
		{"paranoia", policy.Set{Name: "p", CRS: policy.CRS{Paranoia: 5}}, policy.Application{}, "1 to 4", false},
		{"threshold", policy.Set{Name: "p", CRS: policy.CRS{InboundThreshold: -1}}, policy.Application{}, "at least 1", false},
		{"rule", policy.Set{Name: "p", Rules: []policy.Rule{{Name: "r"}}}, policy.Application{}, "rule r: then: is missing", false},
		{"exclusion", policy.Set{Name: "p"}, policy.Application{Exclusions: []policy.Exclusion{{Name: "e"}}}, "exclusion e: reason", false},
		{"unknown list", policy.Set{Name: "p", Rules: []policy.Rule{{Name: "r", When: policy.When{Client: policy.Strings{"x"}}, Then: policy.ActionBlock}}}, policy.Application{}, "list", false},
		{"syntax", secLang("", "\nSecRule ARGS"), policy.Application{}, "1.conf:2: a SecRule is", true},
		{"allow-list", secLang("SecRuleEngine Off"), policy.Application{}, "0.conf:1: SecRuleEngine", true},
		{"id in two sources", secLang(`SecAction "id:1,pass"`, `SecAction "id:1,pass"`), policy.Application{}, "1.conf:1: id:1 is already the id of the rule at 0.conf:1", true},
		{"removal of nothing", secLang("\nSecRuleRemoveById 942999"), policy.Application{}, "0.conf:2: SecRuleRemoveById 942999 selects no rule", true},
		{"update of nothing", secLang(`SecRuleUpdateTargetById 942999 "!ARGS:a"`), policy.Application{}, "selects no rule", true},
		{"message of nothing", secLang(`SecRuleRemoveByMsg "no such message"`), policy.Application{}, "selects no rule", true},
		{"tag of nothing", secLang(`SecRuleRemoveByTag attack-sqly`), policy.Application{}, "selects no rule", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := policy.Lower(c.set, c.app, nil)
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("got %v, want %q", err, c.words)
			}
			var text rules.TextErrors
			if errors.As(err, &text) != c.text {
				t.Errorf("it is of type %T", err)
			}
		})
	}
}

// TestBaseRulesKeepTheirNumbers: the ids that documents and tools name are there, and every message of theirs is one
// that custom SecLang cannot remove.
func TestBaseRulesKeepTheirNumbers(t *testing.T) {
	p := mustLower(t, policy.Set{Name: "p"}, policy.Application{}, nil)
	f, errs := seclang.Parse(p.Sources[0])
	if errs != nil {
		t.Fatal(errs)
	}
	found := map[int]bool{}
	for _, d := range f.Directives {
		if d.Rule == nil {
			continue
		}
		found[d.Rule.ID()] = true
		msg, ok := d.Rule.Action("msg")
		if ok && seclang.Check(rules.Source{Text: `SecRuleRemoveByMsg "` + msg.Value + `"`}) == nil {
			t.Errorf("rule %d can be removed by its message %q", d.Rule.ID(), msg.Value)
		}
	}
	for _, id := range []int{100000, 200000, 200001, 200002, 200003, 200004, 200005, 200006, 200009} {
		if !found[id] {
			t.Errorf("rule %d is missing", id)
		}
	}
}
