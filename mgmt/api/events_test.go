package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/event"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/incident"
)

// eventSite is an API with events of two applications and of none, asked by principals of tests.
type eventSite struct {
	t      *testing.T
	db     *store.DB
	events *event.Service
	api    *api.API
	at     time.Time
	sent   int64
}

func newEventSite(t *testing.T) *eventSite {
	t.Helper()
	s := &eventSite{t: t, db: storetest.SQLite(t)(), at: time.Now().Add(-time.Minute)}
	var err error
	if s.events, err = event.Open(t.Context(), event.Options{File: filepath.Join(t.TempDir(), "events.db"), Keep: 24 * time.Hour, MaxSize: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.events.Close() })
	who := askers()
	who["both"] = &auth.Principal{Kind: auth.KindUser, ID: "both", Name: "both", Grants: auth.Grants{Roles: map[string]auth.Role{theirs: auth.Viewer, another: auth.Analyst}}}
	if s.api, err = api.New(api.Options{DB: s.db, Events: s.events, Authenticator: who}); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		s.send([]string{theirs, another, ""}[i%3], i)
	}
	return s
}

// send sends an event, as number i.
func (s *eventSite) send(application string, i int) {
	s.t.Helper()
	s.sent++
	at := s.at.Add(time.Duration(i) * time.Second)
	e := fmt.Sprintf(`{"record":"event","time":%q,"incident":%q,"verdict":"block","reason":"rule","application":%q,"client":"192.0.2.%d","host":"h","path":"/%d","rules":[{"id":%d}]}`,
		at.UTC().Format(time.RFC3339Nano), s.incident(i), application, i%4, i, 100+i%2)
	count := fleetapi.Count{Minute: at, Application: application, Verdict: "block", Reason: "rule", Rule: 100 + i%2, Events: 10, Sampled: 9}
	data, err := json.Marshal(fleetapi.Batch{Spool: "s", Sequence: s.sent, Events: []json.RawMessage{json.RawMessage(e)}, Counts: []fleetapi.Count{count}})
	if err != nil {
		s.t.Fatal(err)
	}
	w, _ := zstd.NewWriter(nil)
	if _, err := s.events.Take(s.t.Context(), event.Gateway{Name: "gw-1", Group: "edge"}, w.EncodeAll(data, nil)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *eventSite) incident(i int) string {
	return incident.ID{Time: s.at, Sequence: uint32(i)}.String() //nolint:gosec // small
}

// ask gives the answer to somebody.
func (s *eventSite) ask(who, path string, want int) []byte {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/api/v1"+path, nil)
	r.Header.Set("Test-Principal", who)
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	if w.Code != want {
		s.t.Fatalf("%s %s: %d %s; want %d", who, path, w.Code, w.Body, want)
	}
	return w.Body.Bytes()
}

type someEvent struct{ Incident, Application, Gateway, Group string }

// list gives the events of all pages.
func (s *eventSite) list(who, query string) (list []someEvent) {
	s.t.Helper()
	for cursor := ""; ; {
		var page struct {
			Items []someEvent
			Next  string
		}
		if err := json.Unmarshal(s.ask(who, "/events?limit=4&"+query+"&cursor="+cursor, http.StatusOK), &page); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, page.Items...)
		if cursor = page.Next; cursor == "" {
			return list
		}
	}
}

// TestEventsSeen shows that each sees the events of the applications that they have the role for, on every route.
func TestEventsSeen(t *testing.T) {
	s := newEventSite(t)
	for who, want := range map[string]string{
		"user analyst *":            ", other, shop",
		"token analyst " + theirs:   "shop",
		"token publisher " + theirs: "shop",
		"both":                      "other",
	} {
		seen := func(list []someEvent) string {
			found := map[string]bool{}
			for _, e := range list {
				found[e.Application] = true
			}
			var names []string
			for _, name := range []string{"", another, theirs} {
				if found[name] {
					names = append(names, name)
				}
			}
			return strings.Join(names, ", ")
		}
		if got := seen(s.list(who, "")); got != want {
			t.Errorf("%s lists %s, not %s", who, got, want)
		}
		if got := seen(lines(t, s.ask(who, "/events/export", http.StatusOK))); got != want {
			t.Errorf("%s exports %s, not %s", who, got, want)
		}
		if got := s.top(who, "application"); got != strings.Count(want, ",")+1 {
			t.Errorf("%s ranks %d applications", who, got)
		}
		var followed struct{ Items []someEvent }
		if err := json.Unmarshal(s.ask(who, "/events/follow?after=0&wait=0", http.StatusOK), &followed); err != nil || seen(followed.Items) != want {
			t.Errorf("%s follows %s, not %s", who, seen(followed.Items), want)
		}
		for i, name := range []string{theirs, another, ""} {
			status := http.StatusNotFound
			if strings.Contains(", "+want+",", ", "+name+",") {
				status = http.StatusOK
			}
			s.ask(who, "/events/"+s.incident(i), status)
		}
	}
	for _, who := range []string{"user viewer *", "user viewer shop", "without"} {
		for _, path := range []string{"/events", "/events/" + s.incident(0), "/events/follow", "/events/top?by=client", "/events/export"} {
			s.ask(who, path, http.StatusForbidden)
		}
	}
	for who, want := range map[string]int{"user viewer *": 300, "user viewer shop": 100, "both": 200} {
		var counts struct{ Items []event.Count }
		err := json.Unmarshal(s.ask(who, "/events/counts?by=verdict", http.StatusOK), &counts)
		if err != nil || len(counts.Items) != 1 || counts.Items[0].Events != int64(want) || counts.Items[0].Sampled != int64(want)*9/10 {
			t.Errorf("%s counts %+v, %v", who, counts, err)
		}
	}
}

