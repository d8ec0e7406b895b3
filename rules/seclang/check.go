package seclang

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// The ids that operators' own rules have.
const (
	FirstID = 1
	LastID  = 99_999
)

// Check says what custom SecLang may not do, on the syntax tree and before any engine sees it: it may add rules and
// take exceptions, and not read files, run programs, change the engine's settings, touch the gateway's own variables,
// or switch protection off.
func Check(src rules.Source) rules.TextErrors {
	f, broken, errs := parse(src)
	c := &checker{source: src.Name, ids: map[int]int{}, markers: map[string]int{}, errs: errs}
	for _, d := range f.Directives {
		if d.Name == SecMarker {
			c.markers[d.Args] = d.Line // the last one: a skip runs forward
		}
	}
	for _, d := range f.Directives {
		for len(broken) > 0 && broken[0].Line < d.Line {
			c.damaged(broken[0])
			broken = broken[1:]
		}
		c.directive(d)
	}
	for _, d := range broken {
		c.damaged(d)
	}
	slices.SortStableFunc(c.errs, func(a, b rules.TextError) int { return cmp.Compare(a.Line, b.Line) })
	return c.errs
}

type checker struct {
	source  string
	ids     map[int]int // to the line of the rule
	markers map[string]int
	errs    rules.TextErrors
	name    string // of the rule or directive that is looked at: rule 1001
}

func (c *checker) fail(line int, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if !strings.Contains(message, c.name) {
		message = c.name + ": " + message
	}
	c.errs = append(c.errs, rules.TextError{Source: c.source, Line: line, Message: message})
}

const allowedDirectives = "SecRule, SecAction, SecMarker, SecRuleRemoveById, SecRuleRemoveByTag, SecRuleRemoveByMsg, " +
	"SecRuleUpdateTargetById, SecRuleUpdateTargetByTag, SecRuleUpdateActionById"

func (c *checker) directive(d *Directive) {
	c.name = d.Name
	switch d.Name {
	case SecRule, SecAction:
		c.rule(d)
	case SecMarker:
		if strings.HasPrefix(strings.ToUpper(d.Args), "GATEHOUSE") {
			c.fail(d.Line, "SecMarker %s: names that begin with GATEHOUSE are the gateway's own; choose another", d.Args)
		}
	case SecRuleRemoveByID:
		c.protectedIDs(d.Line, d.Name, d.Selection.IDs)
		c.broadIDs(d.Line, d.Name, d.Selection.IDs)
	case SecRuleRemoveByTag:
		c.tag(d.Line, d.Name, d.Selection.Tag)
	case SecRuleRemoveByMsg:
		c.message(d.Line, d.Name, d.Selection.Message)
	case SecRuleUpdateTargetByID:
		c.protectedIDs(d.Line, d.Name, d.Selection.IDs)
		if !narrow(d.Variables) {
			c.broadIDs(d.Line, d.Name, d.Selection.IDs)
		}
		c.variables(d.Variables)
	case SecRuleUpdateTargetByTag:
		c.variables(d.Variables)
		if BroadTag(d.Selection.Tag) && !narrow(d.Variables) {
			c.tag(d.Line, d.Name, d.Selection.Tag)
		}
	case SecRuleUpdateActionByID:
		c.protectedIDs(d.Line, d.Name, d.Selection.IDs)
		c.broadIDs(d.Line, d.Name, d.Selection.IDs)
		c.update(d)
	default:
		c.fail(d.Line, "%s is not among the directives for custom rules (%s); %s", d.Name, allowedDirectives, instead(d.Name))
	}
}

// instead says what takes the place of a directive that custom rules may not have.
func instead(name string) string {
	n := strings.ToLower(name)
	switch {
	case n == "secruleengine":
		return "set mode on the application or route"
	case strings.Contains(n, "limit"):
		return "set body limits on the route (body: max_bytes, inspect_bytes)"
	case strings.Contains(n, "access"), strings.Contains(n, "mimetype"):
		return "set response: inspect and types on the route; request bodies are always inspected"
	case strings.Contains(n, "audit"), strings.Contains(n, "debug"):
		return "records go where logs: says"
	case n == "secdefaultaction":
		return "write the actions in each rule"
	case n == "secdataset":
		return "write the words in the rule (@pm, @within), or addresses as a list of the configuration"
	}
	return "remove it"
}

// protectedIDs refuses selections that hold protected rules.
func (c *checker) protectedIDs(line int, name string, ids []IDRange) {
	for _, r := range ids {
		if why := ProtectedRange(r.First, r.Last); why != "" {
			c.fail(line, "%s %s touches rules that cannot be changed: %s; narrow it", name, rangeText(r), why)
		}
	}
}

// classSize is how many ids a class of CRS's rules has: 942000 to 942999.
const classSize = 1000

