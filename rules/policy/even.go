package policy

import (
	"fmt"
	"strings"

	"gatehouse/rules/seclang"
)

// evenExceptions writes directives that give every variable of every rule 0, 1, 2, 4, 8, ... exceptions, by repeating one
// that the rule has already, which changes nothing that the rule looks at.
//
// It guarantees that the exceptions of a request (ctl:ruleRemoveTarget*) are its own: they are appended to the rule's
// list, and a list that is as long as the memory it has is copied first. A test runs requests with different exclusions
// side by side.
func evenExceptions(files []*seclang.File) string {
	var order []*exceptionCount
	for _, f := range files {
		for _, d := range f.Directives {
			switch {
			case d.Rule != nil:
				c := &exceptionCount{rule: d.Rule}
				c.add(d.Rule.Variables)
				order = append(order, c)
			case d.Name == seclang.SecRuleUpdateTargetByID || d.Name == seclang.SecRuleUpdateTargetByTag:
				for _, c := range order {
					if selects(d.Selection, c.rule, c.rule.ID()) {
						c.add(d.Variables)
					}
				}
			}
		}
	}
	var b strings.Builder
	for _, c := range order {
		for _, v := range c.padding() {
			fmt.Fprintf(&b, "%s %d \"%s\"\n", seclang.SecRuleUpdateTargetByID, c.rule.ID(), v)
		}
	}
	return b.String()
}

// exceptionCount counts what is excepted from each variable of a rule. Where a rule names a variable more than once, an
// exception goes to each occurrence that stands before it.
type exceptionCount struct {
	rule    *seclang.Rule
	entries []exceptionEntry
}

type exceptionEntry struct {
	variable string
	count    int
	last     seclang.Variable
}

func (c *exceptionCount) add(vars []seclang.Variable) {
	for _, v := range vars {
		if !v.Exclude {
			c.entries = append(c.entries, exceptionEntry{variable: v.Name})
			continue
		}
		for i := range c.entries {
			if e := &c.entries[i]; e.variable == v.Name {
				e.count++
				e.last = v
			}
		}
	}
}

// padding are the exceptions to repeat. Of a variable that the rule names more than once the counts may differ; then
// the exceptions go on until both are even, or nothing is done if that is not within reach.
func (c *exceptionCount) padding() []seclang.Variable {
	var out []seclang.Variable
	done := map[string]bool{}
	for _, e := range c.entries {
		if e.count == 0 || done[e.variable] {
			continue
		}
		done[e.variable] = true
		for extra := range maxPadding {
			if c.even(e.variable, extra) {
				for range extra {
					out = append(out, e.last)
				}
				break
			}
		}
	}
	return out
}

// maxPadding bounds the exceptions that are added to one variable.
const maxPadding = 64

// even reports whether every occurrence of the variable has a full list after extra more exceptions.
func (c *exceptionCount) even(variable string, extra int) bool {
	for _, e := range c.entries {
		if n := e.count + extra; e.variable == variable && n&(n-1) != 0 {
			return false
		}
	}
	return true
}
