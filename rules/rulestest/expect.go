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

// Mode is the mode in which a request is judged.
type Mode string

// The modes.
const (
	ModeBlock  Mode = "block"
	ModeDetect Mode = "detect"
)

// Outcome is what became of a case's request. Whoever ran it fills it in.
type Outcome struct {
	Mode    Mode
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
	// mode is the only one in which it counts, empty for all.
	mode Mode
	// check returns what is there instead, or an empty string.
	check func(Outcome) (got string)
}

// Difference is an expectation that was not met.
type Difference struct {
	File      string
	Line      int
	Case      string
	Mode      Mode
	Got, Want string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s:%d: %s, in %s:\n\t got %s\n\twant %s", d.File, d.Line, d.Case, d.Mode, d.Got, d.Want)
}

// Check compares an outcome with what the case expects.
func (c *Case) Check(o Outcome) []Difference {
	if o.Result == nil {
		o.Result = &rules.Result{}
	}
	var differences []Difference
	for _, e := range c.Expect {
		if e.mode != "" && e.mode != o.Mode {
			continue
		}
		if got := e.check(o); got != "" {
			differences = append(differences, Difference{File: c.File, Line: e.Line, Case: c.Name, Mode: o.Mode, Got: got, Want: e.Text})
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
		var mode Mode
		if word == "in" {
			word, rest, _ = strings.Cut(rest, " ")
			if mode = Mode(word); !slices.Contains(Modes(), mode) {
				return nil, p.fail(s.line+1+i, "%q is not a mode; write in block or in detect, and what is expected there", word)
			}
			word, rest, _ = strings.Cut(rest, " ")
		}
		check, err := expectation(word, rest)
		if err != nil {
			return nil, p.fail(s.line+1+i, "%v", err)
		}
		verdict := slices.Contains([]Verdict{VerdictPass, VerdictBlock, VerdictDetect, VerdictError}, Verdict(word))
		if verdict != (len(all) == 0) || verdict && mode != "" {
			return nil, p.fail(s.line+1+i, "a verdict (pass, block, detect or error) has to stand in the first line, and there only")
		}
		all = append(all, Expectation{Line: s.line + 1 + i, Text: text, mode: mode, check: check})
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
	case "tag":
		return expectTag(rest)
	case "threshold":
		return expectThreshold(rest)
	case "exclusion", "exclusions":
		return expectExclusions(word, rest)
	case "inspected", "uninspected":
		if rest != "" {
			return nil, fmt.Errorf("%s takes no %q", word, rest)
		}
		return func(o Outcome) string {
			got := "inspected"
			if o.Result.Uninspected {
				got = "uninspected"
			}
			return differs(got, word)
		}, nil
	}
	return nil, fmt.Errorf("%q cannot be expected; write a verdict, by, phase, action, location, matches, only, absent, match, message, tag, score, threshold, exclusion, exclusions, inspected or uninspected", word)
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

// detected is the expectation of the verdict block as it is met in detect.
func (e Expectation) detected() Expectation {
	_, status, _ := strings.Cut(e.Text, " ")
	e.Text = strings.TrimSpace(string(VerdictDetect) + " " + status)
	e.check, _ = expectVerdict(VerdictDetect, status) // what block took, detect takes
	return e
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
