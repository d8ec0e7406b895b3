package compare

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
)

// result is one in which everything is set; each call makes a new one.
func result() *rules.Result {
	return &rules.Result{
		Interruption: &rules.Interruption{Rule: 9, Phase: 2, Action: "redirect", Status: 302, Data: "https://secret.example.com"},
		Matches: []rules.Match{
			{Rule: 7, Phase: 1, Message: "secret", Data: "secret", Severity: "CRITICAL", Tags: []string{"t"}, File: "f", Line: 1, Targets: []rules.MatchedTarget{
				{Variable: "ARGS_GET:secret", Target: "query:secret", Value: "secret"}, {Variable: "ARGS_GET:b", Target: "query:b", Value: "2"},
			}},
			{Rule: 9, Phase: 2, Disruptive: true, Targets: []rules.MatchedTarget{{Variable: "TX:x", Value: "secret"}}},
		},
		Scores:     rules.Scores{Inbound: 5, InboundThreshold: 5, Detection: 5, Categories: map[string]int{"xss": 5}},
		Exclusions: []string{"b", "a"},
	}
}

// TestDiffSeesEachField changes one thing at a time.
func TestDiffSeesEachField(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rules.Result)
		want   []string // Redacted
	}{
		{"nothing", func(*rules.Result) {}, nil},
		{"no interruption", func(r *rules.Result) { r.Interruption = nil }, []string{"interruption: reference 9 in phase 2 (redirect 302), candidate none"}},
		{"another destination", func(r *rules.Result) { r.Interruption.Data = "https://secret.example.net" }, []string{"interruption: reference 9 in phase 2 (redirect 302), candidate 9 in phase 2 (redirect 302)"}},
		{"a match less", func(r *rules.Result) { r.Matches = r.Matches[1:] }, []string{"rule 7 matched on the reference alone, in ARGS_GET"}},
		{"a match more", func(r *rules.Result) {
			r.Matches = append(r.Matches, rules.Match{Rule: 8, Targets: []rules.MatchedTarget{{Variable: "FILES:secret"}, {Variable: "ARGS_POST:secret"}}})
		}, []string{"rule 8 matched on the candidate alone, in ARGS_POST, FILES"}},
		{"a match twice", func(r *rules.Result) { r.Matches = append(r.Matches, rules.Match{Rule: 9}) }, []string{"rule 9 matched on the candidate alone"}},
		{"another phase", func(r *rules.Result) { r.Matches[0].Phase = 3 }, []string{"rule 7: phase: reference 1, candidate 3"}},
		{"a value less", func(r *rules.Result) { r.Matches[0].Targets = r.Matches[0].Targets[1:] }, []string{"rule 7 matched other values of ARGS_GET"}},
		{"another value", func(r *rules.Result) { r.Matches[0].Targets[0].Value = "secrets" }, []string{"rule 7 matched other values of ARGS_GET"}},
		{"a value twice", func(r *rules.Result) { r.Matches[0].Targets = append(r.Matches[0].Targets, r.Matches[0].Targets[0]) }, []string{"rule 7 matched other values of ARGS_GET"}},
		{"severity", func(r *rules.Result) { r.Matches[0].Severity = "" }, []string{"rule 7: severity: reference CRITICAL, candidate none"}},
		{"tags", func(r *rules.Result) { r.Matches[0].Tags[0] = "u" }, []string{"rule 7: tags: reference t, candidate u"}},
		{"place", func(r *rules.Result) { r.Matches[0].Line++ }, []string{"rule 7: place: reference f:1, candidate f:2"}},
		{"disruptive", func(r *rules.Result) { r.Matches[1].Disruptive = false }, []string{"rule 9: disruptive: reference true, candidate false"}},
		{"score", func(r *rules.Result) { r.Scores.Inbound = 3 }, []string{"inbound score: reference 5, candidate 3"}},
		{"outbound score", func(r *rules.Result) { r.Scores.Outbound = 3 }, []string{"outbound score: reference 0, candidate 3"}},
		{"threshold", func(r *rules.Result) { r.Scores.InboundThreshold = 6 }, []string{"inbound threshold: reference 5, candidate 6"}},
		{"outbound threshold", func(r *rules.Result) { r.Scores.OutboundThreshold = 6 }, []string{"outbound threshold: reference 0, candidate 6"}},
		{"detection score", func(r *rules.Result) { r.Scores.Detection = 8 }, []string{"detection score: reference 5, candidate 8"}},
		{"category", func(r *rules.Result) { r.Scores.Categories["rce"] = 5 }, []string{"scores of categories: reference xss 5, candidate rce 5, xss 5"}},
		{"uninspected", func(r *rules.Result) { r.Uninspected = true }, []string{"uninspected: reference false, candidate true"}},
		{"exclusions", func(r *rules.Result) { r.Exclusions = r.Exclusions[1:] }, []string{"exclusions: reference a b, candidate a"}},
		{"order of values and exclusions", func(r *rules.Result) {
			r.Exclusions[0], r.Exclusions[1] = r.Exclusions[1], r.Exclusions[0]
			targets := r.Matches[0].Targets
			targets[0], targets[1] = targets[1], targets[0]
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			candidate := result()
			c.change(candidate)
			for _, d := range []struct {
				Difference
				forward bool
			}{
				{Diff(OutcomeOf(result(), nil, nil), OutcomeOf(candidate, nil, nil)), true},
				{Diff(OutcomeOf(candidate, nil, nil), OutcomeOf(result(), nil, nil)), false},
			} {
				if d.forward {
					if diff := cmp.Diff(c.want, d.Redacted); diff != "" {
						t.Errorf("redacted (-want +got):\n%s", diff)
					}
				}
				if len(d.Verdict) > 0 != (len(c.want) > 0) {
					t.Errorf("the verdict differs in %q", d.Verdict)
				}
				if strings.Contains(strings.Join(d.Redacted, "\n"), "secret") {
					t.Errorf("redacted: %q", d.Redacted)
				}
			}
		})
	}
}

