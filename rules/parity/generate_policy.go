package parity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// baseText turns on mode detect, chooses body processors, and refuses what could not be parsed.
const baseText = `
SecRule TX:gatehouse_detect "@eq 1" "id:100001,phase:1,pass,nolog,t:none,tag:'gatehouse/internal',ctl:ruleEngine=DetectionOnly"
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application(?:/soap\+|/)|text/)xml" "id:100002,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/(?:[a-z0-9.-]+\+)?json" "id:100003,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/x-ndjson" "id:100004,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=NDJSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^text/(?:plain|csv)" "id:100005,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=TEXT"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/octet-stream" "id:100006,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=RAW"
`

const refusalText = `
SecRule REQBODY_ERROR "!@eq 0" "id:100010,phase:2,deny,status:400,log,msg:'body',logdata:'%{reqbody_error_msg}'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:100011,phase:2,deny,status:400,log,msg:'multipart'"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:100012,phase:1,deny,status:400,log,msg:'arguments'"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:100013,phase:2,deny,status:400,log,msg:'arguments'"
`

// Policy generates a policy of a few rules.
func (c *Choices) Policy() Draft {
	c.newTheme()
	g := policyGenerator{Choices: c, next: 1, common: c.Chance(75)}
	d := Draft{Limits: rules.Limits{Arguments: 1000, JSONDepth: 32}}
	if c.Chance(10) {
		d.Limits = rules.Limits{Arguments: 3 + c.N(5), JSONDepth: 1 + c.N(3)}
	}
	d.Sources = append(d.Sources, DraftSource{Name: "base", Directives: mustParse("base", baseText)})
	if c.Chance(30) {
		d.Sources = append(d.Sources, DraftSource{Name: "refusal", Directives: mustParse("refusal", refusalText)})
	}
	if c.Chance(85) {
		d.Sources = append(d.Sources, DraftSource{Name: "rules", Directives: g.directives(2 + c.N(12))})
	} else { // large: what is grouped meets
		d.Sources = append(d.Sources, DraftSource{Name: "rules", Directives: g.directives(30 + c.N(40))})
	}
	return d
}

// Custom generates rules as operators write them in front of those of CRS, with ids from first.
func (c *Choices) Custom(first, n int) []*seclang.Directive {
	g := policyGenerator{Choices: c, next: first, common: true}
	var out []*seclang.Directive
	for range n {
		out = append(out, g.rule())
	}
	return out
}

// policyGenerator writes directives.
type policyGenerator struct {
	*Choices
	next int   // id
	ids  []int // of the rules so far
	// removed are targets of ctl actions so far.
	removed []seclang.Variable
	// common policies do without what only the reference evaluates: most of them, since the others show less.
	common bool
}

// uncommon are what common policies do without, by how it begins.
var uncommon = []string{"RULE", "%{rule.", "%{MATCHED_VAR", "responseBodyProcessor", "auditEngine", "pmFromDataset"}

// allowed says whether something may stand in the policy.
func (g *policyGenerator) allowed(what string) bool {
	return !g.common || !slices.ContainsFunc(uncommon, func(u string) bool { return strings.HasPrefix(what, u) })
}

// oneOf is one of a list that may stand in the policy.
func (g *policyGenerator) oneOf(list []string) string {
	for {
		if s := pick(g.Choices, list); g.allowed(s) {
			return s
		}
	}
}

var (
	ruleTags     = []string{"one", "attack-sqli", "a/b"}
	ruleMessages = []string{"plain", "SQL injection", "with %{tx.score} points"}
	markers      = []string{"FIRST", "SECOND", "END-1", "NOWHERE"}
)

// fromDataset is a rule with a data set, and a variable that may match it.
func (g *policyGenerator) fromDataset() *seclang.Directive {
	r := g.rule()
	if g.common || g.Chance(50) {
		r.Rule.Operator = &seclang.Operator{Name: "ipMatchFromDataset", Arg: "networks"}
		r.Rule.Variables = []seclang.Variable{{Name: "REMOTE_ADDR"}}
	} else {
		r.Rule.Operator = &seclang.Operator{Name: "pmFromDataset", Arg: "words"}
		r.Rule.Variables = []seclang.Variable{{Name: "ARGS"}, {Name: "REQUEST_URI"}}
	}
	return r
}

