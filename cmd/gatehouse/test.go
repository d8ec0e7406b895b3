package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/event"
	"gatehouse/rules/rulestest"
)

func testCommand() command {
	return command{
		name: "test", synopsis: "-config PATH [-client IP] [-o text|json] PATH ...",
		short: "run your own cases: requests and what shall become of them",
		long: `
A PATH is a test file, or a directory, whose *.test and *.rules files are taken, at any depth. Each case is judged
by the configuration exactly as a gateway would: its Host finds the application, whose mode decides between detect and
block. Exit code 1 with a difference, so that it can guard pull requests.

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
by RULE · matches RULE ... · only RULE ... · absent RULE ... · match RULE TARGET · message RULE TEXT ·
score NAME [>=] N · exclusion NAME · phase N · uninspected. Lines before the first section are comments, and so are lines
with # in expect. A Content-Length is added; a body in a section of its own, "-- body quoted --", is Go strings, for exact
bytes.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			client := clientFlag(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if *path == "" || len(args) == 0 {
					return usagef("-config PATH and at least one test file or directory are required")
				}
				address, err := parseClient(*client)
				if err != nil {
					return err
				}
				files, err := readTests(args)
				if err != nil {
					return err
				}
				loaded, err := c.loadFor(*path)
				if err != nil {
					return err
				}
				inspector, err := proxy.NewInspector(loaded, zap.NewNop())
				if err != nil {
					return err
				}
				result, err := runTests(ctx, inspector, address, files)
				if err = errors.Join(err, inspector.Close()); err != nil {
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
			if err == nil && len(f.Sources) > 0 {
				err = fmt.Errorf("%s: a policy or crs section cannot stand here: the policy is the one that the configuration gives to the case's host", name)
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

func runTests(ctx context.Context, inspector *proxy.Inspector, client netip.AddrPort, files []*rulestest.File) (*testResult, error) {
	result := &testResult{Differences: []testDifference{}, files: len(files)}
	for _, f := range files {
		for i := range f.Cases {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c := &f.Cases[i]
			result.Cases++
			differences := runCase(inspector, client, c)
			if len(differences) == 0 {
				result.Passed++
				continue
			}
			result.Failed++
			for _, d := range differences {
				result.Differences = append(result.Differences, testDifference{d.File, d.Line, d.Case, d.Got, d.Want})
			}
		}
	}
	return result, nil
}

// runCase judges one case as a gateway would.
func runCase(inspector *proxy.Inspector, client netip.AddrPort, c *rulestest.Case) []rulestest.Difference {
	problem := func(got, want string) []rulestest.Difference {
		return []rulestest.Difference{{File: c.File, Line: c.Line, Case: c.Name, Got: got, Want: want}}
	}
	if c.Response != nil {
		return problem("a response section", "none: nothing is sent to an upstream, so no reply is judged")
	}
	raw := c.Request.Wire()
	report, err := inspector.Inspect(raw, client)
	if err != nil {
		return c.Check(rulestest.Outcome{Verdict: rulestest.VerdictBlock, Status: 400, Err: err})
	}
	outcome := rulestest.Outcome{Verdict: rulestest.Verdict(report.Access.Verdict), Status: report.Access.Status, Result: report.Result}
	e := eventOf(report, headerOf(raw, "Content-Type"))
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
