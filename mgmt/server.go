// Package mgmt is the manager as a process: it reads the settings, opens the store and the key, serves the API and the gateways, and
// does the background work.
//
// Invariant: nothing is served by plain HTTP but on a loopback address.
package mgmt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"gatehouse/mgmt/action"
	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/event"
	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/rollout"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/proxy/config"
	"gatehouse/rules/crs"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// Options are what a manager is started with.
type Options struct {
	Settings Settings
	Logger   *zap.Logger
	Version  string
	Now      func() time.Time // nil is time.Now
	// Prove compiles and self-tests a configuration as a gateway does.
	Prove func(*config.Loaded) error
	// ReportEvery is how often gateways report while nothing happens; 0 is 10 s.
	ReportEvery time.Duration
}

// Server is a manager.
type Server struct {
	opts    Options
	log     *zap.Logger
	metrics *metrics
	db      *store.DB
	vault   *secret.Vault
	key     revision.PrivateKey // that signs
	auth    *auth.Service
	publish *publish.Service
	fleet   *fleet.Service
	actions *action.Service
	events  *event.Service
	// rollouts bring what is published to the gateways.
	rollouts *rollout.Service
	// holder names this process among the managers of one database.
	holder string

	api, admin, gateways listener

	starts     []func(context.Context) // what runs in the background from Start to Stop
	ready      atomic.Bool
	failed     chan error
	background sync.WaitGroup
	stopping   context.Context // of background work, and of who waits in a long poll
	stop       context.CancelFunc
	requests   context.Context // of requests, which may go on for a while after stop
	cutOff     context.CancelFunc
	stopOnce   sync.Once
	stopErr    error
}

