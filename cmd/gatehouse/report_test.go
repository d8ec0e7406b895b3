package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/tuning"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/incident"
)

// twoDays makes the records of two days of three applications: the shop in detect, with a false positive, a scanner, a
// place that is not clear, bodies of a type that is not taken and bodies that are too large; the blog, where nothing
// happens; and the API in block with a scanner alone.
func twoDays() (access []*event.Access, events []*event.Event) {
	start := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	sequence := uint32(0)
	add := func(after time.Duration, application string, client string, e *event.Event) {
		sequence++
		a := &event.Access{
			Time: start.Add(after), Client: client, Application: application, Method: "GET", Path: "/", Status: 200, AnsweredBy: "upstream", Verdict: event.Pass,
		}
		if e != nil {
			e.Time, e.Client, e.Application, e.Policy, e.Protocol = a.Time, client, application, "default", "HTTP/1.1"
			e.Incident = incident.ID{Time: e.Time, Gateway: 7, Sequence: sequence}.String()
			a.Verdict, a.Reason, a.Incident, a.Path, a.Method, a.Status = e.Verdict, e.Reason, e.Incident, e.Path, e.Method, e.Status
			events = append(events, e)
		}
		if sequence%400 == 0 {
			a.Uninspected = []event.Uninspected{{Cause: "inspect_limit", Bytes: 1 << 20}}
		}
		a.Uninspected = append(a.Uninspected, event.Uninspected{Cause: "response", Bytes: 4096})
		access = append(access, a)
	}
	match := func(id int, message, class, target string) rules.Match {
		return rules.Match{
			Rule: id, Phase: 2, Message: message, Severity: "CRITICAL", Tags: []string{"attack-" + class},
			Targets: []rules.MatchedTarget{{Variable: "X", Target: target, Value: "value"}},
		}
	}
	refused := func(mode, method, path string, matches ...rules.Match) *event.Event {
		verdict, status := event.Detect, 200
		if mode == "block" {
			verdict, status = event.Block, 403
		}
		return &event.Event{
			Verdict: verdict, Reason: event.CRSScore, Mode: mode, Method: method, Host: "shop.example.com", Path: path, Status: status,
			Scores: rules.Scores{Inbound: 5 * len(matches), InboundThreshold: 5, OutboundThreshold: 4}, Rules: matches,
		}
	}
	libinjection := func(target string) rules.Match {
		return match(942100, "SQL Injection Attack Detected via libinjection", "sqli", target)
	}
	script := func(target string) rules.Match {
		return match(941110, "XSS Filter - Category 1: Script Tag Vector", "xss", target)
	}
	for i := range 3000 {
		add(time.Duration(i)*57*time.Second, "shop", fmt.Sprintf("203.0.113.%d", i%200), nil)
	}
	for i := range 120 {
		matches := []rules.Match{libinjection(fmt.Sprintf("json:items[%d].comment", i%3))}
		if i%4 == 0 {
			matches = append(matches, match(942190, "Detects MSSQL code execution and information gathering attempts", "sqli", fmt.Sprintf("json:items[%d].comment", i%3)))
		}
		add(time.Duration(i)*23*time.Minute, "shop", fmt.Sprintf("203.0.113.%d", i%35), refused("detect", "POST", fmt.Sprintf("/api/orders/%d/notes", 1000+i), matches...))
	}
	for i := range 60 {
		path := fmt.Sprintf("/%s/%d", []string{"login", "search", "cart", "admin", "wp-admin", "cgi-bin"}[i%6], i)
		m := []rules.Match{libinjection("query:id"), script("query:q"), match(930100, "Path Traversal Attack (/../) or (/.../)", "lfi", "uri")}[i%3]
		add(20*time.Hour+time.Duration(i)*time.Second, "shop", "198.51.100.66", refused("detect", "GET", path, m))
		add(21*time.Hour+time.Duration(i)*time.Second, "api", "198.51.100.66", refused("block", "GET", path, m))
	}
	for i := range 7 {
		words := []string{"red", "green", "blue", "white", "black", "brown", "grey"}
		add(time.Duration(i)*5*time.Hour, "shop", fmt.Sprintf("203.0.113.%d", 50+i%2), refused("detect", "GET", "/shop/"+words[i]+"-shoes", script("query:back")))
	}
	for i := range 12 {
		e := refused("detect", "PUT", "/api/avatars/9")
		e.Reason, e.Detail, e.ContentType, e.Scores = event.ContentType, "traffic auto does not take a body of kind unknown", "application/x-avatar", rules.Scores{}
		add(time.Duration(i)*3*time.Hour, "shop", fmt.Sprintf("203.0.113.%d", 100+i), e)
		large := refused("block", "POST", "/upload")
		large.Reason, large.Mode, large.Status, large.Scores = event.BodyTooLarge, "detect", 413, rules.Scores{}
		add(time.Duration(i)*3*time.Hour, "shop", "203.0.113.9", large)
	}
	for i := range 500 {
		add(time.Duration(i)*5*time.Minute, "blog", fmt.Sprintf("203.0.113.%d", i%90), nil)
		add(time.Duration(i)*5*time.Minute, "api", fmt.Sprintf("203.0.113.%d", i%90), nil)
	}
	for i := range 9 {
		e := &event.Event{Verdict: event.Block, Reason: event.UnknownHost, Method: "GET", Host: []string{"203.0.113.200", "intranet.example.com"}[i%2], Path: "/", Status: 421}
		add(time.Duration(i)*time.Hour, "", fmt.Sprintf("198.51.100.%d", i%3), e)
	}
	return access, events
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	access, events := twoDays()
	both, apart, alone := filepath.Join(dir, "both.jsonl"), filepath.Join(dir, "access.jsonl"), filepath.Join(dir, "events.jsonl")
	record(t, both, access, events)
	record(t, apart, access, nil)
	record(t, alone, nil, events)

	code, stdout, stderr := runCommand(t, "", "report", "-events", both)
	if code != exitOK || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "report/both.golden", stdout)

	if _, second, _ := runCommand(t, "", "report", "-events", alone, "-access", apart); second != stdout {
		t.Errorf("with the access records apart:\n%s", second)
	}
	_, stdout, _ = runCommand(t, "", "report", "-events", alone, "-app", "api")
	golden(t, "report/alone.golden", stdout)

	code, stdout, stderr = runCommand(t, "", "report", "-events", both, "-since", "2026-07-02T12:00:00Z", "-o", "json")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var r tuning.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.From.Before(time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC)) || len(r.Applications) != 3 {
		t.Errorf("from %s, %d applications", r.From, len(r.Applications))
	}
	for _, a := range r.Applications {
		want := map[string]tuning.Conclusion{"api": tuning.Ready, "blog": tuning.Ready, "shop": tuning.Settle}[a.Name]
		if a.Conclusion != want {
			t.Errorf("%s: %s", a.Name, a.Conclusion)
		}
	}
}

