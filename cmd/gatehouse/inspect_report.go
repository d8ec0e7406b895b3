package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/cmd/gatehouse/tuning"
	"gatehouse/proxy"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// inspectReport prints what became of the requests, and counts.
type inspectReport struct {
	*inspection
	verdicts map[event.Verdict]int
	unread   int
	unknown  int // requests whose host no application has
	differ   int // requests about which the engines differ
}

// add prints one result.
func (r *inspectReport) add(j judged) error {
	if r.verdicts == nil {
		r.verdicts = map[event.Verdict]int{}
	}
	if j.problem != nil {
		r.unread++
		fmt.Fprintf(r.cli.stderr, "%s: %v\n", j.file, printable(j.problem.Error(), 300))
	}
	if j.event != nil {
		r.verdicts[j.event.Verdict]++
		if j.event.Reason == event.UnknownHost {
			r.unknown++
		}
	}
	if len(j.differences) > 0 {
		r.differ++
	}
	switch {
	case *r.output == "json":
		return r.cli.printLine(inspectObject(j))
	case j.event == nil:
	case len(r.sources) == 1:
		r.single(j)
	default:
		r.line(j)
	}
	return nil
}

// end prints the summary. It fails if a request could not be read.
func (r *inspectReport) end() error {
	if *r.output == "text" && len(r.sources) > 1 {
		fmt.Fprintf(r.cli.stdout, "%s: %s\n", count(len(r.sources), "request"), r.summary())
		if r.unknown > 0 {
			fmt.Fprintf(r.cli.stdout, "%s for a host that no application has: a gateway answers 421. -host NAME judges them as those of another host\n", count(r.unknown, "request"))
		}
	}
	if *r.engine == engineBoth && *r.output == "text" && len(r.sources) > 1 {
		fmt.Fprintln(r.cli.stdout, r.agreement())
	}
	if r.unread > 0 {
		if len(r.sources) > 1 {
			fmt.Fprintf(r.cli.stderr, "%s could not be read\n", count(r.unread, "request"))
		}
	}
	if r.unread > 0 || r.differ > 0 {
		return errReported
	}
	return nil
}

// agreement says whether the engines differ.
func (r *inspectReport) agreement() string {
	if r.differ > 0 {
		return fmt.Sprintf("the engines differ about %s", count(r.differ, "request"))
	}
	return "the engines agree"
}