// broadIDs refuses ranges over several classes of CRS's rules.
func (c *checker) broadIDs(line int, name string, ids []IDRange) {
	for _, r := range ids {
		if r.Last > LastID && r.First/classSize != r.Last/classSize && ProtectedRange(r.First, r.Last) == "" {
			c.fail(line, "%s %s: the range covers several classes of rules, so that this could switch the WAF off; name each class, such as 942000-942999", name, rangeText(r))
		}
	}
}

func rangeText(r IDRange) string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func (c *checker) tag(line int, name, tag string) {
	if BroadTag(tag) {
		c.fail(line, "%s %s: nearly every rule carries this tag, so that this would switch the WAF off; name an attack class such as attack-sqli, or rules", name, tag)
	}
}

// protectedMessages begin the messages of the protected rules; comparing without case is stricter than the engine.
var protectedMessages = []string{
	"inbound anomaly score", "outbound anomaly score", "anomaly scores:", "crs is deployed", "detection paranoia level",
	"enabling body inspection", "enabling forced body", "sampling:", "gatehouse:",
}

func (c *checker) message(line int, name, message string) {
	m := strings.ToLower(strings.TrimSpace(message))
	for _, p := range protectedMessages {
		if m == "" || strings.HasPrefix(m, p) || strings.HasPrefix(p, m) {
			c.fail(line, "%s %q touches rules that cannot be changed: what they do, the others rely on; name other rules by their ids", name, message)
			return
		}
	}
}

// narrow reports whether the variables are exceptions for single keys of what a client sends.
func narrow(vars []Variable) bool {
	for _, v := range vars {
		if !v.Exclude || v.Key == "" || !requestCollections[v.Name] || v.Regex && takesAnything(v.Key) {
			return false
		}
	}
	return len(vars) > 0
}

// takesAnything reports whether a regular expression matches names that have nothing in common.
func takesAnything(pattern string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && (re.MatchString("q7") || re.MatchString("x_long-name")) && (re.MatchString("zb") || re.MatchString("json.items.0.k"))
}

var requestCollections = map[string]bool{
	"ARGS": true, "ARGS_GET": true, "ARGS_POST": true, "ARGS_NAMES": true, "ARGS_GET_NAMES": true,
	"ARGS_POST_NAMES": true, "REQUEST_COOKIES": true, "REQUEST_COOKIES_NAMES": true, "REQUEST_HEADERS": true,
	"REQUEST_HEADERS_NAMES": true, "FILES": true, "FILES_NAMES": true,
	"MULTIPART_FILENAME": true, "MULTIPART_NAME": true, "MULTIPART_PART_HEADERS": true,
}

// rule checks a SecRule or SecAction and the links of its chain.
func (c *checker) rule(d *Directive) {
	if n := d.Rule.ID(); n > 0 {
		c.name = fmt.Sprintf("rule %d", n)
	}
	id, ok := d.Rule.Action("id")
	switch n := d.Rule.ID(); {
	case !ok:
		c.fail(d.Line, "the rule has no id; add one from %d to %d, such as id:1001", FirstID, LastID)
	case n < FirstID || n > LastID:
		c.fail(id.Line, "id:%s is not free for custom rules; theirs are %d to %d", id.Value, FirstID, LastID)
	case c.ids[n] != 0:
		c.fail(id.Line, "id:%d is already the id of the rule on line %d; ids are unique", n, c.ids[n])
	default:
		c.ids[n] = d.Line
	}
	c.parts(d)
	for _, l := range d.Rule.Links {
		c.parts(l)
	}
}

// damaged checks what could be read of a rule that has problems already. Of its chain nothing is known.
func (c *checker) damaged(d damaged) {
	c.name = d.Name
	if id := d.Rule.ID(); id > 0 && !d.follows {
		c.rule(d.Directive)
		return
	}
	c.parts(d.Directive)
}

func (c *checker) parts(d *Directive) {
	c.variables(d.Rule.Variables)
	if d.Rule.Operator != nil {
		c.operator(d.Rule.Operator)
	}
	for _, a := range d.Rule.Actions {
		c.action(d, a)
	}
}

func (c *checker) variables(vars []Variable) {
	for _, v := range vars {
		if v.Name == "ENV" {
			c.fail(v.Line, "ENV would show the gateway's environment to rules and records; remove it")
		}
		if v.Regex {
			if _, err := regexp.Compile(v.Key); err != nil {
				c.fail(v.Line, "%s: %v", v, err)
			}
		}
	}
}

// refusedOperators and what takes their place.
var refusedOperators = map[string]string{
	"rbl":                "it asks the network for every request; use a list of addresses in the configuration",
	"inspectFile":        "it runs a program; remove it",
	"validateSchema":     "it reads a file; remove it",
	"geoLookup":          "there is no location database; use a list of addresses in the configuration",
	"pmFromFile":         "it reads a file; write the words in the rule with @pm",
	"pmf":                "it reads a file; write the words in the rule with @pm",
	"pmFromDataset":      "there are no data sets here; write the words in the rule with @pm",
	"ipMatchFromFile":    "it reads a file; write the addresses with @ipMatch, or use a list of the configuration in a rule with client:",
	"ipMatchF":           "it reads a file; write the addresses with @ipMatch, or use a list of the configuration in a rule with client:",
	"ipMatchFromDataset": "there are no data sets here; write the addresses with @ipMatch, or use a list of the configuration in a rule with client:",
}

