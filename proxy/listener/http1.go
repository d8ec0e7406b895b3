package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// exchange is where an HTTP/1.1 connection stands.
type exchange int32

const (
	waiting  exchange = iota // no byte of the next request has come
	reading                  // from its first byte until the handler
	handling                 // from the handler's start until the reply is out
	hijacked                 // a handler has taken the connection over
	refused                  // our own reply is out; what net/http still writes is dropped
	closing                  // closed while waiting
)

// http1Conn is the byte stream of an HTTP/1.1 connection (after TLS) as net/http's server sees it. It notices what
// the server does on its own: a reply written while no handler runs is a refusal, which is reported and replaced,
// and so is a request whose header does not come in time. It also bounds how long a client may leave written bytes
// unread.
type http1Conn struct {
	net.Conn // *conn or *tls.Conn
	info     *ConnInfo
	hooks    Hooks
	state    atomic.Int32

	// idleSince is when the connection began to wait, in nanoseconds of Unix time.
	idleSince atomic.Int64
	// deadlines counts the read deadlines set since the last reply, up to 2; -1 before the first. The server sets
	// one for the wait and then one for the header. Only the server's goroutine uses it.
	deadlines int
	// writeDeadline is the write deadline that was last set, in nanoseconds of Unix time, or 0.
	writeDeadline atomic.Int64
}

// http1TLSConn is an http1Conn over TLS: net/http takes Request.TLS from it.
type http1TLSConn struct{ *http1Conn }

// ConnectionState returns that of the TLS connection.
func (c *http1TLSConn) ConnectionState() tls.ConnectionState {
	return c.Conn.(*tls.Conn).ConnectionState()
}

func newHTTP1Conn(c net.Conn, info *ConnInfo, hooks Hooks) *http1Conn {
	h := &http1Conn{Conn: c, info: info, hooks: hooks, deadlines: -1}
	h.idleSince.Store(time.Now().UnixNano())
	return h
}

func (c *http1Conn) is(s exchange) bool { return exchange(c.state.Load()) == s }

// move changes the state from one to another and reports whether it was the first.
func (c *http1Conn) move(from, to exchange) bool {
	return c.state.CompareAndSwap(int32(from), int32(to))
}

// handle marks the handler's start and reports whether the request may still be handled.
func (c *http1Conn) handle() bool { return c.move(reading, handling) || c.move(waiting, handling) }

// stateChanged follows net/http's own view of the connection.
func (c *http1Conn) stateChanged(s http.ConnState) {
	switch s {
	case http.StateIdle:
		c.idleSince.Store(time.Now().UnixNano())
		c.deadlines = 0
		c.move(handling, waiting)
	case http.StateHijacked:
		c.move(handling, hijacked)
	}
}

// closeIfIdle closes a connection that has waited for a request for at least d, and reports whether it did.
func (c *http1Conn) closeIfIdle(d time.Duration) bool {
	if time.Since(time.Unix(0, c.idleSince.Load())) < d || !c.move(waiting, closing) {
		return false
	}
	c.Close()
	return true
}

// Read notices the first byte of a request, and the timeout of one that has begun.
func (c *http1Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		if c.is(waiting) && !c.move(waiting, reading) && c.is(closing) {
			return 0, io.EOF
		}
		return n, err
	}
	if err != nil && c.is(reading) && errors.Is(err, os.ErrDeadlineExceeded) {
		c.refuse(http.StatusRequestTimeout, "the header did not arrive in time")
	}
	return n, err
}

// SetReadDeadline notices when the server begins to read a header whose first bytes it holds already.
func (c *http1Conn) SetReadDeadline(t time.Time) error {
	if c.deadlines >= 0 && c.deadlines < 2 && c.is(waiting) {
		if c.deadlines++; c.deadlines == 2 {
			c.move(waiting, reading)
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline is kept in mind by Write.
func (c *http1Conn) SetWriteDeadline(t time.Time) error {
	c.writeDeadline.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is kept in mind by Write.
func (c *http1Conn) SetDeadline(t time.Time) error {
	c.writeDeadline.Store(0)
	return c.Conn.SetDeadline(t)
}

// Write writes a handler's bytes. What the server writes without a handler is a refusal.
func (c *http1Conn) Write(p []byte) (int, error) {
	switch exchange(c.state.Load()) {
	case handling:
		return c.writeInTime(p)
	case hijacked:
		return c.Conn.Write(p)
	case refused:
		return len(p), nil
	}
	status, detail := readRefusal(p)
	c.refuse(status, detail)
	return len(p), nil
}

// writeInTime writes p in pieces, each of which the client must take within the idle time of bodies.
func (c *http1Conn) writeInTime(p []byte) (int, error) {
	const piece = 64 << 10
	written := 0
	for {
		part := p[written:min(written+piece, len(p))]
		if d := c.info.bodyIdle; d > 0 {
			// A deadline is a timer: it is moved only when an eighth of it has passed.
			now := time.Now().UnixNano()
			if c.writeDeadline.Load()-now < int64(d)*7/8 {
				c.writeDeadline.Store(now + int64(d))
				c.Conn.SetWriteDeadline(time.Unix(0, now+int64(d)))
			}
		}
		n, err := c.Conn.Write(part)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// refuse reports a refusal, sends the reply and drops what the server writes from then on.
func (c *http1Conn) refuse(status int, detail string) {
	if !c.move(reading, refused) && !c.move(waiting, refused) {
		return
	}
	reply := c.hooks.refused(c.info, status, detail)
	if len(reply) == 0 {
		reply = plainReply(status)
	}
	c.Conn.SetWriteDeadline(time.Now().Add(replyTimeout))
	_, _ = c.Conn.Write(reply) // the client may be gone; there is nobody else to tell
}

// Close lets a refused client read its reply before the connection goes away.
func (c *http1Conn) Close() error {
	if c.is(refused) {
		linger(c.Conn)
	}
	return c.Conn.Close()
}

// CloseWrite sends the end of our bytes; net/http uses it before it gives up on a request body.
func (c *http1Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Bounds of what is done for a client whose request was refused.
const (
	replyTimeout  = 5 * time.Second
	lingerTimeout = 500 * time.Millisecond
	lingerBytes   = 256 << 10
)

// linger ends our side of c and reads on for a moment: closing with unread bytes would reset the connection and the
// client would lose the reply.
func linger(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		c.SetReadDeadline(time.Now().Add(lingerTimeout))
		_, _ = io.CopyN(io.Discard, c, lingerBytes)
	}
}

// readRefusal takes the status and the explanation from a reply that net/http wrote by itself.
func readRefusal(reply []byte) (status int, detail string) {
	status = http.StatusBadRequest
	if len(reply) >= 12 && bytes.HasPrefix(reply, []byte("HTTP/1.")) {
		if n, err := strconv.Atoi(string(reply[9:12])); err == nil {
			status = n
		}
	}
	if _, body, ok := bytes.Cut(reply, []byte("\r\n\r\n")); ok {
		detail = string(body)
		for _, prefix := range []string{strconv.Itoa(status), " ", http.StatusText(status), ": "} {
			detail = strings.TrimPrefix(detail, prefix)
		}
	}
	if len(detail) > 200 {
		detail = detail[:200]
	}
	return status, detail
}

// plainReply is the reply without a hook.
func plainReply(status int) []byte {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
}
