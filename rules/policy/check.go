package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Problem is one thing that is wrong with a structured object.
type Problem struct {
	Path    string // of the key within the object: when.path[0]
	Message string // what is wrong and what would be right
}

// maxRules bounds the rules that one exclusion names.
const maxRules = 50

// CheckRule answers what is wrong with r, or nil. listNames are the lists that a client condition may name.
// That names are unique is the caller's to check.
func CheckRule(r Rule, listNames map[string]bool) []Problem {
	var c checker
	c.name("name", r.Name)
	switch r.Then {
	case ActionBlock, ActionAllow:
	case "":
		c.add("then", "is missing; write block or allow")
	default:
		c.add("then", "%q is not an action%s (block, allow)", r.Then, meant(string(r.Then), "block", "allow"))
	}
	switch r.Stage {
	case StageDetect, StageEnforce, "":
	default:
		c.add("stage", "%q is not a stage%s (detect, enforce)", r.Stage, meant(string(r.Stage), "detect", "enforce"))
	}
	if isEmpty(r.When) {
		c.add("when", "is empty, so the rule would match every request; name a client, host, path or method")
	} else {
		c.when("when", r.When, listNames, 0)
		if r.Then == ActionAllow && r.Stage != StageDetect && coversAll(r.When) {
			c.add("when", "matches every request, and then: allow ends inspection: this would switch the WAF off; "+
				"narrow it, or set mode: disabled on the application")
		}
	}
	return c.problems
}

// CheckExclusion answers what is wrong with e, or nil. inPolicy says that e belongs to a policy, which names hosts;
// an application's exclusions act on its own hosts.
func CheckExclusion(e Exclusion, inPolicy bool) []Problem {
	var c checker
	c.name("name", e.Name)
	if strings.TrimSpace(e.Reason) == "" {
		c.add("reason", `is missing; say why the exception is needed, such as "SQL words in free text"`)
	}
	c.rulesAndTags(e)
	switch {
	case e.WholeRequest && len(e.Targets) > 0:
		c.add("targets", "stand beside whole_request: true; name the targets, or exclude the whole request, not both")
	case !e.WholeRequest && len(e.Targets) == 0:
		c.add("targets", `are missing; name what the rules shall not look at, such as "json:items[*].comment", or set whole_request: true`)
	}
	for i, s := range e.Targets {
		path := fmt.Sprintf("targets[%d]", i)
		t, err := ParseTarget(s)
		if err != nil {
			c.add(path, "%s", err)
			continue
		}
		if _, ok := excludable[t.Kind]; !ok {
			c.add(path, "%q can be seen in events but not excluded; exclude the rule with whole_request: true instead", s)
		}
	}
	if !inPolicy && len(e.Hosts) > 0 {
		c.add("hosts", "cannot stand here: an application's exclusion acts on the application's own hosts; "+
			"leave hosts out, or move the exclusion to a policy")
	}
	for i, h := range e.Hosts {
		if err := checkHost(h); err != nil {
			c.add(fmt.Sprintf("hosts[%d]", i), "%s", err)
		}
	}
	if e.Path != "" {
		if err := checkPath(e.Path); err != nil {
			c.add("path", "%s", err)
		}
	}
	c.methods("methods", e.Methods)
	if e.WholeRequest && len(e.Tags) > 0 && coversAllPaths(e.Path) {
		c.add("path", "is missing or covers everything, while whole_request: true removes a whole class of rules: "+
			"this would switch that protection off for the host; name a path, targets, or single rules")
	}
	if e.Expires != "" {
		if _, err := e.Expires.End(); err != nil {
			c.add("expires", "%s", err)
		}
	}
	return c.problems
}

// End is the moment at which the day is over, in UTC. The zero time means never.
func (d Date) End() (time.Time, error) {
	if d == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a date; write it as 2027-06-30", string(d))
	}
	return t.AddDate(0, 0, 1), nil
}

type checker struct{ problems []Problem }

