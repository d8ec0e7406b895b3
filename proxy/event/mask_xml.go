package event

import (
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/body"
)

// xmlSecrets says of the values of an XML body which may be shown. Rules see them without the names that they stand
// under, and often transformed: what is not one of the plain values is taken for a secret where there is any.
type xmlSecrets struct {
	plain, secret map[string]bool
	// open says that no value is secret: no name is on the list, and all of them are known.
	open bool
}

// secretsOf judges the values by the names that they stand under. A secret name covers all that stands within.
func (m *Masker) secretsOf(o *body.XMLOrigins) *xmlSecrets {
	if o == nil {
		return nil
	}
	x := &xmlSecrets{plain: map[string]bool{}, secret: map[string]bool{}, open: !o.Cut}
	secret := make([]bool, len(o.Names))
	for i, n := range o.Names {
		secret[i] = n.Under >= 0 && secret[n.Under] || m.SecretHeader(n.Text)
		x.open = x.open && !secret[i]
	}
	for _, v := range o.Values {
		if v.Under >= 0 && secret[v.Under] {
			x.secret[v.Text] = true
			x.secret[strings.ToLower(v.Text)] = true
		} else {
			x.plain[v.Text] = true
			x.plain[strings.ToLower(v.Text)] = true
		}
	}
	return x
}

// shows says whether a value of this body may be shown.
func (x *xmlSecrets) shows(s string) bool {
	return x != nil && (x.open || x.plain[s] && !x.secret[s] && !x.secret[strings.ToLower(s)])
}

// holds says whether the body has, or may have, a secret.
func (x *xmlSecrets) holds() bool { return x != nil && !x.open }

// collectXML remembers the secret values, for what rules derive from them.
func (p *pass) collectXML(o *body.XMLOrigins) {
	if !p.xml.holds() {
		return
	}
	for _, v := range o.Values {
		if len(v.Text) >= 4 && p.xml.secret[v.Text] {
			p.hide(v.Text)
		}
	}
}

// xmlText masks a value of an XML body that may be shown: it may hold a document or a query itself.
func (p *pass) xmlText(s string) string {
	s = p.value(s, 0)
	if strings.IndexByte(s, '<') >= 0 {
		s = p.assignments(s)
	}
	return s
}

// unplaced says whether the data of a match may come from an XML body in a way that its targets do not tell: they are
// made by rules, or there are none.
func unplaced(targets []rules.MatchedTarget) bool {
	for _, t := range targets {
		if kindOf(t.Variable) == derivedValue {
			return true
		}
	}
	return len(targets) == 0
}
