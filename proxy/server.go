// Package proxy is the data plane: listeners take requests, rules judge them, clean ones go to an upstream.
//
// Invariant: one request uses one state of the configuration from its start to its end, and nothing reaches an
// upstream that was not inspected or counted as uninspected.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"gatehouse/proxy/action"
	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/limit"
	"gatehouse/proxy/listener"
	"gatehouse/proxy/upstream"
	"gatehouse/rules"
	"gatehouse/rules/engine"
	"gatehouse/rules/incident"
	"gatehouse/rules/policy"
	"gatehouse/rules/program"
)

// Options are what a Server needs. Load and Logger are required.
type Options struct {
	// Load reads the configuration: at the start, and again for every reload.
	Load   func() (*config.Loaded, error)
	Logger *zap.Logger
	Stdout io.Writer // for records with logs: stdout
	// Console, if set, gets every event as a readable line.
	Console io.Writer
	Color   event.Color // of the console
	// DrainDelay is how long the gateway goes on serving after readiness failed; DrainTimeout how long requests may
	// take to end after that.
	DrainDelay, DrainTimeout time.Duration
	// WatchInterval is how often the configuration's files are looked at, 0 for 2 seconds.
	WatchInterval time.Duration
	// Gateway names this instance in incident IDs, empty for the host name.
	Gateway string
	Version string
	// Engine judges requests; nil is the product's own, for which are the next four.
	Engine rules.Engine
	// Sample is the share of the requests, 0 to 1, that the reference engine judges too, after they are answered.
	Sample float64
	// Spool is a private directory for requests about which the engines disagree. If it is empty, none is kept.
	Spool string
	// Bounds of the work for one request; zero takes the engine's defaults.
	Bounds program.Bounds
	// Admission bounds what all requests together may take.
	Admission Admission
	// Shared is an engine with which the product's own shares what is compiled: tests start many gateways.
	Shared *engine.Engine
	// Resolver overrides the DNS servers, for tests.
	Resolver upstream.ResolverOptions
	// Managed says how it is with the manager, for /status and metrics; nil leaves it out there. It may be called at any time.
	Managed func() *ManagedStatus
	// Forward takes every event besides what logs.events says; nil is nothing.
	Forward event.Forward
	// DrainIdle is how long connections must be idle to be closed while draining, 0 for a second.
	DrainIdle time.Duration
}

// Server is a gateway.
type Server struct {
	opts      Options
	log       *zap.Logger
	gatherer  prometheus.Gatherer
	metrics   *metrics
	unknown   *appMetrics // of requests without an application
	engine    rules.Engine
	own       *engine.Engine // the engine if the server made it, and has to close it; else nil
	spill     *inspect.SpillDir
	admission *admission
	upstreams opener
	registry  *upstream.Registry // nil offline
	records   *event.Recorder
	incidents *incident.Source
	counters  *limit.Counters // of rate limits; they outlive a reload
	started   time.Time
	clients   recentClients
	windows   windows
	actions   atomic.Pointer[action.Set] // nil if there are none
	samples   *action.Samples
	rulesBack chan struct{} // a rule that was left out is to be served again

	state     atomic.Pointer[state]
	listeners *listener.Set
	admin     *http.Server
	adminAddr *net.TCPListener
	serving   atomic.Bool
	draining  atomic.Bool

	reloadMu   sync.Mutex  // one reload at a time; held while New builds; guards leaveOut and expiry
	leaveOut   *action.Set // whose rules the next state is without
	expiry     *time.Timer // of the next such rule
	lastReload atomic.Pointer[ReloadStatus]
	hangup     chan struct{}
	failed     chan error
	background sync.WaitGroup // the watcher and the admin server
	stopping   context.Context
	stop       context.CancelFunc
	stopOnce   sync.Once
	stopErr    error
}

// opener opens the upstreams of a configuration.
type opener interface {
	Acquire(u config.Upstream, certificates upstream.Certificates) (transport, func(), error)
}

// transport carries requests to one upstream.
type transport interface {
	RoundTrip(*upstream.Request) (*http.Response, upstream.Attempt, error)
}

