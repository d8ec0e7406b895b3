package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/tuning"
	"gatehouse/proxy/event"
	"gatehouse/rules/incident"
	"gatehouse/rules/policy"
)

func incidentCommand() command {
	return command{
		name: "incident", synopsis: "ID [-events FILE | -token-file F [-api URL]] [-yaml] [-o text|json]",
		short: "say why a request was refused, and the smallest exclusion for it",
		long: `
  gatehouse incident GH-01HK-0Z7A-BC1D

The ID is the one that the client saw on the page, in the problem+json or in X-Gatehouse-Incident; upper or lower case,
with or without GH and hyphens. Events are read from the file that logs.events names, and from its rotated siblings
(FILE.1, FILE.2 and so on), or asked of a manager: -token-file names a file with an API token, as gatehouse token create gives it.

The exclusion at the end lets requests like this one pass and nothing else: it takes the rules that refused the request
away from the values at which they matched, on this path, with this method. Paste it under the application's
exclusions:, say in it why, and gatehouse inspect or gatehouse test shows what it does. An exclusion is right only if the
request was legitimate. -yaml prints it alone.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			events := eventsFlag(flags)
			newClient := clientFlags(flags)
			yaml := flags.Bool("yaml", false, "print the exclusion alone")
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if len(args) != 1 {
					return usagef("one incident ID is required, such as GH-01HK-0Z7A-BC1D")
				}
				id, err := incident.Parse(args[0])
				if err != nil {
					return usageError{err.Error()}
				}
				found, err := c.lookUp(ctx, id, *events, flags.Lookup("token-file").Value.String(), newClient)
				if err != nil {
					return err
				}
				suggestion := tuning.Suggest(found.event, time.Now())
				switch {
				case *yaml:
					return c.printExclusion(suggestion)
				case *output == "json":
					return c.printJSON(incidentObject(found, suggestion))
				}
				c.printIncident(found.event, suggestion)
				return nil
			}
		},
	}
}

// lookUp finds an incident with a manager, if there is a token for one, or in files.
func (c *cli) lookUp(ctx context.Context, id incident.ID, events, token string, newClient func() (*apiClient, error)) (*search, error) {
	if token == "" || events != "" && c.fromEnv["token-file"] {
		files, err := eventFiles(events)
		if err != nil {
			return nil, err
		}
		found, err := c.findIncident(files, id.String())
		if err == nil && found.event == nil {
			err = found.missing(id)
		}
		return found, err
	}
	if events != "" {
		return nil, usagef("-events FILE and -token-file FILE are two places to look; give one")
	}
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	var record json.RawMessage
	if _, err := client.call(ctx, http.MethodGet, "/events/"+id.String(), nil, &record); err != nil {
		return nil, err
	}
	for e, err := range event.ReadEvents(bytes.NewReader(record), nil) {
		return &search{event: e, file: client.base.String()}, err
	}
	return nil, errors.New("what the manager has of this incident is no event that this version reads")
}

// search is what came of looking for an incident.
type search struct {
	event *event.Event // nil if it was not found
	file  string       // the one that holds it, or the manager

	files       []string
	events      int
	first, last time.Time
	near        []string // incidents whose ID differs in a character or two
}

// findIncident looks through the files, the newest of which comes first.
func (c *cli) findIncident(files []string, id string) (*search, error) {
	s := &search{files: files}
	for _, file := range files {
		err := c.readEvents(file, nil, func(e *event.Event) bool {
			s.events++
			if s.first.IsZero() || e.Time.Before(s.first) {
				s.first = e.Time
			}
			if e.Time.After(s.last) {
				s.last = e.Time
			}
			if e.Incident == id {
				s.event, s.file = e, file
				return false
			}
			if unlike(e.Incident, id) <= 2 && len(s.near) < 5 {
				s.near = append(s.near, e.Incident)
			}
			return true
		})
		if err != nil || s.event != nil {
			return s, err
		}
	}
	return s, nil
}

// unlike counts the characters in which two IDs differ. Two that are exchanged count as two.
func unlike(a, b string) int {
	if len(a) != len(b) {
		return len(a) + len(b)
	}
	n := 0
	for i := range len(a) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// missing says that the incident was not found, and what may help.
func (s *search) missing(id incident.ID) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, which is from %s, is not in %s", id, moment(id.Time), strings.Join(s.files, ", "))
	switch {
	case s.events == 0:
		b.WriteString("; there are no events in it")
	case id.Time.Before(s.first.Add(-time.Minute)) || id.Time.After(s.last.Add(time.Minute)):
		fmt.Fprintf(&b, "; %s there from %s to %s", count(s.events, "event"), moment(s.first), moment(s.last))
	default:
		fmt.Fprintf(&b, "; it may be in the file of another gateway")
	}
	if len(s.near) > 0 {
		fmt.Fprintf(&b, "\ndid you mean %s?", strings.Join(s.near, " or "))
	}
	return errors.New(b.String())
}

// moment writes a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// printIncident prints an event and the exclusion for it.
func (c *cli) printIncident(e *event.Event, s tuning.Suggestion) {
	w := c.stdout
	fmt.Fprintf(w, "%s  %s  %s\n\n", e.Incident, strings.ToUpper(printable(string(e.Verdict), 16)), moment(e.Time))
	printField(w, "why", printable(tuning.Why(e), 600))
	printField(w, "detail", detailLine(e))
	printField(w, "request", requestLine(e))
	client := printable(e.Client, 64)
	if e.UserAgent != "" {
		client += "  " + printable(e.UserAgent, 100)
	}
	printField(w, "client", client)
	printField(w, "answer", statusLine(e))
	printField(w, "application", placeLine(e))
	printField(w, "scores", scoreLine(e.Scores))
	printField(w, "revision", printable(e.Revision, 80))
	printField(w, "request id", printable(e.RequestID, 80))
	printRules(w, e)
	if s.Refused != "" {
		fmt.Fprintf(w, "\n%s\n", printable(s.Refused, 1000))
		return
	}
	fmt.Fprintf(w, "\nIf this request was legitimate: the smallest exclusion that lets it pass. It belongs under the application %s,\nbeside its hosts:, or into the exclusions: that it has already.\n\n", printable(e.Application, 64))
	fmt.Fprint(w, s.YAML(4))
	for _, n := range s.Notes {
		fmt.Fprintf(w, "\n%s\n", n)
	}
}

// printExclusion prints the YAML alone.
func (c *cli) printExclusion(s tuning.Suggestion) error {
	if s.Refused != "" {
		return errors.New(printable(s.Refused, 1000))
	}
	_, err := fmt.Fprint(c.stdout, s.YAML(4))
	return err
}

// incidentJSON is what gatehouse incident -o json prints.
type incidentJSON struct {
	Incident       string             `json:"incident"`
	Time           time.Time          `json:"time"`
	File           string             `json:"file"`
	Verdict        string             `json:"verdict"`
	Reason         string             `json:"reason"`
	Why            string             `json:"why"`
	Detail         string             `json:"detail,omitempty"`
	Status         int                `json:"status"`
	AnsweredBy     string             `json:"answered_by"`
	RequestID      string             `json:"request_id"`
	Client         string             `json:"client"`
	UserAgent      string             `json:"user_agent,omitempty"`
	Application    string             `json:"application"`
	Route          string             `json:"route"`
	Mode           string             `json:"mode,omitempty"`
	Policy         string             `json:"policy,omitempty"`
	Revision       string             `json:"revision"`
	Method         string             `json:"method"`
	Host           string             `json:"host"`
	Path           string             `json:"path"`
	Query          string             `json:"query,omitempty"`
	Rules          []jsonRule         `json:"rules"`
	Scores         jsonScores         `json:"scores"`
	Exclusions     []policy.Exclusion `json:"exclusions"`
	ExclusionsYAML string             `json:"exclusions_yaml,omitempty"`
	Refused        string             `json:"no_exclusion_because,omitempty"`
	Notes          []string           `json:"notes,omitempty"`
}

func incidentObject(s *search, suggestion tuning.Suggestion) incidentJSON {
	e := s.event
	o := incidentJSON{
		Incident: e.Incident, Time: e.Time, File: s.file, Verdict: string(e.Verdict), Reason: string(e.Reason), Why: tuning.Why(e),
		Detail: e.Detail, Status: e.Status, AnsweredBy: e.AnsweredBy, RequestID: e.RequestID, Client: e.Client,
		UserAgent: e.UserAgent, Application: e.Application, Route: e.Route, Mode: e.Mode, Policy: e.Policy, Revision: e.Revision,
		Method: e.Method, Host: e.Host, Path: e.Path, Query: e.Query, Rules: jsonRules(e.Rules), Scores: jsonScores(e.Scores),
		Exclusions: slices.Clone(suggestion.Exclusions), Refused: suggestion.Refused, Notes: suggestion.Notes,
	}
	if len(o.Exclusions) == 0 {
		o.Exclusions = []policy.Exclusion{}
	} else {
		o.ExclusionsYAML = suggestion.YAML(4)
	}
	return o
}
