package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/event"
	"gatehouse/mgmt/problem"
	"gatehouse/rules/incident"
)

// EventQuery says which events are meant.
type EventQuery struct {
	Incident    string    `query:"incident" doc:"as the client saw it, in upper or lower case, with or without GH and hyphens"`
	Application []string  `query:"application"`
	Verdict     []string  `query:"verdict" enum:"detect,block,error"`
	Reason      []string  `query:"reason" doc:"such as crs_score"`
	Rule        []int     `query:"rule" doc:"number of a rule that matched"`
	Client      []string  `query:"client" doc:"addresses and prefixes, such as 203.0.113.0/24"`
	Host        []string  `query:"host"`
	Path        string    `query:"path" doc:"without its query; with * at its end, what begins so"`
	Gateway     []string  `query:"gateway"`
	Group       []string  `query:"group"`
	Since       time.Time `query:"since"`
	Until       time.Time `query:"until"`
}

// filter is what was asked for, within what the principal may see.
func (in *EventQuery) filter(ctx context.Context, role auth.Role) (event.Filter, error) {
	f := event.Filter{
		Applications: in.Application, Verdicts: in.Verdict, Reasons: in.Reason, Rules: in.Rule, Hosts: in.Host, Path: in.Path, Gateways: in.Gateway,
		Groups: in.Group, Since: in.Since, Until: in.Until, Only: visible(ctx, role),
	}
	if in.Incident != "" {
		id, err := incident.Parse(in.Incident)
		if err != nil {
			return f, problem.Field("query.incident", in.Incident, "%v", err)
		}
		f.Incident = id.String()
	}
	for i, text := range in.Client {
		p, err := prefixOf(text)
		if err != nil {
			return f, problem.Field("query.client["+strconv.Itoa(i)+"]", text, "is no address and no prefix such as 203.0.113.0/24")
		}
		f.Clients = append(f.Clients, p)
	}
	return f, nil
}

// prefixOf reads an address or a prefix.
func prefixOf(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
}

// visible are the applications for which the principal has the role, nil if it is all of them.
func visible(ctx context.Context, role auth.Role) []string {
	p := auth.From(ctx)
	if p.Role(auth.Everywhere) >= role {
		return nil
	}
	list := []string{}
	for application := range p.Roles {
		if p.Role(application) >= role {
			list = append(list, application)
		}
	}
	slices.Sort(list)
	return list
}

type listEvents struct {
	Page
	EventQuery
}

type followEvents struct {
	EventQuery
	After string `query:"after" maxLength:"40" doc:"next of the answer before; without it, the answer is where to go on"`
	Wait  int    `query:"wait" minimum:"0" maximum:"30" default:"20" doc:"seconds to wait for an event"`
}

type countEvents struct {
	Application []string  `query:"application"`
	Verdict     []string  `query:"verdict" enum:"detect,block,error"`
	Reason      []string  `query:"reason"`
	Rule        []int     `query:"rule" doc:"the first that matched, 0 if none did"`
	Since       time.Time `query:"since" doc:"24 h ago unless given"`
	Until       time.Time `query:"until"`
	Step        string    `query:"step" example:"5m" doc:"length of the steps of time, a minute or more; none unless given. What is older than two days is known by the hour"`
	By          []string  `query:"by" enum:"application,verdict,reason,rule" doc:"what to tell apart"`
}

type topEvents struct {
	EventQuery
	By    string `query:"by" required:"true" enum:"application,client,gateway,host,path,reason,rule,verdict"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"20"`
}

type incidentPath struct {
	Incident string `path:"incident"`
}

type eventReply struct{ Body json.RawMessage }

type eventsReply struct {
	Body struct {
		Items []json.RawMessage `json:"items" nullable:"false"`
		Next  string            `json:"next" doc:"after of the next request"`
	}
}

type countsReply struct {
	Body struct {
		Items []event.Count `json:"items" nullable:"false"`
	}
}

type topReply struct {
	Body struct {
		Items []event.Top `json:"items" nullable:"false"`
	}
}

type storageReply struct{ Body event.Storage }

const eventsTag = "Events"

func (a *API) eventRoutes() {
	Register(a, Route{
		Method: http.MethodGet, Path: "/events", ID: "list-events", Summary: "Events, the newest first", Tag: eventsTag, Permission: Analyst, AnyApplication: true,
		Description: "Each is what the gateway recorded, with the fields gateway and group. Those of applications for which who asks has no role are left out.",
	}, a.listEvents)
	Register(a, Route{
		Method: http.MethodGet, Path: "/events/{incident}", ID: "get-event", Summary: "The event of an incident", Tag: eventsTag, Permission: Analyst, AnyApplication: true,
	}, a.getEvent)
	Register(a, Route{
		Method: http.MethodGet, Path: "/events/follow", ID: "follow-events", Summary: "Events as they arrive", Tag: eventsTag, Permission: Analyst, AnyApplication: true,
		Description: "Waits until there are events behind after, at most for wait seconds. Gateways send theirs about once a second.",
	}, a.followEvents)
	Register(a, Route{
		Method: http.MethodGet, Path: "/events/counts", ID: "count-events", Summary: "Exact numbers of events, for charts", Tag: eventsTag, Permission: Viewer, AnyApplication: true,
		Description: "They count every event, also those that gateways counted only because there were too many of a kind.",
	}, a.countEvents)
	Register(a, Route{
		Method: http.MethodGet, Path: "/events/top", ID: "rank-events", Summary: "Clients, paths, rules and so on with most events", Tag: eventsTag, Permission: Analyst, AnyApplication: true,
		Description: "Of the events that are stored, from 15 minutes ago on unless since is given. Of a flood of one kind, gateways send a sample.",
	}, a.rankEvents)
	Register(a, Route{
		Method: http.MethodGet, Path: "/events/storage", ID: "get-events-storage", Summary: "How much is stored", Tag: eventsTag, Permission: Viewer, AnyApplication: true,
	}, func(ctx context.Context, _ *struct{}) (*storageReply, error) {
		s, err := a.o.Events.Storage(ctx)
		return &storageReply{s}, err
	})
	RegisterStream(a, Route{
		Method: http.MethodGet, Path: "/events/export", ID: "export-events", Summary: "Events as JSON lines, the oldest first", Tag: eventsTag, Permission: Analyst, AnyApplication: true,
		Description: "gatehouse report and gatehouse incident read them with -events FILE.",
	}, "application/jsonl", a.exportEvents)
}

