package program

import (
	"regexp"
	"strconv"
	"strings"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/program/vars"
)

// field is one value that a rule looks at.
type field struct {
	variable variable.ID // as matches report it
	key      string
	lower    string // key in lower case
	value    string
	// at is the number of the value among those that were looked at together, or -1.
	at int
}

// Source is a list that the values of a variable are in.
type Source struct {
	Variable variable.ID
	// Names says that the values are the keys of the list.
	Names bool
	// Reported is the variable that a match is reported under.
	Reported variable.ID
}

// sourceTable says what each variable is made of. Collections stand for themselves.
var sourceTable = func() (t [variable.Count][]Source) {
	for v := range variable.ID(variable.Count) {
		if v.Kind() == variable.Collection {
			t[v] = []Source{{Variable: v, Reported: v}}
		}
	}
	t[variable.Args] = []Source{
		{Variable: variable.ArgsGet, Reported: variable.Args},
		{Variable: variable.ArgsPost, Reported: variable.Args},
		{Variable: variable.ArgsPath, Reported: variable.Args},
	}
	t[variable.ArgsNames] = []Source{
		{Variable: variable.ArgsGet, Names: true, Reported: variable.ArgsNames},
		{Variable: variable.ArgsPost, Names: true, Reported: variable.ArgsNames},
		{Variable: variable.ArgsPath, Names: true, Reported: variable.ArgsNames},
	}
	t[variable.XML] = []Source{{Variable: variable.RequestXML, Reported: variable.RequestXML}}
	for names, of := range map[variable.ID]variable.ID{
		variable.ArgsGetNames:         variable.ArgsGet,
		variable.ArgsPostNames:        variable.ArgsPost,
		variable.RequestCookiesNames:  variable.RequestCookies,
		variable.RequestHeadersNames:  variable.RequestHeaders,
		variable.ResponseHeadersNames: variable.ResponseHeaders,
	} {
		t[names] = []Source{{Variable: of, Names: true, Reported: names}}
	}
	return t
}()

// SourcesOf are the lists that the values of a variable are in, none for those of other kinds.
func SourcesOf(v variable.ID) []Source { return sourceTable[v] }

// fieldsOf appends the values of a rule's target, its exceptions applied.
func (t *Tx) fieldsOf(out []field, target *target, starter *Rule) []field {
	first := len(out)
	v := target.Variable
	switch v.Kind() {
	case variable.Single:
		out = append(out, field{variable: v, value: t.single(v), at: t.look.single(v)})
	case variable.Empty:
	default:
		switch v {
		case variable.TX:
			out = t.txFields(out, target)
		case variable.ArgsCombinedSize:
			out = append(out, field{variable: v, value: t.combinedSize(), at: -1})
		case variable.MatchedVars, variable.MatchedVarsNames:
			out = t.matchedFields(out, target)
		default:
			out = t.listFields(out, target)
		}
	}
	if len(target.Except) > 0 || len(t.excepting) > 0 {
		kept := out[:first]
		for _, f := range out[first:] {
			if !t.excepted(target, starter, &f) {
				kept = append(kept, f)
			}
		}
		out = kept
	}
	if target.Count {
		n := len(out) - first
		out = append(out[:first], field{variable: v, key: target.Key, value: strconv.Itoa(n), at: -1})
	}
	return out
}

func (t *Tx) listFields(out []field, target *target) []field {
	for _, s := range SourcesOf(target.Variable) {
		list := t.vars.Lists[s.Variable]
		for i := range list {
			e := &list[i]
			if !selected(target, s.Names, e) {
				continue
			}
			f := field{variable: s.Reported, key: e.Key, lower: e.Lower, value: e.Value}
			if s.Names {
				f.value = e.Key
			}
			f.at = t.look.entry(s, i)
			out = append(out, f)
		}
	}
	return out
}

