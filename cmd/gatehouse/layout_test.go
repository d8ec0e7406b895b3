package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list` says of one package. Test files do not count: a test may import anything.
type listed struct {
	ImportPath string
	Imports    []string // directly
	Deps       []string // directly and through others
}

// reach says how far a forbidden import is looked for.
type reach int

const (
	directly     reach = iota // in the package's own files
	transitively              // anywhere below it
)

// A layoutRule forbids imports. Patterns are import paths, those below one with "/..." at its end.
type layoutRule struct {
	in     []string // the packages it is about
	forbid []string
	except []string // packages (of in) and imports (of forbid) that it does not touch
	reach  reach
	reason string
}

// layoutRules keep the packages apart: imports point down, cmd to proxy and mgmt to rules.
var layoutRules = []layoutRule{
	{
		in: []string{"gatehouse/rules/..."}, forbid: []string{"gatehouse/proxy/...", "gatehouse/mgmt/...", "gatehouse/cmd/..."}, reach: transitively,
		reason: "rules is the bottom layer: the data plane, the manager and the command line tools all judge with it",
	},
	{
		in: []string{"gatehouse/proxy/..."}, forbid: []string{"gatehouse/mgmt/...", "gatehouse/cmd/..."}, reach: transitively,
		reason: "a gateway serves with the manager down for days, so it holds nothing of it",
	},
	{
		in: []string{"gatehouse/mgmt/..."}, forbid: []string{"gatehouse/cmd/..."}, reach: transitively,
		reason: "a server is a library to its command",
	},
	{
		in: []string{"gatehouse/mgmt/..."}, forbid: []string{"gatehouse/proxy/..."}, except: []string{"gatehouse/proxy/config"}, reach: transitively,
		reason: "the manager edits the configuration that gateways read; it never runs the data plane",
	},
	{
		in: []string{"gatehouse/..."}, forbid: []string{"github.com/corazawaf/coraza/v3/..."}, except: []string{"gatehouse/rules/coraza", "gatehouse/bench/peers/goproxy/coraza"}, reach: directly,
		reason: "the reference engine stays replaceable behind rules.Engine; a server that is compared with ours is a program of its own",
	},
	{
		in: []string{"gatehouse/..."}, forbid: []string{"github.com/corazawaf/coraza/v3/http/..."}, except: []string{"gatehouse/bench/peers/goproxy/coraza"}, reach: transitively,
		reason: "its handler answers an inspection error with an empty 200; the driver is our own",
	},
	{
		in: []string{"gatehouse/proxy/..."}, forbid: []string{"net/http/httputil"}, reach: directly,
		reason: "ReverseProxy with a Director lets the client's hop-by-hop headers remove ours, and forwards any Upgrade; the transport is proxy/upstream",
	},
	{
		in: []string{"gatehouse/cmd/gatehouse"}, forbid: []string{"testing/...", "gatehouse/rules/rulestest/rulestesting", "gatehouse/proxy/config/configtest"}, reach: transitively,
		reason: "the binary judges test files (rulestest) and is no test: testing and its helpers stay out of it",
	},
}

// TestLayout holds every package against the rules above.
func TestLayout(t *testing.T) {
	packages := listPackages(t)
	if len(packages) == 0 {
		t.Fatal("go list names no package")
	}
	for _, violation := range violations(packages, layoutRules) {
		t.Error(violation)
	}
}

// TestLayoutRulesCanFail shows for each rule a package that breaks it.
func TestLayoutRulesCanFail(t *testing.T) {
	bad := []listed{
		{ImportPath: "gatehouse/rules/compile", Deps: []string{"gatehouse/proxy/route"}},
		{ImportPath: "gatehouse/proxy", Deps: []string{"gatehouse/mgmt/store"}},
		{ImportPath: "gatehouse/mgmt", Deps: []string{"gatehouse/cmd/gatehouse/shop"}},
		{ImportPath: "gatehouse/mgmt/publish", Deps: []string{"gatehouse/proxy/config", "gatehouse/proxy/upstream"}},
		{ImportPath: "gatehouse/proxy/inspect", Imports: []string{"github.com/corazawaf/coraza/v3/types"}},
		{ImportPath: "gatehouse/rules/coraza", Deps: []string{"github.com/corazawaf/coraza/v3/http"}},
		{ImportPath: "gatehouse/proxy/upstream", Imports: []string{"net/http/httputil"}},
		{ImportPath: "gatehouse/cmd/gatehouse", Deps: []string{"testing"}},
	}
	for i, rule := range layoutRules {
		if got := violations(bad[i:i+1], []layoutRule{rule}); len(got) != 1 {
			t.Errorf("rule %d (%s) finds %q in %s", i, rule.reason, got, bad[i].ImportPath)
		}
	}
	good := []listed{
		{ImportPath: "gatehouse/mgmt/api", Deps: []string{"gatehouse/proxy/config", "gatehouse/rules"}},
		{ImportPath: "gatehouse/rules/coraza", Imports: []string{"github.com/corazawaf/coraza/v3/types"}},
		{ImportPath: "gatehouse/proxy", Deps: []string{"gatehouse/rules", "net/http/httputil"}},
	}
	if got := violations(good, layoutRules); len(got) != 0 {
		t.Errorf("rules forbid what is allowed: %q", got)
	}
}

// listPackages asks the go command for every package of the module.
func listPackages(t *testing.T) []listed {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", "gatehouse/...")
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// violations gives one sentence for each import that a rule forbids.
func violations(packages []listed, rules []layoutRule) []string {
	var found []string
	for _, rule := range rules {
		for _, p := range packages {
			if !matches(p.ImportPath, rule.in) || slices.Contains(rule.except, p.ImportPath) {
				continue
			}
			imports, verb := p.Imports, "imports"
			if rule.reach == transitively {
				imports, verb = p.Deps, "depends on"
			}
			for _, path := range imports {
				if matches(path, rule.forbid) && !slices.Contains(rule.except, path) {
					found = append(found, fmt.Sprintf("%s %s %s: %s", p.ImportPath, verb, path, rule.reason))
				}
			}
		}
	}
	return found
}

// matches says whether one of the patterns takes the import path.
func matches(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		base, below := strings.CutSuffix(pattern, "/...")
		return path == base || below && strings.HasPrefix(path, base+"/")
	})
}
