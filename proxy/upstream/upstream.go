// Package upstream carries clean requests to the servers behind the gateway: it resolves their names, keeps
// connections to each address, watches the addresses' health and balances over them.
//
// Invariant: method, target, header values and body arrive byte for byte; framing is ours; no request is delivered
// twice unless it is a GET, HEAD or OPTIONS without body.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/config"
)

// sweepEvery is how often idle connections are looked through.
const sweepEvery = time.Second

// Upstream is an upstream of the configuration with its addresses and connections. It is made by Registry.Acquire.
type Upstream struct {
	config   config.Upstream
	key      string
	registry *Registry
	metrics  *metrics
	log      *zap.Logger
	policy   addressPolicy
	tls      *tlsSettings
	timeouts timeouts
	origins  []origin
	watchers []*watcher

	ctx    context.Context // ends the goroutines
	cancel context.CancelFunc

	refs    int          // guarded by the registry's mu
	active  atomic.Int64 // requests in flight
	retired atomic.Bool

	endpoints atomic.Pointer[[]*endpoint] // that new requests go to

	mu       sync.Mutex // guards draining and changes of endpoints
	draining []*endpoint

	pickMu sync.Mutex // guards next and the choice of an endpoint; taken alone
	next   int
}

type timeouts struct{ connect, firstByte, idle time.Duration }

// origin is one URL of an upstream.
type origin struct {
	scheme, host, authority string
	port                    uint16
	literal                 netip.Addr // valid if the host is an address
	watcher                 *watcher   // else
}

// parseOrigin takes a URL with scheme and host, and nothing else.
func parseOrigin(raw string) (origin, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var parse *url.Error // names the whole URL, which may hold a password
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return origin{}, fmt.Errorf("url: %w", err)
	}
	raw = u.Redacted()
	o := origin{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), authority: u.Host}
	switch o.scheme {
	case "http":
		o.port = 80
	case "https":
		o.port = 443
	default:
		return origin{}, fmt.Errorf("url %q: the scheme must be http or https", raw)
	}
	if o.host == "" {
		return origin{}, fmt.Errorf("url %q: it names no host", raw)
	}
	if u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return origin{}, fmt.Errorf("url %q: an upstream is scheme, host and port only (rewrite paths on the route)", raw)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return origin{}, fmt.Errorf("url %q: the port must be 1 to 65535", raw)
		}
		o.port = uint16(n)
	}
	if addr, err := netip.ParseAddr(o.host); err == nil {
		o.literal = addr.Unmap()
	}
	return o, nil
}

// start begins the look-ups and the sweeping.
func (u *Upstream) start() {
	for i := range u.origins {
		o := &u.origins[i]
		if o.literal.IsValid() {
			continue
		}
		same := slices.IndexFunc(u.watchers, func(w *watcher) bool { return w.host == o.host })
		if same >= 0 {
			o.watcher = u.watchers[same]
			continue
		}
		o.watcher = newWatcher(o.host)
		u.watchers = append(u.watchers, o.watcher)
	}
	u.rebuild()
	for _, w := range u.watchers {
		u.registry.run(func() { w.run(u.ctx, u.registry.resolver, u.log, u.rebuild) })
	}
	u.registry.run(u.sweep)
}

