package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/config"
)

// State is what is known of an address.
type State string

// The states of an address.
const (
	Healthy   State = "healthy"
	Ejected   State = "ejected"   // connecting failed repeatedly: left alone for a while
	Unhealthy State = "unhealthy" // the active check failed repeatedly
	Draining  State = "draining"  // no longer among the answers: finishes what is in flight
	RefusedBy State = "refused"   // an address that must never be an upstream
)

const (
	// ejectAfter is how many connects in a row must fail before an address is left alone, at first for firstEject and
	// twice as long after every further failure, up to maxEject.
	ejectAfter = 2
	firstEject = time.Second
	maxEject   = 30 * time.Second
	// An active check may take as long as its interval, within these bounds.
	minCheck = time.Second
	maxCheck = 5 * time.Second
)

// health is the health of one address.
type health struct {
	mu        sync.Mutex // guards the following
	failures  int        // connects in a row that failed
	until     time.Time  // ejected until
	down      bool       // by the active check
	successes int        // of the active check, in a row
	misses    int        // of the active check, in a row
	lastError string
	since     time.Time // when the state last changed
}

// usable reports whether the address takes requests.
func (h *health) usable(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.down && !now.Before(h.until)
}

// chosen notes that a request is on its way to the address. Once an ejection has run out one request tries the
// address; the others leave it alone until the outcome is known or the next span has passed.
func (h *health) chosen(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures >= ejectAfter {
		h.until = now.Add(h.span())
	}
}

// span is how long the address is left alone after the failures so far.
func (h *health) span() time.Duration {
	return min(firstEject<<min(max(h.failures-ejectAfter, 0), 10), maxEject)
}

// connected notes that the address took a connection, and reports whether that brought it back.
func (h *health) connected(now time.Time) (back bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	back = h.failures >= ejectAfter
	h.failures, h.until = 0, time.Time{}
	if back {
		h.since = now
	}
	return back
}

// failed notes that the address took no connection, and reports for how long it is left alone.
func (h *health) failed(now time.Time, err error) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	h.lastError = err.Error()
	if h.failures < ejectAfter {
		return 0
	}
	if h.failures == ejectAfter {
		h.since = now
	}
	h.until = now.Add(h.span())
	return h.span()
}

// checked notes the outcome of an active check and reports whether the address changed its state.
func (h *health) checked(now time.Time, err error, c config.Health) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.successes, h.misses = h.successes+1, 0
		if !h.down || h.successes < max(c.Healthy, 1) {
			return false
		}
		h.down, h.since = false, now
		return true
	}
	h.successes, h.misses = 0, h.misses+1
	h.lastError = err.Error()
	if h.down || h.misses < max(c.Unhealthy, 1) {
		return false
	}
	h.down, h.since = true, now
	return true
}

func (h *health) status(now time.Time, s *AddressStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.State, s.Since, s.LastError = Healthy, h.since, h.lastError
	switch {
	case h.down:
		s.State = Unhealthy
	case h.failures >= ejectAfter:
		s.State, s.Until = Ejected, h.until
	}
}

// runChecks checks the endpoint at the interval until ctx ends.
func (ep *endpoint) runChecks(ctx context.Context) {
	c := ep.u.config.Health
	interval := c.Interval.D()
	if interval <= 0 {
		interval = 10 * time.Second
	}
	for {
		err := ep.checkOnce(ctx, c.Path, min(max(interval, minCheck), maxCheck))
		if ctx.Err() != nil {
			return
		}
		if ep.health.checked(time.Now(), err, c) {
			if err != nil {
				ep.log.Warn("address is unhealthy", zap.Error(err))
			} else {
				ep.log.Info("address is healthy again")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// checkOnce asks for the path on a connection of its own. Statuses from 200 to 399 are healthy.
func (ep *endpoint) checkOnce(ctx context.Context, path string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return err
	}
	req.Host = ep.authority
	req.Header.Set("User-Agent", "gatehouse-health")
	c, dialErr := ep.dialHTTP1(ctx, ep.serverName(ep.authority))
	if dialErr != nil {
		return dialErr
	}
	defer c.close()
	x := &exchange{conn: c, ctx: ctx, req: &Request{HTTP: req, Target: path}, firstByte: limit, close: closeAfter}
	resp, err := x.run()
	if err != nil {
		return classify(ctx, StepReply, err).Err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("%s answered %d", path, resp.StatusCode)
	}
	return nil
}
