package seclang

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// Parse reads a source. All problems are reported, each with its line; with problems the File holds what could be
// read.
func Parse(src rules.Source) (*File, rules.TextErrors) {
	f, _, errs := parse(src)
	return f, errs
}

// damaged is a directive with problems: what of it could be read, and the problems' own directives aside, what follows
// from it.
type damaged struct {
	*Directive
	// follows says that it comes after a rule that could not be read, whose chain it may belong to.
	follows bool
}

// parse is Parse, and gives the rules that have problems as well, as far as they could be read.
func parse(src rules.Source) (*File, []damaged, rules.TextErrors) {
	lines, errs := logicalLines(src)
	p := &parser{source: src.Name, errs: errs}
	f := &File{Name: src.Name}
	var broken []damaged
	unsure := false // the rule before could not be read: this may be a link of its chain
	for _, l := range lines {
		before := len(p.errs)
		d, ok := p.directive(l)
		p.nameRule(l, before)
		if !ok {
			follows := unsure || p.expecting
			unsure = d != nil && (d.Name == SecRule || d.Name == SecAction) && mayChain(d, l)
			if d != nil && d.Rule != nil {
				broken = append(broken, damaged{d, follows})
			}
			p.starter, p.expecting = nil, false
			continue
		}
		if unsure && d.Rule != nil && d.Rule.ID() == 0 {
			_, unsure = d.Rule.Action("chain")
			broken = append(broken, damaged{d, true})
			continue
		}
		unsure = false
		if p.expecting {
			if d.Rule == nil {
				p.fail(p.starter.Line, "the chain that begins here is followed by %s on line %d; the next directive has to be its link, a SecRule or SecAction", d.Name, d.Line)
				p.starter, p.expecting = nil, false
			} else {
				p.starter.Rule.Links = append(p.starter.Rule.Links, d)
				p.link(d)
				_, p.expecting = d.Rule.Action("chain")
				continue
			}
		}
		f.Directives = append(f.Directives, d)
		if d.Rule != nil {
			if _, chain := d.Rule.Action("chain"); chain {
				p.starter, p.expecting = d, true
			}
		}
	}
	if p.expecting {
		p.fail(p.starter.Line, "the chain that begins here has no next rule; remove the chain action or add its link")
	}
	if len(p.errs) == 0 {
		return f, nil, nil
	}
	return f, broken, p.errs
}

// mayChain says whether a rule with problems begins or continues a chain, as far as can be told.
func mayChain(d *Directive, l logical) bool {
	if d.Rule != nil {
		if _, ok := d.Rule.Action("chain"); ok {
			return true
		}
	}
	return strings.Contains(strings.ToLower(l.text), "chain")
}

var idRE = regexp.MustCompile(`(?i)[",\s]id:'?([0-9]+)`)

// nameRule puts the id of the rule, or the name of the directive, before the problems found in a line since before.
func (p *parser) nameRule(l logical, before int) {
	for i := before; i < len(p.errs); i++ {
		e := &p.errs[i]
		name, _, _ := strings.Cut(l.text, " ")
		if m := idRE.FindStringSubmatch(l.text); m != nil {
			name = "rule " + m[1]
		} else if _, known := directives[strings.ToLower(name)]; !known || strings.Contains(e.Message, name) {
			continue
		}
		e.Message = name + ": " + e.Message
	}
}

type parser struct {
	source    string
	errs      rules.TextErrors
	starter   *Directive // of the chain that is being read
	expecting bool       // the next directive has to be a link
}

func (p *parser) fail(line int, format string, args ...any) {
	p.errs = append(p.errs, rules.TextError{Source: p.source, Line: line, Message: fmt.Sprintf(format, args...)})
}

// part is a piece of a logical line that knows its lines.
type part struct {
	text string
	base int
	of   logical
}

func (t part) line(offset int) int { return t.of.line(t.base + offset) }

func (t part) from(offset int) part {
	return part{text: t.text[offset:], base: t.base + offset, of: t.of}
}

func (t part) cut(from, to int) part {
	return part{text: t.text[from:to], base: t.base + from, of: t.of}
}