// selected says whether the target's selector takes the entry. Keys are kept in lower case. A selector on values is
// compared in lower case too, one on names as it stands.
func selected(target *target, names bool, e *vars.Entry) bool {
	switch {
	case target.Regex != nil:
		return target.takes(e.Lower)
	case target.Key == "":
		return true
	case names:
		return target.Key == e.Lower
	}
	return target.lower == e.Lower
}

func (t *Tx) txFields(out []field, target *target) []field {
	if target.Regex == nil && target.Key != "" {
		if value, ok := t.field(target.slot); ok {
			out = append(out, field{variable: variable.TX, key: target.Key, lower: target.Key, value: value, at: t.look.tx(target.slot)})
		}
		return out
	}
	for _, slot := range t.program.matching[target] {
		if value, ok := t.field(slot); ok {
			name := t.program.names.names[slot]
			out = append(out, field{variable: variable.TX, key: name, lower: name, value: value, at: -1})
		}
	}
	for i := range t.extra.entries {
		e := &t.extra.entries[i]
		if target.takes(e.Key) {
			out = append(out, field{variable: variable.TX, key: e.Key, lower: e.Lower, value: e.Value, at: -1})
		}
	}
	return out
}

// takes says whether the target's regular expression, if it has one, takes a key.
func (t *target) takes(key string) bool {
	switch {
	case t.Regex == nil:
		return true
	case t.prefix != "":
		return strings.HasPrefix(key, t.prefix)
	case t.part != "":
		return strings.Contains(key, t.part)
	case t.begins != "" && !strings.Contains(key, t.begins):
		return false
	}
	return t.Regex.MatchString(key)
}

func (t *Tx) matchedFields(out []field, target *target) []field {
	for i := range t.matched {
		m := &t.matched[i]
		name := m.name()
		lower := lowerText(name)
		if target.Regex != nil && !target.Regex.MatchString(lower) || target.Regex == nil && target.Key != "" && target.Key != lower {
			continue
		}
		f := field{variable: target.Variable, key: name, lower: lower, value: m.value, at: -1}
		if target.Variable == variable.MatchedVarsNames {
			f.value = name
		}
		out = append(out, f)
	}
	return out
}

// excepted says whether the rule does not look at a value, by its own text or by what was removed in this request.
func (t *Tx) excepted(target *target, starter *Rule, f *field) bool {
	for i := range target.Except {
		if leavesOut(target.Except[i].Key, target.Except[i].Regex, f.lower) {
			return true
		}
	}
	for _, e := range t.excepting {
		if e.Target.Variable == target.Variable && selects(&e.Rules, starter) && leavesOut(e.Target.Key, e.Target.Regex, f.lower) {
			return true
		}
	}
	return false
}

func leavesOut(key string, regex *regexp.Regexp, lower string) bool {
	if regex != nil {
		return regex.MatchString(lower)
	}
	return key == "" || key == lower
}

// selects says whether a ctl action is about the rule.
func selects(s *resolve.Selection, r *Rule) bool {
	switch {
	case s.Tag != "":
		for _, tag := range r.Tags {
			if tag == s.Tag {
				return true
			}
		}
		return false
	case s.Message != "":
		return r.Message.Set() && r.Message.Text == s.Message
	}
	return r.ID >= s.First && r.ID <= s.Last
}

// single is the value of a single variable.
func (t *Tx) single(v variable.ID) string {
	switch v {
	case variable.MatchedVar:
		return t.matchedVar
	case variable.MatchedVarName:
		return t.lastMatch.name()
	case variable.HighestSeverity:
		return strconv.Itoa(t.highestSeverity)
	}
	return t.vars.Singles[v]
}

func (t *Tx) combinedSize() string {
	n := 0
	for _, v := range []variable.ID{variable.ArgsGet, variable.ArgsPost} {
		for i := range t.vars.Lists[v] {
			e := &t.vars.Lists[v][i]
			n += len(e.Key) + len(e.Value)
		}
	}
	return strconv.Itoa(n)
}

// lowerText is the text in lower case, itself if it is that already.
func lowerText(s string) string { return strings.ToLower(s) }
