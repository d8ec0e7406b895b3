// Package action carries out the emergency actions of operators (package fleetapi): a set of them is compiled once, and then asked
// for every request before its inspection. A request that no action concerns costs nanoseconds.
package action

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/limit"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/policy"
)

// Set is what a fleetapi.Actions became. A nil Set has no actions. But for Close it may be used concurrently.
type Set struct {
	actions  []fleetapi.Action
	v4, v6   tree
	anywhere []*entry // of all clients
	modes    []*entry
	disabled []*entry
	limiters []*limit.Limiter
}

// entry is one action.
type entry struct {
	*fleetapi.Action
	expires int64 // Unix time in nanoseconds
	clients []netip.Prefix
	path    *policy.Path // nil for every path
	header  string       // canonical, empty for all requests
	limiter *limit.Limiter
}

// Request is what actions look at.
type Request struct {
	Time        time.Time
	Client      clientip.Client
	Application string
	Method      string
	Path        string // canonical
	Host        string
	Header      http.Header
}

// Decision is what becomes of a request; the zero value lets it go on.
type Decision struct {
	Action     *fleetapi.Action
	RetryAfter time.Duration // of limit
}

// Compile checks and compiles a set; none that has expired at now is in it. Limits count in counters, under the action's ID: they go on
// counting in the next set. An empty set is nil.
func Compile(s *fleetapi.Actions, now time.Time, counters *limit.Counters) (_ *Set, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	out := &Set{}
	defer func() {
		if err != nil {
			out.Close()
		}
	}()
	for i := range s.Actions {
		a := s.Actions[i]
		if !a.Expires.After(now) {
			continue
		}
		e, err := compile(&a)
		if err != nil {
			return nil, fmt.Errorf("action %s: %w", a.ID, err)
		}
		if a.Kind == fleetapi.ActionLimit {
			if e.limiter, err = limiter(&a, counters); err != nil {
				return nil, fmt.Errorf("action %s: %w", a.ID, err)
			}
			out.limiters = append(out.limiters, e.limiter)
		}
		out.add(e)
	}
	if len(out.actions) == 0 {
		return nil, nil
	}
	return out, nil
}

func compile(a *fleetapi.Action) (*entry, error) {
	e := &entry{Action: a, expires: a.Expires.UnixNano(), header: a.HeaderName()}
	var err error
	if e.clients, err = fleetapi.ParseClients(a.Clients); err != nil {
		return nil, err
	}
	if a.Path != "" {
		e.path, err = policy.CompilePath(limit.FoldPath(a.Path))
	}
	return e, err
}

// limiter makes the bucket of a limit action, which counts by client.
func limiter(a *fleetapi.Action, counters *limit.Counters) (*limit.Limiter, error) {
	burst := a.Burst
	if burst == 0 {
		burst = max(1, int(a.Rate))
	}
	return limit.New("action", []config.RateLimit{{
		Name: a.ID, Key: []string{"client"}, Burst: burst,
		Limit: config.Rate{Count: 1, Per: time.Duration(float64(time.Second) / a.Rate)},
	}}, counters)
}

func (s *Set) add(e *entry) {
	s.actions = append(s.actions, *e.Action)
	switch {
	case e.Kind == fleetapi.ActionMode:
		s.modes = append(s.modes, e)
	case e.Kind == fleetapi.ActionDisable:
		s.disabled = append(s.disabled, e)
	case len(e.clients) == 0:
		s.anywhere = append(s.anywhere, e)
	}
	for _, p := range e.clients {
		if p.Addr().Is4() {
			s.v4.add(p, e)
		} else {
			s.v6.add(p, e)
		}
	}
}

// Close gives the buckets back.
func (s *Set) Close() {
	if s == nil {
		return
	}
	for _, l := range s.limiters {
		_ = l.Close() // it has no error
	}
}

// Actions are those of the set.
func (s *Set) Actions() []fleetapi.Action {
	if s == nil {
		return nil
	}
	return s.actions
}

// Decide says what the set does to a request. A block goes before every limit, and a request that is refused counts against no further
// one. Whoever is behind a trusted proxy that names no client is not taken for the proxy: no client matches then.
func (s *Set) Decide(r *Request) (d Decision) {
	if s == nil {
		return d
	}
	now := r.Time.UnixNano()
	var limits []*entry
	look := func(e *entry) bool {
		if !e.takes(r, now) {
			return true
		}
		if e.Kind == fleetapi.ActionBlock {
			d.Action = e.Action
			return false
		}
		if !slices.Contains(limits, e) { // its prefixes may overlap
			limits = append(limits, e)
		}
		return true
	}
	for _, e := range s.anywhere {
		if !look(e) {
			return d
		}
	}
	if !r.Client.Shared {
		s.eachClient(r.Client.Addr.Addr(), look)
	}
	if d.Action != nil {
		return d
	}
	for _, e := range limits {
		x := e.limiter.EvaluateHeaders(limit.Request{Time: r.Time, Client: r.Client, Method: r.Method, Path: r.Path, Host: r.Host, Header: r.Header})
		if x.Outcome == limit.Exceeded {
			return Decision{Action: e.Action, RetryAfter: x.RetryAfter}
		}
	}
	return d
}

// eachClient looks at the entries of a client.
func (s *Set) eachClient(addr netip.Addr, look func(*entry) bool) {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		s.v4.each(b[:], look)
	} else if addr.Is6() {
		b := addr.As16()
		s.v6.each(b[:], look)
	}
}

// takes says whether the action concerns a request of one of its clients.
func (e *entry) takes(r *Request, now int64) bool {
	return now < e.expires && e.of(r.Application) && (e.path == nil || e.path.Match(limit.FoldPath(r.Path))) && e.takesHeader(r)
}

func (e *entry) of(application string) bool {
	return e.Application == "" || e.Application == application
}

func (e *entry) takesHeader(r *Request) bool {
	switch e.header {
	case "":
		return true
	case "Host": // net/http takes it out of the header
		return e.Value == r.Host
	}
	return slices.Contains(r.Header[e.header], e.Value)
}

// Mode is the mode that an application shall have at now, empty for its own. Of several actions the last in the set counts.
func (s *Set) Mode(application string, now time.Time) string {
	if s == nil {
		return ""
	}
	mode, at := "", now.UnixNano()
	for _, e := range s.modes {
		if at < e.expires && e.of(application) {
			mode = e.Mode
		}
	}
	return mode
}

// Disabled are the exclusions of the rules that an application is served without at now.
func (s *Set) Disabled(application string, now time.Time) []policy.Exclusion {
	if s == nil {
		return nil
	}
	var out []policy.Exclusion
	for _, e := range s.disabled {
		if now.UnixNano() < e.expires && e.of(application) {
			out = append(out, e.Exclusion())
		}
	}
	return out
}

// Rebuild is when the next disable action expires after now; the zero time is never.
func (s *Set) Rebuild(now time.Time) (next time.Time) {
	if s == nil {
		return next
	}
	for _, e := range s.disabled {
		if e.Expires.After(now) && (next.IsZero() || e.Expires.Before(next)) {
			next = e.Expires
		}
	}
	return next
}
