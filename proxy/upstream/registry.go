package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"gatehouse/proxy/config"
)

// Options are what a Registry needs of its surroundings.
type Options struct {
	Logger *zap.Logger // nil logs nothing
	// Metrics takes gatehouse_upstream_*; nil keeps them to ourselves.
	Metrics  prometheus.Registerer
	Resolver ResolverOptions
	// AdminAddresses gives the addresses of the gateway's own admin listeners, which are never upstreams. It is called
	// for every new connection. Nil means none.
	AdminAddresses func() []netip.AddrPort
}

// Registry holds the upstreams of all configurations in use. It is safe for concurrent use.
type Registry struct {
	o        Options
	log      *zap.Logger
	resolver *resolver
	metrics  *metrics

	mu      sync.Mutex // guards the following; taken before any lock of an upstream
	live    map[string]*Upstream
	retired map[*Upstream]struct{}

	goMu   sync.Mutex // guards closed and the start of goroutines; taken last
	closed bool
	wg     sync.WaitGroup
}

// New makes a registry without upstreams. Close ends it.
func New(o Options) (*Registry, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	r := &Registry{
		o: o, log: o.Logger.Named("upstream"), resolver: newResolver(o.Resolver),
		live: map[string]*Upstream{}, retired: map[*Upstream]struct{}{},
	}
	var err error
	if r.metrics, err = newMetrics(r, o.Metrics); err != nil {
		return nil, fmt.Errorf("register upstream metrics: %w", err)
	}
	return r, nil
}

// Acquire gives the upstream of a complete configuration entry. If one with the same settings (the content of its CA
// file and its client certificate included) is in use it is that one, with its connections and health; otherwise a new
// one, which begins to resolve its hosts. Every Acquire needs a Release. An error names the setting.
func (r *Registry) Acquire(c config.Upstream, certs Certificates) (*Upstream, error) {
	u, err := r.build(c, certs)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", c.Name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isClosed() {
		return nil, fmt.Errorf("upstream %s: %w", c.Name, ErrClosed)
	}
	if old := r.live[u.key]; old != nil {
		old.refs++
		return old, nil
	}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	u.refs = 1
	r.live[u.key] = u
	u.start()
	return u, nil
}

// build makes an upstream that does nothing yet.
func (r *Registry) build(c config.Upstream, certs Certificates) (*Upstream, error) {
	c.URLs = slices.Clone(c.URLs)
	if len(c.URLs) == 0 && c.URL != "" {
		c.URLs = []string{c.URL}
	}
	u := &Upstream{
		config: c, registry: r, metrics: r.metrics, log: r.log.With(zap.String("upstream", c.Name)),
		policy: addressPolicy{admin: r.o.AdminAddresses},
		timeouts: timeouts{
			connect:   orElse(c.Timeouts.Connect.D(), 3*time.Second),
			firstByte: orElse(c.Timeouts.FirstByte.D(), 60*time.Second),
			idle:      orElse(c.Timeouts.Idle.D(), 50*time.Second),
		},
	}
	if c.AllowLoopback {
		u.policy.loopback = loopbackAllowed
	}
	switch c.Balance {
	case config.LeastConnections, config.RoundRobin, "":
	default:
		return nil, fmt.Errorf("balance: %q is not one of least_connections, round_robin", c.Balance)
	}
	if len(c.URLs) == 0 {
		return nil, errors.New("urls: there is none")
	}
	for _, raw := range c.URLs {
		o, err := parseOrigin(raw)
		if err != nil {
			return nil, err
		}
		u.origins = append(u.origins, o)
	}
	if p := c.Health.Path; p != "" {
		if err := checkTarget(p); err != nil || !strings.HasPrefix(p, "/") {
			return nil, fmt.Errorf("health.path: %q is not a path", p)
		}
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%#v", c)
	var err error
	if u.tls, err = newTLSSettings(c.TLS, certs, digest); err != nil {
		return nil, err
	}
	u.key = hex.EncodeToString(digest.Sum(nil))
	u.endpoints.Store(new([]*endpoint))
	return u, nil
}

func orElse(d, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d
}

// Release gives back what Acquire gave. After the last Release of an upstream its idle connections close, and what is
// in flight goes on to its end.
func (r *Registry) Release(u *Upstream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.refs--
	if u.refs != 0 {
		return
	}
	delete(r.live, u.key)
	r.retired[u] = struct{}{}
	u.retire()
	if u.active.Load() == 0 {
		r.drop(u)
	}
}

// forget drops a retired upstream whose last request has ended.
func (r *Registry) forget(u *Upstream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.active.Load() == 0 {
		r.drop(u)
	}
}

// drop forgets a retired upstream, and its series if no other has its name. The caller holds mu.
func (r *Registry) drop(u *Upstream) {
	delete(r.retired, u)
	for _, other := range r.live {
		if other.config.Name == u.config.Name {
			return
		}
	}
	for other := range r.retired {
		if other.config.Name == u.config.Name {
			return
		}
	}
	r.metrics.forget(u.config.Name)
}

// Status gives a snapshot of every upstream by name, retired ones that still have requests in flight included.
func (r *Registry) Status() []Status {
	r.mu.Lock()
	all := make([]*Upstream, 0, len(r.live)+len(r.retired))
	for _, u := range r.live {
		all = append(all, u)
	}
	for u := range r.retired {
		all = append(all, u)
	}
	r.mu.Unlock()
	statuses := make([]Status, 0, len(all))
	for _, u := range all {
		statuses = append(statuses, u.Status())
	}
	slices.SortStableFunc(statuses, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return statuses
}

// Close closes every connection, also those in use, and waits for the goroutines. It is idempotent.
func (r *Registry) Close() error {
	r.goMu.Lock()
	r.closed = true
	r.goMu.Unlock()
	r.mu.Lock()
	all := make([]*Upstream, 0, len(r.live)+len(r.retired))
	for _, u := range r.live {
		all = append(all, u)
	}
	for u := range r.retired {
		all = append(all, u)
	}
	r.mu.Unlock()
	for _, u := range all {
		u.retire()
		u.closeAll()
	}
	r.wg.Wait()
	return nil
}

func (r *Registry) isClosed() bool {
	r.goMu.Lock()
	defer r.goMu.Unlock()
	return r.closed
}

// run starts a goroutine that Close waits for. After Close it starts none.
func (r *Registry) run(f func()) {
	r.goMu.Lock()
	defer r.goMu.Unlock()
	if !r.closed {
		r.wg.Go(f)
	}
}
