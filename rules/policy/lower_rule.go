package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EndMarker is the last thing in every lowered policy: a rule with then: allow skips to it.
const EndMarker = "GATEHOUSE-END"

// ruleLowering turns structured rules into text.
type ruleLowering struct {
	lists map[string]List
	ids   numbering
	text  strings.Builder
	// blocks says that a rule that blocks was written.
	blocks bool
}

// rule writes one rule. A rule that refuses takes paths widely, so that none gets around it that the upstream may read
// as the same; one that allows takes them strictly.
//
// then: block is a deny. then: allow switches the rule engine off for the request and skips the rest of the phase:
// the engine ignores the action allow in detect, while this acts the same in every mode, and the transaction says
// afterwards that the request was not inspected. In detect the rules run on after one that would have blocked, so an
// allow asks that none did.
func (l *ruleLowering) rule(r Rule) error {
	paths := widely
	if r.Then == ActionAllow {
		paths = strictly
	}
	conditions, err := l.conditions(r.When, paths)
	if err != nil {
		return err
	}
	id, err := l.ids.take()
	if err != nil {
		return err
	}
	c := chain{id: id, phase: 1, conditions: conditions}
	switch {
	case r.Stage == StageDetect:
		c.actions = append(c.actions, "pass", "log")
	case r.Then == ActionAllow:
		c.actions = append(c.actions, "pass", "log", "skipAfter:"+EndMarker)
		c.effects = append(c.effects, "ctl:ruleEngine=Off")
		if l.blocks {
			c.conditions = append(c.conditions, condition{variable: "&TX:gatehouse_blocked", operator: "@eq 0"})
		}
	default:
		l.blocks = true
		c.actions = append(c.actions, "deny", "status:403", "log")
		c.effects = append(c.effects, "setvar:tx.gatehouse_blocked=1")
	}
	c.actions = append(c.actions, "msg:'"+r.Name+"'", "tag:'"+TagRule+r.Name+"'")
	for _, name := range r.When.Client {
		if _, isList := l.lists[name]; isList {
			c.actions = append(c.actions, "tag:'"+TagList+name+"'")
		}
	}
	if r.Stage == StageDetect {
		c.actions = append(c.actions, "tag:'"+TagStageDetect+"'")
	}
	c.writeTo(&l.text)
	return nil
}

// conditions are what w asks for; all of them have to hold. What tells most requests apart comes first: the rest is not
// looked at in other requests.
func (l *ruleLowering) conditions(w When, paths reading) ([]condition, error) {
	var out []condition
	if len(w.Path) > 0 {
		out = append(out, pathCondition(w.Path, paths))
	}
	if len(w.Host) > 0 {
		out = append(out, hostCondition(w.Host))
	}
	if len(w.Methods) > 0 {
		out = append(out, methodCondition(w.Methods))
	}
	if len(w.Client) > 0 {
		c, err := l.client(w.Client)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(w.Any) > 0 {
		flag, err := l.flag(w.Any, paths)
		if err != nil {
			return nil, err
		}
		out = append(out, condition{variable: flag, operator: "@eq 1"})
	}
	if w.Not != nil {
		inner, err := l.conditions(*w.Not, paths.opposite())
		if err != nil {
			return nil, err
		}
		if len(inner) == 1 && !strings.HasPrefix(inner[0].variable, "TX:gatehouse_any_") {
			out = append(out, inner[0].not())
		} else {
			flag, err := l.flag([]When{*w.Not}, paths.opposite())
			if err != nil {
				return nil, err
			}
			// A flag that was never set has no value, so its number of values is compared.
			out = append(out, condition{variable: "&" + flag, operator: "@eq 0"})
		}
	}
	return out, nil
}

// flag writes rules that set a variable when one of the alternatives holds, and answers the variable.
func (l *ruleLowering) flag(alternatives []When, paths reading) (string, error) {
	var lowered [][]condition
	for _, w := range alternatives {
		conditions, err := l.conditions(w, paths)
		if err != nil {
			return "", err
		}
		lowered = append(lowered, conditions)
	}
	return l.anyOf(lowered)
}

// anyOf is flag for alternatives that are lowered already.
func (l *ruleLowering) anyOf(alternatives [][]condition) (string, error) {
	name := ""
	for _, conditions := range alternatives {
		id, err := l.ids.take()
		if err != nil {
			return "", err
		}
		if name == "" {
			name = fmt.Sprintf("gatehouse_any_%d", id)
		}
		chain{
			id: id, phase: 1, conditions: conditions,
			actions: []string{"pass", "nolog", "tag:'" + TagInternal + "'"},
			effects: []string{"setvar:tx." + name + "=1"},
		}.writeTo(&l.text)
	}
	return "TX:" + name, nil
}

// client is the condition on the client's address. Entries of lists that expire are compared with the time of the
// request, so that they end without a reload.
func (l *ruleLowering) client(names []string) (condition, error) {
	var always []string
	until := map[Date][]string{}
	for _, s := range names {
		if list, ok := l.lists[s]; ok {
			for _, e := range list {
				if e.Expires == "" {
					always = append(always, prefixText(e.Prefix))
				} else {
					until[e.Expires] = append(until[e.Expires], prefixText(e.Prefix))
				}
			}
			continue
		}
		p, ok := clientPrefix(s)
		if !ok {
			return condition{}, fmt.Errorf("%q is neither an address nor a list", s)
		}
		always = append(always, prefixText(p))
	}
	if len(until) == 0 {
		return clientIn(always), nil
	}
	alternatives := [][]condition{{clientIn(always)}}
	for _, day := range slices.Sorted(maps.Keys(until)) {
		end, err := day.End()
		if err != nil {
			return condition{}, err
		}
		alternatives = append(alternatives, []condition{clientIn(until[day]), before(end)})
	}
	flag, err := l.anyOf(alternatives)
	return condition{variable: flag, operator: "@eq 1"}, err
}

// clientIn is the condition that the client's address is in one of some networks.
func clientIn(networks []string) condition {
	if len(networks) == 0 { // empty lists hold nobody
		return condition{variable: "REMOTE_ADDR", operator: "@noMatch"}
	}
	return condition{variable: "REMOTE_ADDR", operator: "@ipMatch", parts: networks, separator: ","}
}

// before is the condition that the request came before a moment.
func before(end time.Time) condition {
	return condition{variable: "TX:gatehouse_now", operator: "@lt " + strconv.FormatInt(end.Unix(), 10)}
}

// prefixText writes a prefix in the form that the client's address has: IPv4 addresses in IPv6 form as IPv4.
func prefixText(p netip.Prefix) string {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked().String()
}

func hostCondition(hosts []string) condition {
	var regexes []string
	for _, h := range hosts {
		regexes = append(regexes, hostRegex(h))
	}
	return matches("TX:gatehouse_host", regexes)
}

func pathCondition(paths []string, r reading) condition {
	var regexes []string
	for _, p := range paths {
		regexes = append(regexes, pathRegex(p, r))
	}
	return matches("TX:gatehouse_path", regexes)
}

func methodCondition(methods []string) condition {
	var regexes []string
	for _, m := range methods {
		regexes = append(regexes, globRegexLiteral(m))
	}
	return matches("REQUEST_METHOD", regexes)
}
