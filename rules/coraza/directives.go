package coraza

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// directive is one logical line of rule text, with the place where it begins.
type directive struct {
	line int
	// raw are its physical lines, which is what Coraza parses.
	raw string
	// name is lower case; arguments are what follows it, continued lines joined.
	name, arguments string
	// group is the index of the first directive of the chain that it belongs to, its own index otherwise.
	group int
	// dropped leaves it out of the next build: a problem was found in it.
	dropped bool
}

// scan splits rule text into directives by the rules of Coraza's parser: comments and blank lines vanish anywhere, a
// backslash at the end continues a line, and a backtick opens a block that ends with a line of its own.
func scan(source rules.Source) ([]directive, rules.TextErrors) {
	var (
		directives []directive
		problems   rules.TextErrors
		raw        strings.Builder
		joined     strings.Builder
		first      int
		inBlock    bool
	)
	complain := func(line int, message string) {
		problems = append(problems, rules.TextError{Source: source.Name, Line: line, Message: message})
	}
	number := 0
	for text := range strings.Lines(source.Text) {
		number++
		if len(text) >= bufio.MaxScanTokenSize {
			complain(number, fmt.Sprintf("the line is longer than %d bytes; continue it on further lines with a backslash", bufio.MaxScanTokenSize))
			continue
		}
		line := strings.TrimSpace(text)
		if line == "" || line[0] == '#' {
			continue
		}
		if raw.Len() == 0 {
			first = number
		}
		raw.WriteString(line)
		raw.WriteByte('\n')

		if !inBlock && strings.HasSuffix(line, "`") {
			inBlock = true
		} else if inBlock && line[0] == '`' {
			inBlock = false
		}
		if inBlock {
			joined.WriteString(line)
			joined.WriteByte('\n')
			continue
		}
		if before, continued := strings.CutSuffix(line, `\`); continued {
			joined.WriteString(before)
			continue
		}
		joined.WriteString(line)
		name, arguments, _ := strings.Cut(joined.String(), " ")
		directives = append(directives, directive{
			line: first, raw: raw.String(), name: strings.ToLower(name), arguments: strings.TrimSpace(arguments),
		})
		raw.Reset()
		joined.Reset()
	}
	switch {
	case inBlock:
		complain(first, "the backtick that opens here is never closed by a line of its own")
	case raw.Len() > 0:
		complain(first, "the directive ends with a backslash, but no line follows")
	}
	groupChains(directives)
	return directives, problems
}

// groupChains marks the members of each chain with their starter.
func groupChains(directives []directive) {
	start := -1
	for i := range directives {
		d := &directives[i]
		d.group = i
		if start >= 0 {
			d.group = start
		}
		r, ok := d.rule()
		switch {
		case ok && r.has("chain"):
			start = d.group
		default:
			start = -1
		}
	}
}

// rule is the part of a rule that a load has to know before Coraza reads it.
type rule struct {
	variables string
	operator  string // with @ and !, without its argument
	actions   []action
}

// action is one action with its argument, unquoted.
type action struct{ name, value string }

func (r rule) has(name string) bool {
	for _, a := range r.actions {
		if a.name == name {
			return true
		}
	}
	return false
}

// id is the rule's id, 0 if it has none that can be read.
func (r rule) id() int {
	for _, a := range r.actions {
		if a.name == "id" {
			id, err := strconv.Atoi(a.value)
			if err != nil {
				return 0
			}
			return id
		}
	}
	return 0
}

// rule reads the directive as a rule or as a list of actions; ok is false for other directives.
func (d directive) rule() (r rule, ok bool) {
	switch d.name {
	case "secrule":
		variables, rest, _ := strings.Cut(d.arguments, " ")
		operator, rest := quoted(strings.TrimLeft(rest, " "))
		r.variables = variables
		r.operator = "@rx"
		if strings.HasPrefix(operator, "@") || strings.HasPrefix(operator, "!@") {
			r.operator, _, _ = strings.Cut(operator, " ")
		}
		actions, _ := quoted(strings.TrimLeft(rest, " "))
		r.actions = splitActions(actions)
		return r, true
	case "secaction", "secdefaultaction":
		r.actions = splitActions(strings.Trim(d.arguments, `"`))
		return r, true
	case "secruleupdateactionbyid":
		_, rest, _ := strings.Cut(d.arguments, " ")
		r.actions = splitActions(strings.Trim(strings.TrimSpace(rest), `"`))
		return r, true
	}
	return rule{}, false
}

// quoted cuts the quoted string with which s begins. A quote after an odd number of backslashes does not end it.
func quoted(s string) (content, rest string) {
	if s == "" || s[0] != '"' {
		return "", s
	}
	backslashes := 0
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			backslashes++
			continue
		case s[i] == '"' && backslashes%2 == 0:
			return s[1:i], s[i+1:]
		}
		backslashes = 0
	}
	return s[1:], ""
}

// splitActions splits a list of actions at the commas outside single quotes.
func splitActions(list string) []action {
	var actions []action
	inQuotes := false
	start := 0
	add := func(text string) {
		name, value, _ := strings.Cut(text, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			return
		}
		actions = append(actions, action{name: name, value: strings.Trim(strings.TrimSpace(value), "'")})
	}
	for i := 0; i < len(list); i++ {
		if i > 0 && list[i-1] == '\\' {
			continue
		}
		switch {
		case list[i] == '\'':
			inQuotes = !inQuotes
		case list[i] == ',' && !inQuotes:
			add(list[start:i])
			start = i + 1
		}
	}
	add(list[start:])
	return actions
}
