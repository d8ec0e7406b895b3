// Package shop is the demo upstream that `gatehouse dev` stands in front of: a small online shop with pages, forms, a
// JSON API, uploads, server-sent events, a WebSocket, gRPC and large downloads, so that every kind of traffic that the
// gateway carries can be tried without an application of one's own.
//
// It keeps everything in memory, bounded, and answers the same request in the same way: the only state is the orders
// placed since the start (the cart travels in a cookie). It is written as a careful application would be, and its pages
// escape what they show, so an attack that reaches it does nothing; it is a demonstration and holds no real data.
package shop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"gatehouse/proxy/listener"
)

// Options is what New needs. The zero value works.
type Options struct {
	// Logger takes the shop's own log, which is short. Nil logs nothing.
	Logger *zap.Logger
}

// Shop is one demo upstream. Its methods may be called from any goroutine.
type Shop struct {
	log       *zap.Logger
	templates *templates
	orders    *orderBook
	grpc      *grpc.Server
	handler   http.Handler

	// sockets counts the WebSocket handlers, which http.Server.Shutdown does not wait for.
	sockets sync.WaitGroup

	// mu guards what Start and Stop share.
	mu      sync.Mutex
	server  *http.Server
	address string
	cancel  context.CancelFunc // ends the streams: events, WebSockets, gRPC, /slow
	served  chan error         // the result of Serve, once
}

// Errors of Start.
var (
	ErrStarted = errors.New("the shop is started already")
	ErrStopped = errors.New("the shop was stopped")
)

// New builds a shop. It opens no socket; Handler can be served by any HTTP server, Start serves it on one of its own.
func New(opts Options) *Shop {
	s := &Shop{log: opts.Logger, templates: parseTemplates(), orders: newOrderBook(), grpc: newGRPC()}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.handler = s.routes()
	return s
}

// Handler answers every request of the shop. gRPC reaches it over HTTP/2 only.
func (s *Shop) Handler() http.Handler { return s.handler }

// Start listens on addr ("127.0.0.1:0" takes a free port; Addr tells which) and serves HTTP/1.1 and, on the same port,
// HTTP/2 with prior knowledge (h2c). A shop starts once: a second Start is ErrStarted, one after Stop is ErrStopped.
func (s *Shop) Start(addr string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.server != nil && s.cancel == nil:
		return ErrStopped
	case s.server != nil:
		return ErrStarted
	}
	socket, err := listener.Listen(addr, "-shop")
	if err != nil {
		return fmt.Errorf("start the demo shop: %w", err)
	}
	streams, cancel := context.WithCancel(context.Background())
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{
		Handler:           s.handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than any client of ours keeps an idle connection
		BaseContext:       func(net.Listener) context.Context { return streams },
		ErrorLog:          zap.NewStdLog(s.log),

		// OPTIONS * goes to the handler like every other request: net/http would answer it with an empty 200.
		DisableGeneralOptionsHandler: true,
	}
	s.address, s.cancel, s.served = socket.Addr().String(), cancel, make(chan error, 1)
	server, served := s.server, s.served
	go func() { served <- server.Serve(socket) }()
	s.log.Info("demo shop started", zap.String("address", s.address))
	return nil
}

// Addr is the address that Start listens on, host and port; empty before Start.
func (s *Shop) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Stop ends the streams, lets the requests under way finish until ctx is done, and waits for every goroutine of the
// shop. It may be called more than once, and without Start.
func (s *Shop) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil || s.cancel == nil {
		return nil
	}
	s.cancel()
	s.cancel = nil
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop the demo shop: %w", err), s.server.Close())
	}
	s.grpc.Stop()
	s.sockets.Wait()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve the demo shop: %w", served))
	}
	return err
}
