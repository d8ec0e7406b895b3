package tuning

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/proxy/event"
)

// Conclusion says whether an application can be switched to mode block.
type Conclusion string

// The conclusions.
const (
	Ready  Conclusion = "ready"
	Settle Conclusion = "settle" // what Settle lists comes first
)

// Report answers for each application whether it can be switched to mode block.
type Report struct {
	From          time.Time     `json:"from"`
	To            time.Time     `json:"to"`
	Events        int           `json:"events"`
	AccessRecords int           `json:"access_records"`
	Applications  []Application `json:"applications"`
	// Unknown are the hosts that no application has, by number of requests.
	Unknown []UnknownHost `json:"unknown_hosts"`
}

// Application is what was seen of one application. Requests and shares are only known from access records.
type Application struct {
	Name       string     `json:"application"`
	Mode       string     `json:"mode,omitempty"` // of its newest event
	Conclusion Conclusion `json:"conclusion"`
	// Settle says in sentences what to do before mode block; Notes what else should be known.
	Settle          []string         `json:"settle"`
	Notes           []string         `json:"notes"`
	From            time.Time        `json:"from"`
	To              time.Time        `json:"to"`
	Requests        *int             `json:"requests"`
	WouldBlock      int              `json:"would_block"`
	WouldBlockShare *float64         `json:"would_block_share"` // 0 to 1
	Blocked         int              `json:"blocked"`
	BlockedShare    *float64         `json:"blocked_share"`
	Errors          int              `json:"errors"`
	Uninspected     *UninspectedPart `json:"uninspected"`
	// Places are where rules matched; Groups the same by rule.
	Places []Place  `json:"places"`
	Groups []Group  `json:"groups"`
	Always []Always `json:"refused_in_every_mode"`
}

// UninspectedPart is what was forwarded without inspection. Requests does not count those of which only the reply was not
// inspected.
type UninspectedPart struct {
	Requests int     `json:"requests"`
	Share    float64 `json:"share"`
	Causes   []Cause `json:"causes"`
}

// Cause counts what one cause left uninspected.
type Cause struct {
	Cause    string  `json:"cause"`
	Requests int     `json:"requests"`
	Share    float64 `json:"share"`
	Bytes    int64   `json:"bytes"`
}

// Always counts what is refused in every mode.
type Always struct {
	Reason   event.Reason `json:"reason"`
	Requests int          `json:"requests"`
	Clients  int          `json:"clients"`
	Incident string       `json:"incident"`
}

// UnknownHost is a host that no application has.
type UnknownHost struct {
	Host     string `json:"host"`
	Requests int    `json:"requests"`
	Clients  int    `json:"clients"`
}

// Options adjust a report.
type Options struct {
	// Since leaves out what is older; the zero time takes everything.
	Since time.Time
	// Application leaves out all others; empty takes all.
	Application string
	// Clients is the number of distinct clients from which on a place is taken for a false positive, 0 for 5.
	Clients int
}

// Builder gathers records for a report. It belongs to one goroutine.
type Builder struct {
	opts    Options
	apps    map[string]*gathered
	unknown map[string]*tally
	report  Report
}

// gathered is what was seen of one application.
type gathered struct {
	modeAt                      time.Time
	mode                        string
	from, to                    time.Time
	requests                    int
	wouldBlock, blocked, errors int
	uninspected                 int
	causes                      map[string]*Cause
	always                      map[event.Reason]*tally
	hits                        []hit
	clients                     map[string]int // requests of each client, from access records
}

// tally counts requests and clients.
type tally struct {
	requests int
	clients  map[string]bool
	incident string // of the newest
	last     time.Time
}

func (t *tally) add(client, incident string, at time.Time) {
	t.requests++
	if t.clients == nil {
		t.clients = map[string]bool{}
	}
	t.clients[client] = true
	if !at.Before(t.last) {
		t.last, t.incident = at, incident
	}
}

// NewBuilder begins a report.
func NewBuilder(opts Options) *Builder {
	if opts.Clients <= 0 {
		opts.Clients = 5
	}
	return &Builder{opts: opts, apps: map[string]*gathered{}, unknown: map[string]*tally{}}
}

// takes says whether a record counts, and notes when it was.
func (b *Builder) takes(application string, at time.Time) bool {
	if at.Before(b.opts.Since) || b.opts.Application != "" && application != b.opts.Application {
		return false
	}
	widen(&b.report.From, &b.report.To, at)
	return true
}

func widen(from, to *time.Time, at time.Time) {
	if from.IsZero() || at.Before(*from) {
		*from = at
	}
	if at.After(*to) {
		*to = at
	}
}

func (b *Builder) application(name string, at time.Time) *gathered {
	g := b.apps[name]
	if g == nil {
		g = &gathered{causes: map[string]*Cause{}, always: map[event.Reason]*tally{}, clients: map[string]int{}}
		b.apps[name] = g
	}
	widen(&g.from, &g.to, at)
	return g
}

// Access takes an access record.
func (b *Builder) Access(a Access) {
	if !b.takes(a.Application, a.Time) {
		return
	}
	b.report.AccessRecords++
	if a.Application == "" {
		return
	}
	g := b.application(a.Application, a.Time)
	g.requests++
	g.clients[a.Client]++
	request := false
	for _, u := range a.Uninspected {
		c := g.causes[u.Cause]
		if c == nil {
			c = &Cause{Cause: u.Cause}
			g.causes[u.Cause] = c
		}
		c.Requests++
		c.Bytes += u.Bytes
		request = request || !strings.HasPrefix(u.Cause, "response")
	}
	if request {
		g.uninspected++
	}
}

