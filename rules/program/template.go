package program

import (
	"unicode/utf8"

	"gatehouse/rules/program/macro"
	"gatehouse/rules/program/variable"
)

// template is a macro.Macro made ready to expand.
type template struct {
	set   bool
	text  string // the whole text if it is constant
	parts []part // nil if it is constant
}

// part is a piece of text, or a variable with the text that stands for a key that does not exist.
type part struct {
	text     string
	variable variable.ID
	key      string
	slot     int // of a field of TX
}

func newTemplate(m macro.Macro, names *Names) template {
	t := template{set: m.Set(), text: m.Text}
	if m.Constant() {
		return t
	}
	for _, token := range m.Tokens {
		p := part{text: token.Text, variable: token.Variable, key: token.Key}
		if p.variable == variable.TX && p.key != "" {
			p.slot = names.Slot(p.key)
		}
		t.parts = append(t.parts, p)
	}
	return t
}

// prefix is the text in front of the first macro.
func (t *template) prefix() string {
	switch {
	case t.parts == nil:
		return t.text
	case t.parts[0].variable == variable.Unknown:
		return t.parts[0].text
	}
	return ""
}

// expand is the text with the values of variables in it. It is valid as long as the transaction runs.
func (t *Tx) expand(m *template) string {
	if m.parts == nil {
		return m.text
	}
	if len(m.parts) == 1 && m.parts[0].variable != variable.MatchedVarName {
		return t.expandPart(&m.parts[0])
	}
	return t.keep(t.write(m))
}

// expandLower is what expand gives, in lower case.
func (t *Tx) expandLower(m *template) string {
	if m.parts == nil {
		return lowerText(m.text)
	}
	b := t.write(m)
	for i, c := range b {
		switch {
		case c >= utf8.RuneSelf:
			return lowerText(t.keep(b))
		case 'A' <= c && c <= 'Z':
			b[i] = c - 'A' + 'a'
		}
	}
	return t.keep(b)
}

// write writes the parts of a macro into the transaction's buffer, which it returns.
func (t *Tx) write(m *template) []byte {
	b := t.buffer[:0]
	for i := range m.parts {
		if p := &m.parts[i]; p.variable == variable.MatchedVarName {
			b = t.lastMatch.appendName(b)
		} else {
			b = append(b, t.expandPart(p)...)
		}
	}
	t.buffer = b
	return b
}

func (t *Tx) expandPart(p *part) string {
	switch p.variable.Kind() {
	case variable.Single:
		return t.single(p.variable)
	case variable.Empty:
		return p.text
	}
	if p.variable == variable.Unknown {
		return p.text
	}
	if value, ok := t.first(p); ok {
		return value
	}
	return p.text
}

// first is the first value under the key of a collection.
func (t *Tx) first(p *part) (string, bool) {
	v := p.variable
	switch v {
	case variable.TX:
		if p.key == "" {
			return "", false
		}
		return t.field(p.slot)
	case variable.Rule:
		return t.ruleField(p.key)
	case variable.MatchedVars, variable.MatchedVarsNames:
		for i := range t.matched {
			if lowerText(t.matched[i].name()) == p.key {
				return t.matched[i].value, true
			}
		}
		return "", false
	case variable.ArgsCombinedSize:
		return t.combinedSize(), true
	}
	// The names of a collection answer its values, as the reference does.
	for _, source := range SourcesOf(v) {
		for i := range t.vars.Lists[source.Variable] {
			e := &t.vars.Lists[source.Variable][i]
			if e.Lower == p.key {
				return e.Value, true
			}
		}
	}
	return "", false
}
