package proxy

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse/proxy/config"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/limit"
	"gatehouse/proxy/reply"
	"gatehouse/proxy/route"
	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// state is everything that one configuration became. A request uses one state from its start to its end; a state is
// closed when it was replaced and its last request has ended.
type state struct {
	config   *config.Config
	revision string    // its name, or a hash of the configuration
	group    string    // of gateways, empty without a manager
	dated    time.Time // when the revision was published, or the configuration loaded
	loadedAt time.Time
	files    []string
	dirs     []string
	warnings []config.Problem
	// fingerprint is that of the files when they were read, or just after.
	fingerprint string
	fronts      map[string]*front
	table       *route.Table
	apps        []*application
	upstreams   map[string]transport
	close       []func() error

	refs   atomic.Int64 // one for being served, one for each request
	closed chan struct{}
	err    error // of closing; read after closed is closed
}

// application is what an application of the configuration became.
type application struct {
	config   *config.Application
	rules    rules.RuleSet  // nil if no route inspects
	coverage Coverage       // of rules
	limits   *limit.Limiter // nil if there are none
	template *reply.Template
	routes   []*site
	metrics  *appMetrics
	window   *window // nil offline
}

// site is what a route became.
type site struct {
	name         string
	config       *config.Route
	options      inspect.Options
	upstream     transport
	upstreamName string
	metrics      *appMetrics
}

// noRoute is the route label of requests that found no route.
const noRoute = "_none"

// build makes a state out of a configuration: rules are parsed and proven, upstreams opened, templates executed. On
// an error nothing of it is left.
func (s *Server) build(loaded *config.Loaded) (_ *state, err error) {
	cfg := loaded.Config
	now := time.Now()
	st := &state{
		config: cfg, revision: "sha256:" + loaded.Digest[:min(12, len(loaded.Digest))], dated: now, loadedAt: now,
		warnings: loaded.Warnings, files: loaded.Files, dirs: loaded.Dirs, fingerprint: fingerprint(loaded.Files, loaded.Dirs), fronts: fronts(cfg),
		table: route.New(cfg.Applications), upstreams: map[string]transport{}, closed: make(chan struct{}),
	}
	if r := loaded.Revision; r.Name != "" {
		st.revision, st.group, st.dated = r.Name, r.Group, r.Published
	}
	st.refs.Store(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, st.shut())
		}
	}()
	for i := range cfg.Upstreams {
		u, release, err := s.upstreams.Acquire(cfg.Upstreams[i], clientCertificates(loaded))
		if err != nil {
			return nil, at(loaded, fmt.Sprintf("upstreams[%d]", i), err)
		}
		st.upstreams[cfg.Upstreams[i].Name] = u
		st.close = append(st.close, func() error { release(); return nil })
	}
	for i := range cfg.Applications {
		app, err := s.buildApplication(st, loaded, i)
		if err != nil {
			return nil, err
		}
		st.apps = append(st.apps, app)
	}
	return st, nil
}

func (s *Server) buildApplication(st *state, loaded *config.Loaded, index int) (*application, error) {
	c := &loaded.Config.Applications[index]
	app := &application{config: c, metrics: s.metrics.forRoute(c.Name, noRoute), coverage: Coverage{OnReference: []ReferenceRule{}}}
	if c.Replies.HTMLFile != "" {
		text, _ := loaded.Content(c.Replies.HTMLFile)
		var err error
		if app.template, err = reply.ParseTemplate(c.Replies.HTMLFile, string(text)); err != nil {
			return nil, at(loaded, fmt.Sprintf("applications[%d].replies.html_file", index), err)
		}
	}
	inspects := false
	for j := range c.Routes {
		r := &c.Routes[j]
		site := &site{name: st.table.Applications()[index].Routes[j].Name, config: r, options: inspect.Options{
			Mode: c.Mode, Body: r.Body, Reply: r.Response, OnError: c.OnInspectionError, Status: c.Replies.Status,
		}}
		if r.Mode != "" {
			site.options.Mode = r.Mode
		}
		inspects = inspects || site.options.Mode != config.ModeDisabled
		if r.Rewrite.Redirect == nil {
			name := r.Upstream
			if name == "" {
				name = c.Upstream
			}
			site.upstreamName = name
			if site.upstream = st.upstreams[name]; site.upstream == nil {
				return nil, fmt.Errorf("applications[%d].routes[%d]: there is no upstream %q", index, j, name)
			}
		}
		site.metrics = s.metrics.forRoute(c.Name, site.name)
		app.routes = append(app.routes, site)
	}
	s.metrics.touch(c.Name)
	if inspects {
		text, err := Lower(loaded, without(c, s.leaveOut.Disabled(c.Name, time.Now())))
		if err != nil {
			return nil, inText(loaded, index, err)
		}
		set, err := s.engine.Load(text)
		if err != nil {
			return nil, inText(loaded, index, err)
		}
		app.rules, app.coverage = set, coverageOf(loaded, set)
		if limits := loaded.Config.RateLimits(c.Policy); len(limits) > 0 {
			if app.limits, err = limit.New(c.Name+"/"+c.Policy, limits, s.counters); err != nil {
				return nil, at(loaded, fmt.Sprintf("applications[%d].policy", index), err)
			}
			st.close = append(st.close, app.limits.Close)
		}
		st.close = append(st.close, set.Close)
		if err := s.prove(app); err != nil {
			return nil, at(loaded, fmt.Sprintf("applications[%d]", index), err)
		}
	}
	return app, nil
}

// Lower gives the text of the rules that judge an application's requests.
func Lower(loaded *config.Loaded, c *config.Application) (rules.Policy, error) {
	set, err := loaded.ResolvePolicy(c.Policy)
	if err != nil {
		return rules.Policy{}, err
	}
	return policy.Lower(set, policy.Application{Name: c.Name, Rules: c.Rules, Exclusions: c.Exclusions}, loaded.Lists())
}

// acquire takes the state that is served now. The caller must release it.
func (s *Server) acquire() *state {
	for {
		st := s.state.Load()
		for n := st.refs.Load(); n > 0; n = st.refs.Load() {
			if st.refs.CompareAndSwap(n, n+1) {
				return st
			}
		}
	}
}

// release gives the state back; the last one closes it.
func (st *state) release() {
	if st.refs.Add(-1) == 0 {
		st.err = st.shut()
		close(st.closed)
	}
}

// shut frees what the state holds, last made first.
func (st *state) shut() error {
	var errs []error
	for i := len(st.close) - 1; i >= 0; i-- {
		errs = append(errs, st.close[i]())
	}
	return errors.Join(errs...)
}

// inText gives an error of an application's rule text its place in the files that the operator wrote.
func inText(loaded *config.Loaded, application int, err error) error {
	if problems := loaded.Place(err); len(problems) > 0 {
		return problems
	}
	return at(loaded, fmt.Sprintf("applications[%d]", application), err)
}

// at gives an error its place in the configuration.
func at(loaded *config.Loaded, path string, err error) error {
	file, line, column := loaded.Position(path)
	return config.Problems{{Place: config.Place{File: file, Line: line, Column: column}, Path: path, Message: err.Error()}}
}
