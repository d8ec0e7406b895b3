package tuning

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/policy"
)

var suggestNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// matched is a rule that matched at targets.
func matched(id int, severity string, targets ...string) rules.Match {
	m := rules.Match{Rule: id, Phase: rules.PhaseRequestBody, Message: fmt.Sprintf("message of %d", id), Severity: severity}
	for _, t := range targets {
		m.Targets = append(m.Targets, rules.MatchedTarget{Variable: "X:" + t, Target: t, Value: "v"})
	}
	return m
}

func scoreEvent(score int, matches ...rules.Match) *event.Event {
	return &event.Event{
		Verdict: event.Block, Reason: event.CRSScore, Incident: "GH-01HK-0Z7A-BC1D", Application: "shop", Mode: "block",
		Method: "POST", Path: "/api/orders/77/notes", Status: 403,
		Scores: rules.Scores{Inbound: score, InboundThreshold: 5, OutboundThreshold: 4},
		Rules:  append(matches, rules.Match{Rule: 949110, Phase: rules.PhaseRequestBody, Disruptive: true}),
	}
}

func TestSuggest(t *testing.T) {
	exclusion := func(name string, rules []int, targets ...string) policy.Exclusion {
		return policy.Exclusion{
			Name: name, Rules: rules, Path: "/api/orders/*/notes", Methods: policy.Strings{"POST"}, Targets: targets, WholeRequest: len(targets) == 0,
			Reason: "false positive, incident GH-01HK-0Z7A-BC1D", Expires: "2026-09-29",
		}
	}
	reply := matched(953100, "ERROR", "reply_body")
	reply.Phase = rules.PhaseResponseBody
	outbound := scoreEvent(2, matched(920100, "NOTICE", "method"), reply)
	outbound.Scores.Outbound = 4
	custom := matched(1234, "", "query:q")
	custom.Disruptive = true
	detected := scoreEvent(5, matched(942100, "CRITICAL", "query:q"))
	detected.Verdict, detected.Mode = event.Detect, "detect"
	odd := scoreEvent(5, matched(942100, "CRITICAL", "query:q"))
	odd.Method = "get"
	oddExclusion := exclusion("orders-notes-q-942100", []int{942100}, "query:q")
	oddExclusion.Methods = nil
	incomplete := scoreEvent(10, matched(942100, "CRITICAL", "query:q"))
	incomplete.RulesDropped = 3
	for _, c := range []struct {
		name  string
		in    *event.Event
		want  []policy.Exclusion
		notes []string
	}{
		{"one rule", scoreEvent(5, matched(942100, "CRITICAL", "json:items[0].comment")), []policy.Exclusion{exclusion("orders-notes-comment-942100", []int{942100}, "json:items[*].comment")}, nil},
		{"detect", detected, []policy.Exclusion{exclusion("orders-notes-q-942100", []int{942100}, "query:q")}, nil},
		{
			"rules at one target",
			scoreEvent(10, matched(942100, "CRITICAL", "query:q"), matched(942190, "CRITICAL", "query:q")),
			[]policy.Exclusion{exclusion("orders-notes-q-942100", []int{942100, 942190}, "query:q")},
			nil,
		},
		{
			"rules at different targets",
			scoreEvent(15, matched(942100, "CRITICAL", "query:q", "query:p"), matched(941100, "CRITICAL", "query:q")),
			[]policy.Exclusion{exclusion("orders-notes-q-942100", []int{942100}, "query:q", "query:p"), exclusion("orders-notes-q-941100", []int{941100}, "query:q")},
			nil,
		},
		{
			"only as many as needed",
			scoreEvent(8, matched(920350, "WARNING", "header:host"), matched(942100, "CRITICAL", "query:q")),
			[]policy.Exclusion{exclusion("orders-notes-q-942100", []int{942100}, "query:q")},
			[]string{"Rule 920350 stays in force there: what it adds to the score is below the threshold."},
		},
		{
			"a target before the whole request",
			scoreEvent(6, matched(920001, "WARNING"), matched(920002, "WARNING", "header:x")),
			[]policy.Exclusion{exclusion("orders-notes-x-920002", []int{920002}, "header:x")},
			[]string{"Rule 920001 stays in force there: what it adds to the score is below the threshold."},
		},
		{"the whole request", scoreEvent(5, matched(920170, "CRITICAL")), []policy.Exclusion{exclusion("orders-notes-920170", []int{920170})}, nil},
		{"outbound", outbound, []policy.Exclusion{exclusion("orders-notes-reply_body-953100", []int{953100}, "reply_body")}, nil},
		{
			"a custom rule", &event.Event{Verdict: event.Block, Reason: event.Rule, Incident: "GH-01HK-0Z7A-BC1D", Method: "POST", Path: "/api/orders/77/notes", Rules: []rules.Match{custom}},
			[]policy.Exclusion{exclusion("orders-notes-q-1234", []int{1234}, "query:q")},
			[]string{"The rule refused the request on its own; rules that come after it may still refuse a request that it lets pass."},
		},
		{"a method that cannot be named", odd, []policy.Exclusion{oddExclusion}, nil},
		{
			"a record that is not complete", incomplete,
			[]policy.Exclusion{exclusion("orders-notes-q-942100", []int{942100}, "query:q")},
			[]string{"3 more rules matched than the record has room for: the exclusion may not be enough."},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Suggest(c.in, suggestNow)
			if d := cmp.Diff(c.want, s.Exclusions); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.notes, s.Notes); d != "" {
				t.Errorf("notes (-want +got):\n%s", d)
			}
			for _, x := range s.Exclusions {
				if problems := policy.CheckExclusion(x, false); len(problems) > 0 {
					t.Errorf("%+v: %v", x, problems)
				}
			}
			var read struct{ Exclusions []policy.Exclusion }
			if err := yaml.Unmarshal([]byte(s.YAML(4)), &read); err != nil {
				t.Fatalf("%v\n%s", err, s.YAML(4))
			}
			if d := cmp.Diff(s.Exclusions, read.Exclusions); d != "" {
				t.Errorf("read back (-want +got):\n%s", d)
			}
		})
	}
}

