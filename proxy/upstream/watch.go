package upstream

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// maxLookup bounds one look-up with all its servers and retries.
const maxLookup = 20 * time.Second

// watcher keeps the addresses of one host fresh.
type watcher struct {
	host  string
	first chan struct{} // closed when the first look-up has ended, well or not

	mu       sync.Mutex // guards the following
	addrs    []netip.Addr
	ttl      time.Duration
	resolved time.Time // of the last good answer
	failed   error     // of the last look-up; with addresses they are stale
}

func newWatcher(host string) *watcher {
	return &watcher{host: host, first: make(chan struct{})}
}

func (w *watcher) addresses() []netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addrs
}

// run looks the host up until ctx ends. changed is called when the addresses are others than before.
func (w *watcher) run(ctx context.Context, r *resolver, log *zap.Logger, changed func()) {
	log = log.With(zap.String("host", w.host))
	failures := 0
	for {
		lookup, cancel := context.WithTimeout(ctx, maxLookup)
		a, err := r.lookup(lookup, w.host)
		cancel()
		if ctx.Err() != nil {
			return
		}
		next := a.refresh()
		if err != nil {
			failures++
			next = min(time.Duration(failures)*time.Second, 5*time.Second)
		} else {
			failures = 0
		}
		if w.store(a, err, log) {
			changed()
		}
		if w.isFirst() {
			close(w.first)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

func (w *watcher) isFirst() bool {
	select {
	case <-w.first:
		return false
	default:
		return true
	}
}

// store keeps a good answer, and the last good one when the look-up failed. It logs what changed.
func (w *watcher) store(a answer, err error, log *zap.Logger) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.failed
	w.failed = err
	if err != nil {
		if before == nil {
			log.Warn("host cannot be resolved; the last good addresses stay in use",
				zap.Error(err), zap.Stringers("addresses", w.addrs))
		}
		return false
	}
	if before != nil {
		log.Info("host resolves again", zap.Stringers("addresses", a.addrs))
	}
	w.ttl, w.resolved = a.ttl, time.Now()
	if slices.Equal(w.addrs, a.addrs) {
		return false
	}
	log.Info("addresses changed", zap.Stringers("before", w.addrs), zap.Stringers("addresses", a.addrs))
	w.addrs = a.addrs
	return true
}

func (w *watcher) status(now time.Time) HostStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := HostStatus{Host: w.host, TTL: w.ttl.Seconds(), Stale: w.failed != nil && len(w.addrs) > 0}
	for _, a := range w.addrs {
		s.Addresses = append(s.Addresses, a.String())
	}
	if !w.resolved.IsZero() {
		s.Age = now.Sub(w.resolved).Seconds()
	}
	if w.failed != nil {
		s.Error = w.failed.Error()
	}
	return s
}

// err is why there are no addresses.
func (w *watcher) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}
