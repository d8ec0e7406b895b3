package rulestest

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/rules"
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

// Run runs the test files at path on an engine, each case as a subtest. A file without a policy is a failure.
func Run(t *testing.T, engine rules.Engine, path string) {
	t.Helper()
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), Extension), func(t *testing.T) {
			f, err := ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			runFile(t, engine, f)
		})
	}
}

func runFile(t *testing.T, engine rules.Engine, f *File) {
	if len(f.Sources) == 0 {
		t.Fatalf("%s has no policy", f.Name)
	}
	set, err := engine.Load(rules.Policy{Name: f.Name, Sources: f.Sources, Limits: f.Limits})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i := range f.Cases {
		c := &f.Cases[i]
		t.Run(c.Name, func(t *testing.T) {
			for _, d := range CheckCase(set, c) {
				t.Error(d)
			}
		})
	}
}

// CheckCase runs a case on a rule set as Run does.
func CheckCase(set rules.RuleSet, c *Case) []Difference {
	if c.Verdict() == VerdictDetect {
		return c.Check(Judge(set, c, true))
	}
	inBlock := Judge(set, c, false)
	differences := c.Check(inBlock)
	inDetect := Judge(set, c, true)
	want, got := "pass", "pass"
	if i := inBlock.Result.Interruption; i != nil {
		want = fmt.Sprintf("%+v", *i)
	}
	if i := inDetect.Result.Interruption; i != nil {
		got = fmt.Sprintf("%+v", *i)
	}
	if got != want || inDetect.Verdict == VerdictBlock {
		differences = append(differences, Difference{
			File: c.File, Line: c.Line, Case: c.Name,
			Got: "in detect, " + got, Want: "as in block, " + want,
		})
	}
	return differences
}

// Judge runs a case's request, and response, through a rule set.
func Judge(set rules.RuleSet, c *Case, detect bool) (o Outcome) {
	tx := set.Begin(c.rulesRequest(detect))
	interruption, err := judge(tx, c)
	o = Outcome{Verdict: VerdictPass, Result: tx.Close(), Err: err}
	switch {
	case err != nil:
		o.Verdict = VerdictError
	case interruption != nil:
		o.Verdict, o.Status = VerdictBlock, interruption.Status
	case detect && o.Result.Interruption != nil:
		o.Verdict, o.Status = VerdictDetect, o.Result.Interruption.Status
	}
	return o
}

// judge runs the phases up to the first that interrupts or fails.
func judge(tx rules.Transaction, c *Case) (*rules.Interruption, error) {
	response := c.Response
	if response == nil {
		response = &Response{Response: rules.Response{Status: 200, Protocol: "HTTP/1.1"}}
	}
	for _, phase := range []func() (*rules.Interruption, error){
		tx.RequestHeaders,
		func() (*rules.Interruption, error) { return tx.RequestBody(bodyOf(c.Request.Body)) },
		func() (*rules.Interruption, error) { return tx.ResponseHeaders(&response.Response) },
		func() (*rules.Interruption, error) { return tx.ResponseBody(bodyOf(response.Body)) },
	} {
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

// rulesRequest is the request as an engine sees it, from a fixed client at a fixed time.
func (c *Case) rulesRequest(detect bool) *rules.Request {
	host, _ := c.Request.header("Host")
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	path, _, _ := strings.Cut(c.Request.Target, "?")
	return &rules.Request{
		ID:   "test",
		Time: time.Date(2027, time.January, 15, 12, 0, 0, 0, time.UTC),
		// Addresses for documentation (RFC 5737).
		Client:      netip.MustParseAddrPort("198.51.100.7:40000"),
		Server:      netip.MustParseAddrPort("192.0.2.1:8080"),
		Method:      c.Request.Method,
		Target:      c.Request.Target,
		Protocol:    c.Request.Protocol,
		Headers:     c.Request.Headers,
		Host:        host,
		Path:        path,
		Application: "test",
		Route:       "/",
		Traffic:     "auto",
		Detect:      detect,
	}
}
