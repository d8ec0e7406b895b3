package rulestest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// The expectations about what a result shows: matches, scores, exclusions.

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
	want = slices.Compact(want)
	return func(o Outcome) string {
		got := matched(o.Result)
		ok := true
		switch word {
		case "only":
			ok = slices.Equal(got, want)
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

func expectThreshold(rest string) (func(Outcome) string, error) {
	name, text, _ := strings.Cut(rest, " ")
	want, err := number("threshold", text)
	if err != nil || name != "inbound" && name != "outbound" {
		return nil, fmt.Errorf("threshold %s: write threshold inbound 5, or threshold outbound 4", rest)
	}
	return func(o Outcome) string {
		got := o.Result.Scores.InboundThreshold
		if name == "outbound" {
			got = o.Result.Scores.OutboundThreshold
		}
		return differs(fmt.Sprintf("threshold %s %d", name, got), fmt.Sprintf("threshold %s %d", name, want))
	}, nil
}

func expectTag(want string) (func(Outcome) string, error) {
	if want == "" {
		return nil, errors.New("tag needs a tag")
	}
	return func(o Outcome) string {
		var got []string
		for _, m := range o.Result.Matches {
			if slices.Contains(m.Tags, want) {
				return ""
			}
			got = append(got, m.Tags...)
		}
		slices.Sort(got)
		return fmt.Sprintf("tags %q", slices.Compact(got))
	}, nil
}

func expectExclusions(word, rest string) (func(Outcome) string, error) {
	want := strings.Fields(rest)
	if word == "exclusion" && len(want) != 1 {
		return nil, errors.New("exclusion needs a name; exclusions takes several, or none")
	}
	slices.Sort(want)
	want = slices.Compact(want)
	return func(o Outcome) string {
		got := slices.Compact(slices.Sorted(slices.Values(o.Result.Exclusions)))
		if word == "exclusion" && slices.Contains(got, want[0]) || word == "exclusions" && slices.Equal(got, want) {
			return ""
		}
		return fmt.Sprintf("exclusions %q", got)
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
