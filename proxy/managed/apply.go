package managed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// serving is what is served.
type serving struct {
	*candidate           // nil before the first
	since      time.Time // when it was applied
	trial      *trial    // nil if it is not on trial
}

// statement is that of what is served, the zero Statement for nothing.
func (s *serving) statement() revision.Statement {
	if s.candidate == nil {
		return revision.Statement{}
	}
	return s.Statement
}

// apply looks at offers until ctx ends or the server fails.
func (g *Gateway) apply(ctx context.Context) {
	wait := backoff{first: g.times.Backoff, most: g.times.MaxBackoff}
	tick := time.NewTicker(g.times.Second)
	defer tick.Stop()
	retry := time.NewTimer(g.times.Retry)
	defer retry.Stop()
	for {
		var failed <-chan error
		if s := g.server.Load(); s != nil {
			failed = s.Failed()
		}
		select {
		case <-ctx.Done():
			return
		case err := <-failed:
			g.log.Error("the gateway cannot serve on", zap.Error(err))
			g.fail(err)
			return
		case <-tick.C:
			g.watchTrial()
		case <-retry.C:
			g.offers.again(g.server.Load() == nil)
			retry.Reset(g.times.Retry)
		case <-g.offers.wake:
			for x, ok := g.offers.take(); ok && ctx.Err() == nil; x, ok = g.offers.take() {
				if err := g.take(ctx, x); err != nil {
					d := wait.next()
					g.log.Warn("what was offered cannot be looked at yet", zap.String("source", string(x.source)), zap.Error(err), zap.Duration("again_in", d))
					retry.Reset(d)
				} else {
					wait.reset()
				}
			}
		}
	}
}

// take serves what is offered if it is right, and refuses it otherwise. An error says that it is not known yet which.
func (g *Gateway) take(ctx context.Context, x offer) error {
	r, ok := g.reader(x.depot)
	if !ok {
		return nil // it is looked at again when the group is known
	}
	head, err := r.VerifyHead(x.head)
	if err != nil {
		g.countRefused(err)
		g.refuseOffer(x, fleetapi.Refusal{Kind: revision.KindHead, Hash: revision.HashOf(x.head), Reason: err.Error()})
		return nil
	}
	if done, err := g.known(x, head); done || err != nil {
		if err != nil {
			g.countRefused(err)
			g.refuseOffer(x, fleetapi.Refusal{Kind: revision.KindHead, Order: head.Order, Hash: head.Content, Reason: err.Error()})
		}
		return nil
	}
	no := func(err error) {
		g.countRefused(err)
		g.refuseOffer(x, fleetapi.Refusal{Kind: revision.KindRevision, Order: head.Order, Hash: head.Content, Reason: err.Error()})
	}
	var away *UnavailableError
	read, err := r.Revision(ctx, head)
	if errors.As(err, &away) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		no(err)
		return nil
	}
	c := &candidate{Revision: read, head: x.head, source: x.source}
	key, err := g.keyFor(ctx, c)
	if errors.As(err, &away) {
		return err
	}
	if err == nil {
		err = g.serve(ctx, c, key, x.trial)
	}
	if err != nil {
		no(err)
	}
	return nil
}

// known says whether nothing is to be done about a head, or why it is refused.
func (g *Gateway) known(x offer, head revision.Statement) (done bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.serving.statement()
	if err := head.Follows(now); err != nil {
		var older *revision.OlderError
		if errors.As(err, &older) && (x.source == fromDisk || x.source == fromBucket && len(g.client.managers) > 0) {
			return true, nil // the bucket is behind while a revision is rolled out
		}
		return false, err
	}
	if g.crashed != nil && !g.crashed.Again {
		switch c := g.crashed.Refusal; {
		case c.Order == head.Order && c.Hash == head.Content:
			return true, nil // it was reported
		case c.Order == head.Order:
			return false, &revision.ForkError{Group: head.Group, Order: head.Order, Got: head.Content, Known: c.Hash}
		}
	}
	if head.Time.After(g.headTime) {
		g.headTime = head.Time
	}
	if now.Group == "" || head.Order != now.Order {
		return false, nil
	}
	if g.serving.trial == nil && x.source != fromDisk {
		g.keepHead(x.head)
	}
	return true, nil
}

