package rulestest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// Verdict is what became of a request.
type Verdict string

// The verdicts.
const (
	VerdictPass   Verdict = "pass"
	VerdictDetect Verdict = "detect"
	VerdictBlock  Verdict = "block"
	VerdictError  Verdict = "error"
)

// Outcome is what became of a case's request. Whoever ran it fills it in.
type Outcome struct {
	Verdict Verdict
	// Status is that of the refusal, also where something other than a rule refused. 0 is not compared.
	Status int
	Result *rules.Result
	// Err is why inspection failed, for VerdictError.
	Err error
}

// Expectation is one line of an expect section.
type Expectation struct {
	Line int
	Text string
	// check returns what is there instead, or an empty string.
	check func(Outcome) (got string)
}

// Difference is an expectation that was not met.
type Difference struct {
	File      string
	Line      int
	Case      string
	Got, Want string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s:%d: %s:\n\t got %s\n\twant %s", d.File, d.Line, d.Case, d.Got, d.Want)
}

// Check compares an outcome with what the case expects.
func (c *Case) Check(o Outcome) []Difference {
	if o.Result == nil {
		o.Result = &rules.Result{}
	}
	var differences []Difference
	for _, e := range c.Expect {
		if got := e.check(o); got != "" {
			differences = append(differences, Difference{File: c.File, Line: e.Line, Case: c.Name, Got: got, Want: e.Text})
		}
	}
	return differences
}

// Verdict is the verdict that the case expects.
func (c *Case) Verdict() Verdict {
	word, _, _ := strings.Cut(c.Expect[0].Text, " ")
	return Verdict(word)
}

