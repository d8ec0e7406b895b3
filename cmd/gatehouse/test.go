package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/rulestest"
)

func testCommand() command {
	return command{
		name: "test", synopsis: "[-config PATH] [-engine program|reference|both] [-client IP] [-o text|json] PATH ...",
		short: "run your own cases: requests and what shall become of them",
		long: `
A PATH is a test file, or a directory, whose *.test and *.rules files are taken, at any depth. Each case is judged
by the configuration exactly as a gateway would: its Host finds the application, whose mode decides between detect and
block. Exit code 1 with a difference, so that it can guard pull requests. -engine reference judges by the reference engine
instead of the compiled program; with -engine both it is a difference too if the two do not come to the same.

  -- request a clean search --
  GET /search?q=union+jack HTTP/1.1
  Host: shop.example.com

  -- expect --
  pass
  absent 942100

  -- request an attack --
  POST /api/orders/7/notes HTTP/1.1
  Host: shop.example.com
  Content-Type: application/json

  {"items": [{"comment": "1' OR '1'='1"}]}

  -- expect --
  block 403
  matches 942100
  match 942100 json:items[0].comment

The first line of expect is the verdict: pass, detect, block (with a status if it matters) or error. After it, one a line:
by RULE · matches RULE ... · only RULE ... · absent RULE ... · match RULE TARGET · message RULE TEXT · tag TAG ·
score NAME [>=] N · threshold inbound N · exclusion NAME · exclusions NAME ... (these and no others) · phase N · inspected ·
uninspected; "in block" or "in detect" before one says that it counts in that mode alone. Lines before the first section are
comments, and so are lines with # in expect. A Content-Length is added; a body in a section of its own, "-- body quoted --",
is Go strings, for exact bytes.

Before the first request there may be headers that every request gets unless it has them, and a configuration, which judges
the cases of this file in place of the one that -config names; -config may be missing if every file has its own. A request
may be followed by "-- given --" with its client, an address that counts in place of -client.

  -- configuration --
  applications:
    - { hosts: [shop.example.com], upstream: "http://192.0.2.9", mode: block, policy: shop }
  policies:
    - name: shop
      rules: [{ name: no-admin, when: { path: "/admin/**", not: { client: office } }, then: block }]
  lists:
    - { name: office, addresses: [198.51.100.0/24] }

  -- headers --
  Host: shop.example.com

  -- request the admin pages from outside --
  GET /admin/users

  -- expect --
  block 403
  tag gatehouse/rule:no-admin

  -- request the admin pages from the office --
  GET /admin/users

  -- given --
  client 198.51.100.7

  -- expect --
  pass`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			client := clientFlag(flags)
			output, engine := outputFlag(flags), engineFlag(flags)
			return func(ctx context.Context, args []string) error {
				if len(args) == 0 {
					return usagef("at least one test file or directory is required")
				}
				address, err := parseClient(*client)
				if err != nil {
					return err
				}
				files, err := readTests(args)
				if err != nil {
					return err
				}
				run := testRun{cli: c, path: *path, client: address, engine: c.newOfflineEngine(*engine)}
				result, err := run.files(ctx, files)
				if err = errors.Join(err, run.close()); err != nil {
					return err
				}
				if *output == "json" {
					err = c.printJSON(result)
				} else {
					c.printTests(result)
				}
				if err == nil && result.Failed > 0 {
					err = errReported
				}
				return err
			}
		},
	}
}

// readTests parses the test files at the paths. A mistake in any of them is an error, and so are no files at all.
func readTests(paths []string) ([]*rulestest.File, error) {
	var files []*rulestest.File
	var problems []error
	for _, p := range paths {
		names, err := filesBelow(p, ".test", rulestest.Extension)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, name := range names {
			f, err := rulestest.ReadFile(name)
			if err == nil {
				err = notOfEngines(f)
			}
			if err != nil {
				problems = append(problems, err)
				continue
			}
			files = append(files, f)
		}
	}
	return files, errors.Join(problems...)
}

// notOfEngines refuses files that are for a rule engine alone.
func notOfEngines(f *rulestest.File) error {
	if len(f.Sources) > 0 || f.Limits != (rules.Limits{}) {
		return fmt.Errorf("%s: a policy, crs or limits section cannot stand here: the policy is the one that the configuration gives to the case's host", f.Name)
	}
	for _, c := range f.Cases {
		if c.Reference != nil {
			return fmt.Errorf("%s:%d: the case has an expect reference section, which cannot stand here: a gateway has one answer", f.Name, c.Line)
		}
	}
	return nil
}

// testResult is what gatehouse test -o json prints.
type testResult struct {
	Cases       int              `json:"cases"`
	Passed      int              `json:"passed"`
	Failed      int              `json:"failed"`
	Differences []testDifference `json:"differences"`
	files       int
}

