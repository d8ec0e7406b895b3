package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"gatehouse/rules"
)

// ReadStats counts the lines that ReadEvents went over.
type ReadStats struct {
	Events    int
	Other     int // access records, plain text, empty lines
	Malformed int // event records that do not parse
	Foreign   int // of Other: what is neither a record nor an empty line
}

// maxReadLine bounds one line; the longest that a Recorder writes is 32 KiB.
const maxReadLine = 1 << 20

// ReadEvents gives the events in r, which holds JSON lines and may hold anything else. Lines that are no events are
// counted in stats, which may be nil. An error is one of reading, and the last that is given.
func ReadEvents(r io.Reader, stats *ReadStats) iter.Seq2[*Event, error] {
	if stats == nil {
		stats = &ReadStats{}
	}
	return func(yield func(*Event, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		var line []byte
		for {
			part, err := lines.ReadSlice('\n')
			if len(line) <= maxReadLine {
				line = append(line, part...)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && err != io.EOF {
				yield(nil, fmt.Errorf("read events: %w", err))
				return
			}
			if len(line) > 0 {
				if e := parseLine(line, stats); e != nil && !yield(e, nil) {
					return
				}
			}
			line = line[:0]
			if err == io.EOF {
				return
			}
		}
	}
}

// parseLine gives the event of a line, or nil.
func parseLine(line []byte, stats *ReadStats) *Event {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		stats.Other++
		return nil
	}
	if line[0] != '{' || !bytes.Contains(line, []byte(`"record"`)) {
		stats.Other++
		stats.Foreign++
		return nil
	}
	var kind struct {
		Record string `json:"record"`
	}
	var in eventJSON
	err := json.Unmarshal(line, &kind)
	if err == nil && kind.Record != recordEvent {
		stats.Other++
		if kind.Record != recordAccess {
			stats.Foreign++
		}
		return nil
	}
	if err == nil {
		err = json.Unmarshal(line, &in)
	}
	if err != nil && !bytes.Contains(line, []byte(`"`+recordEvent+`"`)) {
		stats.Other++
		stats.Foreign++
		return nil
	}
	if err != nil || in.Incident == "" || in.Time.IsZero() {
		stats.Malformed++
		return nil
	}
	stats.Events++
	return in.event()
}

// eventJSON is the line of an event, as appendEvent writes it.
type eventJSON struct {
	Time           time.Time `json:"time"`
	Incident       string    `json:"incident"`
	Verdict        Verdict   `json:"verdict"`
	Reason         Reason    `json:"reason"`
	Detail         string    `json:"detail"`
	RequestID      string    `json:"request_id"`
	Client         string    `json:"client"`
	ClientPort     int       `json:"client_port"`
	Listener       string    `json:"listener"`
	Application    string    `json:"application"`
	Route          string    `json:"route"`
	Policy         string    `json:"policy"`
	Mode           string    `json:"mode"`
	Method         string    `json:"method"`
	Host           string    `json:"host"`
	Path           string    `json:"path"`
	Query          string    `json:"query"`
	Protocol       string    `json:"protocol"`
	ContentType    string    `json:"content_type"`
	UserAgent      string    `json:"user_agent"`
	Status         int       `json:"status"`
	AnsweredBy     string    `json:"answered_by"`
	UpstreamStatus int       `json:"upstream_status"`
	Revision       string    `json:"revision"`
	Scores         struct {
		Inbound           int            `json:"inbound"`
		InboundThreshold  int            `json:"inbound_threshold"`
		Outbound          int            `json:"outbound"`
		OutboundThreshold int            `json:"outbound_threshold"`
		Detection         int            `json:"detection"`
		Categories        map[string]int `json:"categories"`
	} `json:"scores"`
	Exclusions   []string   `json:"exclusions"`
	Rules        []ruleJSON `json:"rules"`
	RulesDropped int        `json:"rules_dropped"`
}

type ruleJSON struct {
	ID         int         `json:"id"`
	Phase      rules.Phase `json:"phase"`
	Message    string      `json:"message"`
	Data       string      `json:"data"`
	Severity   string      `json:"severity"`
	Tags       []string    `json:"tags"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
	Disruptive bool        `json:"disruptive"`
	Targets    []struct {
		Variable string `json:"variable"`
		Target   string `json:"target"`
		Value    string `json:"value"`
	} `json:"targets"`
}

func (in *eventJSON) event() *Event {
	e := &Event{
		Time: in.Time, Incident: in.Incident, Verdict: in.Verdict, Reason: in.Reason, Detail: in.Detail,
		RequestID: in.RequestID, Client: in.Client, ClientPort: in.ClientPort, Listener: in.Listener,
		Application: in.Application, Route: in.Route, Policy: in.Policy, Mode: in.Mode, Method: in.Method, Exclusions: in.Exclusions, Host: in.Host,
		Path: in.Path, Query: in.Query, Protocol: in.Protocol, ContentType: in.ContentType, UserAgent: in.UserAgent,
		Status: in.Status, AnsweredBy: in.AnsweredBy, UpstreamStatus: in.UpstreamStatus, Revision: in.Revision,
		Scores: rules.Scores(in.Scores), RulesDropped: in.RulesDropped,
	}
	for _, r := range in.Rules {
		m := rules.Match{
			Rule: r.ID, Phase: r.Phase, Message: r.Message, Data: r.Data, Severity: r.Severity, Tags: r.Tags,
			File: r.File, Line: r.Line, Disruptive: r.Disruptive,
		}
		for _, t := range r.Targets {
			m.Targets = append(m.Targets, rules.MatchedTarget(t))
		}
		e.Rules = append(e.Rules, m)
	}
	return e
}
