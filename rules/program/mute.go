package program

import (
	"strings"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/operator"
	"gatehouse/rules/program/variable"
)

// Mute decides, for a rule that writes each value that it matches to a field of its own and has a link that looks at those
// fields, whether a value comes to nothing: nobody but the link sees the field, and the link does not match it. CRS 920450
// does so with the name of every header. If all values come to nothing, the rule is given the last alone: what it leaves in TX:0
// stays for others.
type Mute struct {
	rule, link *Rule
	argument   []string // of the link's operator, if it refers to fields
	// others are the targets of other rules that may take such a field, depending on its name.
	others []*target
}

// NewMute answers nil if a match of the rule may be seen elsewhere. argument is what that of the link's operator comes to, if it
// refers to fields, all of which are constant.
func (p *Program) NewMute(index int, argument ...string) *Mute {
	r := p.Rules[index]
	if len(r.Next) != 1 || !r.writesMatch() || !r.Next[0].looksAtFields(len(argument) > 0) {
		return nil
	}
	m := &Mute{rule: r, link: r.Next[0], argument: argument}
	var prefixes []string
	for i := range r.effects {
		prefixes = append(prefixes, strings.ToLower(r.effects[i].key.prefix()))
	}
	for i, other := range p.Rules {
		if other.Marker == "" && !m.blind(other, i == index, prefixes) {
			return nil
		}
	}
	return m
}

// writesMatch says that all the rule does with a value is to write what it matches to the fields of captures, where the next one takes
// its place, and to fields that are named after it.
func (r *Rule) writesMatch() bool {
	if !r.captures || r.negated || r.multiMatch || len(r.effects) == 0 {
		return false
	}
	if r.Operator().Name != "rx" || len(r.targets) != 1 || len(r.targets[0].Except) > 0 { // values are looked at in the order of one target
		return false
	}
	for i := range r.effects {
		e := &r.effects[i]
		if e.Kind != resolve.SetVar || e.key.prefix() == "" || !e.key.matchAlone() || !e.text.matchAlone() {
			return false
		}
	}
	return true
}

// looksAtFields says that a link looks at fields of TX by an expression on their names, and at nothing else.
func (r *Rule) looksAtFields(argument bool) bool {
	if !r.decides || r.captures || r.multiMatch || len(r.targets) != 1 || r.compare != nil && !argument {
		return false
	}
	t := &r.targets[0]
	return t.Variable == variable.TX && !t.Count && t.Regex != nil && len(t.Except) == 0
}

// matchAlone says that the template refers to the whole match and to nothing else.
func (m *template) matchAlone() bool {
	for _, p := range m.parts {
		if p.variable != variable.Unknown && (p.variable != variable.TX || p.key != "0") {
			return false
		}
	}
	return m.parts != nil
}

// blind says that a rule neither reads nor writes fields with these prefixes, but for targets that depend on the whole name, which are
// noted. Own is the muted rule itself.
func (m *Mute) blind(r *Rule, own bool, prefixes []string) bool {
	for i, link := range append([]*Rule{r}, r.Next...) {
		for j := range link.targets {
			t := &link.targets[j]
			switch {
			case t.Variable != variable.TX || own && i == 1:
			case t.Regex != nil:
				m.others = append(m.others, t)
			case t.Key == "" || overlaps(t.Key, true, prefixes):
				return false
			}
		}
		for _, text := range []*template{&link.argument, &link.message, &link.data} {
			if text.refersTo(prefixes) {
				return false
			}
		}
		for j := range link.effects {
			e := &link.effects[j]
			if e.Kind != resolve.SetVar && e.Kind != resolve.UnsetVar || own && i == 0 {
				continue
			}
			if e.key.refersTo(prefixes) || e.text.refersTo(prefixes) || overlaps(strings.ToLower(e.key.prefix()), e.key.parts == nil, prefixes) {
				return false
			}
		}
	}
	return true
}

// refersTo says that a text refers to such a field.
func (m *template) refersTo(prefixes []string) bool {
	for _, p := range m.parts {
		if p.variable == variable.TX && (p.key == "" || overlaps(p.key, true, prefixes)) {
			return true
		}
	}
	return false
}

// overlaps says that a name, or one that begins so, may begin with a prefix.
func overlaps(name string, whole bool, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) || !whole && strings.HasPrefix(p, name) {
			return true
		}
	}
	return false
}

// comesToNothing says so of a value after the rule's transformations.
func (m *Mute) comesToNothing(value string) bool {
	var captures operator.Captures
	m.rule.operator.Match(value, &captures)
	match, ok := captures.Field(0)
	if !ok {
		return false
	}
	for i := range m.rule.effects {
		e := &m.rule.effects[i]
		key, text := strings.ToLower(e.key.with(match)), e.text.with(match)
		if isSum(text) {
			return false
		}
		for _, t := range m.others {
			if t.takes(key) {
				return false
			}
		}
		if m.link.targets[0].takes(key) && !m.link.Fails(text, m.argument...) {
			return false
		}
	}
	return true
}

// with is the text with the whole match in it.
func (m *template) with(match string) string {
	var b strings.Builder
	for _, p := range m.parts {
		if p.variable == variable.TX {
			b.WriteString(match)
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}