func (c *checker) operator(o *Operator) {
	if why := refusedOperators[o.Name]; why != "" {
		c.fail(o.Line, "@%s cannot be used in custom rules: %s", o.Name, why)
		return
	}
	for _, macro := range macros(o.Arg) {
		if name, _, _ := strings.Cut(strings.ToUpper(macro), "."); name == "ENV" {
			c.fail(o.Line, "@%s: %%{%s} would compare with the gateway's environment; remove it", o.Name, macro)
		}
	}
	switch o.Name {
	case "rx":
		if _, err := regexp.Compile("(?sm)" + o.Arg); err != nil {
			c.fail(o.Line, "@rx: %v (the syntax is RE2's: no look-around, no back-references)", err)
		}
	case "pm":
		if strings.TrimSpace(o.Arg) == "" {
			c.fail(o.Line, "@pm needs words to look for")
		}
	case "ipMatch":
		for _, s := range strings.Split(o.Arg, ",") {
			s = strings.TrimSpace(s)
			if _, err := netip.ParsePrefix(s); err == nil {
				continue
			}
			if _, err := netip.ParseAddr(s); err != nil {
				c.fail(o.Line, "@ipMatch: %q is neither an address nor a network such as 198.51.100.0/24", s)
			}
		}
	}
}

// refusedActions and what takes their place.
var refusedActions = map[string]string{
	"exec":      "it runs a program; remove it",
	"initcol":   "there are no persistent collections; use rate_limits of the policy",
	"expirevar": "there are no persistent collections; use rate_limits of the policy",
	"setenv":    "it changes the gateway's environment; use setvar:tx.name=value",
	"allow": "it is ignored in mode detect and would make the modes disagree; write a rule with then: allow, " +
		"or ctl:ruleRemoveById for the rules in question",
	"skip": "it would skip rules that are not yours; use skipAfter with a SecMarker of this text",
}

func (c *checker) action(d *Directive, a Action) {
	if why := refusedActions[a.Name]; why != "" {
		c.fail(a.Line, "the action %s cannot be used in custom rules: %s", a.Name, why)
		return
	}
	for _, macro := range macros(a.Value) {
		if name, _, _ := strings.Cut(strings.ToUpper(macro), "."); name == "ENV" {
			c.fail(a.Line, "%s: %%{%s} would show the gateway's environment to clients or records; remove it", a.Name, macro)
		}
	}
	switch a.Name {
	case "ctl":
		c.ctl(a)
	case "setvar":
		c.setvar(a)
	case "tag":
		if strings.HasPrefix(strings.ToLower(a.Value), "gatehouse/") {
			c.fail(a.Line, "tag:%s: tags that begin with gatehouse/ are the gateway's own; choose another", a.Value)
		}
	case "msg":
		if strings.HasPrefix(strings.ToLower(a.Value), "gatehouse:") {
			c.fail(a.Line, "msg:%s: messages that begin with gatehouse: are the gateway's own; choose another", a.Value)
		}
	case "skipafter":
		if line, ok := c.markers[a.Value]; !ok || line <= d.Line {
			c.fail(a.Line, "skipAfter:%s: no SecMarker of that name follows in this text, so that every other rule would be skipped; add SecMarker %s below", a.Value, a.Value)
		}
	case "redirect":
		if strings.Contains(a.Value, "%{") {
			c.fail(a.Line, "redirect:%s: variables are not expanded here, so that clients would be sent to this very text; write the whole URL", a.Value)
			return
		}
		if !strings.HasPrefix(a.Value, "https://") && !strings.HasPrefix(a.Value, "http://") && !strings.HasPrefix(a.Value, "/") {
			c.fail(a.Line, "redirect:%s: write a URL with http:// or https://, or a path that begins with a slash", a.Value)
		}
	}
}

// macros gives the names of the variables that a text asks for: TX.score of "%{TX.score}".
func macros(text string) []string {
	var names []string
	for {
		_, rest, ok := strings.Cut(text, "%{")
		if !ok {
			return names
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return names
		}
		names, text = append(names, strings.TrimSpace(name)), after
	}
}

// update checks a SecRuleUpdateActionById: it changes a rule that is loaded already.
func (c *checker) update(d *Directive) {
	for _, a := range d.Actions {
		switch a.Name {
		case "id", "phase", "chain", "skip", "skipafter":
			c.fail(a.Line, "%s cannot change the action %s of a rule; remove the rule and write your own", d.Name, a.Name)
		default:
			c.action(d, a)
		}
	}
}