func (c *checker) add(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// name checks a name: it stands in tags and messages of the rule text and in metrics.
func (c *checker) name(path, name string) {
	switch {
	case name == "":
		c.add(path, "is missing; it appears in records")
	case len(name) > 64:
		c.add(path, "%q is longer than 64 characters", name)
	case strings.IndexFunc(name, func(r rune) bool { return !isNameRune(r) }) >= 0 || !isNameStart(name[0]):
		c.add(path, "%q is not a name; use letters, digits, dot, dash and underscore, a letter or digit first", name)
	}
}

func isNameStart(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

func isNameRune(r rune) bool {
	return r < 128 && isNameStart(byte(r)) || r == '.' || r == '-' || r == '_'
}

// maxDepth bounds how deeply any and not may be nested.
const maxDepth = 5

func (c *checker) when(path string, w When, lists map[string]bool, depth int) {
	if depth > maxDepth {
		c.add(path, "is nested more than %d deep", maxDepth)
		return
	}
	if isEmpty(w) {
		c.add(path, "is empty; name a client, host, path or method")
		return
	}
	for i, s := range w.Client {
		if _, ok := clientPrefix(s); ok || lists[s] {
			continue
		}
		c.add(fmt.Sprintf("%s.client[%d]", path, i), "%q is neither an address, a network such as 198.51.100.0/24, nor a list%s", s, knownLists(lists))
	}
	for i, h := range w.Host {
		if err := checkHost(h); err != nil {
			c.add(fmt.Sprintf("%s.host[%d]", path, i), "%s", err)
		}
	}
	for i, p := range w.Path {
		if err := checkPath(p); err != nil {
			c.add(fmt.Sprintf("%s.path[%d]", path, i), "%s", err)
		}
	}
	c.methods(path+".method", w.Methods)
	for i, sub := range w.Any {
		c.when(fmt.Sprintf("%s.any[%d]", path, i), sub, lists, depth+1)
	}
	if w.Not != nil {
		c.when(path+".not", *w.Not, lists, depth+1)
	}
}

func (c *checker) methods(path string, methods []string) {
	for i, m := range methods {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case m == "" || strings.IndexFunc(m, func(r rune) bool { return !isToken(r) }) >= 0:
			c.add(at, "%q is not a method", m)
		case m != strings.ToUpper(m):
			c.add(at, "%q: methods are compared as written; did you mean %q?", m, strings.ToUpper(m))
		}
	}
}

func (c *checker) rulesAndTags(e Exclusion) {
	switch {
	case len(e.Rules) == 0 && len(e.Tags) == 0:
		c.add("rules", "are missing; name the rules, such as [942100], or a tag, such as tags: [attack-sqli]")
	case len(e.Rules) > 0 && len(e.Tags) > 0:
		c.add("tags", "stand beside rules; write one exclusion for the rules and one for the tags")
	case len(e.Rules) > maxRules:
		c.add("rules", "are more than %d; exclude by tag and target, or narrow the exclusion", maxRules)
	}
	for i, id := range e.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if id < 1 || id > maxRuleID {
			c.add(at, "%d is not a rule id; ids are 1 to %d", id, maxRuleID)
		} else if why := Protected(id); why != "" {
			c.add(at, "%d cannot be excluded: %s", id, why)
		}
	}
	for i, tag := range e.Tags {
		at := fmt.Sprintf("tags[%d]", i)
		switch {
		case tag == "" || strings.IndexFunc(tag, func(r rune) bool { return !isTagRune(r) }) >= 0:
			c.add(at, "%q is not a tag; a tag is letters, digits and . _ / -, such as attack-sqli", tag)
		case BroadTag(tag):
			c.add(at, "%q is carried by nearly every rule, so that this would switch the WAF off; name attack classes such as attack-sqli, or single rules", tag)
		}
	}
}

func isTagRune(r rune) bool { return isNameRune(r) || r == '/' }

// isEmpty reports whether w names no condition at all.
func isEmpty(w When) bool {
	return len(w.Client) == 0 && len(w.Host) == 0 && len(w.Path) == 0 && len(w.Methods) == 0 && len(w.Any) == 0 && w.Not == nil
}

// coversAll reports whether w plainly matches every request.
func coversAll(w When) bool {
	if w.Not != nil || len(w.Methods) > 0 {
		return false
	}
	if len(w.Path) > 0 && !slices.ContainsFunc(w.Path, coversAllPaths) {
		return false
	}
	if len(w.Host) > 0 && !slices.Contains(w.Host, "*") {
		return false
	}
	if len(w.Client) > 0 && !slices.ContainsFunc(w.Client, coversAllClients) {
		return false
	}
	return len(w.Any) == 0 || slices.ContainsFunc(w.Any, coversAll)
}

func coversAllClients(s string) bool {
	p, ok := clientPrefix(s)
	return ok && p.Bits() == 0
}

// clientPrefix reads an address or a network.
func clientPrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

func knownLists(lists map[string]bool) string {
	var names []string
	for n, ok := range lists {
		if ok {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "; no list is defined"
	}
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10], "...")
	}
	return " (lists: " + strings.Join(names, ", ") + ")"
}

// meant suggests the word that begins like s.
func meant(s string, words ...string) string {
	for _, w := range words {
		if s != "" && strings.EqualFold(s[:1], w[:1]) {
			return fmt.Sprintf("; did you mean %q?", w)
		}
	}
	return ""
}
