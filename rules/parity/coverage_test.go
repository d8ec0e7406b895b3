package parity

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/rules/program/variable"
	"gatehouse/rules/seclang"
)

// coverage counts which parts of the language were in rules that matched: a part that never is, is not compared.
type coverage struct {
	mu   sync.Mutex // guards seen
	seen map[string]int
}

func (c *coverage) add(what string) {
	if c.seen == nil {
		c.seen = make(map[string]int)
	}
	c.seen[what]++
}

// policy counts the directives of a policy that was loaded.
func (c *coverage) policy(d Draft) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range d.Sources {
		for _, x := range s.Directives {
			c.add(x.Name)
		}
	}
}

// matched counts what stands in the rules that matched.
func (c *coverage) matched(d Draft, o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range d.Sources {
		for _, x := range s.Directives {
			if x.Rule == nil || !o.Matched(x.Rule.ID()) {
				continue
			}
			c.rule(x.Rule)
			for _, l := range x.Rule.Links {
				c.rule(l.Rule)
			}
		}
	}
}

func (c *coverage) rule(r *seclang.Rule) {
	only := len(r.Variables) == 1
	for _, v := range r.Variables {
		switch {
		case v.Exclude:
			c.add("exclusion")
			continue
		case v.Count:
			c.add("count")
		case v.Regex:
			c.add("regex selector")
		case v.Key != "":
			c.add("selector")
		}
		if only { // then this is what matched
			c.add(v.Name)
		}
	}
	if o := r.Operator; o != nil {
		name := "@" + o.Name
		if o.Negated {
			name = "!" + name
		}
		c.add(name)
		if strings.Contains(o.Arg, "%{") {
			c.add("macro in an argument")
		}
	}
	for _, a := range r.Actions {
		switch a.Name {
		case "t":
			c.add("t:" + strings.ToLower(a.Value))
		case "ctl":
			name, _, _ := strings.Cut(a.Value, "=")
			c.add("ctl:" + name)
		case "setvar":
			c.add("setvar")
			if key, value, _ := strings.Cut(a.Value, "="); strings.Contains(key, "%{") {
				c.add("setvar of a dynamic key")
			} else if strings.Contains(value, "%{") {
				c.add("setvar of a macro")
			}
		case "allow":
			c.add(strings.TrimSuffix("allow:"+a.Value, ":"))
		default:
			c.add(strings.ToLower(a.Name))
		}
	}
}

// check fails the test for each part of the language that was in no rule that matched.
func (c *coverage) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	want := []string{
		"exclusion", "count", "regex selector", "selector", "macro in an argument", "setvar", "setvar of a dynamic key", "setvar of a macro",
		"capture", "multimatch", "chain", "skip", "skipafter", "deny", "drop", "redirect", "block", "pass", "allow", "allow:phase", "allow:request",
		"status", "severity", "tag", "msg", "logdata", "log", "phase",
		seclang.SecAction, seclang.SecMarker, seclang.SecDefaultAction, seclang.SecDataset, seclang.SecRuleRemoveByID, seclang.SecRuleRemoveByTag,
		seclang.SecRuleUpdateTargetByID, seclang.SecRuleUpdateTargetByTag, seclang.SecRuleUpdateActionByID,
		"ctl:ruleRemoveById", "ctl:ruleRemoveByTag", "ctl:ruleRemoveByMsg", "ctl:ruleRemoveTargetById", "ctl:ruleRemoveTargetByTag", "ctl:ruleRemoveTargetByMsg",
		"ctl:ruleEngine", "ctl:requestBodyProcessor", "ctl:forceRequestBodyVariable", "ctl:requestBodyAccess", "ctl:responseBodyAccess", "ctl:forceResponseBodyVariable",
	}
	for _, name := range transformations {
		want = append(want, "t:"+strings.ToLower(name))
	}
	for _, name := range []string{
		"rx", "pm", "contains", "streq", "beginsWith", "endsWith", "within", "strmatch", "eq", "ge", "gt", "le", "lt", "ipMatch", "detectSQLi", "detectXSS",
		"validateByteRange", "validateUrlEncoding", "validateUtf8Encoding", "unconditionalMatch", "pmFromDataset", "ipMatchFromDataset", "!@rx", "!@pm", "!@streq", "!@within", "!@eq",
	} {
		if !strings.HasPrefix(name, "!") {
			name = "@" + name
		}
		want = append(want, name)
	}
	// These have no value in an engine, or none with the requests that are made.
	empty := []string{"ARGS_PATH", "GEO", "RESPONSE_ARGS", "FULL_REQUEST_LENGTH", "URLENCODED_ERROR", "RES_BODY_PROCESSOR", "REMOTE_HOST"}
	names := slices.Clone(singles)
	for _, x := range collections {
		names = append(names, x.name)
	}
	for _, name := range names {
		if v, ok := variable.Parse(name); ok && v.Kind() != variable.Empty && !slices.Contains(empty, name) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	for _, what := range slices.Compact(want) {
		if c.seen[what] == 0 {
			t.Errorf("no rule with %s ever matched: it is not compared", what)
		}
	}
	if len(c.seen) < len(want)/2 {
		t.Errorf("seen only %v", slices.Sorted(maps.Keys(c.seen)))
	}
}