// expect parses an expect section.
func (p *parser) expect(s section) ([]Expectation, error) {
	var all []Expectation
	for i, line := range s.lines {
		text := strings.Join(strings.Fields(line), " ")
		if text == "" || text[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(text, " ")
		check, err := expectation(word, rest)
		if err != nil {
			return nil, p.fail(s.line+1+i, "%v", err)
		}
		verdict := slices.Contains([]Verdict{VerdictPass, VerdictBlock, VerdictDetect, VerdictError}, Verdict(word))
		if verdict != (len(all) == 0) {
			return nil, p.fail(s.line+1+i, "a verdict (pass, block, detect or error) has to stand in the first line, and there only")
		}
		all = append(all, Expectation{Line: s.line + 1 + i, Text: text, check: check})
	}
	if len(all) == 0 {
		return nil, p.fail(s.line, "nothing is expected; begin with a verdict: pass, block, detect or error")
	}
	return all, nil
}

// expectation is the check for one line.
func expectation(word, rest string) (func(Outcome) string, error) {
	switch word {
	case "pass", "block", "detect", "error":
		return expectVerdict(Verdict(word), rest)
	case "by", "phase":
		n, err := number(word, rest)
		return expectInterruption(func(i *rules.Interruption) string {
			got := i.Rule
			if word == "phase" {
				got = int(i.Phase)
			}
			return differs(fmt.Sprintf("%s %d", word, got), fmt.Sprintf("%s %d", word, n))
		}), err
	case "action":
		return expectInterruption(func(i *rules.Interruption) string { return differs("action "+i.Action, "action "+rest) }), nil
	case "location":
		return expectInterruption(func(i *rules.Interruption) string { return differs("location "+i.Data, "location "+rest) }), nil
	case "matches", "only", "absent":
		return expectRules(word, rest)
	case "match", "message":
		return expectMatch(word, rest)
	case "score":
		return expectScore(rest)
	case "exclusion":
		return func(o Outcome) string {
			if slices.Contains(o.Result.Exclusions, rest) {
				return ""
			}
			return fmt.Sprintf("exclusions %q", o.Result.Exclusions)
		}, nil
	case "uninspected":
		return func(o Outcome) string {
			if o.Result.Uninspected {
				return ""
			}
			return "inspection was not switched off"
		}, nil
	}
	return nil, fmt.Errorf("%q cannot be expected; write a verdict, by, phase, action, location, matches, only, absent, match, message, score, exclusion or uninspected", word)
}

func expectVerdict(want Verdict, rest string) (func(Outcome) string, error) {
	status := 0
	if rest != "" {
		n, err := number(string(want), rest)
		if err != nil || want == VerdictPass || want == VerdictError {
			return nil, fmt.Errorf("%s takes no %q", want, rest)
		}
		status = n
	}
	return func(o Outcome) string {
		if o.Verdict == want && (status == 0 || o.Status == 0 || o.Status == status) {
			return ""
		}
		return describe(o)
	}, nil
}

// describe says what became of the request, for messages.
func describe(o Outcome) string {
	s := string(o.Verdict)
	if o.Status != 0 {
		s += " " + strconv.Itoa(o.Status)
	}
	if o.Err != nil {
		return s + ": " + o.Err.Error()
	}
	if i := o.Result.Interruption; i != nil {
		s += fmt.Sprintf(" by %d in phase %d (%s)", i.Rule, i.Phase, i.Action)
	}
	if ids := matched(o.Result); len(ids) > 0 {
		s += fmt.Sprintf(", matches %v", ids)
	}
	return s
}

func expectInterruption(check func(*rules.Interruption) string) func(Outcome) string {
	return func(o Outcome) string {
		if o.Result.Interruption == nil {
			return "no rule refused it"
		}
		return check(o.Result.Interruption)
	}
}

func expectRules(word, rest string) (func(Outcome) string, error) {
	var want []int
	for field := range strings.FieldsSeq(rest) {
		n, err := number(word, field)
		if err != nil {
			return nil, err
		}
		want = append(want, n)
	}
	if len(want) == 0 && word != "only" {
		return nil, fmt.Errorf("%s needs rule ids", word)
	}
	slices.Sort(want)
	return func(o Outcome) string {
		got := matched(o.Result)
		ok := true
		switch word {
		case "only":
			ok = slices.Equal(got, slices.Compact(want))
		default:
			for _, id := range want {
				ok = ok && slices.Contains(got, id) == (word == "matches")
			}
		}
		if ok {
			return ""
		}
		return fmt.Sprintf("matches %v", got)
	}, nil
}

// matched lists the rules that matched, sorted, each once.
func matched(r *rules.Result) []int {
	var ids []int
	for _, m := range r.Matches {
		ids = append(ids, m.Rule)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func expectMatch(word, rest string) (func(Outcome) string, error) {
	first, want, _ := strings.Cut(rest, " ")
	id, err := number(word, first)
	if err != nil {
		return nil, err
	}
	if want == "" {
		return nil, fmt.Errorf("%s needs a rule id and a %s", word, map[string]string{"match": "target", "message": "text"}[word])
	}
	return func(o Outcome) string {
		var got []string
		for _, m := range o.Result.Matches {
			if m.Rule != id {
				continue
			}
			if word == "message" {
				got = append(got, m.Message)
				continue
			}
			for _, t := range m.Targets {
				if t.Target == want {
					return ""
				}
				got = append(got, t.Variable)
			}
		}
		if slices.Contains(got, want) {
			return ""
		}
		return fmt.Sprintf("%s %d %q", word, id, got)
	}, nil
}

func expectScore(rest string) (func(Outcome) string, error) {
	fields := strings.Fields(rest)
	atLeast := len(fields) == 3 && fields[1] == ">="
	if len(fields) != 2 && !atLeast {
		return nil, fmt.Errorf("score %s: write score inbound 5, or score inbound >= 5", rest)
	}
	name := fields[0]
	want, err := number("score", fields[len(fields)-1])
	if err != nil {
		return nil, err
	}
	return func(o Outcome) string {
		s := o.Result.Scores
		got := 0
		switch name {
		case "inbound":
			got = s.Inbound
		case "outbound":
			got = s.Outbound
		case "detection":
			got = s.Detection
		default:
			got = s.Categories[name]
		}
		if got == want || atLeast && got > want {
			return ""
		}
		return fmt.Sprintf("score %s %d", name, got)
	}, nil
}

func number(word, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s %q is not a number", word, text)
	}
	return n, nil
}

func differs(got, want string) string {
	if got == want {
		return ""
	}
	return got
}