// trimSpaces drops spaces (not tabs, which the engine takes as text) on both sides.
func (t part) trimSpaces() part {
	s := strings.TrimLeft(t.text, " ")
	return part{text: strings.TrimRight(s, " "), base: t.base + len(t.text) - len(s), of: t.of}
}

func (p *parser) at(t part, offset int) Position {
	return Position{Source: p.source, Line: t.line(offset)}
}

// directive reads one logical line. After an error ok is false, and the directive nil or what could be read.
func (p *parser) directive(l logical) (d *Directive, ok bool) {
	before := len(p.errs)
	word, rest, _ := strings.Cut(l.text, " ")
	line := l.line(0)
	name, known := directives[strings.ToLower(word)]
	if !known {
		p.unknownDirective(line, word)
		return nil, false
	}
	args := part{text: rest, base: len(l.text) - len(rest), of: l}
	if n := len(rest); n >= 3 && rest[0] == '"' && rest[n-1] == '"' {
		left := strings.TrimLeft(rest, `"`)
		args = part{text: strings.TrimRight(left, `"`), base: args.base + n - len(left), of: l}
	}
	d = &Directive{Position: Position{p.source, line}, End: l.end, Name: name, Args: args.text}
	if strings.TrimSpace(args.text) == "" {
		if name == "SecResponseBodyMimeTypesClear" {
			return d, true
		}
		p.fail(line, "%s needs an argument", name)
		return nil, false
	}
	if args.text[0] == ' ' && name != SecRule {
		p.fail(line, "%s is followed by more than one space, which would become part of its argument; write one", name)
		return nil, false
	}
	switch name {
	case SecRule:
		d.Rule = p.rule(args)
	case SecAction:
		d.Rule = &Rule{Actions: p.actions(unquote(args))}
	case SecDefaultAction:
		d.Actions = p.actions(args)
	case SecRuleRemoveByID:
		d.Selection = &Selection{IDs: p.idRanges(args, strings.Fields(args.text))}
	case SecRuleRemoveByTag:
		d.Selection = &Selection{Tag: args.text}
	case SecRuleRemoveByMsg:
		d.Selection = &Selection{Message: args.text}
	case SecRuleUpdateTargetByID, SecRuleUpdateActionByID:
		p.updateByID(d, args)
	case SecRuleUpdateTargetByTag:
		p.updateByTag(d, args)
	case SecDataset:
		p.dataset(d, args)
	}
	if d.Rule != nil {
		p.values(d)
	}
	return d, len(p.errs) == before
}

func (p *parser) unknownDirective(line int, word string) {
	if unsupported[strings.ToLower(word)] {
		p.fail(line, "%s is not supported by the engine; remove it", word)
		return
	}
	if strings.EqualFold(word, "Include") {
		p.fail(line, "Include is not read here: each file is a source of its own; put its text in place")
		return
	}
	p.fail(line, "%q is not a directive%s", word, suggest(word, directives))
}

// rule reads VARIABLES "OPERATOR" "ACTIONS".
func (p *parser) rule(args part) *Rule {
	args = args.trimSpaces()
	vars, rest, ok := strings.Cut(args.text, " ")
	if !ok {
		p.fail(args.line(0), `a SecRule is variables, an operator and actions: SecRule ARGS "@rx attack" "id:1001,phase:2,deny"`)
		return nil
	}
	r := &Rule{Variables: p.variables(args.cut(0, len(vars)))}
	after := args.from(len(args.text) - len(rest)).trimSpaces()
	if after.text == "" || after.text[0] != '"' {
		p.fail(after.line(0), "the operator has to stand in double quotes after the variables, which hold no spaces: SecRule ARGS \"@rx attack\" ...")
		return nil
	}
	end := closingQuote(after.text)
	if end < 0 {
		p.fail(after.line(0), `the operator's double quote is not closed; a quote inside it is written \"`)
		return nil
	}
	r.Operator = p.operator(after.cut(1, end))
	actions := after.from(end + 1).trimSpaces()
	if actions.text == "" {
		return r
	}
	if len(actions.text) < 2 || actions.text[0] != '"' || actions.text[len(actions.text)-1] != '"' {
		p.fail(actions.line(0), `the actions have to stand in double quotes after the operator: "id:1001,phase:2,deny"`)
		return nil
	}
	r.Actions = p.actions(actions.cut(1, len(actions.text)-1))
	return r
}

