package coraza_test

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/crs"
	"gatehouse/rules/crs/regress"
)

// regressionBase is what the tests expect in front of CRS besides regress.Settings: also the summary of scores is logged.
const regressionBase = baseText + `
SecDefaultAction "phase:5,log,auditlog,pass"
`

// TestCRSRegression runs every regression test of the newest embedded release in process, and a quarter of those of the
// release before it; with the race detector, a sample. What does not pass has to stand in
// testdata/crs-VERSION-exceptions.txt with its reason, and what stands there has to fail.
func TestCRSRegression(t *testing.T) {
	counts := map[string]int{"4.25.0": 4674, "4.22.0": 4131}
	sample := regressionSample
	for _, version := range crs.Versions() {
		every := sample
		sample = 4 * regressionSample // of the releases before the newest
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			cases, err := regress.Cases(version)
			if err != nil {
				t.Fatal(err)
			}
			if len(cases) != counts[version] {
				t.Errorf("%d cases, want %d", len(cases), counts[version])
			}
			exceptions := readExceptions(t, "testdata/crs-"+version+"-exceptions.txt")
			set := mustLoad(t, coraza.New(coraza.Options{}), regressionPolicy(t, version))
			ran, failed := 0, 0
			for i, c := range cases {
				if i%every != 0 {
					continue
				}
				ran++
				wrong := runRegression(t, set, c)
				_, expected := exceptions[c.ID]
				switch {
				case len(wrong) > 0 && !expected:
					t.Errorf("%s (%s): %s", c.ID, c.File, strings.Join(wrong, "; "))
				case len(wrong) == 0 && expected:
					t.Errorf("%s passes: take it off the list of exceptions", c.ID)
				}
				if len(wrong) > 0 {
					failed++
				}
			}
			if failed*100 > ran || ran < len(cases)/every {
				t.Errorf("%d of %d fail: more than one in a hundred", failed, ran)
			}
			t.Logf("%d of %d pass, of %d that there are", ran-failed, ran, len(cases))
		})
	}
}

func regressionPolicy(t *testing.T, version string) rules.Policy {
	t.Helper()
	release, err := crs.Load(version)
	if err != nil {
		t.Fatal(err)
	}
	p := rules.Policy{Name: "regression", Limits: rules.Limits{Arguments: 1000, JSONDepth: 128}}
	p.Sources = append(p.Sources,
		rules.Source{Name: "base", Text: regressionBase},
		rules.Source{Name: "settings", Text: regress.Settings},
		rules.Source{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample})
	p.Sources = append(p.Sources, release.Rules...)
	return p
}

// runRegression runs a case and returns what does not fit.
func runRegression(t *testing.T, set rules.RuleSet, c regress.Case) []string {
	t.Helper()
	var wrong []string
	for _, stage := range c.Stages {
		outcome, err := regressionOutcome(set, stage.Request)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		wrong = append(wrong, stage.Expect.Check(outcome)...)
	}
	return wrong
}

func regressionOutcome(set rules.RuleSet, wire []byte) (regress.Outcome, error) {
	parsed, err := regress.Parse(wire)
	if err != nil {
		return regress.Outcome{}, err
	}
	r := request(parsed.Method, parsed.Target)
	r.Protocol, r.Headers, r.Detect = parsed.Protocol, parsed.Headers, true
	reply := regress.Answer(parsed.Target, parsed.Body)
	// What HTTP itself refuses is answered before any rule is asked; the rules still run here.
	if _, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire))); err != nil {
		reply = regress.Reply{Status: http.StatusBadRequest}
	}
	tx := set.Begin(r)
	err = runPhases(tx, parsed.Body, reply)
	result := tx.Close()
	return regress.Outcome{Matches: result.Matches, Status: reply.Status}, err
}

func runPhases(tx rules.Transaction, requestBody []byte, reply regress.Reply) error {
	if _, err := tx.RequestHeaders(); err != nil {
		return err
	}
	if _, err := tx.RequestBody(rules.Body{Reader: bytes.NewReader(requestBody), Length: int64(len(requestBody))}); err != nil {
		return err
	}
	response := &rules.Response{Status: reply.Status, Protocol: "HTTP/1.1"}
	for _, h := range reply.Headers {
		response.Headers = append(response.Headers, rules.Header{Name: h[0], Value: h[1]})
	}
	if _, err := tx.ResponseHeaders(response); err != nil {
		return err
	}
	_, err := tx.ResponseBody(rules.Body{Reader: bytes.NewReader(reply.Body), Length: int64(len(reply.Body))})
	return err
}

// readExceptions reads lines of ID and reason; # begins a comment.
func readExceptions(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	exceptions := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			t.Errorf("%s: %s has no reason", name, id)
		}
		exceptions[id] = reason
	}
	return exceptions
}
