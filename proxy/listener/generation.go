package listener

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/http1"
)

// Limits of HTTP/2.
const (
	http2Streams = 250
	// http2HeaderBytes is more than http1.MaxHead: a field counts for 32 bytes more in HTTP/2.
	http2HeaderBytes  = 96 << 10
	http2FrameBytes   = 16 << 10 // the smallest that peers must take, and what they use
	http2Window       = 1 << 20  // per connection and stream
	http2PingAfter    = 30 * time.Second
	http2PingTimeout  = 15 * time.Second
	http2WriteTimeout = 30 * time.Second
)

// generation is a listener's settings and the HTTP servers that apply them. A connection keeps the generation in
// which it was accepted until it closes.
type generation struct {
	listener *Listener
	cfg      config.Listener
	trusted  clientip.Trusted
	http1    *http1.Server
	http2    server

	// refs counts the connections, and one while the generation is the listener's current one. The listener's mu
	// guards it.
	refs int
}

// server is an http.Server and the queue from which it takes connections.
type server struct {
	*http.Server
	queue *queue
}

func newGeneration(l *Listener, cfg config.Listener) *generation {
	g := &generation{listener: l, cfg: cfg, trusted: clientip.NewTrusted(cfg.TrustedProxies), refs: 1}
	g.http1 = g.newHTTP1Server()
	g.http2 = g.newServer()
	g.http2.Protocols.SetHTTP2(true)
	g.http2.Protocols.SetUnencryptedHTTP2(true)
	g.http2.MaxHeaderBytes = http2HeaderBytes
	g.http2.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          http2Streams,
		MaxReceiveBufferPerConnection: http2Window,
		MaxReceiveBufferPerStream:     http2Window,
		SendPingTimeout:               http2PingAfter,
		PingTimeout:                   http2PingTimeout,
		WriteByteTimeout:              http2WriteTimeout,
		MaxReadFrameSize:              http2FrameBytes,
	}
	return g
}

func (g *generation) newServer() server {
	return server{
		queue: newQueue(g.listener.tcp.Addr()),
		Server: &http.Server{
			Handler:                      g.listener,
			DisableGeneralOptionsHandler: true,
			ReadHeaderTimeout:            g.cfg.Timeouts.Header.D(),
			IdleTimeout:                  g.cfg.Timeouts.Idle.D(),
			Protocols:                    new(http.Protocols),
			ErrorLog:                     log.New(errorLog{g.listener.set.log}, "", 0),
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				return context.WithValue(ctx, connInfoKey{}, infoOf(c))
			},
		},
	}
}

// start runs the HTTP/2 server until close; l.serving waits for it.
func (g *generation) start() {
	g.listener.serving.Go(func() {
		err := g.http2.Serve(g.http2.queue)
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			g.listener.set.log.Error("HTTP/2 server ended", zap.String("listener", g.cfg.Name), zap.Error(err))
		}
	})
}

// close ends the HTTP/2 server's Serve; connections are not touched.
func (g *generation) close() { g.http2.queue.Close() }

// queue is the net.Listener through which a server gets connections that are ready for it.
type queue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue(addr net.Addr) *queue {
	return &queue{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// put hands a connection over; it is closed if the queue is.
func (q *queue) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that Accept returned are not touched.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return q.addr }

// errorLog takes net/http's log. Most of it is what clients do wrong; a handler's panic is ours.
type errorLog struct{ log *zap.Logger }

// Write logs one line.
func (e errorLog) Write(p []byte) (int, error) {
	text := zap.ByteString("text", bytes.TrimSpace(p))
	if bytes.Contains(p, []byte("panic")) {
		e.log.Error("HTTP server", text)
	} else {
		e.log.Debug("HTTP server", text)
	}
	return len(p), nil
}
