package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	proxyconfig "gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/incident"
	"gatehouse/rules/policy"
)

// record writes events and access records to a file as a gateway does.
func record(t *testing.T, path string, access []*event.Access, events []*event.Event) {
	t.Helper()
	sink := proxyconfig.Sink{To: path, MaxSize: 100 << 20, Keep: 5}
	none := proxyconfig.Sink{To: "none"}
	options := event.Options{Access: none, Events: none, QueueBytes: 64 << 20}
	if access != nil {
		options.Access = sink
	}
	if events != nil {
		options.Events = sink
	}
	r, err := event.New(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range access {
		r.Access(a)
	}
	for _, e := range events {
		r.Event(e)
	}
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

var incidentTime = time.Date(2026, 7, 1, 12, 34, 56, 0, time.UTC)

// sampleIncident is an event as a gateway writes it.
func sampleIncident(sequence uint32) *event.Event {
	return &event.Event{
		Time: incidentTime, Incident: incident.ID{Time: incidentTime, Gateway: 7, Sequence: sequence}.String(),
		Verdict: event.Block, Reason: event.CRSScore, Detail: "the anomaly score reached the threshold", RequestID: "4f1c2a9e0b7d4e63",
		Client: "203.0.113.7", ClientPort: 51724, Listener: "http", Application: "shop", Route: "/", Policy: "default", Mode: "block",
		Method: "POST", Host: "shop.example.com", Path: "/api/orders/77/notes", Query: "draft=1&token=s3cr3t", Protocol: "HTTP/1.1",
		ContentType: "application/json", UserAgent: "Mozilla/5.0", Status: 403, AnsweredBy: "gateway", Revision: "edge/42",
		Scores: rules.Scores{Inbound: 13, InboundThreshold: 5, OutboundThreshold: 4, Detection: 13, Categories: map[string]int{"sql_injection": 10}},
		Rules: []rules.Match{
			{
				Rule: 920350, Phase: 1, Message: "Host header is a numeric IP address", Severity: "WARNING", Tags: []string{"attack-protocol"},
				Targets: []rules.MatchedTarget{{Variable: "REQUEST_HEADERS:Host", Target: "header:host", Value: "shop.example.com"}},
			},
			{
				Rule: 942100, Phase: 2, Message: "SQL Injection Attack Detected via libinjection", Severity: "CRITICAL", Tags: []string{"attack-sqli"},
				Targets: []rules.MatchedTarget{{Variable: "ARGS:json.items.0.comment", Target: "json:items[0].comment", Value: "1' OR '1'='1"}},
			},
			{
				Rule: 942190, Phase: 2, Message: "Detects MSSQL code execution and information gathering attempts", Severity: "CRITICAL", Tags: []string{"attack-sqli"},
				Targets: []rules.MatchedTarget{{Variable: "ARGS:json.items.0.comment", Target: "json:items[0].comment", Value: "\x1b[2J' UNION SELECT"}},
			},
			{
				Rule: 949110, Phase: 2, Message: "Inbound Anomaly Score Exceeded (Total Score: 13)", Disruptive: true,
				Targets: []rules.MatchedTarget{{Variable: "TX:blocking_inbound_anomaly_score", Value: "13"}},
			},
		},
	}
}

func tooLarge(sequence uint32) *event.Event {
	e := sampleIncident(sequence)
	e.Reason, e.Detail, e.Status, e.Rules, e.Scores = event.BodyTooLarge, "the body is longer than body.max_bytes (10MiB)", 413, nil, rules.Scores{}
	return e
}

// fixExpiry hides the day on which a suggestion expires, which depends on today.
func fixExpiry(s string) string {
	return strings.ReplaceAll(s, time.Now().UTC().Add(90*24*time.Hour).Format(time.DateOnly), "YYYY-MM-DD")
}

func TestIncident(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "events.jsonl")
	first, large, old := sampleIncident(1), tooLarge(2), sampleIncident(3)
	record(t, file+".2", nil, []*event.Event{old})
	record(t, file, nil, []*event.Event{first, large})
	write(t, dir, "events.jsonl.bak", "not rotated")

	lenient := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(first.Incident, "GH-"), "-", " "))
	code, stdout, stderr := runCommand(t, "", "incident", lenient, "-events", file)
	if code != exitOK || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "incident/blocked.golden", fixExpiry(stdout))

	_, stdout, _ = runCommand(t, "", "incident", large.Incident, "-events", file)
	golden(t, "incident/too-large.golden", stdout)

	if code, stdout, _ = runCommand(t, "", "incident", old.Incident, "-events", file); code != exitOK || !strings.HasPrefix(stdout, old.Incident) {
		t.Errorf("in a rotated file: exit %d: %s", code, stdout)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ = runCommand(t, string(text), "incident", first.Incident, "-events", "-"); code != exitOK || !strings.HasPrefix(stdout, first.Incident) {
		t.Errorf("from stdin: exit %d: %s", code, stdout)
	}
}

