package resolve

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/program/operator"
)

// judge runs phase 1 of a request on the reference.
func judge(t *testing.T, engine *coraza.Engine, sources []rules.Source, target string) *rules.Interruption {
	t.Helper()
	set, err := engine.Load(rules.Policy{Name: "test", Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := netip.MustParseAddrPort("192.0.2.1:40000")
	tx := set.Begin(&rules.Request{Client: client, Server: client, Method: "GET", Target: target, Protocol: "HTTP/1.1", Host: "a.example.com", Path: "/"})
	defer tx.Close()
	interruption, err := tx.RequestHeaders()
	if err != nil {
		t.Fatal(err)
	}
	return interruption
}

// TestStatus compares what a rule answers with what the reference answers.
func TestStatus(t *testing.T) {
	engine := coraza.New(coraza.Options{})
	names := map[DisruptiveKind]string{Deny: "deny", Drop: "drop", Redirect: "redirect"}
	for _, action := range []string{"pass", "deny", "drop", "block", "redirect:/sorry", "allow", "allow:phase", "allow:request"} {
		for _, status := range []string{"", "200", "301", "302", "303", "307", "308", "403", "404", "418", "599"} {
			text := `SecAction "id:1,phase:1,log,` + action
			if status != "" {
				text += ",status:" + status
			}
			sources := []rules.Source{{Name: "own.conf", Text: text + `"`}}
			p, err := Resolve(sources)
			if err != nil {
				t.Fatal(err)
			}
			var got *rules.Interruption
			if d := p.Rules[0].Disruptive; names[d.Kind] != "" {
				got = &rules.Interruption{Rule: 1, Phase: 1, Action: names[d.Kind], Status: d.Status, Data: d.Data}
			} else if d.Status != 0 || d.Data != "" {
				t.Errorf("%s: %+v", text, d)
			}
			if diff := cmp.Diff(judge(t, engine, sources, "/"), got); diff != "" {
				t.Errorf("%s (-reference +ours):\n%s", text, diff)
			}
		}
	}
}

// TestDatasetsInFrontOfRule: a rule sees the data sets as they stand in front of it, in its own source and those before.
func TestDatasetsInFrontOfRule(t *testing.T) {
	const rule = "SecRule ARGS:a \"@ipMatchFromDataset d\" \"id:%d,phase:1,deny,status:%d\"\n"
	texts := []string{
		"SecDataset d `\n10.0.0.1\n# 10.0.0.2\n`\n" + fmt.Sprintf(rule, 1, 401) + "SecDataset e `\n10.0.0.4\n`\nSecDataset d `\n 10.1.0.0/16 \n10.0.0.3\n`\n",
		fmt.Sprintf(rule, 2, 402),
	}
	sources := []rules.Source{{Name: "a.conf", Text: texts[0]}, {Name: "b.conf", Text: texts[1]}}
	var cache Cache
	p, err := cache.Resolve(sources)
	if err != nil {
		t.Fatal(err)
	}
	engine := coraza.New(coraza.Options{})
	for value, want := range map[string]int{"10.0.0.1": 1, "10.0.0.2": 0, "10.1.2.3": 2, "10.0.0.3": 2, "10.0.0.4": 0, "x": 0} {
		got := 0
		for _, r := range p.Rules {
			op, err := operator.Compile(r.Operator.Name, r.Operator.Argument, cache.Data(r))
			if err != nil {
				t.Fatal(err)
			}
			if got == 0 && op.Match(value, nil) {
				got = r.ID
			}
		}
		reference := 0
		if i := judge(t, engine, sources, "/?a="+value); i != nil {
			reference = i.Rule
		}
		if got != want || reference != want {
			t.Errorf("%s: rule %d, and %d in the reference, want %d", value, got, reference, want)
		}
	}
	same, err := cache.Resolve(sources[1:])
	if err != nil {
		t.Fatal(err)
	}
	if same.Rules[0] == p.Rules[1] || same.Rules[0].Identity == p.Rules[1].Identity {
		t.Error("a rule with other data sets is the same rule")
	}
}

// TestDefaultsChangeIdentity: the same text behind other default actions is another rule.
func TestDefaultsChangeIdentity(t *testing.T) {
	var cache Cache
	rule := rules.Source{Name: "b.conf", Text: `SecAction "id:1,phase:1"`}
	seen := make(map[Identity]string)
	for _, text := range []string{"", `SecDefaultAction "phase:1,nolog,deny"`, `SecDefaultAction "phase:2,nolog,deny"`, `SecDefaultAction "phase:1,nolog,drop"`} {
		p, err := cache.Resolve([]rules.Source{{Name: "a.conf", Text: text}, rule})
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[p.Rules[0].Identity]; taken {
			t.Errorf("behind %q and %q the rule has one identity", text, other)
		}
		seen[p.Rules[0].Identity] = text
	}
	renamed := rules.Source{Name: "c.conf", Text: rule.Text}
	p, err := cache.Resolve([]rules.Source{renamed})
	if err != nil {
		t.Fatal(err)
	}
	if _, taken := seen[p.Rules[0].Identity]; taken {
		t.Error("the name of the source is not part of the identity")
	}
}

// TestProblemIsReportedEachTime: an error in default actions is reported with each policy, whatever the cache has seen.
func TestProblemIsReportedEachTime(t *testing.T) {
	var cache Cache
	const wrong = `SecDefaultAction "phase:1,log"` + "\n"
	rule := rules.Source{Name: "b.conf", Text: `SecAction "id:1,phase:1"`}
	for i, sources := range [][]rules.Source{
		{{Name: "a.conf", Text: wrong + `SecAction "id:2,phase:1"`}, rule},
		{{Name: "a.conf", Text: wrong}, rule},
		{{Name: "a.conf", Text: wrong}, rule},
	} {
		if _, err := cache.Resolve(sources); err == nil {
			t.Errorf("policy %d has no error", i)
		}
	}
}

// TestUpdatesAreCopies: what one policy changes of a rule, others do not see, whatever room its lists have.
func TestUpdatesAreCopies(t *testing.T) {
	var cache Cache
	engine := coraza.New(coraza.Options{})
	base := rules.Source{Name: "a.conf"}
	for n := 1; n <= 9; n++ {
		base.Text += fmt.Sprintf("SecRule ARGS%s \"a\" \"id:%d%s\"\n", strings.Repeat("|ARGS:b", n)+strings.Repeat("|!ARGS:c", n), n, strings.Repeat(",tag:t,t:trim,setvar:tx.a=1", n))
	}
	update := func(name string) []rules.Source {
		return []rules.Source{base, {Name: "b.conf", Text: fmt.Sprintf("SecRuleUpdateTargetById 1-9 \"!ARGS:%[1]s|TX:%[1]s\"\nSecRuleUpdateActionById 1-9 tag:%[1]s,setvar:tx.%[1]s=1,t:%[1]s,setvar:tx.a=2\n", name)}}
	}
	names := []string{"md5", "sha1", "lowercase"}
	for range 2 { // the second time, everything is in the cache
		var resolved []*Policy
		for _, name := range names {
			p, err := compare(t, engine, &cache, update(name))
			if err != nil {
				t.Fatal(err)
			}
			resolved = append(resolved, p)
		}
		for i, name := range names {
			again, err := Resolve(update(name))
			if err != nil {
				t.Fatal(err)
			}
			for j, r := range resolved[i].Rules {
				if diff := cmp.Diff(viewOf(again.Rules[j]), viewOf(r)); diff != "" {
					t.Errorf("%s, rule %d was changed by another policy (-want +got):\n%s", name, r.ID, diff)
				}
			}
		}
		if _, err := compare(t, engine, &cache, []rules.Source{base}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCacheForgets: sources that no policy uses leave the cache, others stay the same.
func TestCacheForgets(t *testing.T) {
	var cache Cache
	text := func(i int) []rules.Source {
		return []rules.Source{{Name: "a.conf", Text: fmt.Sprintf(`SecAction "id:%d"`, i)}}
	}
	kept, err := cache.Resolve(text(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 10*minSweep; i++ {
		if _, err := cache.Resolve(text(i)); err != nil {
			t.Fatal(err)
		}
		if i%(minSweep/2) == 0 {
			runtime.GC()
		}
	}
	if n := len(cache.sources); n > 4*minSweep {
		t.Errorf("%d sources are kept, want at most %d", n, 4*minSweep)
	}
	again, err := cache.Resolve(text(1))
	if err != nil {
		t.Fatal(err)
	}
	if again.Rules[0] != kept.Rules[0] {
		t.Error("a rule in use was resolved again")
	}
	runtime.KeepAlive(kept)
}

// TestConcurrentUse resolves policies that share sources side by side.
func TestConcurrentUse(t *testing.T) {
	var cache Cache
	var wait sync.WaitGroup
	policies := make([]*Policy, 8)
	for i := range policies {
		wait.Go(func() {
			p, err := cache.Resolve(realistic(t, "", 1+i%4).Sources)
			if err != nil {
				t.Error(err)
			}
			policies[i] = p
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	same := 0
	for i, r := range policies[0].Rules {
		if policies[4].Rules[i] == r {
			same++
		}
	}
	if same < len(policies[0].Rules)-110 {
		t.Errorf("%d of %d rules are shared", same, len(policies[0].Rules))
	}
}
