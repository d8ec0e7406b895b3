package resolve

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/crs"
	"gatehouse/rules/policy"
	"gatehouse/rules/program/operator"
)

// realistic is a policy with one of everything that operators write.
func realistic(t testing.TB, version string, paranoia int) rules.Policy {
	t.Helper()
	set := policy.Set{
		Name: "shop",
		CRS:  policy.CRS{Version: version, Paranoia: paranoia, InboundThreshold: 7},
		Rules: []policy.Rule{
			{Name: "office", When: policy.When{Client: policy.Strings{"office"}, Path: policy.Strings{"/admin/**"}}, Then: policy.ActionAllow},
			{Name: "admin", When: policy.When{Path: policy.Strings{"/admin/**"}, Methods: policy.Strings{"POST"}}, Then: policy.ActionBlock},
			{Name: "either", When: policy.When{Any: []policy.When{{Host: policy.Strings{"a.example.com"}}, {Not: &policy.When{Client: policy.Strings{"10.0.0.0/8"}}}}}, Then: policy.ActionBlock, Stage: policy.StageDetect},
		},
		SecLang: []rules.Source{
			{Name: "own.conf", Text: `
SecRule REQUEST_URI "@beginsWith /health" "id:1001,phase:1,pass,nolog,ctl:ruleRemoveByTag=attack-protocol,ctl:ruleRemoveTargetById=920000-920999;REQUEST_HEADERS:User-Agent"
SecRule ARGS:/^Tpl_/|ARGS_NAMES|!ARGS_NAMES:q "@rx (\d+)%{" \
    "id:1002,phase:2,block,capture,status:451,severity:2,msg:'Template %{MATCHED_VAR_NAME}',\
    setvar:'tx.own_%{tx.1}=+%{tx.critical_anomaly_score}',chain"
    SecRule &REQUEST_COOKIES:/^S\S+/ "@gt 3" "t:none,t:lowercase,setvar:tx.own=1"
SecRuleRemoveById 920350 942360-942370
SecRuleRemoveByTag language-java
SecRuleRemoveByMsg "XSS Attack Detected via libinjection"
SecRuleUpdateTargetById 942100 "!ARGS:comment|!REQUEST_COOKIES:/^_ga\D/|REQUEST_HEADERS:X-Query"
SecRuleUpdateTargetByTag attack-rce "!ARGS:/^cmd\S/"
SecRuleUpdateActionById 941160 "pass,nolog,tag:'own'"
`},
			{Name: "second.conf", Text: "SecRuleUpdateActionById 932160 \"deny,status:404\"\nSecAction \"id:1003,phase:5,pass,nolog,setvar:tx.last=1\"\n"},
		},
		Exclusions: []policy.Exclusion{
			{Name: "search", Rules: []int{942100, 942200}, Path: "/search/**", Targets: policy.Strings{"query:q", "form:text", "json:a[*].b"}, Reason: "r", Expires: "2030-01-01"},
			{Name: "upload", Tags: policy.Strings{"attack-sqli"}, Hosts: policy.Strings{"up.example.com"}, Methods: policy.Strings{"PUT"}, Targets: policy.Strings{"body", "file:f"}, Reason: "r", Expires: "2030-01-01"},
		},
	}
	app := policy.Application{
		Name:       "shop",
		Rules:      []policy.Rule{{Name: "old", When: policy.When{Path: policy.Strings{"/old/*"}}, Then: policy.ActionBlock}},
		Exclusions: []policy.Exclusion{{Name: "whole", Rules: []int{920420}, Path: "/api/**", WholeRequest: true, Reason: "r", Expires: "2030-01-01"}},
	}
	lists := map[string]policy.List{"office": {{Prefix: netip.MustParsePrefix("192.0.2.0/24")}, {Prefix: netip.MustParsePrefix("2001:db8::/32"), Expires: "2030-01-01"}}}
	p, err := policy.Lower(set, app, lists)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// compare resolves a text and holds it against the reference's rules. It answers the policy, nil if ours is an error.
func compare(t testing.TB, engine *coraza.Engine, cache *Cache, sources []rules.Source) (*Policy, error) {
	t.Helper()
	want, refused := loadReference(t, engine, sources)
	got, err := cache.Resolve(sources)
	switch {
	case err != nil:
		return nil, err
	case refused != nil && len(got.reasons()) == 0 && got.operators(cache) == nil:
		t.Errorf("the reference refuses what we take: %v", refused)
		return got, nil
	case refused != nil:
		return got, nil
	}
	if len(got.Unsupported) > 0 {
		return got, nil
	}
	ours := make([]view, len(got.Rules))
	theirs := want.rules(t)
	for i, r := range got.Rules {
		ours[i] = viewOf(r)
		if unsupported(r) && i < len(theirs) {
			ours[i] = theirs[i] // it says so itself
		}
	}
	if diff := cmp.Diff(theirs, ours, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rules (-reference +ours):\n%s", diff)
	}
	if diff := cmp.Diff(want.settings(), got.Settings, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("settings (-reference +ours):\n%s", diff)
	}
	return got, nil
}

func unsupported(r *Rule) bool {
	if r.Unsupported != "" {
		return true
	}
	for _, l := range r.Links {
		if l.Unsupported != "" {
			return true
		}
	}
	return false
}

// reasons are all the reasons why only the reference runs the policy.
func (p *Policy) reasons() []string {
	var out []string
	for _, u := range p.Unsupported {
		out = append(out, fmt.Sprintf("%s: %s", u.Place, u.Reason))
	}
	for _, r := range p.Rules {
		for _, l := range append([]*Rule{r}, r.Links...) {
			if l.Unsupported != "" {
				out = append(out, fmt.Sprintf("%s: %s", l.Place, l.Unsupported))
			}
		}
	}
	return out
}

// operators compiles all operators that need no macros.
func (p *Policy) operators(cache *Cache) error {
	for _, r := range p.Rules {
		for _, l := range append([]*Rule{r}, r.Links...) {
			if l.Operator == nil || l.Operator.Macro.Set() {
				continue
			}
			if _, err := operator.Compile(l.Operator.Name, l.Operator.Argument, cache.Data(l)); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestPoliciesAgreeWithReference: every rule of a realistic policy is the reference's, field by field.
func TestPoliciesAgreeWithReference(t *testing.T) {
	engine := coraza.New(coraza.Options{})
	var cache Cache
	for _, version := range crs.Versions() {
		for paranoia := 1; paranoia <= 4; paranoia++ {
			if testing.Short() && paranoia > 1 {
				continue // the rules differ in their settings alone
			}
			t.Run(fmt.Sprintf("CRS %s at %d", version, paranoia), func(t *testing.T) {
				got, err := compare(t, engine, &cache, realistic(t, version, paranoia).Sources)
				if err != nil {
					t.Fatal(err)
				}
				links := 0
				for _, r := range got.Rules {
					links += len(r.Links)
				}
				if len(got.Rules) < 600 || links < 80 {
					t.Errorf("%d rules and %d links, want at least 600 and 80", len(got.Rules), links)
				}
				if reasons := got.reasons(); len(reasons) > 0 {
					t.Errorf("unsupported: %q", reasons)
				}
			})
		}
		t.Run("CRS "+version+" alone", func(t *testing.T) {
			release, err := crs.Load(version)
			if err != nil {
				t.Fatal(err)
			}
			sources := append([]rules.Source{{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample}}, release.Rules...)
			if _, err := compare(t, engine, &cache, sources); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestDataFilesOfCRS: every file that a rule of a release names is that of the release.
func TestDataFilesOfCRS(t *testing.T) {
	var cache Cache
	for _, version := range crs.Versions() {
		release, err := crs.Load(version)
		if err != nil {
			t.Fatal(err)
		}
		p, err := cache.Resolve(release.Rules)
		if err != nil {
			t.Fatal(err)
		}
		files := 0
		for _, r := range p.Rules {
			for _, l := range append([]*Rule{r}, r.Links...) {
				if l.Operator == nil || !strings.HasSuffix(l.Operator.Name, "FromFile") {
					continue
				}
				files++
				want, err := fs.ReadFile(release.Data, l.Operator.Argument)
				if err != nil {
					t.Fatal(err)
				}
				got, err := cache.Data(l).File(l.Operator.Argument)
				if err != nil || string(got) != string(want) {
					t.Errorf("%s: %s: %v, %d bytes, want %d", l.Place, l.Operator.Argument, err, len(got), len(want))
				}
				if _, err := cache.Data(l).File("REQUEST-901-INITIALIZATION.conf"); err == nil {
					t.Errorf("%s reads a rule file", l.Place)
				}
			}
		}
		if files < 15 {
			t.Errorf("CRS %s: %d rules with data files, want at least 15", version, files)
		}
	}
	elsewhere := &Rule{Operator: &Operator{Source: path.Join("own", "rules.conf")}}
	if _, err := cache.Data(elsewhere).File("lfi-os-files.data"); err == nil {
		t.Error("a source of the operator reads the files of a release by their names alone")
	}
}

// TestPoliciesShareRules: what two policies have in common is the same rule, and its identity says so.
func TestPoliciesShareRules(t *testing.T) {
	var cache Cache
	first, err := cache.Resolve(realistic(t, "", 1).Sources)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cache.Resolve(realistic(t, "", 1).Sources)
	if err != nil {
		t.Fatal(err)
	}
	other, err := cache.Resolve(realistic(t, "", 2).Sources)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Resolve(realistic(t, "", 1).Sources)
	if err != nil {
		t.Fatal(err)
	}
	identities := make(map[Identity]*Rule)
	for _, r := range first.Rules {
		if identities[r.Identity] != nil {
			t.Errorf("%s and %s have one identity", r.Place, identities[r.Identity].Place)
		}
		identities[r.Identity] = r
	}
	for name, c := range map[string]struct {
		policy *Policy
		equal  int // rules with an identity of the first policy, at least
		same   int // rules that are those of the first policy
	}{
		"again":              {again, len(first.Rules), len(first.Rules) - 110},
		"other paranoia":     {other, len(first.Rules) - 10, len(first.Rules) - 110},
		"in another cache":   {alone, len(first.Rules), 0},
		"the same in itself": {first, len(first.Rules), len(first.Rules)},
	} {
		equal, same, changed := 0, 0, 0
		for i, r := range c.policy.Rules {
			twin := identities[r.Identity]
			if twin == nil {
				continue
			}
			equal++
			if twin == r {
				same++
			} else if r.Identity.Changes != ([32]byte{}) {
				changed++
			}
			if diff := cmp.Diff(viewOf(twin), viewOf(r)); diff != "" {
				t.Errorf("%s: rule %d has an equal identity and differs: %s", name, i, diff)
			}
		}
		if equal < c.equal || same < c.same || c.same > 0 && equal != same+changed {
			t.Errorf("%s: %d rules are equal and %d the same (%d changed), want %d and %d", name, equal, same, changed, c.equal, c.same)
		}
	}
}

// TestResolvingFromCacheIsFast: reloads resolve each policy again.
func TestResolvingFromCacheIsFast(t *testing.T) {
	var cache Cache
	sources := realistic(t, "", 4).Sources
	kept, err := cache.Resolve(sources)
	if err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 20 {
		start := time.Now()
		if _, err := cache.Resolve(sources); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("%d rules in %v", len(kept.Rules), best)
	if best > 5*time.Millisecond {
		t.Errorf("resolving took %v, want at most 5 ms", best)
	}
}
