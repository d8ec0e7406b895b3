package listener

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Times of a drain.
const (
	acceptMore = 50 * time.Millisecond // for connections that the kernel is setting up
	afterCut   = 5 * time.Second       // for handlers to notice that their connection is gone
)

// CutError says that connections were closed, or handlers given up, at the end of a drain's time.
type CutError struct {
	Listener    string
	Connections int
	Handlers    int64
	Err         error // the context's
}

// Error names the listener and what was cut off.
func (e *CutError) Error() string {
	return fmt.Sprintf("drain listener %q: %d connections cut off, %d handlers still running: %v", e.Listener, e.Connections, e.Handlers, e.Err)
}

// Unwrap returns the context's error.
func (e *CutError) Unwrap() error { return e.Err }

// drain stops accepting, lets requests finish and closes every connection. A connection is closed once it has been
// idle for some time; until then a request on it is answered, with Connection: close or GOAWAY, because its client
// may send one in the moment of closing. What is left when ctx ends is cut off. Call it once.
func (l *Listener) drain(ctx context.Context) error {
	close(l.draining)
	l.mu.Lock()
	started, last := l.started, l.current
	l.mu.Unlock()
	if !started {
		l.tcp.Close()
		return nil
	}
	if err := refuseNew(l.tcp); err != nil {
		l.set.log.Debug("connections that are opened now may be reset", zap.Error(err))
	}
	l.tcp.SetDeadline(time.Now().Add(acceptMore))

	idle := l.set.drainIdle
	if deadline, ok := ctx.Deadline(); ok {
		idle = min(idle, time.Until(deadline)/2)
	}
	cut, err := l.drainConnections(ctx, idle)
	l.release(last)
	l.serving.Wait()
	running := l.waitHandlers()
	if cut > 0 || running > 0 {
		return &CutError{Listener: last.cfg.Name, Connections: cut, Handlers: running, Err: err}
	}
	return nil
}

// drainConnections returns when the last connection has closed. When ctx ends before, it cuts the others off and says
// how many there were.
func (l *Listener) drainConnections(ctx context.Context, idle time.Duration) (cut int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()

	handedOver := make(chan struct{}) // closed when servers have all connections that there will be
	background.Go(func() {
		l.accepting.Wait()
		l.settingUp.Wait()
		close(handedOver)
	})
	tick := time.NewTicker(max(idle/4, time.Millisecond))
	defer tick.Stop()
	begin, shutDown := time.Now(), false
	for waiting := handedOver; ; {
		select {
		case <-ctx.Done():
			return l.cutOff(), ctx.Err()
		case <-waiting:
			waiting = nil
		case <-tick.C:
		case <-l.changed:
		}
		if waiting == nil && l.connectionCount() == 0 {
			return 0, nil
		}
		if time.Since(begin) < idle {
			continue
		}
		l.closeIdle(idle)
		if waiting == nil && !shutDown {
			shutDown = true
			for _, g := range l.liveGenerations() {
				background.Go(func() { _ = g.http2.Shutdown(ctx) }) // GOAWAY; only the end of ctx is an error
			}
		}
	}
}

// closeIdle closes connections on which nothing came yet and those of HTTP/1.1 that have been idle for at least d.
func (l *Listener) closeIdle(d time.Duration) {
	for _, c := range l.connections() {
		if h := c.http1.Load(); h != nil {
			h.CloseIfIdle(d)
		} else if !c.received.Load() {
			c.Close()
		}
	}
}

// cutOff closes everything and returns how many connections there were.
func (l *Listener) cutOff() int {
	l.tcp.Close()
	l.accepting.Wait()
	list := l.connections()
	for _, c := range list {
		c.Close()
	}
	return len(list)
}

// waitHandlers waits until no handler runs, but not for ever, and returns how many are left.
func (l *Listener) waitHandlers() int64 {
	limit := time.NewTimer(afterCut)
	defer limit.Stop()
	for {
		n := l.handlers.Load()
		if n == 0 {
			return 0
		}
		select {
		case <-l.changed:
		case <-limit.C:
			return n
		}
	}
}