// closingQuote finds the quote that ends s, which begins with one: the first behind an even number of backslashes.
func closingQuote(s string) int {
	slashes := 0
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			slashes++
			continue
		case s[i] == '"' && slashes%2 == 0:
			return i
		}
		slashes = 0
	}
	return -1
}

// unquote takes one pair of quotes off.
func unquote(t part) part {
	n := len(t.text)
	if n >= 2 && (t.text[0] == '"' || t.text[0] == '\'') && t.text[n-1] == t.text[0] {
		return t.cut(1, n-1)
	}
	return t
}

// operator reads [!][@name] argument.
func (p *parser) operator(t part) *Operator {
	o := &Operator{Position: p.at(t, 0)}
	s := strings.ReplaceAll(t.text, `\"`, `"`)
	switch {
	case s == "" || s[0] != '@' && s[0] != '!':
		s = "@rx " + s
	case s == "!":
		s = "!@rx"
	case s[0] == '!' && s[1] != '@':
		s = "!@rx " + s[1:]
	}
	name, arg, _ := strings.Cut(s, " ")
	o.Negated = name[0] == '!'
	o.Name = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(name), "!"), "@")
	o.Arg = strings.TrimSpace(arg)
	if !operators[o.Name] {
		p.fail(o.Line, "@%s is not an operator%s", o.Name, suggest(o.Name, operators))
	}
	return o
}

func (p *parser) idRanges(t part, fields []string) []IDRange {
	var out []IDRange
	for _, f := range fields {
		first, last, isRange := strings.Cut(f, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 1 || b < a {
			p.fail(t.line(0), "%q is not a rule id or range; write 942100 or 942100-942999", f)
			continue
		}
		out = append(out, IDRange{First: a, Last: b})
	}
	return out
}

// updateByID reads ID "VARIABLES" or ID "ACTIONS". A list of several ids is an error: one directive changes one rule or
// one range.
func (p *parser) updateByID(d *Directive, args part) {
	fields := strings.Fields(args.text)
	if len(fields) < 2 {
		p.fail(d.Line, `write %s 942100 "..."`, d.Name)
		return
	}
	ids := fields[:len(fields)-1]
	if len(ids) > 1 {
		p.fail(d.Line, "%s takes one id or one range, and what to change without spaces; write one directive for each", d.Name)
		return
	}
	d.Selection = &Selection{IDs: p.idRanges(args, ids)}
	value := fields[len(fields)-1]
	at := strings.LastIndex(args.text, value)
	t := trimQuotes(args.cut(at, at+len(value)))
	if d.Name == SecRuleUpdateTargetByID {
		d.Variables = p.variables(t)
	} else {
		d.Actions = p.actions(t)
	}
}

func (p *parser) updateByTag(d *Directive, args part) {
	fields := strings.Fields(args.text)
	if len(fields) != 2 {
		p.fail(d.Line, `write %s attack-sqli "!ARGS:comment", without spaces within`, d.Name)
		return
	}
	d.Selection = &Selection{Tag: strings.Trim(fields[0], `"`)}
	at := strings.LastIndex(args.text, fields[1])
	d.Variables = p.variables(trimQuotes(args.cut(at, at+len(fields[1]))))
}

func trimQuotes(t part) part {
	left := strings.TrimLeft(t.text, `"`)
	return part{text: strings.TrimRight(left, `"`), base: t.base + len(t.text) - len(left), of: t.of}
}

func (p *parser) dataset(d *Directive, args part) {
	name, data, ok := strings.Cut(args.text, " ")
	if !ok || !strings.HasPrefix(data, "`") {
		p.fail(d.Line, "write SecDataset NAME ` with the words on lines of their own, and a line that is ` alone")
		return
	}
	d.Dataset = &Dataset{Name: name}
	for _, s := range strings.Split(strings.Trim(data, "`"), "\n") {
		if s = strings.TrimSpace(s); s != "" {
			d.Dataset.Values = append(d.Dataset.Values, s)
		}
	}
}
