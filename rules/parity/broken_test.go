package parity

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/seclang"
)

// placeless is an engine that does not say where rules stand: changed text has them elsewhere.
type placeless struct{ rules.Engine }

type placelessSet struct{ rules.RuleSet }

type placelessTransaction struct{ rules.Transaction }

func (e placeless) Load(p rules.Policy) (rules.RuleSet, error) {
	set, err := e.Engine.Load(p)
	if err != nil {
		return nil, err
	}
	return placelessSet{set}, nil
}

func (s placelessSet) Begin(r *rules.Request) rules.Transaction {
	return placelessTransaction{s.RuleSet.Begin(r)}
}

func (t placelessTransaction) Close() *rules.Result {
	result := t.Transaction.Close()
	for i := range result.Matches {
		result.Matches[i].File, result.Matches[i].Line = "", 0
	}
	return result
}

// broken is an engine that reads policies wrongly: change stands for the mistake.
type broken struct {
	rules.Engine
	change func(Draft) Draft
}

func (b broken) Load(p rules.Policy) (rules.RuleSet, error) {
	return b.Engine.Load(b.change(ParseDraft(p)).Policy())
}

// against are the reference and a broken engine.
func against(change func(Draft) Draft) Engines {
	return Engines{Reference: placeless{Reference()}, Candidate: placeless{broken{Reference(), change}}}
}

// onRules is the mistake of changing every rule and link.
func onRules(change func(*seclang.Rule)) func(Draft) Draft {
	return func(d Draft) Draft {
		for i, s := range d.Sources {
			if s.Name != "rules" {
				continue
			}
			var list []*seclang.Directive
			for _, x := range s.Directives {
				if x.Rule != nil {
					x = cloneRule(x)
					change(x.Rule)
					for _, l := range x.Rule.Links {
						change(l.Rule)
					}
				}
				list = append(list, x)
			}
			d = d.with(i, list)
		}
		return d
	}
}

// withoutActions is the mistake of ignoring actions; all those of a name if value is empty.
func withoutActions(name, value string) func(Draft) Draft {
	return onRules(func(r *seclang.Rule) {
		r.Actions = slices.DeleteFunc(r.Actions, func(a seclang.Action) bool {
			return strings.EqualFold(a.Name, name) && (value == "" || strings.HasPrefix(a.Value, value))
		})
	})
}

// withoutDirectives is the mistake of ignoring directives.
func withoutDirectives(name string) func(Draft) Draft {
	return func(d Draft) Draft {
		for i, s := range d.Sources {
			d = d.with(i, slices.DeleteFunc(slices.Clone(s.Directives), func(x *seclang.Directive) bool { return x.Name == name }))
		}
		return d
	}
}

func onVariables(change func(*seclang.Variable)) func(Draft) Draft {
	return onRules(func(r *seclang.Rule) {
		for i := range r.Variables {
			change(&r.Variables[i])
		}
	})
}

func onOperators(change func(*seclang.Operator)) func(Draft) Draft {
	return onRules(func(r *seclang.Rule) {
		if r.Operator != nil {
			change(r.Operator)
		}
	})
}

