package engine_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/crs"
	"gatehouse/rules/crs/regress"
	"gatehouse/rules/engine"
)

// policyOf is the regression tests' policy at a paranoia level.
func policyOf(t testing.TB, paranoia int) rules.Policy {
	t.Helper()
	version := crs.Versions()[0]
	release, err := crs.Load(version)
	if err != nil {
		t.Fatal(err)
	}
	p := rules.Policy{Name: "regression", Limits: rules.Limits{Arguments: 1000, JSONDepth: 128}}
	p.Sources = append(p.Sources,
		rules.Source{Name: "base", Text: `SecRule TX:gatehouse_detect "@eq 1" "id:100000,phase:1,pass,nolog,tag:'gatehouse/internal',ctl:ruleEngine=DetectionOnly"
SecDefaultAction "phase:5,log,auditlog,pass"
`},
		rules.Source{Name: "settings", Text: strings.Replace(regress.Settings, "paranoia_level=4", fmt.Sprintf("paranoia_level=%d", paranoia), 1)},
		rules.Source{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample})
	p.Sources = append(p.Sources, release.Rules...)
	return p
}

// TestRegressionTestsAgree runs a sample of CRS's regression tests on both engines.
func TestRegressionTestsAgree(t *testing.T) {
	cases, err := regress.Cases(crs.Versions()[0])
	if err != nil {
		t.Fatal(err)
	}
	const every = 17
	for _, paranoia := range []int{1, 4} {
		t.Run(fmt.Sprint("PL", paranoia), func(t *testing.T) {
			p := policyOf(t, paranoia)
			program, reference := load(t, engine.Options{}, p), load(t, engine.Options{Mode: engine.Reference}, p)
			if c := program.(interface{ Coverage() engine.Coverage }).Coverage(); len(c.Reference) > 0 {
				t.Fatalf("not compiled: %v", c.Reference)
			}
			compared := 0
			for i := paranoia; i < len(cases); i += every {
				for _, stage := range cases[i].Stages {
					for _, detect := range []bool{true, false} {
						got := judge(t, program, stage.Request, detect)
						compared++
						diff := differ(t, reference, stage.Request, detect, got)
						if diff != "" {
							t.Errorf("%s detect=%v (-reference +program):\n%s\n%q", cases[i].ID, detect, diff, cut(stage.Request))
						}
					}
				}
			}
			if compared < 200 {
				t.Errorf("%d comparisons", compared)
			}
		})
	}
}

func cut(b []byte) []byte { return b[:min(len(b), 600)] }

func load(t testing.TB, o engine.Options, p rules.Policy) rules.RuleSet {
	t.Helper()
	set, err := engine.New(o).Load(p)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// outcome is a result without what depends on the order in which values are visited.
type outcome struct {
	Errors       []string
	Interruption *rules.Interruption
	Matches      map[string][]string
	Scores       rules.Scores
	Exclusions   []string
	Answers      []*rules.Interruption // of each phase
	Uninspected  bool
}

func judge(t testing.TB, set rules.RuleSet, wire []byte, detect bool) outcome {
	t.Helper()
	return judgeUntil(t, set, wire, detect, rules.PhaseResponseBody)
}

// judgeUntil ends the transaction after a phase.
func judgeUntil(t testing.TB, set rules.RuleSet, wire []byte, detect bool, last rules.Phase) outcome {
	t.Helper()
	parsed, err := regress.Parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	reply := regress.Answer(parsed.Target, parsed.Body)
	tx := set.Begin(&rules.Request{
		ID: "test", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Client: netip.MustParseAddrPort("203.0.113.7:40000"), Server: netip.MustParseAddrPort("192.0.2.1:443"),
		Method: parsed.Method, Target: parsed.Target, Protocol: parsed.Protocol, Headers: parsed.Headers, Detect: detect,
		Host: "shop.example.com", Path: "/", Application: "shop", Route: "all", Traffic: "auto",
	})
	var o outcome
	note := func(i *rules.Interruption, err error) {
		o.Answers = append(o.Answers, i)
		if err != nil {
			o.Errors = append(o.Errors, err.Error())
		}
	}
	note(tx.RequestHeaders())
	note(tx.RequestBody(rules.Body{Reader: bytes.NewReader(parsed.Body), Length: int64(len(parsed.Body))}))
	response := &rules.Response{Status: reply.Status, Protocol: "HTTP/1.1"}
	for _, h := range reply.Headers {
		response.Headers = append(response.Headers, rules.Header{Name: h[0], Value: h[1]})
	}
	if last >= rules.PhaseResponseHeaders {
		note(tx.ResponseHeaders(response))
	}
	if last >= rules.PhaseResponseBody {
		note(tx.ResponseBody(rules.Body{Reader: bytes.NewReader(reply.Body), Length: int64(len(reply.Body))}))
	}
	result := tx.Close()
	o.Interruption, o.Scores, o.Uninspected = result.Interruption, result.Scores, result.Uninspected
	o.Exclusions = result.Exclusions
	o.Matches = make(map[string][]string)
	for _, m := range result.Matches {
		key := fmt.Sprintf("%d phase %d %s", m.Rule, m.Phase, m.Severity)
		if len(m.Targets) == 1 { // else they may depend on the order
			key += fmt.Sprintf(" %q %q", m.Message, m.Data)
		}
		for _, target := range m.Targets {
			o.Matches[key] = append(o.Matches[key], target.Variable+"="+target.Value+" "+target.Target)
		}
		slices.Sort(o.Matches[key])
	}
	return o
}