// TestDiffOfFailures is about whether, not about why.
func TestDiffOfFailures(t *testing.T) {
	fine, one, two := OutcomeOf(result(), nil, nil), OutcomeOf(result(), nil, errors.New("secret")), OutcomeOf(&rules.Result{}, nil, errors.New("another"))
	for _, c := range []struct {
		name                 string
		reference, candidate Outcome
		want                 []string
	}{
		{"both", one, two, nil},
		{"reference", one, fine, []string{"the reference failed"}},
		{"candidate", fine, one, []string{"the candidate failed"}},
	} {
		if diff := cmp.Diff(c.want, Diff(c.reference, c.candidate).Redacted); diff != "" {
			t.Errorf("%s failed: redacted (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestDiffOfTexts lists what depends on the order of values apart.
func TestDiffOfTexts(t *testing.T) {
	candidate := result()
	candidate.Matches[0].Message, candidate.Matches[0].Data = "other", "other"
	candidate.Matches[1].Message = "other"
	candidate.Matches[0], candidate.Matches[1] = candidate.Matches[1], candidate.Matches[0]
	d := Diff(OutcomeOf(result(), nil, nil), OutcomeOf(candidate, nil, nil))
	if len(d.Verdict) != 0 || len(d.Texts) != 2 || len(d.Ordered) != 2 {
		t.Errorf("got %+v, want the message of rule 9 and the order as texts, and two that depend on the order", d)
	}
}

// TestOutcomeIsItsOwn changes a result after its outcome was taken.
func TestOutcomeIsItsOwn(t *testing.T) {
	r := result()
	o := OutcomeOf(r, r.Interruption, nil)
	r.Interruption.Rule, r.Matches[0].Tags[0], r.Matches[0].Targets[0].Value, r.Exclusions[0] = 1, "", "", ""
	r.Scores.Categories["xss"] = 0
	if diff := cmp.Diff(OutcomeOf(result(), result().Interruption, nil), o); diff != "" {
		t.Error(diff)
	}
}
