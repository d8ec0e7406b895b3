package coraza_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
)

func TestLoadProblems(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		want []string
	}{
		{
			name: "operator", text: "# a comment\nSecRule ARGS \\\n  \"@nosuch x\" \\\n  \"id:1,phase:2,deny\"",
			want: []string{"shop:2: secrule: operator nosuch not found"},
		},
		{name: "variable", text: `SecRule ARGZ "@rx x" "id:1,phase:2,deny"`, want: []string{`shop:1: secrule: unknown variable`}},
		{name: "directive", text: "SecFoo On", want: []string{`shop:1: the directive "SecFoo" cannot be used in a policy`}},
		{
			name: "files and network", text: "Include /etc/passwd\nSecAuditLog /tmp/x\nSecRemoteRules k https://x\nSecDebugLog /tmp/y",
			want: []string{
				`shop:1: the directive "Include" cannot be used in a policy`,
				`shop:2: the directive "SecAuditLog" cannot be used in a policy`,
				`shop:3: the directive "SecRemoteRules" cannot be used in a policy`,
				`shop:4: the directive "SecDebugLog" cannot be used in a policy`,
			},
		},
		{
			name: "mode", text: "SecRuleEngine DetectionOnly",
			want: []string{"shop:1: SecRuleEngine DetectionOnly: the mode belongs to the application (mode: detect or block), the text can only say On"},
		},
		{
			name: "status", text: "SecAction \"id:1,phase:1,deny,status:9\"\nSecAction \"id:2,phase:1,deny,status:600\"\nSecDefaultAction \"phase:1,deny,status:199\"",
			want: []string{
				"shop:1: status:9 is not an HTTP status that can be sent; use 200 to 599",
				"shop:2: status:600 is not an HTTP status that can be sent; use 200 to 599",
				"shop:3: status:199 is not an HTTP status that can be sent; use 200 to 599",
			},
		},
		{
			name: "actions and operators that reach outside",
			text: "SecAction \"id:1,phase:1,exec:/bin/x\"\nSecRule REMOTE_ADDR \"@rbl x.example\" \"id:2,phase:1,deny\"\nSecRule FILES_TMPNAMES \"@inspectFile x.lua\" \"id:3,phase:2,deny\"",
			want: []string{
				`shop:1: the action "exec" cannot be used in a policy`,
				"shop:2: the operator @rbl cannot be used: it reaches outside the request",
				"shop:3: the operator @inspectFile cannot be used: it reaches outside the request",
			},
		},
		{
			name: "file of the host", text: `SecRule ARGS "@pmFromFile /etc/passwd" "id:1,phase:2,deny"`,
			want: []string{"shop:1: secrule: the data file is not part of an embedded CRS release: open /etc/passwd: file does not exist"},
		},
		{
			name: "relative file of the host", text: `SecRule ARGS "@pmFromFile load_test.go" "id:1,phase:2,deny"`,
			want: []string{"shop:1: secrule: the data file is not part of an embedded CRS release: open " + "*load_test.go: file does not exist"},
		},
		{
			name: "id used twice", text: "SecAction \"id:7,phase:1,pass\"\n\nSecAction \"id:7,phase:2,pass\"",
			want: []string{"shop:3: secaction: rule id 7 is already used at shop:1; give this rule another id"},
		},
		{name: "id missing", text: `SecAction "phase:1,pass"`, want: []string{"shop:1: the rule has no id; add id:NUMBER to its actions"}},
		{
			name: "several", text: "SecRule ARGS \"@nosuch x\" \"id:1,phase:2,deny,chain\"\n SecRule ARGS \"@rx x\" \"t:none\"\nSecRule ARGS \"@rx (\" \"id:2,phase:2,deny\"\nSecAction \"id:3,phase:9,pass\"",
			want: []string{"shop:1: secrule: operator nosuch not found", "shop:3: *missing closing )*", "shop:4: *"},
		},
		{
			name: "second rule of a chain", text: "SecRule ARGS \"@rx x\" \"id:1,phase:2,deny,chain\"\n SecRule ARGS \"@nosuch x\" \"t:none\"\nSecAction \"id:2,phase:1,pass\"",
			want: []string{"shop:2: secrule: operator nosuch not found"},
		},
		{name: "continuation without a line", text: "SecAction \"id:1,phase:1,pass\" \\\n", want: []string{"shop:1: the directive ends with a backslash, but no line follows"}},
		{
			name: "line too long", text: "SecRule REMOTE_ADDR \"@ipMatch " + strings.Repeat("192.0.2.1,", 7000) + "192.0.2.2\" \"id:1,phase:1,deny\"",
			want: []string{"shop:1: the line is longer than 65536 bytes; continue it on further lines with a backslash"},
		},
		{name: "open backtick", text: "SecDataset words `\na\nb", want: []string{"shop:1: the backtick that opens here is never closed by a line of its own"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := coraza.New(coraza.Options{})
			_, err := e.Load(rules.Policy{Name: "p", Sources: []rules.Source{
				{Name: "first", Text: "SecAction \"id:90,phase:1,pass\"\n"}, {Name: "shop", Text: c.text},
			}})
			var problems rules.TextErrors
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems in the text", err)
			}
			var got []string
			for i, p := range problems {
				s := p.Error()
				if i < len(c.want) {
					s = like(s, c.want[i])
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// like returns the pattern if s has its parts between the stars in order, else s.
func like(s, pattern string) string {
	rest := s
	for i, part := range strings.Split(pattern, "*") {
		at := strings.Index(rest, part)
		if at < 0 || i == 0 && at != 0 {
			return s
		}
		rest = rest[at+len(part):]
	}
	return pattern
}

func TestPlacesOfMatches(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{Sources: []rules.Source{
		{Name: "one", Text: "\n\nSecAction \"id:1,\\\n  phase:1,\\\n  pass,log,msg:'hello'\""},
		{Name: "two/of.them", Text: "# none\n# so far\nSecRule REQUEST_METHOD \"@streq GET\" \"id:2,phase:2,pass,log,chain\"\nSecRule REQUEST_URI \"@rx .\" \"t:none\"\n"},
	}})
	result, _ := inspect(t, set, request("GET", "/"), rules.Body{})
	var got []string
	for _, m := range result.Matches {
		got = append(got, fmt.Sprintf("%d %s:%d", m.Rule, m.File, m.Line))
	}
	if diff := cmp.Diff([]string{"1 one:3", "2 two/of.them:3"}, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func TestEqualPoliciesShareOneWAF(t *testing.T) {
	e := coraza.New(coraza.Options{})
	p := rules.Policy{Name: "a", Sources: []rules.Source{{Name: "s", Text: `SecAction "id:1,phase:1,deny"`}}}
	first, err := e.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Name = "b"
	second, err := e.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	if n := e.Loaded(); n != 1 {
		t.Errorf("%d WAFs for equal policies, want 1", n)
	}
	p.Limits.Arguments = 5
	third, err := e.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	if n := e.Loaded(); n != 2 {
		t.Errorf("%d WAFs after a policy with other limits, want 2", n)
	}
	tx := first.Begin(request("GET", "/"))
	for _, set := range []rules.RuleSet{first, second, third, third} {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := e.Loaded(); n != 1 {
		t.Errorf("%d WAFs with a transaction open, want 1", n)
	}
	if i, err := tx.RequestHeaders(); i == nil || err != nil {
		t.Errorf("the open transaction answers %v, %v", i, err)
	}
	tx.Close()
	tx.Close()
	if n := e.Loaded(); n != 0 {
		t.Errorf("%d WAFs at the end, want 0", n)
	}
	if _, err := e.Load(rules.Policy{Sources: []rules.Source{{Name: "s", Text: "x"}}}); err == nil || e.Loaded() != 0 {
		t.Errorf("a policy that does not load left %d WAFs: %v", e.Loaded(), err)
	}
}
