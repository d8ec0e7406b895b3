package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/engine"
	"gatehouse/rules/engine/compare"
)

// ownRules has a policy that the reference engine has to judge, and one that is compiled.
const ownRules = `
version: 1
upstreams: [{name: nowhere, url: "http://192.0.2.9"}]
applications:
  - { name: shop, hosts: [shop.example.com], mode: block, policy: own, upstream: nowhere }
  - { name: blog, hosts: [blog.example.com], mode: block, upstream: nowhere }
policies:
  - { name: own, seclang: 'SecRule &JSON "@eq 3" "id:10001,phase:2,pass,nolog"' }
`

func TestInspectEngine(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", ownRules)
	const attack = "GET /?q=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\nHost: blog.example.com\n" + head
	for _, c := range []struct {
		name, engine, request string
		engines               string // what is said of them in text
		judged                string // by which engine, in JSON
	}{
		{"program", "program", attack, "", "program"},
		{"reference", "reference", attack, "", "reference"},
		{"both", "both", attack, "program and reference agree", "program"},
		{"both, not compiled", "both", strings.Replace(attack, "blog", "shop", 1), "the reference judges this application in any case", "reference"},
		{"both, unknown host", "both", strings.Replace(attack, "blog", "www", 1), "the rules were not asked", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, c.request, "inspect", "-config", config, "-engine", c.engine)
			if code != exitOK || stderr != "" || !strings.HasPrefix(stdout, "BLOCK\n") {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
			if c.engines == "" && strings.Contains(stdout, "\nengines") || !strings.Contains(stdout, c.engines) {
				t.Errorf("want %q in\n%s", c.engines, stdout)
			}
			_, stdout, _ = runCommand(t, c.request, "inspect", "-config", config, "-engine", c.engine, "-o", "json")
			var o jsonRequest
			if err := json.Unmarshal([]byte(stdout), &o); err != nil {
				t.Fatal(err)
			}
			if o.Engine != c.judged || len(o.Differences) > 0 {
				t.Errorf("engine %q, differences %q in %s", o.Engine, o.Differences, stdout)
			}
		})
	}
	write(t, dir, "requests/a.http", attack)
	write(t, dir, "requests/b.http", strings.Replace(attack, "?q=", "?x=", 1))
	code, stdout, stderr := runCommand(t, "", "inspect", "-config", config, "-engine", "both", filepath.Join(dir, "requests"))
	if code != exitOK || !strings.HasSuffix(stdout, "2 requests: 2 block\nthe engines agree\n") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := runCommand(t, attack, "inspect", "-config", config, "-engine", "coraza"); code != exitUsage || !strings.Contains(stderr, "program, reference, both") {
		t.Errorf("an unknown engine: exit %d: %s", code, stderr)
	}
}

// TestInspectDifference shows what is printed when the engines differ, which is not to be had with a real request.
func TestInspectDifference(t *testing.T) {
	result := &rules.Result{Matches: []rules.Match{{Rule: 942100}}}
	secret := rules.Match{Rule: 942100, Targets: []rules.MatchedTarget{{Variable: "ARGS:password", Value: "hunter2"}}}
	reference := compare.Outcome{Matches: []rules.Match{secret}, Scores: rules.Scores{Inbound: 5}}
	judges := new(cli).newOfflineEngine(engineBoth)
	judges.compared(engine.Comparison{
		Result: result, Agreement: compare.Different, Difference: compare.Diff(reference, compare.Outcome{}),
	})
	judges.compared(engine.Comparison{Result: &rules.Result{}, Agreement: compare.OneOfSeveral, Difference: compare.Diff(reference, compare.Outcome{})})
	differences := judges.take(&proxy.Report{Result: result})
	if len(judges.differences) > 0 {
		t.Errorf("kept: %v", judges.differences)
	}

	j := judged{file: "a.http", event: &event.Event{Verdict: event.Pass, Status: 200}, forwarded: true, engine: proxy.EngineProgram, differences: differences}
	for _, c := range []struct {
		name, output string
		sources      int
		want         []string
	}{
		{"one", "text", 1, []string{"program and reference differ:\n", "             rule 942100 matched on the reference alone, in ARGS\n", "             inbound score: reference 5, program 0\n"}},
		{"many", "text", 2, []string{"a.http", "            rule 942100 matched on the reference alone, in ARGS\n", "the engines differ about 1 request\n"}},
		{"JSON", "json", 1, []string{`"differences":["rule 942100 matched on the reference alone, in ARGS","inbound score: reference 5, program 0"]`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			both := engineBoth
			r := &inspectReport{inspection: &inspection{cli: &cli{stdout: &out, stderr: &out}, output: &c.output, engine: &both, sources: make([]requestSource, c.sources)}}
			if err := r.add(j); err != nil {
				t.Fatal(err)
			}
			if err := r.end(); !errors.Is(err, errReported) {
				t.Errorf("a difference ends with %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("want %q in\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), "hunter2") {
				t.Errorf("a value is shown:\n%s", out.String())
			}
		})
	}
}

func TestTestEngine(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", ownRules)
	cases := write(t, dir, "a.test", "-- request an attack --\nGET /?q=%3Cscript%3Ealert(1)%3C/script%3E\nHost: blog.example.com\n-- expect --\nblock 403\nmatches 941100\n")
	for _, choice := range []string{engineProgram, engineReference, engineBoth} {
		if code, stdout, stderr := runCommand(t, "", "test", "-config", config, "-engine", choice, cases); code != exitOK || stdout != "1 case passed\n" {
			t.Errorf("%s: exit %d: %s%s", choice, code, stdout, stderr)
		}
	}
}

// TestSampleFlags: the share is one in a thousand unless a flag or the environment says otherwise.
func TestSampleFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  string
		want string // of the usage error
	}{
		{args: []string{"-sample-share", "2"}, want: `"2" is not a share from 0 to 1, such as 0.001`},
		{args: []string{"-sample-share", "NaN"}, want: `"NaN" is not a share`},
		{args: []string{"-sample-share", "-0.1"}, want: "is not a share"},
		{env: "many", want: `environment variable GATEHOUSE_SAMPLE_SHARE: "many" is not a share`},
	} {
		var errs bytes.Buffer
		cmd := &cli{stdin: strings.NewReader(""), stdout: &errs, stderr: &errs, getenv: func(name string) string {
			return map[string]string{"GATEHOUSE_SAMPLE_SHARE": c.env}[name]
		}}
		if code := cmd.main(context.Background(), append([]string{"gateway", "-config", "none.yaml"}, c.args...)); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v %q: exit %d: %s", c.args, c.env, code, errs.String())
		}
	}
}