// New opens the database and binds the listeners. Nothing is served before Start. After an error nothing is left open.
func New(ctx context.Context, opts Options) (_ *Server, err error) {
	s := &Server{opts: opts, log: opts.Logger.Named("manager"), failed: make(chan error, 1)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.requests, s.cutOff = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abandon())
		}
	}()
	host, _ := os.Hostname() // without one, the number alone
	s.holder = store.NewID(host, time.Now())
	registry := prometheus.NewRegistry()
	s.metrics = newMetrics(registry, opts.Version)
	if s.db, s.vault, err = open(ctx, opts.Settings, s.log, opts.Now); err != nil {
		return nil, err
	}
	if s.key, err = signingKey(ctx, s.db, s.vault); err != nil {
		return nil, err
	}
	if err := s.openEvents(ctx, registry); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{s.startOutbox, s.startAnchor} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	s.onStart(s.signHeads)
	if s.opts.Prove != nil {
		s.onStart(s.warm)
	}
	if err := s.listen(registry); err != nil {
		return nil, err
	}
	if err := s.openAPI(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// warm compiles the rules that every application has, so that the first change does not wait for them.
func (s *Server) warm(context.Context) {
	o := config.Options{CRSVersions: crs.Versions(), Root: "/", Files: map[string][]byte{}}
	loaded, err := o.LoadBytes("/warm.yaml", []byte(`applications: [{ hosts: ["*"], upstream: "http://upstream.example.com" }]`))
	if err == nil {
		err = s.opts.Prove(loaded)
	}
	if err != nil {
		s.log.Error("the rules of this release do not compile", zap.Error(err))
	}
}

// open opens what every command of the manager works on.
func open(ctx context.Context, settings Settings, log *zap.Logger, now func() time.Time) (*store.DB, *secret.Vault, error) {
	o, err := storeOptions(settings)
	if err != nil {
		return nil, nil, err
	}
	o.Logger, o.Now = log.Named("store"), now
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	key, err := masterKey(ctx, db, settings.KeyFile, log)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, secret.New(key), nil
}

// databaseFile is SQLite's, in the directory of data.
const databaseFile = "manager.db"

func storeOptions(settings Settings) (store.Options, error) {
	url, err := settings.databaseURL()
	if err != nil {
		return store.Options{}, fmt.Errorf("database.password_file: %w", err)
	}
	if err := os.MkdirAll(settings.Data, 0o700); err != nil {
		return store.Options{}, fmt.Errorf("data: %w", err)
	}
	return store.Options{URL: url, File: filepath.Join(settings.Data, databaseFile)}, nil
}

// listen binds the listeners.
func (s *Server) listen(gatherer prometheus.Gatherer) error {
	settings := &s.opts.Settings
	var err error
	if s.api, err = s.newListener("api.address", settings.API.Address); err != nil {
		return err
	}
	settings.API.ExternalURL = withPort(settings.API.ExternalURL, s.api.Addr())
	if settings.API.CertFile != "" {
		if s.api.server.TLSConfig, err = serverTLS(settings.API.CertFile, settings.API.KeyFile); err != nil {
			return fmt.Errorf("api: %w", err)
		}
	}
	if s.admin, err = s.newListener("admin.address", settings.Admin.Address); err != nil {
		return err
	}
	s.admin.server.Handler = s.adminHandler(gatherer)
	s.gateways, err = s.newListener("gateways.address", settings.Gateways.Address)
	return err
}

// withPort puts the port that the system chose into a URL whose port is 0.
func withPort(external string, bound net.Addr) string {
	u, err := url.Parse(external)
	if err != nil || u.Port() != "0" {
		return external
	}
	_, port, _ := net.SplitHostPort(bound.String())
	u.Host = net.JoinHostPort(u.Hostname(), port)
	return u.String()
}

// openAPI makes what answers on the API's listener, and on that of the gateways.
func (s *Server) openAPI(ctx context.Context) (err error) {
	if s.auth, err = openAuth(s.opts.Settings, s.db, s.vault, s.log); err != nil {
		return err
	}
	s.openRollouts()
	s.publish = publish.New(publish.Options{
		Stack: s.opts.Settings.Stack, Signers: []revision.Signer{s.key}, Vault: s.vault, Prove: s.opts.Prove, Published: s.rollouts.Published,
	})
	if err = s.openFleet(ctx); err != nil {
		return err
	}
	s.api.server.Handler, err = api.New(api.Options{
		DB: s.db, Logger: s.log, Version: s.opts.Version, Auth: s.auth, Publish: s.publish, Fleet: s.fleet, Events: s.events, Actions: s.actions,
		Rollouts: s.rollouts, Stopping: s.stopping.Done(),
	})
	return err
}

// openFleet makes what answers on the gateways' listener.
func (s *Server) openFleet(ctx context.Context) (err error) {
	settings := &s.opts.Settings
	s.actions = action.New(action.Options{
		DB: s.db, Logger: s.log, Stack: settings.Stack, Signer: s.key, FleetTopic: fleet.Topic, Connected: fleet.Connected, Holder: s.holder,
	})
	s.fleet, err = fleet.New(ctx, fleet.Options{
		DB: s.db, Vault: s.vault, Logger: s.log, Stack: settings.Stack, Holder: s.holder, Names: settings.Gateways.Names, Key: s.key, GroupKey: s.publish.GroupKey,
		Events: s.takeEvents,
		Heads:  s.rollouts.Heads, ReportEvery: s.opts.ReportEvery, Actions: s.actions.Shown, Questions: s.actions.Questions,
		Reported: func(gateway, group string, r *fleetapi.Report) {
			s.rollouts.Reported(gateway, group, r)
			s.actions.Reported(gateway, group, r)
		},
	})
	if err != nil {
		return err
	}
	s.fleet.Configure(s.gateways.server)
	s.onStart(s.fleet.Run)
	s.onStart(s.actions.Run)
	return nil
}

// openAuth opens what says who may use the manager.
func openAuth(settings Settings, db *store.DB, vault *secret.Vault, log *zap.Logger) (*auth.Service, error) {
	provider, err := settings.OIDC.provider()
	if err != nil {
		return nil, err
	}
	return auth.New(auth.Options{DB: db, Vault: vault, Logger: log, ExternalURL: settings.API.ExternalURL, OIDC: provider})
}

// onStart has work done in the background from Start to Stop.
func (s *Server) onStart(work func(context.Context)) { s.starts = append(s.starts, work) }

// Start serves until Stop.
func (s *Server) Start() {
	for _, work := range s.starts {
		s.background.Go(func() { work(s.stopping) })
	}
	s.serve("api", s.api)
	s.serve("admin", s.admin)
	s.serve("gateways", s.gateways)
	s.ready.Store(true)
	s.log.Info("ready", zap.Stringer("api", s.APIAddr()), zap.Stringer("gateways", s.GatewaysAddr()), zap.Stringer("admin", s.AdminAddr()),
		zap.String("database", s.db.Kind()), zap.Stringer("trust", s.fleet.TrustHash()))
}

// APIAddr is the address to which the listener for people and scripts is bound.
func (s *Server) APIAddr() net.Addr { return s.api.Addr() }

// AdminAddr is the address to which the admin listener is bound.
func (s *Server) AdminAddr() net.Addr { return s.admin.Addr() }

// GatewaysAddr is the address to which the listener for gateways is bound.
func (s *Server) GatewaysAddr() net.Addr { return s.gateways.Addr() }

// Failed gives the fault for which the manager must be stopped.
func (s *Server) Failed() <-chan error { return s.failed }

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// stopTimeout is how long requests may take to end.
const stopTimeout = 10 * time.Second

// Stop ends the manager: readiness fails, requests may end within 10 s, then background work ends and the database is closed. It is
// idempotent.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.shutdown(ctx) })
	return s.stopErr
}

func (s *Server) shutdown(ctx context.Context) error {
	s.ready.Store(false)
	s.stop()
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var errs []error
	step := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	s.fleet.Stop()
	step("end the API", s.api.shutdown(ctx))
	step("end the gateways' listener", s.gateways.shutdown(ctx))
	s.cutOff()
	step("end the admin listener", s.admin.server.Close())
	s.background.Wait()
	step("close the events", s.events.Close())
	step("close the database", s.db.Close())
	s.log.Info("stopped")
	return errors.Join(errs...)
}

// abandon closes what New has opened.
func (s *Server) abandon() error {
	s.stop()
	s.cutOff()
	var errs []error
	for _, l := range []listener{s.api, s.admin, s.gateways} {
		if l.Listener != nil {
			errs = append(errs, l.Close())
		}
	}
	if s.events != nil {
		errs = append(errs, s.events.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}