type testDifference struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Case string `json:"case"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

// testRun is one run of gatehouse test.
type testRun struct {
	cli    *cli
	path   string // of the configuration
	client netip.AddrPort
	engine *offlineEngine
	shared *caseJudge // of files without a configuration of their own, nil until one is met
	own    *caseJudge // of the last file with one, nil until one is met
}

// caseJudge is a configuration and what judges requests by it.
type caseJudge struct {
	*proxy.Inspector
	config *config.Config
	engine *offlineEngine
}

func (run *testRun) newJudge(loaded *config.Loaded, err error) (*caseJudge, error) {
	if err != nil {
		return nil, err
	}
	inspector, err := proxy.NewInspector(loaded, zap.NewNop(), run.engine)
	if err != nil {
		return nil, err
	}
	return &caseJudge{Inspector: inspector, config: loaded.Config, engine: run.engine}, nil
}

func (run *testRun) close() error {
	var errs []error
	for _, j := range []*caseJudge{run.shared, run.own} {
		if j != nil {
			errs = append(errs, j.Close())
		}
	}
	return errors.Join(append(errs, run.engine.Close())...)
}

// files judges the cases of all files.
func (run *testRun) files(ctx context.Context, files []*rulestest.File) (*testResult, error) {
	result := &testResult{Differences: []testDifference{}, files: len(files)}
	for _, f := range files {
		if err := run.file(ctx, f, result); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func (run *testRun) file(ctx context.Context, f *rulestest.File, result *testResult) error {
	j, err := run.judge(f)
	if err != nil {
		return err
	}
	for i := range f.Cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := &f.Cases[i]
		client := run.client
		if c.Given.Client.IsValid() {
			client = netip.AddrPortFrom(c.Given.Client, client.Port())
		}
		result.Cases++
		differences := j.run(client, c)
		if len(differences) == 0 {
			result.Passed++
			continue
		}
		result.Failed++
		for _, d := range differences {
			result.Differences = append(result.Differences, testDifference{d.File, d.Line, d.Case, d.Got, d.Want})
		}
	}
	return nil
}

// judge is that of a file: its own, or the shared one.
func (run *testRun) judge(f *rulestest.File) (_ *caseJudge, err error) {
	switch {
	case f.Configuration != "":
		j, err := run.newJudge(run.cli.reported(loadConfigBytes(f.Name, f.Configuration)))
		if err != nil {
			return nil, err
		}
		if run.own != nil { // closed this late, it leaves what is compiled to the next
			err = run.own.Close()
		}
		run.own = j
		return j, err
	case run.path == "":
		return nil, usagef("-config PATH is required: %s has no configuration section", f.Name)
	case run.shared == nil:
		run.shared, err = run.newJudge(run.cli.loadFor(run.path))
	}
	return run.shared, err
}

// run judges one case as a gateway would.
func (j *caseJudge) run(client netip.AddrPort, c *rulestest.Case) []rulestest.Difference {
	problem := func(got, want string) []rulestest.Difference {
		return []rulestest.Difference{{File: c.File, Line: c.Line, Case: c.Name, Got: got, Want: want}}
	}
	if c.Response != nil {
		return problem("a response section", "none: nothing is sent to an upstream, so no reply is judged")
	}
	if g := c.Given; !g.Time.IsZero() || g.Traffic != "" || g.Application != "" {
		return problem("a time, traffic or application is given", "a client alone: the rest comes from the clock and the configuration, as in a gateway")
	}
	raw := c.Request.Wire()
	report, err := j.Inspect(raw, client)
	if err != nil {
		return c.Check(rulestest.Outcome{Verdict: rulestest.VerdictBlock, Status: 400, Err: err})
	}
	e := eventOf(report, headerOf(raw, "Content-Type"))
	mode, _ := settingsOf(j.config, e)
	outcome := rulestest.Outcome{Mode: rulestest.Mode(mode), Verdict: rulestest.Verdict(report.Access.Verdict), Status: report.Access.Status, Result: report.Result}
	switch {
	case e.Verdict == event.Detect: // the client's status says nothing of the refusal
		outcome.Status = 0
		if report.Result != nil && report.Result.Interruption != nil {
			outcome.Status = report.Result.Interruption.Status
		}
	case e.Verdict == event.Error:
		outcome.Err = fmt.Errorf("%s: %s", e.Reason, e.Detail)
	}
	differences := c.Check(outcome)
	for _, d := range j.engine.take(report) {
		differences = append(differences, problem(d, "the same on both engines")...)
	}
	for i := range differences { // say what the rules do not: a refusal of the gateway's own, an unexpected mode
		d := &differences[i]
		switch {
		case d.Want != c.Expect[0].Text:
		case e.Reason == event.UnknownHost:
			d.Got += ", " + hostHelp(e.Host)
		case e.Verdict == event.Block && e.Reason != event.CRSScore && e.Reason != event.Rule:
			d.Got += fmt.Sprintf(", %s: %s", e.Reason, e.Detail)
		case e.Verdict == event.Detect && c.Verdict() == rulestest.VerdictBlock:
			d.Got += fmt.Sprintf(", the application %s is in mode detect", e.Application)
		}
	}
	return differences
}

// printTests prints each difference, or one line if there is none.
func (c *cli) printTests(r *testResult) {
	for _, d := range r.Differences {
		fmt.Fprintf(c.stdout, "%s:%d: %s\n    got  %s\n    want %s\n", d.File, d.Line, d.Case, printable(d.Got, 500), printable(d.Want, 500))
	}
	if r.Failed > 0 {
		fmt.Fprintf(c.stdout, "%s, %d passed, %d failed\n", count(r.Cases, "case"), r.Passed, r.Failed)
		return
	}
	fmt.Fprintf(c.stdout, "%s passed\n", count(r.Cases, "case"))
}