func (a *API) listEvents(ctx context.Context, in *listEvents) (*ListReply[json.RawMessage], error) {
	f, err := in.filter(ctx, auth.Analyst)
	if err != nil {
		return nil, err
	}
	keys, err := in.Keys(2)
	if err != nil {
		return nil, err
	}
	var after *event.Place
	if keys != nil {
		at, errAt := strconv.ParseInt(keys[0], 10, 64)
		id, errID := strconv.ParseInt(keys[1], 10, 64)
		if errAt != nil || errID != nil {
			return nil, problem.Field("query.cursor", in.Cursor, "is not a cursor of this list")
		}
		after = &event.Place{At: time.UnixMicro(at), ID: id}
	}
	list, err := a.o.Events.Search(ctx, f, event.Newest, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	records := recordsOf(list)
	return Paged(in.Page, records, func(json.RawMessage) string {
		last := list[in.Limit-1]
		return NewCursor(strconv.FormatInt(last.At.UnixMicro(), 10), strconv.FormatInt(last.ID, 10))
	}), nil
}

func recordsOf(list []event.Found) []json.RawMessage {
	records := make([]json.RawMessage, len(list))
	for i, f := range list {
		records[i] = f.Record
	}
	return records
}

func (a *API) getEvent(ctx context.Context, in *incidentPath) (*eventReply, error) {
	id, err := incident.Parse(in.Incident)
	if err != nil {
		return nil, problem.Field("path.incident", in.Incident, "%v", err)
	}
	found, err := a.o.Events.Get(ctx, id, visible(ctx, auth.Analyst))
	return &eventReply{found.Record}, err
}

func (a *API) followEvents(ctx context.Context, in *followEvents) (*eventsReply, error) {
	f, err := in.filter(ctx, auth.Analyst)
	if err != nil {
		return nil, err
	}
	out := &eventsReply{}
	out.Body.Items = []json.RawMessage{}
	if in.After == "" {
		last, err := a.o.Events.Last(ctx)
		out.Body.Next = strconv.FormatInt(last, 10)
		return out, err
	}
	after, err := strconv.ParseInt(in.After, 10, 64)
	if err != nil || after < 0 {
		return nil, problem.Field("query.after", in.After, "is not next of an answer of this route")
	}
	list, next, err := a.o.Events.Follow(ctx, f, after, time.Duration(in.Wait)*time.Second, a.o.Stopping)
	if err != nil {
		return nil, err
	}
	out.Body.Items, out.Body.Next = recordsOf(list), strconv.FormatInt(next, 10)
	return out, nil
}

// countsSince is from when on events are counted unless it is said, and rankedSince from when on they are ranked.
const (
	countsSince = 24 * time.Hour
	rankedSince = 15 * time.Minute
)

func (a *API) countEvents(ctx context.Context, in *countEvents) (*countsReply, error) {
	f := event.Filter{
		Applications: in.Application, Verdicts: in.Verdict, Reasons: in.Reason, Rules: in.Rule, Since: in.Since, Until: in.Until,
		Only: visible(ctx, auth.Viewer),
	}
	if f.Since.IsZero() {
		f.Since = a.o.DB.Now().Add(-countsSince)
	}
	var step time.Duration
	if in.Step != "" {
		var err error
		if step, err = time.ParseDuration(in.Step); err != nil || step < time.Minute || step%time.Minute != 0 {
			return nil, problem.Field("query.step", in.Step, "must be whole minutes, such as 5m or 24h")
		}
	}
	list, err := a.o.Events.Counts(ctx, f, step, in.By)
	out := &countsReply{}
	out.Body.Items = append([]event.Count{}, list...)
	return out, err
}

func (a *API) rankEvents(ctx context.Context, in *topEvents) (*topReply, error) {
	f, err := in.filter(ctx, auth.Analyst)
	if err != nil {
		return nil, err
	}
	if f.Since.IsZero() {
		f.Since = a.o.DB.Now().Add(-rankedSince)
	}
	list, err := a.o.Events.Top(ctx, f, in.By, in.Limit)
	out := &topReply{}
	out.Body.Items = append([]event.Top{}, list...)
	return out, err
}

// exportEvents reads page by page, so that a client that is slow holds no transaction.
func (a *API) exportEvents(ctx context.Context, in *EventQuery) (Stream, error) {
	f, err := in.filter(ctx, auth.Analyst)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, flush func()) error {
		const page = 500
		var after *event.Place
		for {
			list, err := a.o.Events.Search(ctx, f, event.Oldest, after, page)
			if err != nil {
				return err
			}
			for _, found := range list {
				if _, err := w.Write(append(found.Record, '\n')); err != nil {
					return err
				}
			}
			flush()
			if len(list) < page {
				return nil
			}
			after = &list[page-1].Place
		}
	}, nil
}
