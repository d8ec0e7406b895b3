package upstream

import (
	"context"
	"errors"
	"os"
	"time"
)

// patience is how long an exchange goes without anybody looking after its context: most are over by then, and need
// neither the watch nor deadlines of their own. A cancelled request is so noticed 2*patience late at most.
const patience = 50 * time.Millisecond

// hurry makes reads and writes fail after patience, or up to twice that: a deadline is a timer, which is moved only when
// it must be.
func (c *http1Conn) hurry(now time.Time) {
	if c.hurried.Before(now.Add(patience)) || c.hurried.After(now.Add(2*patience)) {
		c.hurried = now.Add(2 * patience)
		_ = c.raw.SetDeadline(c.hurried)
	}
}

// overdue is asked whether an operation that failed goes on: with the first that reaches the deadline of hurry, the
// exchange gets its watch and its own deadlines.
func (s *socket) overdue(err error) bool {
	return err != nil && s.exchange != nil && errors.Is(err, os.ErrDeadlineExceeded) && s.exchange.overdue()
}

func (x *exchange) overdue() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.unwatch != nil || x.over {
		return false
	}
	x.watchLocked()
	_ = x.conn.raw.SetWriteDeadline(time.Now().Add(x.firstByte))
	if !x.headDone && !x.sent.IsZero() {
		_ = x.conn.raw.SetReadDeadline(x.sent.Add(x.firstByte))
	}
	return true
}

// watch closes the connection when the exchange's context ends, from now on, and takes the deadlines away. It is called
// by the goroutine that reads and writes, before another writes.
func (x *exchange) watch() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.unwatch == nil && !x.over {
		x.watchLocked()
	}
}

func (x *exchange) watchLocked() {
	c := x.conn
	if !c.hurried.IsZero() {
		c.hurried = time.Time{}
		_ = c.raw.SetDeadline(time.Time{})
	}
	x.unwatch = context.AfterFunc(x.ctx, func() { _ = c.raw.Close() })
}

// end ends the watch, for good, and reports whether it has left the connection alone.
func (x *exchange) end() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	return x.unwatch == nil || x.unwatch()
}