// New loads the configuration, builds everything that it needs and binds the listeners. Nothing is served before
// Start. After an error nothing is left open.
func New(opts Options) (_ *Server, err error) {
	loaded, err := opts.Load()
	if err != nil {
		return nil, err
	}
	s, err := newServer(opts, loaded.Config)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abandon())
		}
	}()
	s.registry, err = upstream.New(upstream.Options{
		Logger: s.log, Metrics: s.gatherer.(prometheus.Registerer), Resolver: opts.Resolver, AdminAddresses: s.adminAddresses,
	})
	if err != nil {
		return nil, err
	}
	s.upstreams = registryOpener{s.registry}
	if s.adminAddr, err = listener.Listen(loaded.Config.Admin.Address, "admin.address"); err != nil {
		return nil, err
	}
	st, err := s.build(loaded)
	if err != nil {
		return nil, err
	}
	s.use(st)
	s.metrics.revisionApply.WithLabelValues("applied").Inc()
	s.listeners, err = listener.New(listenerConfig(loaded), listener.Options{
		Handler: s, Logger: s.log.Named("listener"), Hooks: s.hooks(), DrainTimeout: opts.DrainTimeout, DrainIdle: opts.DrainIdle,
		Connections: s.admission.connections,
	})
	if err != nil {
		return nil, err
	}
	s.observeCertificates()
	s.admin = &http.Server{Handler: s.adminHandler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, ErrorLog: zap.NewStdLog(s.log.Named("admin"))}
	for _, w := range loaded.Warnings {
		s.log.Warn("configuration", zap.String("warning", w.String()))
	}
	return s, nil
}

// newServer makes the parts that need no socket.
func newServer(opts Options, c *config.Config) (*Server, error) {
	if opts.Stdout == nil {
		opts.Stdout = io.Discard
	}
	if opts.Gateway == "" {
		opts.Gateway, _ = os.Hostname() // without a name the incident IDs carry the hash of an empty one
	}
	registry := prometheus.NewRegistry()
	s := &Server{
		opts: opts, log: opts.Logger.Named("proxy"), gatherer: registry, started: time.Now(),
		incidents: incident.NewSource(opts.Gateway), hangup: make(chan struct{}, 1), failed: make(chan error, 1),
		engine: opts.Engine, counters: limit.NewCounters(0), samples: action.NewSamples(), rulesBack: make(chan struct{}, 1),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	var err error
	if s.spill, err = inspect.OpenSpillDir(""); err != nil {
		return nil, err
	}
	s.admission = newAdmission(opts.Admission, s.spill)
	s.metrics = newMetrics(registry, func() time.Duration {
		if st := s.state.Load(); st != nil {
			return max(0, time.Since(st.dated))
		}
		return 0
	}, s.spill.Held)
	if s.engine == nil {
		o := engine.Options{
			Log: opts.Logger, Target: policy.TargetOf, Sample: opts.Sample, Spool: opts.Spool, Bounds: opts.Bounds,
			Observer: s.metrics.forEngine(),
		}
		if opts.Shared != nil {
			s.own = opts.Shared.With(o)
		} else {
			s.own = engine.New(o)
		}
		s.engine = s.own
	}
	if opts.Managed != nil {
		registerManaged(registry, opts.Managed)
	}
	s.unknown = s.metrics.forRoute(other, other)
	s.metrics.touch(other)
	s.records, err = event.New(event.Options{
		Access: c.Logs.Access, Events: c.Logs.Events, Stdout: opts.Stdout, Console: opts.Console, Color: opts.Color,
		Logger: s.log.Named("records"), Forward: opts.Forward,
		Dropped: func(record, cause string, n int) { s.metrics.dropped.WithLabelValues(record, cause).Add(float64(n)) },
	})
	if err != nil {
		return nil, errors.Join(err, s.closeEngine())
	}
	return s, nil
}

// closeEngine ends what the engine does beside its transactions.
func (s *Server) closeEngine() error {
	if s.own == nil {
		return nil
	}
	return s.own.Close()
}

// abandon closes what New has opened.
func (s *Server) abandon() error {
	var errs []error
	if s.listeners != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		errs = append(errs, s.listeners.Shutdown(ctx))
	}
	if s.adminAddr != nil {
		errs = append(errs, s.adminAddr.Close())
	}
	if st := s.state.Load(); st != nil {
		st.release()
		<-st.closed
		errs = append(errs, st.err)
	}
	errs = append(errs, s.closeEngine())
	if s.registry != nil {
		errs = append(errs, s.registry.Close())
	}
	return errors.Join(append(errs, s.closeRecords())...)
}