func TestSuggestRefuses(t *testing.T) {
	own := rules.Match{Rule: 110_003, Disruptive: true, Tags: []string{policy.TagRule + "admin-from-office"}}
	base := rules.Match{Rule: 200_003, Disruptive: true}
	for _, c := range []struct {
		name string
		in   *event.Event
		want string
	}{
		{"own rule", &event.Event{Verdict: event.Block, Reason: event.Rule, Rules: []rules.Match{own}}, `It is your own rule "admin-from-office" that refused the request: narrow its when:, or set stage: detect on it. Exclusions are for the rules of CRS and of custom SecLang.`},
		{"base rule", &event.Event{Verdict: event.Block, Reason: event.Rule, Rules: []rules.Match{base}}, "Rule 200003 cannot be excluded: the base rules 200000 to 200009 choose the body parser and refuse bodies, arguments and addresses that do not parse, which the other rules rely on."},
		{"no rules", &event.Event{Verdict: event.Block, Reason: event.CRSScore, RulesDropped: 2}, "The record does not name the rules that refused the request (2 had no room in it). gatehouse inspect judges the request again, if you have it."},
		{"size", &event.Event{Verdict: event.Block, Reason: event.BodyTooLarge, Detail: "the body is longer than body.max_bytes (10MiB)"}, "An exclusion does not help: its body is longer than the route takes. Raise body.max_bytes of the route. It is 10MiB now."},
		{"inspected size", &event.Event{Verdict: event.Detect, Reason: event.BodyNotInspect, Detail: "the body is longer than body.inspect_bytes (1MiB) and body.oversize is reject"}, "An exclusion does not help: its body is longer than what is inspected, and the route refuses such bodies. Raise body.inspect_bytes of the route, or set body.oversize: inspect_prefix. It is 1MiB now."},
		{"host", &event.Event{Verdict: event.Block, Reason: event.UnknownHost}, `An exclusion does not help: no application has the host. Add the host to hosts: of an application, or an application with hosts: ["*"] that takes every other host.`},
		{"pass", &event.Event{Verdict: event.Pass}, "Nothing refused the request."},
		{"unknown reason", &event.Event{Verdict: event.Block, Reason: "new"}, "The reason is not one that this version knows."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Suggest(c.in, suggestNow)
			if s.Refused != c.want || s.Exclusions != nil {
				t.Errorf("got  %q %v\nwant %q", s.Refused, s.Exclusions, c.want)
			}
		})
	}
}