// TestIncidentYAML reads what -yaml prints as a configuration.
func TestIncidentYAML(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.jsonl")
	e, large := sampleIncident(1), tooLarge(2)
	record(t, file, nil, []*event.Event{e, large})
	code, stdout, stderr := runCommand(t, "", "incident", "-yaml", e.Incident, "-events", file)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var read struct{ Exclusions []policy.Exclusion }
	if err := yaml.Unmarshal([]byte(stdout), &read); err != nil {
		t.Fatal(err)
	}
	want := []policy.Exclusion{{
		Name: "orders-notes-comment-942100", Rules: []int{942100, 942190}, Path: "/api/orders/*/notes", Methods: policy.Strings{"POST"},
		Targets: policy.Strings{"json:items[*].comment"}, Reason: "false positive, incident " + e.Incident,
		Expires: policy.Date(time.Now().UTC().Add(90 * 24 * time.Hour).Format(time.DateOnly)),
	}}
	if d := cmp.Diff(want, read.Exclusions); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	text := "applications:\n  - name: shop\n    hosts: [shop.example.com]\n    upstream: http://192.0.2.9\n" + stdout
	if _, err := proxyconfig.LoadBytes("gatehouse.yaml", []byte(text)); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	code, stdout, stderr = runCommand(t, "", "incident", "-yaml", large.Incident, "-events", file)
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "Raise body.max_bytes of the route. It is 10MiB now.") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestIncidentJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.jsonl")
	e, large := sampleIncident(1), tooLarge(2)
	record(t, file, nil, []*event.Event{e, large})
	type object struct {
		Incident, Verdict, Why, File, Query string
		Exclusions                          []policy.Exclusion
		ExclusionsYAML                      string `json:"exclusions_yaml"`
		Refused                             string `json:"no_exclusion_because"`
		Rules                               []struct{ ID int }
	}
	read := func(id string) (o object) {
		_, stdout, _ := runCommand(t, "", "incident", id, "-events", file, "-o", "json")
		if err := json.Unmarshal([]byte(stdout), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := read(e.Incident); o.Incident != e.Incident || o.File != file || len(o.Exclusions) != 1 || !strings.Contains(o.ExclusionsYAML, "json:items[*].comment") || len(o.Rules) != 4 || o.Query != "draft=1&token=***(6)" {
		t.Errorf("got %+v", o)
	}
	if o := read(large.Incident); len(o.Exclusions) != 0 || o.Refused == "" {
		t.Errorf("got %+v", o)
	}
}

func TestIncidentMissing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "events.jsonl")
	e := sampleIncident(0x12345)
	record(t, file, nil, []*event.Event{e, tooLarge(1)})
	empty := write(t, dir, "empty.jsonl", "")
	typo := e.Incident[:len(e.Incident)-1] + "Z"
	later := incident.ID{Time: incidentTime.Add(24 * time.Hour), Gateway: 900, Sequence: 77}.String()
	other := incident.ID{Time: incidentTime, Gateway: 900, Sequence: 77777}.String()
	for _, c := range []struct {
		name, id, file, want string
		code                 int
	}{
		{"a typo", typo, file, fmt.Sprintf("%s, which is from 2026-07-01 12:34:56 UTC, is not in %s; it may be in the file of another gateway\ndid you mean %s?", typo, file, e.Incident), exitFailed},
		{"another time", later, file, later + ", which is from 2026-07-02 12:34:56 UTC, is not in " + file + "; 2 events there from 2026-07-01 12:34:56 UTC to 2026-07-01 12:34:56 UTC\n", exitFailed},
		{"another gateway", other, file, "is not in " + file + "; it may be in the file of another gateway\n", exitFailed},
		{"no events", other, empty, "is not in " + empty + "; there are no events in it", exitFailed},
		{"no file", other, filepath.Join(dir, "nosuch"), "there is no file " + filepath.Join(dir, "nosuch"), exitFailed},
		{"a directory", other, dir, "is a directory; name the file that logs.events writes", exitFailed},
		{"not an ID", "GH-1", file, `"GH-1" is not an incident ID`, exitUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, "", "incident", c.id, "-events", c.file)
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d: %s%s\nwant %s", code, stdout, stderr, c.want)
			}
		})
	}
	if code, _, stderr := runCommand(t, "", "incident"); code != exitUsage || !strings.Contains(stderr, "one incident ID is required") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	t.Chdir(t.TempDir())
	if code, _, stderr := runCommand(t, "", "incident", other); code != exitFailed || !strings.Contains(stderr, "there is no gatehouse-events.jsonl in the working directory") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
