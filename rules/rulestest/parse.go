package rulestest

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/crs"
)

// File is a parsed test file.
type File struct {
	Name string
	// Sources are the policy, empty if the file has none.
	Sources []rules.Source
	Limits  rules.Limits
	// Configuration is the text of the configuration section, empty if the file has none. Empty lines stand in front of it,
	// so that a line has the number that it has in the file.
	Configuration string
	Cases         []Case

	headers []rules.Header // for requests that do not have them
	given   Given          // for cases that say nothing else
}

// Case is one request with what it should come to.
type Case struct {
	// File and Line are where it begins.
	File string
	Line int
	Name string

	Given    Given
	Request  Request
	Response *Response // nil: the file says nothing about it
	Expect   []Expectation
	// Reference is what the reference engine answers where that is known to differ; nil if it does not.
	Reference []Expectation
}

// Response is what the upstream answers.
type Response struct {
	rules.Response
	Body []byte
}

// ParseError is a mistake in a test file.
type ParseError struct {
	File    string
	Line    int
	Message string
}

func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message) }

// section is a part of a file under its heading.
type section struct {
	kind, argument string
	line           int // of the heading
	lines          []string
}

// text is the section without blank lines at its end.
func (s section) text() string { return strings.Join(s.trimmed(), "\n") }

