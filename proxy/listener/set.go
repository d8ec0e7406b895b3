// Package listener takes connections from clients: sockets, the PROXY protocol, TLS with certificates by server
// name, and the HTTP servers that read requests from them.
//
// Invariant: a byte of a client reaches a handler only from a connection that is what its listener's configuration
// says, and every connection that ends before a handler runs is either answered and reported, or reported, or was
// never used. A reload that changes settings loses no socket and no connection.
package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/config"
	"gatehouse/proxy/limit"
)

// Options are what a Set needs beside its configuration.
type Options struct {
	Handler http.Handler // gets every request that could be read; must recover its own panics
	Logger  *zap.Logger
	Hooks   Hooks
	// CertificatePoll is how often certificate files are compared with what is served; default 5 s.
	CertificatePoll time.Duration
	// DrainIdle is how long a connection must be idle to be closed while its listener drains; default 1 s. In this
	// time its client learns by Connection: close or GOAWAY that it should open another.
	DrainIdle time.Duration
	// DrainTimeout bounds the drain of a listener that a new configuration no longer has; default 30 s.
	DrainTimeout time.Duration
	// Connections bounds those of one client; nil bounds nothing.
	Connections *limit.Clients
}

// Config is the part of a configuration that a Set carries out. Defaults are filled in and file names are relative to
// the working directory.
type Config struct {
	Listeners    []config.Listener
	Certificates []config.Certificate
	Sealed       Sealed // nil if there are none
}

// Set is all listeners of a gateway. Its methods may be called concurrently, except that there is one Plan at a time.
type Set struct {
	handler      http.Handler
	hooks        Hooks
	log          *zap.Logger
	drainIdle    time.Duration
	drainTimeout time.Duration
	store        *store
	nextID       atomic.Uint64
	clients      *limit.Clients

	retired sync.WaitGroup // drains of listeners that a Commit took out

	mu        sync.Mutex // guards all below
	started   bool
	closed    bool
	listeners []*Listener
	ctx       context.Context // of the drains in retired; ends with Shutdown's time
	cancel    context.CancelFunc
	result    chan struct{} // closed when Shutdown is done
	err       error
}

// New loads the certificates and binds every address. Nothing is accepted before Start.
func New(cfg Config, o Options) (*Set, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.CertificatePoll <= 0 {
		o.CertificatePoll = 5 * time.Second
	}
	if o.DrainIdle <= 0 {
		o.DrainIdle = time.Second
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = 30 * time.Second
	}
	s := &Set{
		handler: o.Handler, hooks: o.Hooks, log: o.Logger, clients: o.Connections,
		drainIdle: o.DrainIdle, drainTimeout: o.DrainTimeout,
		store:  newStore(newTable(nil), o),
		result: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	plan, err := s.Prepare(cfg)
	if err != nil {
		s.cancel()
		return nil, err
	}
	plan.Commit()
	return s, nil
}

// Start accepts connections and follows changes of certificate files. Call it once.
func (s *Set) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed {
		return
	}
	s.started = true
	s.store.start()
	for _, l := range s.listeners {
		l.start()
	}
}

// ErrClosed is returned when a Set is used after Shutdown.
var ErrClosed = errors.New("the listeners are shut down")

// Shutdown stops accepting, lets requests finish, and closes all connections: at the latest when ctx ends, then with
// an error that says how many were cut off. Further calls wait for the first.
func (s *Set) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.result
		return s.err
	}
	s.closed = true
	listeners, started := s.listeners, s.started
	s.mu.Unlock()
	defer close(s.result)

	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	errs := make([]error, len(listeners))
	var drains sync.WaitGroup
	for i, l := range listeners {
		drains.Go(func() { errs[i] = l.drain(ctx) })
	}
	drains.Wait()
	s.retired.Wait()
	s.cancel()
	if started {
		s.store.close()
	}
	s.err = errors.Join(errs...)
	return s.err
}

// Status is what can be told about a listener at this moment.
type Status struct {
	Name        string
	Addr        net.Addr
	Protocol    config.Protocol
	Connections int
}

// Status returns all listeners in the order of the configuration.
func (s *Set) Status() []Status {
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	list := make([]Status, 0, len(listeners))
	for _, l := range listeners {
		cfg := l.config()
		list = append(list, Status{Name: cfg.Name, Addr: l.tcp.Addr(), Protocol: cfg.Protocol, Connections: l.connectionCount()})
	}
	return list
}

// Addr returns the address to which the listener is bound, or nil if there is no listener of that name.
func (s *Set) Addr(name string) net.Addr {
	for _, status := range s.Status() {
		if status.Name == name {
			return status.Addr
		}
	}
	return nil
}

// ReloadCertificates reads all certificate files now.
func (s *Set) ReloadCertificates() { s.store.reload() }

// Expiry returns when the certificates that are served end, in the order of the configuration.
func (s *Set) Expiry() []Expiry { return s.store.table.Load().expiry() }

// retire drains a listener in the background; Shutdown waits for it.
func (s *Set) retire(l *Listener) {
	s.retired.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.drainTimeout)
		defer cancel()
		if err := l.drain(ctx); err != nil {
			s.log.Warn("listener was removed", zap.Error(err))
		}
	})
}

// key names a listener's address as the configuration does.
func key(i int, cfg config.Listener) string {
	return fmt.Sprintf("listeners[%d].address (listener %q)", i, cfg.Name)
}
