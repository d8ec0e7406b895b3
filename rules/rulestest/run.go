package rulestest

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// Extension is that of test files.
const Extension = ".rules"

// Files lists the test files at path: itself, or those below it if it is a directory. None is an error.
func Files(path string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && (name == path || filepath.Ext(name) == Extension) {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tests: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("list tests: there is no *%s file in %s", Extension, path)
	}
	return files, nil
}

// ReadFile parses the test file at path.
func ReadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read tests: %w", err)
	}
	return Parse(path, string(text))
}

// Modes are the modes in which every case is judged.
func Modes() []Mode { return []Mode{ModeBlock, ModeDetect} }

// Runner says whose answers are compared with the expectations.
type Runner int

// The runners.
const (
	// AnyEngine is held against the expect sections.
	AnyEngine Runner = iota
	// ReferenceEngine is held against the expect reference section of a case that has one.
	ReferenceEngine
)

// In is the case as it is judged in a mode: in detect, what mode block refuses is detected.
func (c *Case) In(mode Mode, runner Runner) *Case {
	judged := *c
	if runner == ReferenceEngine && c.Reference != nil {
		judged.Expect = c.Reference
	}
	if mode == ModeDetect && judged.Verdict() == VerdictBlock {
		judged.Expect = slices.Clone(judged.Expect)
		judged.Expect[0] = judged.Expect[0].detected()
	}
	return &judged
}

// CheckCase judges a case on a rule set in every mode, and returns what is not as expected, with the outcome of each mode.
func CheckCase(set rules.RuleSet, c *Case, runner Runner) ([]Difference, map[Mode]Outcome) {
	var differences []Difference
	outcomes := make(map[Mode]Outcome)
	for _, mode := range Modes() {
		outcomes[mode] = Judge(set, c, mode)
		differences = append(differences, c.In(mode, runner).Check(outcomes[mode])...)
	}
	want, got := interruption(outcomes[ModeBlock]), interruption(outcomes[ModeDetect])
	if got != want {
		differences = append(differences, Difference{
			File: c.File, Line: c.Line, Case: c.Name, Mode: ModeDetect,
			Got: got, Want: "as in block, " + want,
		})
	}
	return differences, outcomes
}

// interruption describes what refused the request, or would have.
func interruption(o Outcome) string {
	if i := o.Result.Interruption; i != nil {
		return fmt.Sprintf("%+v", *i)
	}
	return "no interruption"
}

// Judge runs a case's request, and response, through a rule set.
func Judge(set rules.RuleSet, c *Case, mode Mode) (o Outcome) {
	tx := set.Begin(c.rulesRequest(mode))
	interruption, err := judge(tx, c)
	o = Outcome{Mode: mode, Verdict: VerdictPass, Result: tx.Close(), Err: err}
	switch {
	case err != nil:
		o.Verdict = VerdictError
	case interruption != nil:
		o.Verdict, o.Status = VerdictBlock, interruption.Status
	case o.Result.Interruption != nil:
		o.Verdict, o.Status = VerdictDetect, o.Result.Interruption.Status
	case slices.ContainsFunc(o.Result.Matches, staged):
		o.Verdict = VerdictDetect
	}
	return o
}

// staged says whether a match is that of a rule in stage detect, which makes the verdict detect in every mode.
func staged(m rules.Match) bool { return slices.Contains(m.Tags, policy.TagStageDetect) }

// judge runs the phases up to the first that interrupts or fails.
func judge(tx rules.Transaction, c *Case) (*rules.Interruption, error) {
	response := c.Response
	if response == nil {
		response = &Response{Response: rules.Response{Status: 200, Protocol: "HTTP/1.1"}}
	}
	phases := []func() (*rules.Interruption, error){
		tx.RequestHeaders,
		func() (*rules.Interruption, error) { return tx.RequestBody(bodyOf(c.Request.Body)) },
		func() (*rules.Interruption, error) { return tx.ResponseHeaders(&response.Response) },
		func() (*rules.Interruption, error) { return tx.ResponseBody(bodyOf(response.Body)) },
	}
	if c.Given.HeadersOnly {
		phases = phases[:3]
	}
	for _, phase := range phases {
		if i, err := phase(); i != nil || err != nil {
			return i, err
		}
	}
	return nil, nil
}

func bodyOf(b []byte) rules.Body {
	if len(b) == 0 {
		return rules.Body{}
	}
	return rules.Body{Reader: bytes.NewReader(b), Length: int64(len(b))}
}

// rulesRequest is the request as an engine sees it.
func (c *Case) rulesRequest(mode Mode) *rules.Request {
	host, _ := c.Request.header("Host")
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	path, _, _ := strings.Cut(c.Request.Target, "?")
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	g := c.Given.complete()
	return &rules.Request{
		ID:          "test",
		Time:        g.Time,
		Client:      netip.AddrPortFrom(g.Client, 40000),
		Server:      netip.MustParseAddrPort("192.0.2.1:8080"),
		Method:      c.Request.Method,
		Target:      c.Request.Target,
		Protocol:    c.Request.Protocol,
		Headers:     c.Request.Headers,
		Host:        host,
		Path:        path,
		Application: g.Application,
		Route:       "/",
		Traffic:     g.Traffic,
		Detect:      mode == ModeDetect,
	}
}
