package tuning

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/incident"
)

var reportStart = time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)

// wouldBlock is an event in detect.
func wouldBlock(after time.Duration, client, path string, matches ...rules.Match) *event.Event {
	e := scoreEvent(5*len(matches), matches...)
	e.Verdict, e.Mode, e.Time, e.Client, e.Path = event.Detect, "detect", reportStart.Add(after), client, path
	e.Incident = incident.ID{Time: e.Time}.String()
	return e
}

func sqli(target string) rules.Match {
	m := matched(942100, "CRITICAL", target)
	m.Tags = []string{"attack-sqli"}
	return m
}

func TestJudgements(t *testing.T) {
	xss := matched(941100, "CRITICAL", "query:q")
	xss.Tags = []string{"attack-xss"}
	lfi := matched(930100, "CRITICAL", "path")
	lfi.Tags = []string{"attack-lfi"}
	many := func(n int, every time.Duration) (out []*event.Event) {
		for i := range n {
			out = append(out, wouldBlock(time.Duration(i)*every, fmt.Sprintf("203.0.113.%d", i), "/notes", sqli("form:text")))
		}
		return out
	}
	scanner := []*event.Event{wouldBlock(0, "198.51.100.66", "/a", sqli("query:q")), wouldBlock(0, "198.51.100.66", "/b", xss), wouldBlock(0, "198.51.100.66", "/c", lfi)}
	for _, c := range []struct {
		name       string
		events     []*event.Event
		passed     map[string]int // requests that passed, by client
		want       []string
		conclusion Conclusion
	}{
		{"many clients over hours", many(5, time.Hour), nil, []string{"false_positive POST /notes form:text"}, Settle},
		{"many clients at once", many(5, time.Second), nil, []string{"look POST /notes form:text"}, Settle},
		{"few clients", many(4, time.Hour), nil, []string{"look POST /notes form:text"}, Settle},
		{"one client in many classes", scanner, nil, []string{"attack POST /a query:q", "attack POST /b query:q", "attack POST /c path"}, Ready},
		{"one client in many classes, mostly legitimate", scanner, map[string]int{"198.51.100.66": 100}, []string{"look POST /a query:q", "look POST /b query:q", "look POST /c path"}, Settle},
		{"a client that is refused at many places", []*event.Event{
			wouldBlock(0, "a", "/a", sqli("query:q")), wouldBlock(0, "a", "/b", sqli("query:q")), wouldBlock(0, "a", "/c", sqli("query:q")), wouldBlock(0, "a", "/d", sqli("query:q")),
		}, map[string]int{"a": 2}, []string{"attack POST /a query:q", "attack POST /b query:q", "attack POST /c query:q", "attack POST /d query:q"}, Ready},
		{"a scanner among users", append(many(5, time.Hour), append(scanner, wouldBlock(0, "198.51.100.66", "/notes", sqli("form:text")))...), nil, []string{
			"false_positive POST /notes form:text", "attack POST /a query:q", "attack POST /b query:q", "attack POST /c path",
		}, Settle},
		{"nothing", nil, map[string]int{"a": 10}, nil, Ready},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBuilder(Options{})
			for _, e := range c.events {
				b.Event(e)
			}
			for client, n := range c.passed {
				for range n {
					b.Access(Access{Time: reportStart, Application: "shop", Client: client, Verdict: "pass"})
				}
				for _, e := range c.events {
					b.Access(Access{Time: e.Time, Application: "shop", Client: e.Client, Verdict: "detect"})
				}
			}
			a := b.Report().Applications[0]
			var got []string
			for i := range a.Places {
				got = append(got, string(a.Places[i].Judgement)+" "+a.Places[i].String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if a.Conclusion != c.conclusion {
				t.Errorf("conclusion %s: %q", a.Conclusion, a.Settle)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	b := NewBuilder(Options{})
	other := matched(942190, "CRITICAL", "json:items[0].text", "json:items[1].text")
	for i := range 3 {
		b.Event(wouldBlock(time.Duration(i)*time.Minute, fmt.Sprintf("c%d", i%2), fmt.Sprintf("/orders/%d", i), sqli(fmt.Sprintf("json:items[%d].text", i))))
	}
	e := wouldBlock(time.Hour, "c9", "/orders/9", sqli("json:items[0].text"), other)
	e.Scores.Inbound = 15
	b.Event(e)
	a := b.Report().Applications[0]
	group := func(rule, requests, clients int) Group {
		return Group{
			Rule: rule, Message: fmt.Sprintf("message of %d", rule), Reason: event.CRSScore, Method: "POST", Path: "/orders/*",
			Target: "json:items[*].text", Requests: requests, Clients: clients, Judgement: Look, Incident: e.Incident,
		}
	}
	if d := cmp.Diff([]Group{group(942100, 4, 3), group(942190, 1, 1)}, a.Groups); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(a.Places) != 1 || a.Places[0].Requests != 4 || a.Places[0].Clients != 3 || a.WouldBlock != 4 {
		t.Errorf("got %+v", a)
	}
}

func TestWidenPaths(t *testing.T) {
	var hits []hit
	for _, word := range []string{"red", "green", "blue", "white", "black"} {
		hits = append(hits, hit{method: "GET", path: "/shop/" + word + "/reviews"}, hit{method: "GET", path: "/few/" + word[:1]})
	}
	hits[1].path, hits[3].path = "/few/b", "/few/b"
	widenPaths(hits)
	var got []string
	for _, h := range hits {
		got = append(got, h.path)
	}
	want := strings.Fields(strings.Repeat("/shop/*/reviews /few/b ", 3) + "/shop/*/reviews /few/w /shop/*/reviews /few/b")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestReportCounts(t *testing.T) {
	b := NewBuilder(Options{Since: reportStart, Application: "shop"})
	b.Event(wouldBlock(-time.Hour, "a", "/old", sqli("query:q")))
	api := wouldBlock(0, "a", "/other", sqli("query:q"))
	api.Application = "api"
	b.Event(api)
	blocked := wouldBlock(0, "a", "/x", sqli("query:q"))
	blocked.Verdict = event.Block
	large := &event.Event{Time: reportStart, Application: "shop", Verdict: event.Block, Reason: event.BodyTooLarge, Client: "a", Incident: "GH-1"}
	failed := &event.Event{Time: reportStart.Add(25 * time.Hour), Application: "shop", Verdict: event.Error, Reason: event.InspectionError, Client: "a", Incident: "GH-2"}
	kind := &event.Event{Time: reportStart, Application: "shop", Mode: "detect", Verdict: event.Detect, Reason: event.ContentType, Client: "a", Path: "/up", Method: "PUT", Incident: "GH-3"}
	for _, e := range []*event.Event{blocked, large, failed, kind} {
		b.Event(e)
	}
	w := AccessWriter{Take: b.Access}
	for i := range 10 {
		line := fmt.Sprintf(`{"record":"access","time":"2026-07-01T09:00:00Z","application":"shop","client":"a","verdict":"pass","uninspected":[{"cause":"response","bytes":5}%s]}`+"\n",
			map[bool]string{true: `,{"cause":"inspect_limit","bytes":7}`}[i == 0])
		if _, err := w.Write([]byte(line[:20])); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(line[20:])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("plain text \"access\"\n{\"record\":\"event\"}\n" + `{"record":"access","time":"2026-07-01T09:00:00Z","application":"shop","client":"b"}`)); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	r := b.Report()
	a := r.Applications[0]
	requests, tenth := 11, 1.0/11
	want := Application{
		Name: "shop", Mode: "detect", Conclusion: Settle, From: reportStart, To: reportStart.Add(25 * time.Hour),
		Settle: []string{
			"look at PUT /up content_type (1 client, 1 request): gatehouse incident GH-3 says what helps",
			"look at POST /x query:q (1 client, 1 request): gatehouse incident " + blocked.Incident + " prints the exclusion",
			"inspection failed for 1 request: gatehouse incident GH-2 says why",
		},
		Notes: []string{}, Requests: &requests, WouldBlock: 1, WouldBlockShare: &tenth, Blocked: 2, Errors: 1,
		Uninspected: &UninspectedPart{Requests: 1, Share: tenth, Causes: []Cause{{"response", 10, 10.0 / 11, 50}, {"inspect_limit", 1, tenth, 7}}},
		Always: []Always{
			{Reason: event.BodyTooLarge, Requests: 1, Clients: 1, Incident: "GH-1"}, {Reason: event.InspectionError, Requests: 1, Clients: 1, Incident: "GH-2"},
		},
	}
	two := 2.0 / 11
	want.BlockedShare = &two
	a.Places, a.Groups = nil, nil
	if d := cmp.Diff(want, a); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(r.Applications) != 1 || r.Events != 4 || r.AccessRecords != 11 {
		t.Errorf("got %d applications, %d events, %d access records", len(r.Applications), r.Events, r.AccessRecords)
	}
}