// Start serves until Stop.
func (s *Server) Start() {
	s.listeners.Start()
	s.background.Go(func() {
		if err := s.admin.Serve(s.adminAddr); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("serve the admin listener: %w", err))
		}
	})
	s.background.Go(s.watch)
	s.serving.Store(true)
	for _, l := range s.listeners.Status() {
		s.log.Info("listening", zap.String("listener", l.Name), zap.Stringer("address", l.Addr), zap.String("protocol", string(l.Protocol)))
	}
	s.log.Info("ready", zap.String("revision", s.state.Load().revision), zap.Stringer("admin", s.adminAddr.Addr()))
}

// fail reports a fault that ends the gateway.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed gives the fault for which the gateway must be stopped.
func (s *Server) Failed() <-chan error { return s.failed }

// Addr is the address to which a listener is bound; the empty name is the first listener.
func (s *Server) Addr(name string) net.Addr {
	for _, l := range s.listeners.Status() {
		if name == "" || l.Name == name {
			return l.Addr
		}
	}
	return nil
}

// AdminAddr is the address of the admin listener.
func (s *Server) AdminAddr() net.Addr { return s.adminAddr.Addr() }

// Stop drains and ends the gateway: readiness fails, traffic is served for DrainDelay while clients are told to close
// their connections, then requests may end within DrainTimeout. It is idempotent; when ctx ends, what is left is cut
// off at once.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.shutdown(ctx) })
	return s.stopErr
}

func (s *Server) shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.log.Info("draining", zap.Duration("delay", s.opts.DrainDelay), zap.Duration("timeout", s.opts.DrainTimeout))
	if s.opts.DrainDelay > 0 {
		select {
		case <-time.After(s.opts.DrainDelay):
		case <-ctx.Done():
		}
	}
	drain, cancel := ctx, context.CancelFunc(func() {})
	if s.opts.DrainTimeout > 0 {
		drain, cancel = context.WithTimeout(ctx, s.opts.DrainTimeout)
	}
	defer cancel()
	var errs []error
	step := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	err := s.listeners.Shutdown(drain)
	var cut *listener.CutError
	if errors.As(err, &cut) { // long-lived streams: that the time is over is no fault
		s.log.Warn("connections were cut off at the end of the drain", zap.Error(cut))
		err = nil
	}
	step("drain listeners", err)
	s.stop()
	s.serving.Store(false)
	// The admin listener outlives the traffic, so that a last scrape sees it all.
	step("close the admin listener", s.admin.Close())
	s.background.Wait()
	st := s.state.Load()
	st.release()
	select {
	case <-st.closed:
		step("close the rules", st.err)
	case <-time.After(handlersTimeout):
		step("close the rules", errors.New("requests are still being handled"))
	}
	step("close the engine", s.closeEngine())
	step("close the upstreams", s.registry.Close())
	step("write the last records", s.closeRecords())
	s.log.Info("stopped")
	return errors.Join(errs...)
}

// handlersTimeout is how long handlers whose connections are closed may take to end.
const handlersTimeout = 10 * time.Second

// recordsTimeout is how long the sinks may take for the last records.
const recordsTimeout = 5 * time.Second

func (s *Server) closeRecords() error {
	ctx, cancel := context.WithTimeout(context.Background(), recordsTimeout)
	defer cancel()
	return s.records.Close(ctx)
}

// adminAddresses are what must never be an upstream.
func (s *Server) adminAddresses() []netip.AddrPort {
	if a, ok := s.adminAddr.Addr().(*net.TCPAddr); ok {
		return []netip.AddrPort{a.AddrPort()}
	}
	return nil
}

// listenerConfig is the part of a configuration that the listeners carry out.
func listenerConfig(l *config.Loaded) listener.Config {
	return listener.Config{Listeners: l.Config.Listeners, Certificates: l.Config.Certificates, Sealed: l.Sealed}
}

// front is what a listener's requests are judged by before they have an application.
type front struct {
	clients    *clientip.Resolver
	healthPath string
}

func fronts(c *config.Config) map[string]*front {
	m := make(map[string]*front, len(c.Listeners))
	for _, l := range c.Listeners {
		m[l.Name] = &front{clients: clientip.NewResolver(l), healthPath: l.HealthPath}
	}
	return m
}

// registryOpener opens real upstreams.
type registryOpener struct{ *upstream.Registry }

func (o registryOpener) Acquire(u config.Upstream, certificates upstream.Certificates) (transport, func(), error) {
	opened, err := o.Registry.Acquire(u, certificates)
	if err != nil {
		return nil, nil, err
	}
	return opened, func() { o.Release(opened) }, nil
}
