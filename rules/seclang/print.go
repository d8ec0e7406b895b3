package seclang

import (
	"fmt"
	"strings"
)

// String is text that parses to the same tree, apart from the positions.
func (f *File) String() string {
	var b strings.Builder
	for _, d := range f.Directives {
		b.WriteString(d.String())
	}
	return b.String()
}

// String is the directive's text with a line break at the end, with the links of a chain.
func (d *Directive) String() string {
	var b strings.Builder
	switch {
	case d.Rule != nil:
		d.writeRule(&b)
	case d.Name == SecRuleUpdateTargetByID:
		fmt.Fprintf(&b, "%s %s \"%s\"\n", d.Name, d.Selection.idText(), variablesText(d.Variables))
	case d.Name == SecRuleUpdateTargetByTag:
		fmt.Fprintf(&b, "%s \"%s\" \"%s\"\n", d.Name, d.Selection.Tag, variablesText(d.Variables))
	case d.Name == SecRuleUpdateActionByID:
		fmt.Fprintf(&b, "%s %s \"%s\"\n", d.Name, d.Selection.idText(), actionsText(d.Actions, ","))
	case d.Name == SecDataset:
		fmt.Fprintf(&b, "%s %s\n", d.Name, d.Args)
	case strings.HasSuffix(d.Args, " "):
		fmt.Fprintf(&b, "%s \"%s\"\n", d.Name, d.Args)
	case d.Args == "":
		b.WriteString(d.Name + "\n")
	default:
		fmt.Fprintf(&b, "%s %s\n", d.Name, d.Args)
	}
	return b.String()
}

func (d *Directive) writeRule(b *strings.Builder) {
	r := d.Rule
	b.WriteString(d.Name + " ")
	if r.Operator != nil {
		fmt.Fprintf(b, "%s \"%s\"", variablesText(r.Variables), r.Operator)
		if len(r.Actions) > 0 {
			b.WriteString(" \\\n    ")
		}
	}
	if len(r.Actions) > 0 {
		b.WriteString(`"` + actionsText(r.Actions, ",\\\n    ") + `"`)
	}
	b.WriteString("\n")
	for _, l := range r.Links {
		b.WriteString(l.String())
	}
}

func (s *Selection) idText() string {
	var out []string
	for _, r := range s.IDs {
		if r.First == r.Last {
			out = append(out, fmt.Sprint(r.First))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
	}
	return strings.Join(out, " ")
}

func variablesText(vars []Variable) string {
	var out []string
	for _, v := range vars {
		out = append(out, v.String())
	}
	return strings.Join(out, "|")
}

// String is the variable as in a rule: &ARGS:name, !REQUEST_COOKIES:/^__utm/.
func (v Variable) String() string {
	s := v.Name
	switch {
	case v.Exclude:
		s = "!" + s
	case v.Count:
		s = "&" + s
	}
	switch {
	case v.Quoted:
		return s + ":'/" + v.Key + "/'"
	case v.Regex:
		return s + ":/" + v.Key + "/"
	case v.Key != "":
		return s + ":" + v.Key
	}
	return s
}

// String is the operator as it stands between the double quotes.
func (o *Operator) String() string {
	s := "@" + o.Name
	if o.Negated {
		s = "!" + s
	}
	if o.Arg != "" {
		s += " " + strings.ReplaceAll(o.Arg, `"`, `\"`)
	}
	return s
}

func actionsText(actions []Action, separator string) string {
	var out []string
	for _, a := range actions {
		out = append(out, a.String())
	}
	return strings.Join(out, separator)
}

// String is the action as in a rule.
func (a Action) String() string {
	if a.Value == "" && a.Quote == "" {
		return a.Name
	}
	return a.Name + ":" + a.Quote + a.Value + a.Quote
}
