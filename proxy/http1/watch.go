package http1

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// watchAfter is how long a handler runs before somebody looks whether its client is still there. Most are done by then,
// and cost no second goroutine.
const watchAfter = 50 * time.Millisecond

// watching says what a watch does.
type watching int

const (
	off     watching = iota
	ready            // a handler runs; its body is still being read
	armed            // the timer runs
	reading          // in a read of the connection
)

// watch cancels a request's context when the client goes away while the handler runs, which only a read can tell. It
// reads once the request's body has ended, so that nobody else does; bytes of a next request stay in the buffer.
type watch struct {
	conn *Conn

	mu     sync.Mutex // guards all below; not held while reading
	state  watching
	cancel context.CancelFunc
	timer  *time.Timer
	idle   sync.Cond // of mu: state has ceased to be reading; L is set with timer
}

// begin is called before the handler. bodyless says that there is no body to wait for.
func (w *watch) begin(cancel context.CancelFunc, bodyless bool) {
	w.mu.Lock()
	w.state, w.cancel = ready, cancel
	w.mu.Unlock()
	if bodyless {
		w.arm()
	}
}

// arm starts the clock, if a handler runs.
func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != ready {
		return
	}
	w.state = armed
	if w.timer == nil {
		w.idle.L = &w.mu
		w.timer = time.AfterFunc(watchAfter, w.read)
	} else {
		w.timer.Reset(watchAfter)
	}
}

// disarm ends the watch; the connection's buffer and read deadline are the caller's again.
func (w *watch) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.state {
	case armed:
		w.timer.Stop()
	case reading:
		_ = w.conn.setReadDeadline(time.Unix(1, 0))
		for w.state == reading {
			w.idle.Wait()
		}
	}
	w.state, w.cancel = off, nil
}

// pause ends a read that is under way; until resume is called the buffer is the caller's.
func (w *watch) pause() (resume func()) {
	w.mu.Lock()
	cancel, was := w.cancel, w.state
	w.mu.Unlock()
	w.disarm()
	return func() {
		if cancel != nil {
			w.begin(cancel, was != ready)
		}
	}
}

// read waits for the client to send or to go away. It runs in the timer's goroutine.
func (w *watch) read() {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := w.conn.in
	if w.state != armed || in.w == len(in.buf) && in.r < in.w { // no room: what the client sent ahead hides its end
		return
	}
	w.state = reading
	_ = w.conn.setReadDeadline(time.Time{})
	w.mu.Unlock()
	err := in.more()
	w.mu.Lock()
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.cancel()
	}
	w.state = off
	w.idle.Broadcast()
}
