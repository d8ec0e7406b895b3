package seclang_test

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// crsSources are the setup example and every rule file of the embedded CRS release.
func crsSources(t *testing.T) []rules.Source {
	t.Helper()
	names, err := fs.Glob(coreruleset.FS, "@owasp_crs/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 25 {
		t.Fatalf("%d rule files, want at least 25", len(names))
	}
	slices.Sort(names)
	names = append([]string{"@coraza.conf-recommended", "@crs-setup.conf.example"}, names...)
	var out []rules.Source
	for _, n := range names {
		b, err := fs.ReadFile(coreruleset.FS, n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rules.Source{Name: path.Base(n), Text: string(b)})
	}
	return out
}

// load has the engine read the sources and answers how many rules it counts.
func load(t *testing.T, sources []rules.Source) int {
	t.Helper()
	c := coraza.NewWAFConfig().WithRootFS(coreruleset.FS)
	for _, s := range sources {
		c = c.WithDirectives(s.Text)
	}
	waf, err := coraza.NewWAF(c)
	if err != nil {
		t.Fatal(err)
	}
	return waf.(experimental.WAFWithRules).RulesCount()
}

// sameTree compares trees without places and without the spacing of structured directives.
var sameTree = cmp.Options{
	cmpopts.IgnoreTypes(seclang.Position{}),
	cmpopts.IgnoreFields(seclang.Directive{}, "End"),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Args" }, cmp.Ignore()),
	cmpopts.AcyclicTransformer("args", func(d seclang.Directive) any {
		return struct {
			Plain string
			seclang.Directive
		}{plainArgs(d), d}
	}),
}

// plainArgs are the arguments of a directive without a structure of its own.
func plainArgs(d seclang.Directive) string {
	if d.Rule != nil || d.Selection != nil {
		return ""
	}
	return d.Args
}

func TestCRS(t *testing.T) {
	sources := crsSources(t)
	// The data files of @pmFromFile stand in a directory of the module.
	for i := range sources {
		sources[i].Text = inDirectory(sources[i].Text)
	}
	count := 0
	var printed []rules.Source
	for _, s := range sources {
		f, errs := seclang.Parse(s)
		if errs != nil {
			t.Fatalf("%s: %v", s.Name, errs)
		}
		count += f.Count()
		again, errs := seclang.Parse(rules.Source{Name: s.Name, Text: f.String()})
		if errs != nil {
			t.Fatalf("%s printed: %v", s.Name, errs)
		}
		if diff := cmp.Diff(f, again, sameTree); diff != "" {
			t.Errorf("%s: printed text parses differently (-text +printed):\n%s", s.Name, diff)
		}
		printed = append(printed, rules.Source{Name: s.Name, Text: f.String()})
	}
	if count < 600 {
		t.Errorf("%d rules parsed, want at least 600", count)
	}
	if engine := load(t, sources); count != engine {
		t.Errorf("%d rules parsed, the engine counts %d", count, engine)
	}
	if engine := load(t, printed); count != engine {
		t.Errorf("%d rules parsed, the engine counts %d in the printed text", count, engine)
	}
}

// TestCRSRulesAsTheEngineSeesThem compares every rule's id, phase, tags and place with what the engine made of the
// same text.
func TestCRSRulesAsTheEngineSeesThem(t *testing.T) {
	type rule struct {
		ID, Phase, Line int
		Tags            []string
		Marker          string
	}
	var want, got []rule
	c := coraza.NewWAFConfig().WithRootFS(coreruleset.FS)
	base := 0 // the engine counts lines over all texts
	for _, s := range crsSources(t) {
		s.Text = inDirectory(s.Text)
		f, errs := seclang.Parse(s)
		if errs != nil {
			t.Fatal(errs)
		}
		for _, d := range f.Directives {
			switch {
			case d.Name == seclang.SecMarker:
				got = append(got, rule{Line: base + d.End, Marker: d.Args})
			case d.Rule != nil:
				r := rule{ID: d.Rule.ID(), Phase: d.Rule.Phase(), Line: base + d.End, Tags: []string{}}
				for _, a := range d.Rule.All("tag") {
					r.Tags = append(r.Tags, a.Value)
				}
				got = append(got, r)
			}
		}
		c = c.WithDirectives(s.Text)
		base += strings.Count(strings.TrimSuffix(s.Text, "\n"), "\n") + 1
	}
	c = experimental.WAFConfigWithRuleObserver(c, func(m types.RuleMetadata) {
		want = append(want, rule{ID: m.ID(), Phase: int(m.Phase()), Line: m.Line(), Tags: m.Tags(), Marker: m.SecMark()})
	})
	if _, err := coraza.NewWAF(c); err != nil {
		t.Fatal(err)
	}
	if len(want) < 600 {
		t.Fatalf("the engine showed %d rules, want at least 600", len(want))
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rules (-engine +tree):\n%s", diff)
	}
}

// TestBroadTags: what nearly every rule or a protected rule carries is a broad tag, and attack classes are not.
func TestBroadTags(t *testing.T) {
	count, rulesSeen := map[string]int{}, 0
	protected := map[string]int{}
	for _, s := range crsSources(t) {
		f, errs := seclang.Parse(s)
		if errs != nil {
			t.Fatal(errs)
		}
		for _, d := range f.Directives {
			if d.Rule == nil {
				continue
			}
			rulesSeen++
			for _, a := range d.Rule.All("tag") {
				count[a.Value]++
				if seclang.ProtectedRange(d.Rule.ID(), d.Rule.ID()) != "" {
					protected[a.Value] = d.Rule.ID()
				}
			}
		}
	}
	for tag, n := range count {
		if n > rulesSeen/5 && !seclang.BroadTag(tag) {
			t.Errorf("tag %s is carried by %d of %d rules and not broad", tag, n, rulesSeen)
		}
	}
	for tag, id := range protected {
		if !seclang.BroadTag(tag) {
			t.Errorf("tag %s is carried by protected rule %d and not broad", tag, id)
		}
	}
	for _, tag := range []string{"attack-sqli", "attack-xss", "attack-rce", "language-php", "OWASP_CRS/ATTACK-SQLI"} {
		if count[tag] == 0 || seclang.BroadTag(tag) {
			t.Errorf("tag %s: carried by %d rules, broad %v; want some and false", tag, count[tag], seclang.BroadTag(tag))
		}
	}
}