func (g *policyGenerator) directives(n int) []*seclang.Directive {
	var out []*seclang.Directive
	if g.Chance(15) {
		out = append(out, g.defaultActions()...)
	}
	if g.Chance(15) {
		out = append(out, mustParse("dataset", "SecDataset words `\nfoo\nselect\nadmin\n`\nSecDataset networks `\n198.51.100.0/24\n::1\n`\n")...)
	}
	dataset := len(out) > 0 && out[len(out)-1].Name == seclang.SecDataset
	for range n {
		switch k := g.N(100); {
		case k < 8:
			out = append(out, &seclang.Directive{Name: seclang.SecMarker, Args: pick(g.Choices, markers[:3])})
		case k < 18:
			out = append(out, g.action())
		case k < 20 && dataset:
			out = append(out, g.fromDataset())
		case k < 27 && len(g.ids) > 0:
			out = append(out, g.change())
		case k < 33:
			out = append(out, g.removal()...)
		default:
			out = append(out, g.rule())
		}
	}
	if g.Chance(20) {
		out = append(out, g.change())
	}
	return out
}

// removal is a rule that takes a target away from one that comes after it, and that one.
func (g *policyGenerator) removal() []*seclang.Directive {
	first, second := g.action(), g.rule()
	if g.Chance(50) {
		first = g.rule()
	}
	target := g.collection()
	target.Count = false
	removed := target
	if g.Chance(40) {
		removed = seclang.Variable{Name: target.Name}
	}
	if g.Chance(30) && target.Name != "XML" {
		removed = g.selected(target.Name)
	}
	removed.Quoted = false
	second.Rule.Variables = append(second.Rule.Variables, target)
	if g.Chance(70) {
		second.Rule.Operator = &seclang.Operator{Name: "rx", Arg: pick(g.Choices, []string{".", "^", "[a-z]", "\\d", "^$"})}
	}
	by := pick(g.Choices, []string{"ById=" + strconv.Itoa(second.Rule.ID()), "ByTag=one", "ByMsg=plain"})
	first.Rule.Actions = append(first.Rule.Actions, seclang.Action{Name: "ctl", Value: "ruleRemoveTarget" + by + ";" + removed.String(), Quote: "'"})
	for i, a := range first.Rule.Actions { // mostly before the other one
		if a.Name == "phase" && g.Chance(80) {
			first.Rule.Actions[i].Value = "1"
		}
	}
	if n := len(first.Rule.Links); n > 0 { // the word chain is the last
		actions := first.Rule.Actions
		actions[len(actions)-1], actions[len(actions)-2] = actions[len(actions)-2], actions[len(actions)-1]
	}
	return []*seclang.Directive{first, second}
}

func (g *policyGenerator) defaultActions() []*seclang.Directive {
	var out []*seclang.Directive
	for phase := 1; phase <= 5; phase++ {
		if g.Chance(40) {
			text := fmt.Sprintf("SecDefaultAction \"phase:%d,%s,%s\"\n", phase, pick(g.Choices, []string{"log", "log,auditlog", "nolog"}),
				pick(g.Choices, []string{"pass", "deny", "deny,status:406", "drop", "redirect:'https://shop.example.com/sorry'"}))
			out = append(out, mustParse("default", text)...)
		}
	}
	return out
}

// change is a directive that changes or removes rules, those before it.
func (g *policyGenerator) change() *seclang.Directive {
	ids := &seclang.Selection{IDs: []seclang.IDRange{g.someIDs()}}
	switch g.N(6) {
	case 0:
		return &seclang.Directive{Name: seclang.SecRuleRemoveByID, Args: idText(ids.IDs[0]), Selection: ids}
	case 1:
		tag := pick(g.Choices, ruleTags)
		return &seclang.Directive{Name: seclang.SecRuleRemoveByTag, Args: tag, Selection: &seclang.Selection{Tag: tag}}
	case 2:
		return &seclang.Directive{Name: seclang.SecRuleUpdateTargetByTag, Selection: &seclang.Selection{Tag: pick(g.Choices, ruleTags)}, Variables: g.updateTargets()}
	case 3:
		ids.IDs[0].Last = ids.IDs[0].First
		return &seclang.Directive{Name: seclang.SecRuleUpdateActionByID, Selection: ids, Actions: []seclang.Action{{Name: pick(g.Choices, []string{"deny", "pass", "drop", "nolog", "log"})}}}
	}
	return &seclang.Directive{Name: seclang.SecRuleUpdateTargetByID, Selection: ids, Variables: g.updateTargets()}
}