// TestBrokenEngines looks for differences with engines that have a mistake each. All have to be found.
func TestBrokenEngines(t *testing.T) {
	mistakes := map[string]func(Draft) Draft{
		"no t:lowercase":        withoutActions("t", "lowercase"),
		"no t:urlDecodeUni":     withoutActions("t", "urlDecodeUni"),
		"no t:removeNulls":      withoutActions("t", "removeNulls"),
		"no t:htmlEntityDecode": withoutActions("t", "htmlEntityDecode"),
		"no t:cssDecode":        withoutActions("t", "cssDecode"),
		"no t:utf8toUnicode":    withoutActions("t", "utf8toUnicode"),
		"no t:normalizePathWin": withoutActions("t", "normalizePathWin"),
		"no multiMatch":         withoutActions("multimatch", ""),
		"no capture":            withoutActions("capture", ""),
		"no setvar":             withoutActions("setvar", ""),
		"no ctl":                withoutActions("ctl", ""),
		"no removal of targets": withoutActions("ctl", "ruleRemoveTarget"),
		"no removal by tag":     withoutActions("ctl", "ruleRemoveByTag"),
		"no removal by message": withoutActions("ctl", "ruleRemoveByMsg"),
		"no ctl:ruleEngine":     withoutActions("ctl", "ruleEngine"),
		"no skip":               withoutActions("skip", ""),
		"no skipAfter":          withoutActions("skipafter", ""),
		"no nolog":              withoutActions("nolog", ""),
		"no allow":              withoutActions("allow", ""),
		"no allow:phase":        withoutActions("allow", "phase"),
		"no severity":           withoutActions("severity", ""),
		"no status":             withoutActions("status", ""),
		"no SecMarker":          withoutDirectives(seclang.SecMarker),
		"no SecDefaultAction":   withoutDirectives(seclang.SecDefaultAction),
		"no SecRuleRemoveById":  withoutDirectives(seclang.SecRuleRemoveByID),
		"no SecRuleRemoveByTag": withoutDirectives(seclang.SecRuleRemoveByTag),
		"no update of targets":  withoutDirectives(seclang.SecRuleUpdateTargetByID),
		"no update by tag":      withoutDirectives(seclang.SecRuleUpdateTargetByTag),
		"no update of actions":  withoutDirectives(seclang.SecRuleUpdateActionByID),
		"no negation":           onOperators(func(o *seclang.Operator) { o.Negated = false }),
		"case of letters ignored": onOperators(func(o *seclang.Operator) {
			if o.Name == "rx" {
				o.Arg = "(?i)" + o.Arg
			}
		}),
		"lines ignored": onOperators(func(o *seclang.Operator) {
			if o.Name == "rx" && strings.ContainsAny(o.Arg, "^$") {
				o.Arg = "(?-m)" + o.Arg
			}
		}),
		"pm stops at the first word": onOperators(func(o *seclang.Operator) {
			if first, _, more := strings.Cut(o.Arg, " "); o.Name == "pm" && more {
				o.Arg = first
			}
		}),
		"ge is gt": onOperators(func(o *seclang.Operator) {
			if o.Name == "ge" {
				o.Name = "gt"
			}
		}),
		"exclusions ignored": onRules(func(r *seclang.Rule) {
			r.Variables = slices.DeleteFunc(r.Variables, func(v seclang.Variable) bool { return v.Exclude })
		}),
		"counts ignored": onVariables(func(v *seclang.Variable) { v.Count = false }),
		"selectors ignored": onVariables(func(v *seclang.Variable) {
			if v.Name == "ARGS" && !v.Regex && !v.Exclude {
				v.Key = ""
			}
		}),
		"regex selectors in any case": onVariables(func(v *seclang.Variable) {
			if v.Regex {
				v.Key = "(?i)" + v.Key
			}
		}),
		"cookies are not in ARGS, and headers not in cookies": onVariables(func(v *seclang.Variable) {
			if v.Name == "REQUEST_COOKIES" {
				v.Name = "REQUEST_HEADERS"
			}
		}),
		"macros in arguments stay as they are": onOperators(func(o *seclang.Operator) { o.Arg = strings.ReplaceAll(o.Arg, "%{tx.", "%{tx.no_") }),
		"last link ignored": onRules(func(r *seclang.Rule) {
			if n := len(r.Links); n > 1 {
				dropLink(r, n-1)
			}
		}),
		"phase 5 ignored": onRules(func(r *seclang.Rule) {
			for i := range r.Actions {
				if r.Actions[i].Name == "phase" && (r.Actions[i].Value == "5" || r.Actions[i].Value == "logging") {
					r.Actions[i].Value = "4"
				}
			}
		}),
	}
	if len(mistakes) < 40 {
		t.Fatalf("only %d mistakes", len(mistakes))
	}
	const most = 20_000
	for seed := range uint64(most) {
		if len(mistakes) == 0 {
			t.Logf("all found on %d policies", seed)
			return
		}
		if slower > 1 && seed == most/slower/50 {
			return // the search itself has no race; what it finds, it finds without the detector
		}
		findMistakes(t, Seeded(7<<32+seed), mistakes)
	}
	for name := range mistakes {
		t.Errorf("%s: not found on %d policies", name, most)
	}
}

// findMistakes takes the mistakes out that show on a random policy.
func findMistakes(t *testing.T, c *Choices, mistakes map[string]func(Draft) Draft) {
	t.Helper()
	draft := c.Policy()
	reference, err := placeless{Reference()}.Load(draft.Policy())
	if err != nil {
		return
	}
	defer reference.Close()
	var exchanges []*Exchange
	for range 5 {
		exchanges = append(exchanges, c.Exchange())
	}
	text := draft.Policy()
	for name, change := range mistakes {
		if changed := change(draft).Policy(); slices.Equal(changed.Sources, text.Sources) {
			continue // the mistake has nothing to show itself by
		}
		candidate, err := placeless{broken{Reference(), change}}.Load(text)
		if err != nil {
			continue
		}
		pair := Pair{Reference: reference, Candidate: candidate}
		for _, x := range exchanges {
			const again = 30
			if pair.Compare(x, rulestest.ModeBlock, again, 0).Agreement == Different {
				delete(mistakes, name)
				break
			}
		}
		if err := candidate.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestShrink makes a difference small that a broken engine has, and keeps it as a file, which the reference then passes and
// the broken engine does not.
func TestShrink(t *testing.T) {
	change := withoutActions("t", "urlDecodeUni")
	e := func() Engines { return against(change) }
	s := search{maker: random(), policies: 5000, exchanges: 5, engines: e, seed: 11 << 32}
	var once sync.Once
	var found Case
	s.found = func(c Case, _ Comparison) bool {
		once.Do(func() { found = c })
		return false
	}
	s.run(t)
	if found.Exchange == nil {
		t.Fatal("nothing was found to be made small")
	}
	small := Shrink(e(), found, time.Minute)
	comparison, differs := small.Differs(e())
	if !differs {
		t.Fatal("the small case does not differ")
	}
	text, err := File("made small:\n"+fmt.Sprint(comparison.Difference.Verdict), small)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text)
	if lines := strings.Count(text, "\n"); lines > 40 || len(small.Draft.allRules()) > 3 {
		t.Errorf("%d rules in %d lines are not small", len(small.Draft.allRules()), lines)
	}
	file, err := rulestest.Parse("small.rules", text)
	if err != nil {
		t.Fatal(err)
	}
	p := rules.Policy{Name: "small", Sources: file.Sources, Limits: file.Limits}
	if differences, _ := rulestest.CheckCase(mustLoad(t, Reference(), p), &file.Cases[0], rulestest.ReferenceEngine); len(differences) > 0 {
		t.Errorf("the reference does not do what the file expects: %v", differences)
	}
	pair, err := e().Load(p)
	if err != nil {
		t.Fatal(err)
	}
	defer pair.Close()
	if c := pair.Compare(caseExchange("small.rules", &file.Cases[0]), small.Mode, 20, 0); c.Agreement != Different {
		t.Error("the engines do not differ about the file any longer")
	}
}