func TestReportUsage(t *testing.T) {
	dir := t.TempDir()
	empty := write(t, dir, "empty.jsonl", "")
	garbage := write(t, dir, "garbage.jsonl", "\ngarbage\n")
	foreign := write(t, dir, "foreign.jsonl", "{}\n{\"record\":\"event\"}\n[1]\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-events", empty}, exitFailed, "no record in " + empty},
		{[]string{"-events", empty, "-since", "2h"}, exitFailed, "no record in " + empty + " in that time"},
		{[]string{"-events", garbage}, exitFailed, "note: 1 line of " + garbage + " is no record and was skipped\n"},
		{[]string{"-events", garbage}, exitFailed, "no record in " + garbage + "\n"},
		{[]string{"-events", foreign}, exitFailed, "note: 3 lines of " + foreign + " are no records and were skipped\n"},
		{[]string{"-events", empty, "-app", "shop"}, exitFailed, "no record of the application shop in "},
		{[]string{"-events", empty, "-since", "yesterday"}, exitUsage, `-since "yesterday" is neither a time ago, such as 48h or 7d, nor a moment`},
		{[]string{"-events", empty, "x"}, exitUsage, "no arguments are expected"},
		{[]string{"-events", filepath.Join(dir, "nosuch")}, exitFailed, "there is no file "},
		{[]string{"-events", empty, "-access", filepath.Join(dir, "nosuch")}, exitFailed, "there is no file "},
	} {
		if code, stdout, stderr := runCommand(t, "", append([]string{"report"}, c.args...)...); code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d: %s%s", c.args, code, stdout, stderr)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 7, 10, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		in   string
		want time.Time
	}{
		{"", time.Time{}},
		{"48h", now.Add(-48 * time.Hour)},
		{"7d", now.Add(-7 * 24 * time.Hour)},
		{"1.5d", now.Add(-36 * time.Hour)},
		{"2026-07-01", time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)},
		{"2026-07-01T08:00:00+02:00", time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)},
		{"2026-07-01 08:30", time.Date(2026, 7, 1, 8, 30, 0, 0, time.UTC)},
	} {
		got, err := parseSince(c.in, now)
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%q: got %s, %v", c.in, got, err)
		}
	}
	for _, in := range []string{"-1h", "-2d", "soon", "d"} {
		if _, err := parseSince(in, now); err == nil {
			t.Errorf("%q is accepted", in)
		}
	}
}