func (g *policyGenerator) someIDs() seclang.IDRange {
	if len(g.ids) == 0 {
		return seclang.IDRange{First: 1, Last: 1}
	}
	first := pick(g.Choices, g.ids)
	if g.Chance(70) {
		return seclang.IDRange{First: first, Last: first}
	}
	return seclang.IDRange{First: first, Last: first + g.N(4)}
}

func idText(r seclang.IDRange) string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func (g *policyGenerator) updateTargets() []seclang.Variable {
	var out []seclang.Variable
	for range 1 + g.N(2) {
		v := g.collection()
		v.Exclude, v.Count = g.Chance(65), false
		out = append(out, v)
	}
	return out
}

// action is a SecAction.
func (g *policyGenerator) action() *seclang.Directive {
	r := &seclang.Rule{Actions: g.actions(starter)}
	return &seclang.Directive{Name: seclang.SecAction, Rule: r}
}

// rule is a SecRule, perhaps with a chain.
func (g *policyGenerator) rule() *seclang.Directive {
	r := g.condition(starter)
	r.Actions = g.actions(starter)
	g.transform(r)
	if g.Chance(25) {
		r.Actions = append(r.Actions, seclang.Action{Name: "chain"})
		n := 1 + g.N(2)
		for i := range n {
			l := g.condition(link)
			l.Actions = g.actions(link)
			g.transform(l)
			if i < n-1 {
				l.Actions = append(l.Actions, seclang.Action{Name: "chain"})
			}
			d := &seclang.Directive{Name: seclang.SecRule, Rule: l}
			if g.Chance(5) {
				d = &seclang.Directive{Name: seclang.SecAction, Rule: &seclang.Rule{Actions: l.Actions}}
			}
			r.Links = append(r.Links, d)
		}
	}
	return &seclang.Directive{Name: seclang.SecRule, Rule: r}
}

// condition is a rule's variables and operator.
func (g *policyGenerator) condition(as role) *seclang.Rule {
	r := &seclang.Rule{Variables: g.variables(as)}
	numeric := false
	for _, v := range r.Variables {
		numeric = numeric || v.Count
	}
	r.Operator = g.operator(numeric)
	return r
}

// transform adds transformations, unless a variable of the rule changes within a phase or is a count: the reference
// remembers what became of such a value, and would go on with that of an earlier rule.
func (g *policyGenerator) transform(r *seclang.Rule) {
	for _, v := range r.Variables {
		if v.Count && v.Name != "TX" || volatile[v.Name] {
			return
		}
	}
	if g.Chance(60) {
		r.Actions = append(r.Actions, seclang.Action{Name: "t", Value: "none"})
	}
	if g.Chance(65) {
		for range 1 + g.N(4) {
			r.Actions = append(r.Actions, seclang.Action{Name: "t", Value: pick(g.Choices, transformations)})
		}
	}
	if g.Chance(8) {
		r.Actions = append(r.Actions, seclang.Action{Name: "multiMatch"})
	}
}

var transformations = []string{
	"base64Decode", "base64DecodeExt", "base64Encode", "cmdLine", "compressWhitespace", "cssDecode", "escapeSeqDecode", "hexDecode", "hexEncode",
	"htmlEntityDecode", "jsDecode", "length", "lowercase", "md5", "none", "normalisePath", "normalizePath", "normalizePathWin", "removeComments",
	"removeCommentsChar", "removeNulls", "removeWhitespace", "replaceComments", "replaceNulls", "sha1", "trim", "trimLeft", "trimRight", "uppercase",
	"urlDecode", "urlDecodeUni", "urlEncode", "utf8toUnicode",
	// often
	"lowercase", "urlDecodeUni", "htmlEntityDecode", "jsDecode", "removeNulls", "lowercase", "urlDecodeUni", "compressWhitespace",
}