func (r *inspectReport) summary() string {
	var parts []string
	for _, v := range []event.Verdict{event.Pass, event.Detect, event.Block, event.Error} {
		if n := r.verdicts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if r.unread > 0 {
		parts = append(parts, fmt.Sprintf("%d could not be read", r.unread))
	}
	return strings.Join(parts, ", ")
}

// line prints a result in one line: verdict, status, score, file, rules.
func (r *inspectReport) line(j judged) {
	e := j.event
	why := string(e.Reason)
	if matches := shownRules(e); len(matches) > 0 {
		why = strings.TrimSpace(why + " " + ruleIDs(matches, 6))
	}
	fmt.Fprintf(r.cli.stdout, "%-6s %3d  %s\n", e.Verdict, e.Status, strings.TrimRight(fmt.Sprintf("%-40s  %s", printable(j.file, 200), why), " "))
	for _, d := range j.differences {
		fmt.Fprintf(r.cli.stdout, "            %s\n", d)
	}
}

// ruleIDs lists at most limit rules.
func ruleIDs(matches []rules.Match, limit int) string {
	var ids []string
	for i, m := range matches {
		if i == limit {
			ids = append(ids, fmt.Sprintf("and %d more", len(matches)-limit))
			break
		}
		ids = append(ids, strconv.Itoa(m.Rule))
	}
	return strings.Join(ids, " ")
}

// single prints everything about one request.
func (r *inspectReport) single(j judged) {
	w, e := r.cli.stdout, j.event
	fmt.Fprintf(w, "%s\n\n", strings.ToUpper(string(e.Verdict)))
	printField(w, "why", tuning.Why(e))
	if e.Reason == event.UnknownHost {
		printField(w, "", hostHelp(e.Host)+". -host NAME judges the request as one of another host")
	}
	if e.Reason != event.UnknownHost {
		printField(w, "detail", detailLine(e))
	}
	printField(w, "request", requestLine(e))
	if j.forwarded {
		printField(w, "answer", "the upstream's: it is forwarded")
	} else {
		printField(w, "answer", statusLine(e))
	}
	printField(w, "application", placeLine(e))
	printField(w, "scores", scoreLine(e.Scores))
	for _, n := range j.notes {
		printField(w, "note", n)
	}
	if *r.engine == engineBoth {
		printField(w, "engines", r.engines(j))
		for _, d := range j.differences {
			printField(w, "", d)
		}
	}
	printRules(w, e)
}

// engines says whether the engines differ about a request, in front of the differences.
func (r *inspectReport) engines(j judged) string {
	switch {
	case j.engine == "":
		return "the rules were not asked"
	case j.engine == proxy.EngineReference:
		return "the reference judges this application in any case: gatehouse check says why"
	case len(j.differences) > 0:
		return "program and reference differ:"
	}
	return "program and reference agree"
}

// shownRules are the rules of an event without those that only add up scores.
func shownRules(e *event.Event) []rules.Match {
	return slices.DeleteFunc(slices.Clone(e.Rules), func(m rules.Match) bool {
		return m.Rule >= 900_000 && policy.Protected(m.Rule) != ""
	})
}

// The objects of -o json.
type (
	jsonRequest struct {
		File        string     `json:"file"`
		Verdict     string     `json:"verdict"`
		Status      int        `json:"status"`
		Reason      string     `json:"reason,omitempty"`
		Why         string     `json:"why"`
		Detail      string     `json:"detail,omitempty"`
		Application string     `json:"application,omitempty"`
		Route       string     `json:"route,omitempty"`
		Mode        string     `json:"mode,omitempty"`
		Policy      string     `json:"policy,omitempty"`
		Method      string     `json:"method,omitempty"`
		Host        string     `json:"host,omitempty"`
		Path        string     `json:"path,omitempty"`
		Query       string     `json:"query,omitempty"`
		Rules       []jsonRule `json:"rules"`
		Scores      jsonScores `json:"scores"`
		Engine      string     `json:"engine,omitempty"`
		// Differences are those of the reference engine, with -engine both.
		Differences []string `json:"differences,omitempty"`
		Notes       []string `json:"notes,omitempty"`
		Error       string   `json:"error,omitempty"`
	}
	jsonRule struct {
		ID         int          `json:"id"`
		Phase      int          `json:"phase"`
		Message    string       `json:"message"`
		Severity   string       `json:"severity,omitempty"`
		Disruptive bool         `json:"disruptive,omitempty"`
		Tags       []string     `json:"tags,omitempty"`
		Targets    []jsonTarget `json:"targets"`
	}
	jsonTarget struct {
		Target   string `json:"target,omitempty"`
		Variable string `json:"variable"`
		Value    string `json:"value"`
	}
	jsonScores struct {
		Inbound           int            `json:"inbound"`
		InboundThreshold  int            `json:"inbound_threshold"`
		Outbound          int            `json:"outbound"`
		OutboundThreshold int            `json:"outbound_threshold"`
		Detection         int            `json:"detection"`
		Categories        map[string]int `json:"categories,omitempty"`
	}
)

func inspectObject(j judged) jsonRequest {
	o := jsonRequest{File: j.file, Verdict: string(event.Error), Rules: []jsonRule{}, Engine: j.engine, Differences: j.differences, Notes: j.notes}
	if j.problem != nil {
		o.Error = j.problem.Error()
		o.Why = "It could not be read: " + o.Error + "."
	}
	e := j.event
	if e == nil {
		return o
	}
	o.Verdict, o.Status, o.Reason, o.Why, o.Detail = string(e.Verdict), e.Status, string(e.Reason), tuning.Why(e), e.Detail
	o.Application, o.Route, o.Mode, o.Policy = e.Application, e.Route, e.Mode, e.Policy
	o.Method, o.Host, o.Path, o.Query = e.Method, e.Host, e.Path, e.Query
	o.Rules, o.Scores = jsonRules(e.Rules), jsonScores(e.Scores)
	o.Scores.Categories = maps.Clone(e.Scores.Categories)
	return o
}

func jsonRules(matches []rules.Match) []jsonRule {
	out := []jsonRule{}
	for _, m := range matches {
		r := jsonRule{
			ID: m.Rule, Phase: int(m.Phase), Message: m.Message, Severity: m.Severity, Disruptive: m.Disruptive, Tags: m.Tags,
			Targets: []jsonTarget{},
		}
		for _, t := range m.Targets {
			r.Targets = append(r.Targets, jsonTarget{Target: t.Target, Variable: t.Variable, Value: t.Value})
		}
		out = append(out, r)
	}
	return out
}
