package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
)

func checkCommand() command {
	return command{
		name: "check", synopsis: "PATH [-print] [-o text|json]", short: "validate a configuration as a gateway would",
		long: `
Every problem is shown with its file, line and column, the value, and what would be right. The rules are compiled and
self-tested as before a reload; nothing is opened or bound. Exit code 1 if there is any problem.

For each application it says how many rules are compiled, and names those that only the reference engine can evaluate, with
their place and the reason. One of them is enough to have all of the application's requests judged by the reference engine,
which takes milliseconds for each.

-print shows the configuration with every default filled in.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			show := flags.Bool("print", false, "print the configuration with every default filled in")
			output := outputFlag(flags)
			return func(_ context.Context, args []string) error {
				paths, err := c.configPaths(*path, args)
				if err != nil {
					return err
				}
				loaded, err := loadConfig(paths...)
				var report *proxy.CheckReport
				if err == nil {
					report, err = proxy.Check(loaded)
				}
				if *output == "json" {
					return c.checkJSON(report, loaded, err)
				}
				if err != nil {
					fmt.Fprintln(c.stderr, err)
					return errReported
				}
				if *show {
					_, err := c.stdout.Write(config.Print(loaded.Config))
					return err
				}
				for _, w := range loaded.Warnings {
					fmt.Fprintf(c.stdout, "warning: %s\n", w)
				}
				for _, a := range report.Applications {
					if a.Rules == 0 {
						fmt.Fprintf(c.stdout, "application %s: mode %s, nothing is inspected\n", a.Name, a.Mode)
						continue
					}
					fmt.Fprintf(c.stdout, "application %s: mode %s, policy %s, %d rules: %d compiled, %d on the reference engine\n", a.Name, a.Mode, a.Policy, a.Rules, a.Compiled, a.Reference)
					for _, r := range a.OnReference {
						fmt.Fprintf(c.stdout, "  %s\n", referenceLine(r))
					}
					if a.Engine == proxy.EngineReference {
						fmt.Fprintln(c.stdout, "  so the reference engine judges all requests of this application")
					}
				}
				fmt.Fprintf(c.stdout, "ok: %s\n", count(len(report.Applications), "application"))
				return nil
			}
		},
	}
}

// referenceLine says which rule is not compiled, and why: shop.conf:12: rule 10001 is not compiled: the reason.
func referenceLine(r proxy.ReferenceRule) string {
	s := "not compiled: " + r.Reason
	if r.Rule != 0 {
		s = fmt.Sprintf("rule %d is %s", r.Rule, s)
	}
	if r.File != "" {
		s = fmt.Sprintf("%s:%d: %s", r.File, r.Line, s)
	}
	return s
}

// configPaths gives the configuration of a command that takes it as -config or as its arguments, which win over the
// environment.
func (c *cli) configPaths(flagged string, args []string) ([]string, error) {
	if flagged != "" && (len(args) == 0 || !c.fromEnv["config"]) {
		if len(args) > 0 {
			return nil, usagef("the configuration is given twice: by -config and as argument %q", args[0])
		}
		return []string{flagged}, nil
	}
	if len(args) == 0 {
		return nil, usagef("the configuration is missing: gatehouse check gatehouse.yaml")
	}
	return args, nil
}

// checkJSON prints what check found as one object.
func (c *cli) checkJSON(report *proxy.CheckReport, loaded *config.Loaded, err error) error {
	type problem struct {
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
		Path    string `json:"path,omitempty"`
		Message string `json:"message"`
	}
	convert := func(list []config.Problem) []problem {
		out := []problem{}
		for _, p := range list {
			out = append(out, problem{p.File, p.Line, p.Column, p.Path, p.Message})
		}
		return out
	}
	result := struct {
		OK           bool                    `json:"ok"`
		Problems     []problem               `json:"problems"`
		Warnings     []problem               `json:"warnings"`
		Applications []proxy.CheckedPolicies `json:"applications"`
	}{OK: err == nil, Problems: []problem{}, Warnings: []problem{}, Applications: []proxy.CheckedPolicies{}}
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		result.Problems = convert(problems)
	case err != nil:
		result.Problems = []problem{{Message: err.Error()}}
	}
	if loaded != nil {
		result.Warnings = convert(loaded.Warnings)
	}
	if report != nil {
		result.Applications = report.Applications
	}
	if printErr := c.printJSON(result); printErr != nil {
		return printErr
	}
	if err != nil {
		return errReported
	}
	return nil
}

// count writes a number with its noun: 1 application, 3 applications.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