func (s *eventSite) top(who, by string) int {
	s.t.Helper()
	var top struct{ Items []event.Top }
	if err := json.Unmarshal(s.ask(who, "/events/top?by="+by, http.StatusOK), &top); err != nil {
		s.t.Fatal(err)
	}
	return len(top.Items)
}

func lines(t *testing.T, data []byte) (list []someEvent) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var e someEvent
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

// TestEventsFound shows what events are found by, page by page, and how what cannot be read is refused.
func TestEventsFound(t *testing.T) {
	s := newEventSite(t)
	const all = "user analyst *"
	for query, want := range map[string]int{
		"":                                    30,
		"application=shop":                    10,
		"application=shop,other":              20,
		"rule=101":                            15,
		"application=shop&application=other":  20,
		"client=192.0.2.1":                    8,
		"client=192.0.2.0/31":                 16,
		"client=192.0.2.0/31,192.0.2.3":       23,
		"path=/7":                             1,
		"path=/1*":                            11,
		"verdict=detect":                      0,
		"gateway=gw-1&group=edge&reason=rule": 30,
		"incident=" + strings.ToLower(strings.ReplaceAll(s.incident(3), "-", "")): 1,
		"since=" + s.at.Add(20*time.Second).UTC().Format(time.RFC3339Nano):        10,
	} {
		list := s.list(all, query)
		if len(list) != want {
			t.Errorf("%s: %d events, not %d", query, len(list), want)
		}
		seen := map[string]bool{}
		for _, e := range list {
			if seen[e.Incident] || e.Gateway != "gw-1" || e.Group != "edge" {
				t.Errorf("%s: %+v", query, e)
			}
			seen[e.Incident] = true
		}
	}
	for path, status := range map[string]int{
		"/events?client=nobody": 422, "/events?client=192.0.2.0/99": 422, "/events?incident=GH-1": 422, "/events?verdict=maybe": 422, "/events?rule=x": 422,
		"/events?cursor=x": 422, "/events?cursor=" + api.NewCursor("1") + "": 422, "/events?cursor=" + api.NewCursor("1", "x"): 422, "/events?limit=0": 422,
		"/events?what=1": 422, "/events/GH-1": 422, "/events/" + s.incident(999): 404, "/events/top": 422, "/events/top?by=secrets": 422,
		"/events/counts?step=10s": 422, "/events/counts?step=x": 422, "/events/counts?by=client": 422, "/events/follow?after=x": 422, "/events/follow?after=-1": 422,
	} {
		s.ask(all, path, status)
	}
	var storage event.Storage
	if err := json.Unmarshal(s.ask(all, "/events/storage", http.StatusOK), &storage); err != nil || storage.Events != 30 || storage.Bytes == 0 || storage.MaxSize != 1<<30 {
		t.Errorf("%+v, %v", storage, err)
	}
}

// TestEventsFollowed shows that who follows gets each event once, as it arrives, also while others come that do not fit.
func TestEventsFollowed(t *testing.T) {
	s := newEventSite(t)
	var page struct {
		Items []someEvent
		Next  string
	}
	follow := func(after string) {
		page.Items = nil
		if err := json.Unmarshal(s.ask("token analyst shop", "/events/follow?wait=20&after="+after, http.StatusOK), &page); err != nil {
			t.Fatal(err)
		}
	}
	follow("")
	if len(page.Items) != 0 {
		t.Fatalf("the first answer has %d events", len(page.Items))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		follow(page.Next)
	}()
	s.send(another, 40)
	select {
	case <-answered:
		t.Fatalf("an event of another application is an answer: %+v", page)
	case <-time.After(100 * time.Millisecond):
	}
	s.send(theirs, 41)
	select {
	case <-answered:
	case <-ctx.Done():
		t.Fatal("there is no answer")
	}
	if len(page.Items) != 1 || page.Items[0].Incident != s.incident(41) {
		t.Errorf("%+v", page)
	}
	s.send(theirs, 42)
	follow(page.Next)
	if len(page.Items) != 1 || page.Items[0].Incident != s.incident(42) {
		t.Errorf("%+v", page)
	}
}
