package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/action"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/policy"
)

// ApplyActions takes the emergency actions that are in force from now on, in the place of those before: all of them, or none after an
// error. Whoever calls it has verified them. Actions that expire end by themselves.
//
// A rule is left out by building the rule sets of the configuration again, which prove themselves as after a reload.
func (s *Server) ApplyActions(a *fleetapi.Actions) error {
	s.reloadMu.Lock()
	defer s.reloadMu.Unlock()
	set, err := action.Compile(a, time.Now(), s.counters)
	if err != nil {
		return err
	}
	old := s.actions.Load()
	if err = s.guardActions(set, old); err == nil && leftOut(set) != leftOut(old) {
		s.leaveOut = set
		if err = s.reload(); err != nil {
			s.leaveOut = old
		}
	}
	if err != nil {
		set.Close()
		return err
	}
	s.leaveOut = set
	s.actions.Store(set)
	old.Close()
	s.expireActions(set)
	s.log.Info("emergency actions applied", zap.Int("in_force", len(set.Actions())))
	return nil
}

// leftOut tells sets apart that leave out other rules.
func leftOut(set *action.Set) string {
	text := ""
	for _, a := range set.Actions() {
		if a.Kind == fleetapi.ActionDisable {
			text += fmt.Sprintf("%s %s %d\n", a.ID, a.Application, a.Rule)
		}
	}
	return text
}

// expireActions has the watcher build the rules again when a rule is back. The caller holds reloadMu.
func (s *Server) expireActions(set *action.Set) {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if next := set.Rebuild(time.Now()); !next.IsZero() {
		const margin = 10 * time.Millisecond // the clock of the timer is another one
		s.restoreIn(time.Until(next) + margin)
	}
}

// restoreIn has restoreRules called after d. The caller holds reloadMu.
func (s *Server) restoreIn(d time.Duration) {
	s.expiry = time.AfterFunc(d, func() {
		select {
		case s.rulesBack <- struct{}{}:
		default:
		}
	})
}

// restoreRules serves with the rules that an action left out until now.
func (s *Server) restoreRules() {
	s.reloadMu.Lock()
	defer s.reloadMu.Unlock()
	if err := s.reload(); err != nil {
		s.log.Error("a rule that an emergency action left out cannot be brought back", zap.Error(err))
		const again = 10 * time.Second
		s.restoreIn(again)
		return
	}
	s.expireActions(s.actions.Load())
}

// without is an application without the rules that emergency actions leave out.
func without(c *config.Application, left []policy.Exclusion) *config.Application {
	if len(left) == 0 {
		return c
	}
	changed := *c
	changed.Exclusions = append(slices.Clone(c.Exclusions), left...)
	return &changed
}

// guardActions refuses what must not be done, of the actions that are new: clients among the trusted proxies, from which health checks
// come too, always; and unless its author has seen it, what would refuse more than a tenth of the requests.
func (s *Server) guardActions(set, old *action.Set) error {
	for i, a := range set.Actions() {
		known := func(b fleetapi.Action) bool { return b.ID == a.ID }
		if slices.ContainsFunc(old.Actions(), known) {
			continue
		}
		if err := s.concernsProxies(&set.Actions()[i]); err != nil {
			return fmt.Errorf("action %s: %w", a.ID, err)
		}
		if a.Force || !refuses(&a) {
			continue
		}
		requests, hit, err := s.samples.Answer(&a, time.Now())
		if err != nil {
			return err
		}
		const enough = 100 // fewer requests tell no share
		if requests >= enough && float64(hit) > fleetapi.GuardShare*float64(requests) {
			return fmt.Errorf("action %s: it would have hit about %d of the last 15 minutes' %d requests here, more than %.0f %%; that needs force",
				a.ID, hit, requests, 100*fleetapi.GuardShare)
		}
	}
	return nil
}

// refuses says whether an action can refuse what went through before.
func refuses(a *fleetapi.Action) bool {
	return a.Kind == fleetapi.ActionBlock || a.Kind == fleetapi.ActionLimit || a.Kind == fleetapi.ActionMode && a.Mode == string(config.ModeBlock)
}

// concernsProxies refuses an action on addresses of trusted proxies of any listener.
func (s *Server) concernsProxies(a *fleetapi.Action) error {
	clients, err := fleetapi.ParseClients(a.Clients)
	if err != nil {
		return err
	}
	for name, f := range s.state.Load().fronts {
		for _, p := range clients {
			if proxy, ok := f.clients.Overlaps(p); ok {
				return &fleetapi.FieldError{Field: "clients", Message: fmt.Sprintf(
					"%s holds addresses of trusted proxies (%s, of listener %s), behind which are many clients and from which health checks come; that is refused always", p, proxy, name)}
			}
		}
	}
	return nil
}

// AnswerQuestion says which share of the last 15 minutes' requests an action would have hit here.
func (s *Server) AnswerQuestion(q *fleetapi.Question) fleetapi.Answer {
	out := fleetapi.Answer{ID: q.ID}
	err := q.Action.Check()
	if err == nil {
		err = s.concernsProxies(&q.Action)
	}
	if err == nil {
		out.Requests, out.Hit, err = s.samples.Answer(&q.Action, time.Now())
	}
	if err != nil {
		out.Refusal = err.Error()
	}
	return out
}

// act does what emergency actions say of the request: it refuses it, or changes the mode in which it is judged.
func (x *exchange) act() *inspect.Refusal {
	set := x.server.actions.Load()
	if set == nil || x.route.options.Mode == config.ModeDisabled {
		return nil
	}
	x.mode = config.Mode(set.Mode(x.app.config.Name, x.start))
	d := set.Decide(x.actionRequest())
	if d.Action == nil {
		return nil
	}
	r := &inspect.Refusal{
		Reason: event.Action, Status: x.route.options.Status, RetryAfter: d.RetryAfter,
		Detail: fmt.Sprintf("action %s of %s (%s): %s", d.Action.ID, d.Action.Author, d.Action.Kind, d.Action.Reason),
	}
	if d.Action.Kind == fleetapi.ActionLimit {
		r.Status = http.StatusTooManyRequests
	} else if r.Status == 0 {
		r.Status = http.StatusForbidden
	}
	return r
}

// effectiveMode is the mode in which the request is judged. An action's takes the place of the application's and of the routes' own; a
// route that is disabled stays so.
func (x *exchange) effectiveMode() config.Mode {
	if x.mode != "" {
		return x.mode
	}
	return x.route.options.Mode
}

func (x *exchange) actionRequest() *action.Request {
	return &action.Request{
		Time: x.start, Client: x.out.Client, Application: x.app.config.Name, Method: x.request.Method, Path: x.path.Canonical,
		Host: x.host, Header: x.request.Header,
	}
}

// sample remembers the request, so that it can be said what an action would have hit.
func (x *exchange) sample(outcome *inspect.Outcome) {
	if x.server.registry == nil || x.app == nil { // offline, or of no application
		return
	}
	was := action.Passed
	var matched func() []int
	if outcome != nil {
		switch outcome.Verdict {
		case event.Detect:
			was = action.Detected
		case event.Block:
			was = action.Blocked
		}
		if outcome.Result != nil && len(outcome.Result.Matches) > 0 {
			matched = func() []int {
				var ids []int
				for i := range outcome.Result.Matches {
					ids = append(ids, outcome.Result.Matches[i].Rule)
				}
				return ids
			}
		}
	}
	x.server.samples.Add(x.actionRequest(), was, matched)
}