func (s section) trimmed() []string {
	lines := s.lines
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// heading reads a line `-- KIND ARGUMENT --`.
func heading(line string) (kind, argument string, ok bool) {
	inner, ok := strings.CutPrefix(strings.TrimRight(line, " \t\r"), "-- ")
	if !ok {
		return "", "", false
	}
	inner, ok = strings.CutSuffix(inner, " --")
	if !ok {
		return "", "", false
	}
	kind, argument, _ = strings.Cut(strings.TrimSpace(inner), " ")
	return kind, strings.TrimSpace(argument), true
}

func sections(text string) []section {
	var all []section
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if kind, argument, ok := heading(line); ok {
			all = append(all, section{kind: kind, argument: argument, line: number})
		} else if len(all) > 0 {
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	return all
}

// Parse reads a test file. Mistakes are returned as a *ParseError.
func Parse(name, text string) (*File, error) {
	p := parser{file: &File{Name: name}}
	for _, s := range sections(text) {
		if err := p.section(s); err != nil {
			return nil, err
		}
	}
	if err := p.closed(); err != nil {
		return nil, err
	}
	if len(p.file.Cases) == 0 {
		return nil, p.fail(1, "the file has no request")
	}
	return p.file, nil
}

type parser struct {
	file    *File
	current *Case // whose expect section is still to come
}

func (p *parser) fail(line int, format string, args ...any) error {
	return &ParseError{File: p.file.Name, Line: line, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) section(s section) error {
	switch s.kind {
	case "policy", "crs", "limits", "configuration", "headers":
		if p.started() {
			return p.fail(s.line, "%s has to come before the first request", s.kind)
		}
		return p.head(s)
	case "request":
		return p.request(s)
	case "given":
		if p.started() && p.current == nil {
			return p.fail(s.line, "given has to stand before the first request, for all of them, or between a request and its expect")
		}
		return p.given(s)
	case "body", "response", "expect":
		if s.kind == "expect" && s.argument != "" {
			return p.reference(s)
		}
		if p.current == nil {
			return p.fail(s.line, "%s belongs to a request, and there is none before it", s.kind)
		}
		return p.rest(s)
	}
	return p.fail(s.line, "there is no section %q; write configuration, policy, crs, limits, headers, given, request, body, response or expect", s.kind)
}

// started says whether the first request is behind.
func (p *parser) started() bool { return p.current != nil || len(p.file.Cases) > 0 }

// closed reports a request without an expect section.
func (p *parser) closed() error {
	if p.current != nil {
		return p.fail(p.current.Line, "the request %q has no expect section", p.current.Name)
	}
	return nil
}

// head takes the sections that come before the first request.
func (p *parser) head(s section) error {
	switch s.kind {
	case "configuration":
		if p.file.Configuration != "" || len(p.file.Sources) > 0 || p.file.Limits != (rules.Limits{}) {
			return p.fail(s.line, "a configuration stands alone: it already says what policy, crs and limits would")
		}
		if s.text() == "" {
			return p.fail(s.line, "the configuration is empty")
		}
		p.file.Configuration = strings.Repeat("\n", s.line) + s.text() + "\n"
		return nil
	case "headers":
		headers, err := parseHeaders(s.trimmed())
		if err != nil {
			return p.fail(s.line, "%v", err)
		}
		p.file.headers = append(p.file.headers, headers...)
		return nil
	}
	if p.file.Configuration != "" {
		return p.fail(s.line, "%s cannot stand beside a configuration, which already says it", s.kind)
	}
	return p.policy(s)
}

func (p *parser) policy(s section) error {
	switch s.kind {
	case "policy":
		name := s.argument
		if name == "" {
			name = p.file.Name + ":policy"
		}
		p.file.Sources = append(p.file.Sources, rules.Source{Name: name, Text: s.text()})
	case "crs":
		release, err := crs.Load(s.argument)
		if err != nil {
			return p.fail(s.line, "%v", err)
		}
		p.file.Sources = append(p.file.Sources,
			rules.Source{Name: p.file.Name + ":crs", Text: s.text()},
			rules.Source{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample})
		p.file.Sources = append(p.file.Sources, release.Rules...)
	case "limits":
		for i, line := range s.trimmed() {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := strconv.Atoi(strings.TrimSpace(value))
			switch {
			case key == "":
			case err != nil || n <= 0:
				return p.fail(s.line+1+i, "%s %q is not a number above 0", key, value)
			case key == "arguments":
				p.file.Limits.Arguments = n
			case key == "json_depth":
				p.file.Limits.JSONDepth = n
			default:
				return p.fail(s.line+1+i, "there is no limit %q; write arguments or json_depth", key)
			}
		}
	}
	return nil
}

func (p *parser) request(s section) error {
	if err := p.closed(); err != nil {
		return err
	}
	if s.argument == "" {
		return p.fail(s.line, "the request needs a name: -- request a clean search --")
	}
	for _, c := range p.file.Cases {
		if c.Name == s.argument {
			return p.fail(s.line, "the name %q is taken by the request in line %d", c.Name, c.Line)
		}
	}
	r, err := parseRequest(s.text(), p.file.headers)
	if err != nil {
		return p.fail(s.line+1, "%v", err)
	}
	p.current = &Case{File: p.file.Name, Line: s.line, Name: s.argument, Given: p.file.given, Request: *r}
	return nil
}

// rest takes the sections of a case that follow its request.
func (p *parser) rest(s section) error {
	switch s.kind {
	case "body":
		text, err := p.body(s)
		if err != nil {
			return err
		}
		p.current.Request.Body = []byte(text)
	case "response":
		r, err := parseResponse(s.text())
		if err != nil {
			return p.fail(s.line+1, "%v", err)
		}
		p.current.Response = r
	case "expect":
		expect, err := p.expect(s)
		if err != nil {
			return err
		}
		p.current.Expect = expect
		p.current.Request.complete()
		p.file.Cases = append(p.file.Cases, *p.current)
		p.current = nil
	}
	return nil
}

// reference takes an expect section with an argument: of the case that the one before it ended.
func (p *parser) reference(s section) error {
	if s.argument != "reference" {
		return p.fail(s.line, "an expect section is for every engine, or for the reference alone (-- expect reference --), not for %q", s.argument)
	}
	if p.current != nil || len(p.file.Cases) == 0 || p.file.Cases[len(p.file.Cases)-1].Reference != nil {
		return p.fail(s.line, "expect reference has to follow the expect section of its request")
	}
	expect, err := p.expect(s)
	p.file.Cases[len(p.file.Cases)-1].Reference = expect
	return err
}

func (p *parser) body(s section) (string, error) {
	switch s.argument {
	case "":
		return s.text(), nil
	case "quoted":
	default:
		return "", p.fail(s.line, "a body is plain or quoted, not %q", s.argument)
	}
	var b strings.Builder
	for i, line := range s.trimmed() {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		part, err := strconv.Unquote(line)
		if err != nil {
			return "", p.fail(s.line+1+i, "the line is not a string in double quotes or backticks")
		}
		b.WriteString(part)
	}
	return b.String(), nil
}