// Event takes an event.
func (b *Builder) Event(e *event.Event) {
	if !b.takes(e.Application, e.Time) {
		return
	}
	b.report.Events++
	if e.Application == "" {
		if e.Reason == event.UnknownHost {
			t := b.unknown[e.Host]
			if t == nil {
				t = &tally{}
				b.unknown[e.Host] = t
			}
			t.add(e.Client, e.Incident, e.Time)
		}
		return
	}
	g := b.application(e.Application, e.Time)
	if e.Mode != "" && !e.Time.Before(g.modeAt) {
		g.mode, g.modeAt = e.Mode, e.Time
	}
	switch e.Verdict {
	case event.Detect:
		g.wouldBlock++
	case event.Block:
		g.blocked++
	case event.Error:
		g.errors++
	}
	if !ByMode(e.Reason) {
		t := g.always[e.Reason]
		if t == nil {
			t = &tally{}
			g.always[e.Reason] = t
		}
		t.add(e.Client, e.Incident, e.Time)
		return
	}
	g.hits = append(g.hits, hitOf(e))
}

// Report makes the report of what was taken so far.
func (b *Builder) Report() *Report {
	r := b.report
	r.Applications, r.Unknown = []Application{}, []UnknownHost{}
	for _, name := range slices.Sorted(maps.Keys(b.apps)) {
		r.Applications = append(r.Applications, b.conclude(name, b.apps[name]))
	}
	for host, t := range b.unknown {
		r.Unknown = append(r.Unknown, UnknownHost{Host: host, Requests: t.requests, Clients: len(t.clients)})
	}
	slices.SortFunc(r.Unknown, func(a, b UnknownHost) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Host, b.Host))
	})
	return &r
}

func (b *Builder) conclude(name string, g *gathered) Application {
	a := Application{
		Name: name, Mode: g.mode, From: g.from, To: g.to, WouldBlock: g.wouldBlock, Blocked: g.blocked, Errors: g.errors,
		Settle: []string{}, Notes: []string{}, Always: []Always{},
	}
	// Without a record for each request the shares would be made up.
	if b.report.AccessRecords > 0 {
		a.Requests = &g.requests
		a.WouldBlockShare, a.BlockedShare = share(g.wouldBlock, g.requests), share(g.blocked, g.requests)
		a.Uninspected = &UninspectedPart{Requests: g.uninspected, Share: ratio(g.uninspected, g.requests), Causes: []Cause{}}
		for _, c := range g.causes {
			c.Share = ratio(c.Requests, g.requests)
			a.Uninspected.Causes = append(a.Uninspected.Causes, *c)
		}
		slices.SortFunc(a.Uninspected.Causes, func(x, y Cause) int {
			return cmp.Or(cmp.Compare(y.Requests, x.Requests), cmp.Compare(x.Cause, y.Cause))
		})
	}
	for reason, t := range g.always {
		a.Always = append(a.Always, Always{Reason: reason, Requests: t.requests, Clients: len(t.clients), Incident: t.incident})
	}
	slices.SortFunc(a.Always, func(x, y Always) int {
		return cmp.Or(cmp.Compare(y.Requests, x.Requests), cmp.Compare(x.Reason, y.Reason))
	})
	a.Places, a.Groups = group(g.hits, g.clients, b.opts.Clients)
	b.judge(&a, g)
	return a
}

// judge fills in the conclusion.
func (b *Builder) judge(a *Application, g *gathered) {
	attacks := 0
	for i := range a.Places {
		p := &a.Places[i]
		switch p.Judgement {
		case FalsePositive:
			a.Settle = append(a.Settle, fmt.Sprintf("%s is probably a false positive (%s): %s", p, p.by(), p.Hint()))
		case Look:
			a.Settle = append(a.Settle, fmt.Sprintf("look at %s (%s): %s", p, p.by(), p.Hint()))
		case Attack:
			attacks++
		}
	}
	if t := g.always[event.InspectionError]; t != nil {
		a.Settle = append(a.Settle, fmt.Sprintf("inspection failed for %s: gatehouse incident %s says why", plural(t.requests, "request"), t.incident))
	}
	a.Conclusion = Ready
	if len(a.Settle) > 0 {
		a.Conclusion = Settle
	}
	if n := len(g.hits); n >= 20 && len(g.clients) <= 1 && oneClient(g.hits) {
		a.Notes = append(a.Notes, fmt.Sprintf("all %d refusals are of one client, %s: if it is a load balancer, check trusted_hops", n, g.hits[0].client))
	}
	if attacks > 0 {
		then := "mode block would refuse them"
		if a.Mode == "block" {
			then = "they are refused"
		}
		a.Notes = append(a.Notes, fmt.Sprintf("%s probably attacks; %s", pluralVerb(attacks, "place is", "places are"), then))
	}
	if span := g.to.Sub(g.from); span < 24*time.Hour {
		seen := plural(g.requests, "request")
		if a.Requests == nil {
			seen = "events alone"
		}
		a.Notes = append(a.Notes, fmt.Sprintf("this is what %s within %s show; two days show more", seen, roughly(span)))
	}
	if a.Requests == nil {
		a.Notes = append(a.Notes, "shares are not known: there are no access records (logs.access, or -access FILE)")
	}
	if a.Mode == "disabled" {
		a.Notes = append(a.Notes, "the mode is disabled: nothing was inspected, so nothing is known")
		a.Conclusion = Settle
		a.Settle = append(a.Settle, "set mode: detect and let it run for two days")
	}
}

func oneClient(hits []hit) bool {
	return !slices.ContainsFunc(hits, func(h hit) bool { return h.client != hits[0].client })
}

func share(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	s := ratio(n, of)
	return &s
}

func ratio(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

func plural(n int, noun string) string { return pluralVerb(n, noun, noun+"s") }

func pluralVerb(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// roughly writes a duration for people.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "a minute"
	case d < 2*time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}
