package pattern

import (
	"bufio"
	"io/fs"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/rules/crs"
	"gatehouse/rules/seclang"
)

// crsPattern is a pattern of the Core Rule Set with the rule that it is of.
type crsPattern struct {
	id      int
	name    string // of the operator
	arg     string
	phrases []string
	level   int // the lowest paranoia level with a rule that has it
	vars    []seclang.Variable
	tree    *syntax.Regexp // of @rx
	*Pattern
}

// compiled is crsPatterns of the first test that asked: it takes a second or two.
var compiled struct {
	sync.Mutex
	patterns []crsPattern
}

// crsPatterns are the distinct patterns of all rules of the newest release, of all paranoia levels.
func crsPatterns(t testing.TB) []crsPattern {
	t.Helper()
	compiled.Lock()
	defer compiled.Unlock()
	if compiled.patterns == nil {
		compiled.patterns = compileCRS(t)
	}
	return compiled.patterns
}

func compileCRS(t testing.TB) []crsPattern {
	t.Helper()
	out := readCRS(t)
	sources := make([]Source, len(out))
	for i, p := range out {
		sources[i] = p.source()
	}
	var c Cache
	patterns, err := c.Patterns(sources)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		out[i].Pattern = patterns[i]
		out[i].parse(t)
	}
	return out
}

// compile makes the pattern of what was read.
func (p *crsPattern) compile(t testing.TB) {
	t.Helper()
	var err error
	if p.Pattern, err = p.source().Compile(); err != nil {
		t.Fatalf("rule %d: %v", p.id, err)
	}
	p.parse(t)
}

func (p *crsPattern) parse(t testing.TB) {
	t.Helper()
	if p.kind != Regexp {
		return
	}
	var err error
	if p.tree, err = parse(Expression(p.arg)); err != nil {
		t.Fatal(err)
	}
}

func (p *crsPattern) source() Source {
	switch kind, isLiteral := literalKinds[p.name]; {
	case p.name == "rx":
		return Source{Kind: Regexp, Text: p.arg}
	case isLiteral:
		return Source{Kind: kind, Text: p.arg}
	default:
		return Source{Kind: Phrases, Phrases: p.phrases}
	}
}

var literalKinds = map[string]Kind{
	"contains": Contains, "streq": Equals, "beginsWith": BeginsWith, "endsWith": EndsWith,
}

// readCRS reads the patterns and compiles nothing.
func readCRS(t testing.TB) []crsPattern {
	t.Helper()
	release, err := crs.Load("")
	if err != nil {
		t.Fatal(err)
	}
	var out []crsPattern
	seen := map[string]int{}
	add := func(d *seclang.Directive, starter *seclang.Rule) {
		o, id := d.Rule.Operator, starter.ID()
		if o == nil || strings.Contains(o.Arg, "%{") {
			return
		}
		if i, ok := seen[o.Name+" "+o.Arg]; ok {
			out[i].vars = append(out[i].vars, d.Rule.Variables...)
			out[i].level = min(out[i].level, levelOf(starter))
			return
		}
		p := crsPattern{id: id, name: o.Name, arg: o.Arg, level: levelOf(starter), vars: slices.Clone(d.Rule.Variables)}
		switch o.Name {
		case "rx", "contains", "streq", "beginsWith", "endsWith":
		case "pm":
			p.phrases = strings.Split(strings.ToLower(o.Arg), " ")
		case "pmFromFile", "pmf":
			p.phrases = phraseFile(t, release.Data, o.Arg)
		default:
			return
		}
		seen[o.Name+" "+o.Arg] = len(out)
		out = append(out, p)
	}
	for _, src := range release.Rules {
		f, errs := seclang.Parse(src)
		if errs != nil {
			t.Fatal(errs)
		}
		for _, d := range f.Directives {
			if d.Rule == nil {
				continue
			}
			add(d, d.Rule)
			for _, l := range d.Rule.Links {
				add(l, d.Rule)
			}
		}
	}
	if len(out) < 250 {
		t.Fatalf("%d patterns in the rule set, want at least 250", len(out))
	}
	return out
}

func levelOf(r *seclang.Rule) int {
	for _, a := range r.All("tag") {
		if n, ok := strings.CutPrefix(a.Value, "paranoia-level/"); ok {
			return int(n[0] - '0')
		}
	}
	return 1
}

// looksAt reports whether a rule with the pattern looks at values like v.
func (p crsPattern) looksAt(v value) bool {
	found := false
	for _, x := range p.vars {
		if x.Count || x.Name != v.variable && (x.Name != "ARGS_GET" || v.variable != "ARGS") {
			continue
		}
		same := x.Key == "" || strings.EqualFold(x.Key, v.key)
		switch {
		case x.Exclude && same:
			return false
		case !x.Exclude && same && !x.Regex:
			found = true
		}
	}
	return found
}

func phraseFile(t testing.TB, files fs.FS, name string) []string {
	t.Helper()
	b, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for sc := bufio.NewScanner(strings.NewReader(string(b))); sc.Scan(); {
		if l := strings.TrimSpace(sc.Text()); l != "" && l[0] != '#' {
			out = append(out, strings.ToLower(l))
		}
	}
	return out
}

func setOf(ps []crsPattern) *Set {
	var out []*Pattern
	for _, p := range ps {
		out = append(out, p.Pattern)
	}
	return NewSet(out)
}
