package policy

import (
	"fmt"
	"strings"
)

// condition is one link of a chain: a variable and an operator. Parts of a long operator are written on lines of
// their own, since a physical line has a greatest length.
type condition struct {
	variable string
	operator string // with the @, without a !
	negated  bool
	// parts are the operator's argument; between them stands separator.
	parts     []string
	separator string
	before    string // of the first part
	after     string // of the last part
}

func (c condition) not() condition {
	c.negated = !c.negated
	return c
}

func (c condition) text() string {
	var b strings.Builder
	b.WriteString(c.variable + ` "`)
	if c.negated {
		b.WriteString("!")
	}
	b.WriteString(c.operator)
	if c.before != "" || len(c.parts) > 0 || c.after != "" {
		b.WriteString(" " + c.before)
	}
	for i, p := range c.parts {
		if i > 0 {
			b.WriteString(c.separator + "\\\n    ")
		}
		b.WriteString(p)
	}
	b.WriteString(c.after + `"`)
	return b.String()
}

// matches is the condition that a variable matches one of some regular expressions, each for the whole value.
func matches(variable string, regexes []string) condition {
	return condition{variable: variable, operator: "@rx", before: `\A(?:`, parts: regexes, separator: "|", after: `)\z`}
}

// chain is a rule: conditions that all have to hold, the actions of the rule, and the actions that act only when
// every condition holds.
//
// The engine runs an effect (ctl, setvar) of a link as soon as that link matches, so effects stand in the last one.
type chain struct {
	id         int
	phase      int
	conditions []condition
	actions    []string
	effects    []string
}

func (c chain) writeTo(b *strings.Builder) {
	last := len(c.conditions) - 1
	for i, cond := range c.conditions {
		var actions []string
		if i == 0 {
			actions = append([]string{fmt.Sprintf("id:%d,phase:%d,t:none", c.id, c.phase)}, c.actions...)
		} else {
			actions = []string{"t:none"}
		}
		if i == last {
			actions = append(actions, c.effects...)
		} else {
			actions = append(actions, "chain")
		}
		fmt.Fprintf(b, "SecRule %s \\\n    \"%s\"\n", cond.text(), strings.Join(actions, ",\\\n    "))
	}
}

// numbering hands out rule ids in order.
type numbering struct {
	next, last int
	what       string
}

func (n *numbering) take() (int, error) {
	if n.next > n.last {
		return 0, fmt.Errorf("there are more %s than ids for them; remove some, or use a list", n.what)
	}
	n.next++
	return n.next - 1, nil
}
