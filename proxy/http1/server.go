package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Server holds what its connections have in common. Handler must be set; nothing is changed while connections are
// served.
type Server struct {
	// Handler gets each request. Its request's context is the connection's own, and is cancelled when the handler has
	// returned or, within a moment, when the client has gone.
	Handler http.Handler

	HeaderTimeout time.Duration // from a request's first byte to the end of its head; 0 is for ever
	IdleTimeout   time.Duration // between requests; 0 is for ever
	BodyIdle      time.Duration // how long a client may leave off in a body, or leave written bytes unread; 0 is for ever

	// Refused is called once for each request that is refused before there is a handler, from the connection's
	// goroutine. It gives the complete reply to send, with Connection: close; nil is PlainReply. ctx is the connection's.
	Refused func(ctx context.Context, status int, detail string) []byte
	// Panicked is called when a handler has panicked, other than with http.ErrAbortHandler.
	Panicked func(ctx context.Context, value any, stack []byte)
}

// phase is where a connection stands.
type phase int32

const (
	waiting phase = iota // no byte of the next request has come
	busy                 // from the first byte of a request to the end of its reply
	closing              // closed while waiting
)

// Conn is the connection of one client. Serve runs in one goroutine; CloseIfIdle may be called from others.
type Conn struct {
	server *Server
	ctx    context.Context
	conn   net.Conn
	in     *reader
	out    stallWriter
	watch  watch
	header http.Header // of replies, one after the other
	remote string
	tls    *tls.ConnectionState

	phase     atomic.Int32
	idleSince atomic.Int64 // when the connection began to wait, in nanoseconds of Unix time

	readBy   time.Time // the read deadline, zero without one
	served   bool      // a request was read before
	hijacked bool
	lingers  bool // the client may still be sending: it must be able to read the reply
}

// NewConn makes a connection of c, on which nothing was read. Requests get ctx, whose values are the connection's, and
// state, which is nil without TLS.
func (s *Server) NewConn(ctx context.Context, c net.Conn, state *tls.ConnectionState) *Conn {
	n := &Conn{server: s, ctx: ctx, conn: c, header: http.Header{}, remote: c.RemoteAddr().String(), tls: state}
	n.in = newReader(c)
	n.out = stallWriter{conn: c, idle: s.BodyIdle}
	n.watch.conn = n
	n.idleSince.Store(time.Now().UnixNano())
	return n
}

// Serve answers requests until the connection is over, and closes it unless a handler has taken it over.
func (c *Conn) Serve() {
	for c.serveOne() {
	}
	c.watch.disarm()
	if c.hijacked {
		return
	}
	if c.lingers {
		Linger(c.conn)
	}
	c.conn.Close()
	c.in.release()
}

// CloseIfIdle closes a connection that has waited for a request for at least d, and reports whether it did.
func (c *Conn) CloseIfIdle(d time.Duration) bool {
	if time.Since(time.Unix(0, c.idleSince.Load())) < d || !c.phase.CompareAndSwap(int32(waiting), int32(closing)) {
		return false
	}
	c.conn.Close()
	return true
}

