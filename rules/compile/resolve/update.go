package resolve

import (
	"crypto/sha256"
	"slices"
	"strings"

	"gatehouse/rules/seclang"
)

// remove takes rules out that are loaded already.
func (b *builder) remove(d *seclang.Directive) {
	if d.Name == seclang.SecRuleRemoveByMsg {
		for _, r := range b.rules {
			if r != nil && !r.Message.Set() {
				b.fail(d.Position, "%s cannot be used behind rules without a message, such as that of %s; name the rules by their ids", d.Name, r.Place)
				return
			}
		}
	}
	b.each(d, func(i int) {
		delete(b.ids, b.rules[i].ID)
		b.rules[i] = nil
	})
}

// each calls f with the rules that a directive selects.
func (b *builder) each(d *seclang.Directive, f func(i int)) {
	s := d.Selection
	for _, ids := range s.IDs {
		if ids.First == ids.Last {
			if i, ok := b.ids[ids.First]; ok {
				f(i)
			}
			continue
		}
		for i, r := range b.rules {
			if r != nil && r.ID >= ids.First && r.ID <= ids.Last {
				f(i)
			}
		}
	}
	if len(s.IDs) > 0 {
		return
	}
	for i, r := range b.rules {
		switch {
		case r == nil:
		case s.Tag != "" && slices.Contains(r.Tags, s.Tag), s.Message != "" && r.Message.Set() && r.Message.Text == s.Message:
			f(i)
		}
	}
}

// update changes copies of rules that are loaded already, and leaves them in their places.
func (b *builder) update(d *seclang.Directive) {
	for _, a := range d.Actions {
		if a.Name == "chain" || a.Name == "id" {
			b.unsupported(d, d.Name+" with the action "+a.Name)
			return
		}
	}
	found := false
	text := changeText(d)
	b.each(d, func(i int) {
		found = true
		r := b.rules[i].changed(text)
		b.rules[i] = r
		for _, v := range d.Variables {
			if err := r.addVariable(v); err != nil {
				b.fail(v.Position, "%v", err)
			}
		}
		if len(d.Actions) == 0 {
			return
		}
		// A disruptive action takes the place of the rule's own.
		if at, err := r.apply(d.Actions, nil); err != nil {
			b.fail(at, "%v", err)
		}
		b.policy.DetectOnly = b.policy.DetectOnly && detectOnly(r)
	})
	if ids := d.Selection.IDs; !found && len(ids) > 0 && ids[0].First == ids[0].Last {
		b.fail(d.Position, "%s: there is no rule %d before this line", d.Name, ids[0].First)
	}
}

// changeText says what an update changes, whatever the rules that it selects.
func changeText(d *seclang.Directive) string {
	var b strings.Builder
	for _, v := range d.Variables {
		b.WriteString("\x00v" + v.String())
	}
	for _, a := range d.Actions {
		b.WriteString("\x00a" + a.String())
	}
	return b.String()
}

// changed is a copy to which lists can be appended.
func (r *Rule) changed(text string) *Rule {
	c := *r
	c.Identity.Changes = sha256.Sum256([]byte(string(r.Identity.Changes[:]) + text))
	c.Targets = slices.Clone(r.Targets)
	for i := range c.Targets {
		c.Targets[i].Except = slices.Clip(c.Targets[i].Except)
	}
	c.Transformations = slices.Clip(r.Transformations)
	c.Effects = slices.Clip(r.Effects)
	c.Tags = slices.Clip(r.Tags)
	return &c
}