// TestYAML is what people paste.
func TestYAML(t *testing.T) {
	e := scoreEvent(15, matched(942100, "CRITICAL", "query:q"), matched(942190, "CRITICAL", "query:q"), matched(920170, "CRITICAL"))
	e.Rules[1].Message = "two\nlines"
	want := `    exclusions:
      - name: orders-notes-q-942100
        rules: [942100, 942190]
          # 942100: message of 942100
          # 942190: two lines
        path: "/api/orders/*/notes"
        methods: [POST]
        targets: ["query:q"]
        owner: ""                   # fill in who answers for it
        # fill in why these values are legitimate here, such as "SQL words in free text"
        reason: "false positive, incident GH-01HK-0Z7A-BC1D"
        expires: 2026-09-29         # in 90 days; until then settle it at its root, or prolong it
      - name: orders-notes-920170
        rules: [920170]
          # 920170: message of 920170
        path: "/api/orders/*/notes"
        methods: [POST]
        whole_request: true      # these rules look at the request as a whole
        owner: ""
        reason: "false positive, incident GH-01HK-0Z7A-BC1D"
        expires: 2026-09-29
`
	if d := cmp.Diff(want, Suggest(e, suggestNow).YAML(4)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestExclusionName(t *testing.T) {
	for _, c := range []struct{ path, target, want string }{
		{"/", "", "root-1"},
		{"/*", "json:items[*].comment", "root-comment-1"},
		{"/API/Orders/*/notes", "header:user-agent", "orders-notes-user-agent-1"},
		{"/" + strings.Repeat("very-long-segment", 9) + "/" + strings.Repeat("y", 99), "query:" + strings.Repeat("z", 99), "very-long-segmen-yyyyyyyyyyyyyyyy-zzzzzzzzzzzzzzzz-1"},
		{"/日本/x", "form:", "x-form-1"},
	} {
		x := policy.Exclusion{Path: c.path, Rules: []int{1}, Reason: "x"}
		if c.target != "" {
			x.Targets = policy.Strings{c.target}
		} else {
			x.WholeRequest = true
		}
		taken := map[string]bool{}
		if got := exclusionName(&x, taken); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.path, c.target, got, c.want)
		}
		if got := exclusionName(&x, taken); got != c.want+"-2" {
			t.Errorf("%s %s: got %q the second time", c.path, c.target, got)
		}
		if x.Name = c.want + "-2"; len(policy.CheckExclusion(x, false)) > 0 {
			t.Errorf("%q: %v", x.Name, policy.CheckExclusion(x, false))
		}
	}
}

// TestReasons wants an explanation of every reason, and help where no rule is to blame.
func TestReasons(t *testing.T) {
	for _, r := range event.Reasons() {
		x, ok := explanations[r]
		if !ok || x.why == "" {
			t.Errorf("%s is not explained", r)
		}
		if x.help == "" && r != event.CRSScore && r != event.Rule {
			t.Errorf("there is no help for %s", r)
		}
		if strings.HasSuffix(x.why, ".") || x.help != "" && !strings.HasSuffix(x.help, ".") {
			t.Errorf("%s: a sentence too many or too few", r)
		}
	}
	if len(explanations) != len(event.Reasons()) {
		t.Errorf("%d explanations for %d reasons", len(explanations), len(event.Reasons()))
	}
}

func TestWhy(t *testing.T) {
	detect := scoreEvent(15, matched(942100, "CRITICAL", "query:q"))
	detect.Verdict = event.Detect
	custom := matched(1234, "", "query:q")
	custom.Disruptive = true
	own := rules.Match{Rule: 110_003, Disruptive: true, Tags: []string{policy.TagRule + "office"}}
	outbound := &event.Event{Verdict: event.Block, Reason: event.CRSScore, Scores: rules.Scores{Outbound: 4, OutboundThreshold: 4, InboundThreshold: 5}}
	for _, c := range []struct {
		in   *event.Event
		want string
	}{
		{scoreEvent(15), "It was refused: the anomaly score 15 reached the threshold 5."},
		{detect, "Mode block would have refused it: the anomaly score 15 reached the threshold 5."},
		{outbound, "It was refused: the anomaly score of the reply, 4, reached the threshold 4."},
		{&event.Event{Verdict: event.Block, Reason: event.CRSScore}, "It was refused: the anomaly score reached the threshold."},
		{&event.Event{Verdict: event.Block, Reason: event.Rule, Rules: []rules.Match{custom}}, "It was refused: rule 1234 matched: message of 1234."},
		{&event.Event{Verdict: event.Block, Reason: event.Rule, Rules: []rules.Match{own}}, `It was refused: your rule "office" matched.`},
		{&event.Event{Verdict: event.Error, Reason: event.UpstreamTimeout}, "It failed: the upstream did not answer in time."},
		{&event.Event{Verdict: event.Pass}, "It passes: no rule matched."},
		{&event.Event{Verdict: event.Pass, Mode: "disabled"}, "Nothing was inspected: the mode is disabled."},
		{&event.Event{Verdict: event.Pass, Rules: []rules.Match{custom}}, "It passes: the rules that matched refuse nothing."},
		{&event.Event{Verdict: event.Pass, Scores: rules.Scores{Inbound: 3, InboundThreshold: 5}}, "It passes: the anomaly score 3 is below the threshold 5."},
	} {
		if got := Why(c.in); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