// serveOne answers one request and reports whether another may follow.
func (c *Conn) serveOne() bool {
	head, lines, ok := c.readHead()
	if !ok {
		return false
	}
	x := &exchange{}
	request := http.Request{URL: &x.url, RemoteAddr: c.remote, TLS: c.tls, Body: http.NoBody}
	m, ref := parseHead(head, lines, &request)
	if ref != nil {
		c.refuse(ref)
		return false
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	r := request.WithContext(ctx)
	x.reply = response{conn: c, request: r, header: c.header, declared: -1, message: m}
	if m.length != 0 {
		x.body = Body{conn: c, request: r, reply: &x.reply, chunked: m.length < 0, left: max(m.length, 0)}
		x.body.idle.Store(int64(c.server.BodyIdle))
		x.reply.body, r.Body = &x.body, &x.body
		x.body.SetIdle(c.server.BodyIdle)
	}
	return c.handle(x, r, cancel)
}

// exchange is what one request needs, in one piece.
type exchange struct {
	url   url.URL
	body  Body
	reply response
}

// handle runs the handler and ends the exchange.
func (c *Conn) handle(x *exchange, r *http.Request, cancel context.CancelFunc) (again bool) {
	c.watch.begin(cancel, x.reply.body == nil)
	end := c.run(&x.reply, r)
	if x.reply.body != nil {
		x.reply.body.finish()
	}
	c.watch.disarm()
	switch {
	case c.hijacked:
		return false
	case end == panicked:
		x.reply.abort()
		return false
	}
	again = x.reply.finish()
	clear(c.header)
	if again && x.reply.body != nil && !x.reply.body.discard() {
		again = false
	}
	if !again {
		c.lingers = !x.reply.broken && (c.in.buffered() > 0 || x.reply.body != nil && !x.reply.body.ended.Load())
	}
	return again
}

// ending says how a handler has ended.
type ending int

const (
	returned ending = iota
	panicked
)

// run calls the handler.
func (c *Conn) run(w *response, r *http.Request) (end ending) {
	end = panicked
	defer func() {
		if end == returned {
			return
		}
		if p := recover(); p != http.ErrAbortHandler && c.server.Panicked != nil {
			c.server.Panicked(r.Context(), p, debug.Stack())
		}
	}()
	c.server.Handler.ServeHTTP(w, r)
	return returned
}

// readHead waits for the next request and gives the lines of its head. It refuses what cannot become one.
func (c *Conn) readHead() (head string, lines int, ok bool) {
	var s scanner
	if c.in.buffered() == 0 && !c.await() {
		return "", 0, false
	}
	c.phase.Store(int32(busy))
	limited := false
	for {
		n, complete, skip, ref := s.scan(c.in.rest())
		c.in.r += skip
		switch {
		case ref != nil:
			c.refuse(ref)
			return "", 0, false
		case complete:
			head = string(c.in.rest()[:n])
			c.in.r += n + len("\r\n")
			c.served = true
			return head, s.Count, true
		}
		if !limited { // most heads come in one piece, and need no deadline of their own
			limited = true
			c.headDeadline()
		}
		if err := c.in.more(); err != nil {
			c.headFailed(err)
			return "", 0, false
		}
	}
}

// headDeadline bounds how long the rest of a head may take.
func (c *Conn) headDeadline() {
	var t time.Time
	if d := c.server.HeaderTimeout; d > 0 {
		t = time.Now().Add(d)
	}
	_ = c.setReadDeadline(t)
}

// await waits for the first bytes of the next request, and reports whether they came. The first request of a
// connection has the time of a header.
func (c *Conn) await() bool {
	limit := c.server.IdleTimeout
	if !c.served {
		limit = c.server.HeaderTimeout
	}
	now := c.readWithin(limit)
	c.idleSince.Store(now.UnixNano())
	c.phase.Store(int32(waiting))
	if err := c.in.more(); err != nil {
		return false
	}
	return c.phase.CompareAndSwap(int32(waiting), int32(busy))
}

// headFailed ends a connection on which a head was begun.
func (c *Conn) headFailed(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.refuse(&refusal{http.StatusRequestTimeout, "the header did not arrive in time"})
	case errors.Is(err, io.EOF):
		c.refuse(bad("the connection ended within the header"))
	}
}

// readWithin makes reads from now on fail after d, or up to an eighth later: a deadline is a timer, which is moved only
// when it must be. It gives the time.
func (c *Conn) readWithin(d time.Duration) time.Time {
	now := time.Now()
	switch {
	case d <= 0:
		if !c.readBy.IsZero() {
			_ = c.setReadDeadline(time.Time{})
		}
	case c.readBy.Before(now.Add(d)) || c.readBy.After(now.Add(d+d/8)):
		_ = c.setReadDeadline(now.Add(d + d/8))
	}
	return now
}

func (c *Conn) setReadDeadline(t time.Time) error {
	c.readBy = t
	return c.conn.SetReadDeadline(t)
}

// refuse reports a refusal and sends the reply.
func (c *Conn) refuse(ref *refusal) {
	var reply []byte
	if c.server.Refused != nil {
		reply = c.server.Refused(c.ctx, ref.status, ref.detail)
	}
	if reply == nil {
		reply = PlainReply(ref.status)
	}
	c.conn.SetWriteDeadline(time.Now().Add(refusalTimeout))
	_, err := c.conn.Write(reply)
	c.lingers = err == nil
}