// sweep looks through the idle connections until the upstream is retired.
func (u *Upstream) sweep() {
	tick := time.NewTicker(min(sweepEvery, max(u.timeouts.idle/2, 10*time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-u.ctx.Done():
			return
		case now := <-tick.C:
			u.mu.Lock()
			endpoints := slices.Concat(*u.endpoints.Load(), u.draining)
			u.mu.Unlock()
			for _, ep := range endpoints {
				ep.sweep(now)
			}
		}
	}
}

// rebuild makes the endpoints what the names resolve to: those that stay keep their connections and health, those that
// are gone drain.
func (u *Upstream) rebuild() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.retired.Load() {
		return
	}
	before := *u.endpoints.Load()
	var after []*endpoint
	for _, o := range u.origins {
		addrs := []netip.Addr{o.literal}
		if o.watcher != nil {
			addrs = o.watcher.addresses()
		}
		for _, addr := range addrs {
			k := endpointKey{o.scheme, o.host, netip.AddrPortFrom(addr, o.port)}
			is := func(ep *endpoint) bool { return ep.endpointKey == k }
			if slices.ContainsFunc(after, is) {
				continue
			}
			if i := slices.IndexFunc(before, is); i >= 0 {
				after = append(after, before[i])
				continue
			}
			ep := u.newEndpoint(k, o.authority)
			if ep.refused != nil {
				ep.log.Error("address is not used", zap.Error(ep.refused))
			}
			u.startChecks(ep)
			after = append(after, ep)
		}
	}
	u.endpoints.Store(&after)
	for _, ep := range before {
		if slices.Contains(after, ep) {
			continue
		}
		ep.drain()
		if ep.inflight.Load() > 0 {
			u.draining = append(u.draining, ep)
		}
	}
}

func (u *Upstream) startChecks(ep *endpoint) {
	if u.config.Health.Path == "" || ep.refused != nil {
		return
	}
	ctx, cancel := context.WithCancel(u.ctx)
	ep.stop = cancel
	u.registry.run(func() { ep.runChecks(ctx) })
}

// drained forgets an endpoint that is no longer used, once its last request has ended.
func (u *Upstream) drained(ep *endpoint) {
	ep.mu.Lock()
	draining := ep.draining
	ep.mu.Unlock()
	if !draining {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.draining = slices.DeleteFunc(u.draining, func(other *endpoint) bool {
		return other == ep && ep.inflight.Load() == 0
	})
}

// awaitAddresses waits until an address is known or every name has been looked up once, but no longer than a connect
// may take.
func (u *Upstream) awaitAddresses(ctx context.Context) *Error {
	if u.registry.isClosed() {
		return &Error{Kind: Unreachable, Step: StepResolve, Err: ErrClosed}
	}
	if len(*u.endpoints.Load()) > 0 {
		return nil
	}
	limit := time.NewTimer(u.timeouts.connect)
	defer limit.Stop()
	for _, w := range u.watchers {
		select {
		case <-w.first:
		case <-ctx.Done():
			return classify(ctx, StepResolve, ctx.Err())
		case <-u.ctx.Done():
			return nil
		case <-limit.C:
			return &Error{Kind: Timeout, Step: StepResolve, Err: errors.New("the host is not resolved yet")}
		}
		if len(*u.endpoints.Load()) > 0 {
			return nil
		}
	}
	return nil
}

// noAddress says why there is nothing to try.
func (u *Upstream) noAddress() *Error {
	for _, ep := range *u.endpoints.Load() {
		if ep.refused != nil {
			return &Error{Kind: Refused, Step: StepResolve, Address: ep.addr, Err: ep.refused}
		}
	}
	err := ErrNoAddress
	for _, w := range u.watchers {
		if cause := w.err(); cause != nil {
			err = fmt.Errorf("%w: %w", ErrNoAddress, cause)
		}
	}
	return &Error{Kind: Unreachable, Step: StepResolve, Err: err}
}

// enter and leave count the requests in flight: a retired upstream is forgotten after the last.
func (u *Upstream) enter() { u.active.Add(1) }

func (u *Upstream) leave() {
	if u.active.Add(-1) == 0 && u.retired.Load() {
		u.registry.forget(u)
	}
}

// retire ends the look-ups and checks and closes what is idle. Requests in flight go on, and so do late ones that
// still hold the upstream; they keep no connection for later.
func (u *Upstream) retire() {
	u.retired.Store(true)
	u.cancel()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ep := range *u.endpoints.Load() {
		ep.drain()
	}
}

// closeAll closes every connection at once.
func (u *Upstream) closeAll() {
	u.mu.Lock()
	endpoints := slices.Concat(*u.endpoints.Load(), u.draining)
	u.mu.Unlock()
	for _, ep := range endpoints {
		ep.closeAll()
	}
}