// serve proves a revision and serves it.
func (g *Gateway) serve(ctx context.Context, c *candidate, key *groupKey, onTrial time.Duration) error {
	if _, err := c.load(g.options.Config, key); err != nil { // before anything is written
		return err
	}
	if c.source != fromDisk {
		err := c.Keep(ctx, g.dir.depot())
		g.mu.Lock()
		g.diskErr = err
		g.mu.Unlock()
		if err != nil {
			g.log.Error("the revision cannot be kept on disk; without the manager this gateway could not start again", zap.Error(err))
		}
	}
	g.mu.Lock()
	before := g.serving
	g.mu.Unlock()
	t, err := g.beginTrial(c, onTrial)
	if err != nil {
		g.log.Error("the trial cannot be marked on disk", zap.Error(err))
	}
	old := g.wanted.Swap(c)
	if err := g.swap(); err != nil {
		g.wanted.Store(old)
		if mark := g.restoreTrial(before.trial); mark != nil {
			g.log.Error("the trial cannot be marked on disk", zap.Error(mark))
		}
		return &swapError{err}
	}
	g.mu.Lock()
	g.serving = serving{candidate: c, since: time.Now(), trial: t}
	const most = 64
	if g.orders == nil || len(g.orders) > most { // far more than are counted for
		g.orders = map[string]revision.Order{}
	}
	g.orders[c.name()] = c.Statement.Order
	if g.crashed != nil && g.crashed.Reported && c.Statement.Order.Compare(g.crashed.Refusal.Order) > 0 {
		g.crashed = nil
	}
	g.mu.Unlock()
	if t == nil {
		g.passed()
	}
	g.log.Info("revision applied", zap.String("revision", c.name()), zap.Stringer("order", c.Statement.Order),
		zap.Stringer("hash", c.Statement.Content), zap.String("source", string(c.source)), zap.Bool("trial", t != nil))
	g.reportSoon()
	return nil
}

// swap has the server serve what is wanted, and makes the server the first time.
func (g *Gateway) swap() error {
	if s := g.server.Load(); s != nil {
		return s.Reload()
	}
	o := g.options.Proxy
	if g.spool != nil {
		o.Forward = g.spool
	}
	o.Load, o.Managed, o.Version, o.Logger = g.load, g.Status, g.options.Version, g.options.Logger
	if id := g.identity.Load(); id != nil && o.Gateway == "" {
		o.Gateway = id.Gateway
	}
	s, err := proxy.New(o)
	if err != nil {
		return err
	}
	g.applyKept(s)
	s.Start()
	g.server.Store(s)
	g.takeActions(nil) // what was said meanwhile
	close(g.ready)
	return nil
}

// swapError is one of the server, which has counted it.
type swapError struct{ error }

func (e *swapError) Unwrap() error { return e.error }

// load reads the configuration that is wanted. The proxy also asks for it when a certificate's file has changed.
func (g *Gateway) load() (*config.Loaded, error) {
	g.mu.Lock()
	key := g.groupKey
	g.mu.Unlock()
	return g.wanted.Load().load(g.options.Config, key)
}

// countRefused has the server count a revision that did not come as far as the server.
func (g *Gateway) countRefused(err error) {
	var swap *swapError
	if s := g.server.Load(); s != nil && !errors.As(err, &swap) {
		s.Rejected(err)
	}
}

// refuseOffer refuses what a source offers, once for each reason.
func (g *Gateway) refuseOffer(x offer, r fleetapi.Refusal) {
	r.Reason = fmt.Sprintf("%s (from %s)", r.Reason, x.source)
	g.refuse(r)
}

// refusalKey tells one refusal from another.
type refusalKey struct {
	kind   revision.Kind
	order  revision.Order
	hash   revision.Hash
	reason string
}

// refuse notes what was refused, for the next report and /status.
func (g *Gateway) refuse(r fleetapi.Refusal) {
	const longest = 2000
	if len(r.Reason) > longest {
		r.Reason = r.Reason[:longest]
	}
	r.At = time.Now().UTC()
	g.mu.Lock()
	g.last = &r
	const most = 64
	key := refusalKey{r.Kind, r.Order, r.Hash, r.Reason}
	if slices.Contains(g.said, key) {
		g.mu.Unlock()
		return
	}
	if g.said = append(g.said, key); len(g.said) > most {
		g.said = g.said[1:]
	}
	g.refused = append(g.refused, r)
	if len(g.refused) > most {
		g.refused = g.refused[1:]
	}
	g.mu.Unlock()
	g.log.Error("refused, what was served stays", zap.String("kind", string(r.Kind)), zap.Stringer("order", r.Order), zap.Stringer("hash", r.Hash), zap.String("reason", r.Reason))
	g.reportSoon()
}
