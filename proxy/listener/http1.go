package listener

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/http1"
)

// newHTTP1Server gives the HTTP/1.1 server of a generation.
func (g *generation) newHTTP1Server() *http1.Server {
	hooks, log := g.listener.set.hooks, g.listener.set.log
	return &http1.Server{
		Handler:       http.HandlerFunc(g.listener.serveHTTP1),
		HeaderTimeout: g.cfg.Timeouts.Header.D(),
		IdleTimeout:   g.cfg.Timeouts.Idle.D(),
		BodyIdle:      g.cfg.Timeouts.BodyIdle.D(),
		Refused: func(ctx context.Context, status int, detail string) []byte {
			return hooks.refused(FromContext(ctx), status, detail)
		},
		Panicked: func(_ context.Context, value any, stack []byte) {
			log.Error("panic in the HTTP/1.1 handler", zap.Any("panic", value), zap.ByteString("stack", stack))
		},
	}
}

// serveHTTP1 answers the requests on stream, which is c or TLS over it, until it is closed.
func (c *conn) serveHTTP1(stream net.Conn) {
	stream.SetDeadline(time.Time{})
	var state *tls.ConnectionState
	if t, ok := stream.(*tls.Conn); ok {
		s := t.ConnectionState()
		state = &s
	}
	served := c.gen.http1.NewConn(NewContext(context.Background(), c.info), stream, state)
	c.http1.Store(served)
	go served.Serve() // the listener waits for its connections and its handlers
}

// serveHTTP1 is called for each request that could be read.
func (l *Listener) serveHTTP1(w http.ResponseWriter, r *http.Request) {
	l.handlers.Add(1)
	defer l.handled()
	if l.isDraining() {
		w.Header().Set("Connection", "close")
	}
	l.set.handler.ServeHTTP(w, r)
}
