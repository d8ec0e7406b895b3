package managed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/spool"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// Gateway is a managed gateway.
type Gateway struct {
	options Options
	log     *zap.Logger
	times   Times
	dir     *stateDir
	client  *client
	boot    string
	started time.Time
	anchor  *anchor
	spool   *spool.Spool // of events; nil without a manager

	trust    atomic.Pointer[trust]
	identity atomic.Pointer[identity] // nil until it has joined
	state    atomic.Pointer[fleetapi.State]
	server   atomic.Pointer[proxy.Server] // nil until there is something to serve
	wanted   atomic.Pointer[candidate]    // what Load gives
	ready    chan struct{}                // closed when server is set

	offers    offers
	renewNow  chan struct{}
	reportNow chan struct{}
	lookNow   chan struct{} // at the bucket
	joined    chan struct{} // closed when there is an identity

	actions actionsState

	mu       sync.Mutex // guards what follows
	serving  serving
	orders   map[string]revision.Order // of what was served, by name
	headTime time.Time                 // of the newest head that was seen
	refused  []fleetapi.Refusal
	said     []refusalKey      // those that were reported
	last     *fleetapi.Refusal // the last refusal, for /status
	crashed  *crashFile
	groupKey *groupKey
	diskErr  error // why what is served is not on the disk
	fault    error // of the server; Run's alone
}

// New reads what the gateway knows from an earlier time. It asks nobody.
func New(o Options) (_ *Gateway, err error) {
	g := &Gateway{
		options: o, log: o.Logger.Named("managed"), times: o.Times.complete(), boot: rand.Text(), started: time.Now(),
		offers: newOffers(), renewNow: make(chan struct{}, 1), reportNow: make(chan struct{}, 1), lookNow: make(chan struct{}, 1),
		ready: make(chan struct{}), joined: make(chan struct{}),
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if g.dir, err = openStateDir(o.StateDir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.dir.close())
		}
	}()
	if g.anchor, err = readAnchor(o); err != nil {
		return nil, err
	}
	managers, err := parseManagers(o.Managers)
	if err != nil {
		return nil, err
	}
	if o.Times.Bucket <= 0 && len(managers) == 0 {
		g.times.Bucket = aloneBucket
	}
	g.client = &client{managers: managers, times: g.times}
	id, err := loadIdentity(g.dir)
	if err != nil {
		return nil, err
	}
	if id != nil {
		if err := g.admit(id); err != nil {
			return nil, err
		}
		g.identity.Store(id)
	}
	if err := g.loadTrust(); err != nil {
		return nil, err
	}
	if err := g.loadActions(); err != nil {
		return nil, err
	}
	if o.SecretKeyFile != "" {
		key, err := sealed.ReadKey(o.SecretKeyFile)
		if err != nil {
			return nil, fmt.Errorf("-secret-key-file: %w", err)
		}
		g.groupKey = &groupKey{key: key, local: true}
	}
	if len(managers) > 0 {
		if g.spool, err = spool.Open(spool.Options{Dir: filepath.Join(o.StateDir, spoolName), Logger: g.log, Every: g.times.Events}); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// check says what is missing on the command line.
func (o Options) check() error {
	switch {
	case len(o.Managers) == 0 && o.Bucket == nil:
		return errors.New("nothing says where revisions come from: give -manager URL, -revisions s3://BUCKET/PREFIX or DIR, or both")
	case len(o.Managers) > 0 && o.Join == "" && o.TokenFile != "":
		return errors.New("-join-token-file needs -join token")
	case o.Join != "" && o.Join != JoinToken && o.Join != JoinCertificate:
		return fmt.Errorf("-join %q is not a way to join (token, certificate)", o.Join)
	case o.Join != "" && len(o.Managers) == 0:
		return errors.New("-join needs -manager URL")
	case o.Group != "" && !revision.ValidName(o.Group):
		return fmt.Errorf("-group %q is no name: letters, digits, dots, dashes and underscores", o.Group)
	case o.Stack != "" && !revision.ValidName(o.Stack):
		return fmt.Errorf("-stack %q is no name: letters, digits, dots, dashes and underscores", o.Stack)
	case len(o.Managers) > 0:
		return nil
	case o.RevisionKeys == "":
		return errors.New("without a manager, -revision-key FILE says whose revisions are served: the public key, one a line")
	case o.Group == "":
		return errors.New("without a manager, -group NAME says which group's revisions are served")
	}
	return nil
}

// loadTrust takes the trust of an earlier time, or what the command line gives by hand.
func (g *Gateway) loadTrust() error {
	var root revision.Hash
	if g.anchor != nil && (g.anchor.manual == nil || g.anchor.manual.Authorities != "") {
		root = g.anchor.root()
	}
	t, ok, err := loadTrust(g.dir, root)
	if err != nil {
		return err
	}
	if !ok {
		if g.anchor == nil || g.anchor.manual == nil {
			return g.canJoin()
		}
		t, root = *g.anchor.manual, g.anchor.root()
	}
	full, err := newTrust(t, root)
	if err != nil {
		return err
	}
	g.trust.Store(full)
	id := g.identity.Load()
	if full.pool != nil && id != nil {
		g.client.use(full.pool, id.pair)
	} else if full.pool != nil {
		g.client.use(full.pool, nil)
	}
	return g.canJoin()
}

// canJoin says what is missing to join, where that is still to be done.
func (g *Gateway) canJoin() error {
	if len(g.options.Managers) == 0 || g.identity.Load() != nil && g.trust.Load() != nil && g.trust.Load().pool != nil {
		return nil
	}
	switch g.options.Join {
	case JoinToken:
		_, err := readToken(g.options.TokenFile)
		return err
	case JoinCertificate:
		if g.options.CertificateFile == "" || g.options.KeyFile == "" {
			return errors.New("-join certificate needs -join-certificate-file and -join-key-file")
		}
		if g.anchor == nil || g.anchor.manual != nil && g.anchor.manual.Authorities == "" {
			return errors.New("-join certificate needs -manager-ca FILE or sha256:HEX, to know the manager by")
		}
		if g.anchor.manual != nil && len(g.anchor.manual.Keys) == 0 {
			return errors.New("-manager-ca FILE needs -revision-key FILE, which says whose revisions are served; -manager-ca sha256:HEX gives both")
		}
		return nil
	}
	return errors.New("this gateway has not joined: give -join token -join-token-file FILE, or -join certificate")
}

// setTrust takes a trust from now on, and keeps it.
func (g *Gateway) setTrust(_ context.Context, t revision.Trust, root revision.Hash) error {
	full, err := newTrust(t, root)
	if err != nil {
		return err
	}
	if err := saveTrust(g.dir, root, t); err != nil {
		return fmt.Errorf("keep the trust bundle: %w", err)
	}
	g.trust.Store(full)
	pair := g.identity.Load()
	if pair != nil {
		g.client.use(full.pool, pair.pair)
	} else {
		g.client.use(full.pool, nil)
	}
	return nil
}

// stackAndGroup are whose revisions are served. They come from enrolment or the command line, never from a revision.
func (g *Gateway) stackAndGroup() (stack, group string, ok bool) {
	if id := g.identity.Load(); id != nil {
		return id.Stack, id.Group, true
	}
	stack = g.options.Stack
	if stack == "" {
		stack = DefaultStack
	}
	return stack, g.options.Group, g.options.Group != ""
}

// DefaultStack is the name of an installation without one.
const DefaultStack = "default"

// reader reads revisions of a depot. There is none until it is known whom to trust, and for which group.
func (g *Gateway) reader(d revision.Depot) (*revision.Reader, bool) {
	t := g.trust.Load()
	stack, group, ok := g.stackAndGroup()
	if t == nil || !ok {
		return nil, false
	}
	return &revision.Reader{Depot: d, Stack: stack, Group: group, Keys: t.Keys, Have: g.dir.depot().Have(group)}, true
}

// Verify reads a signed statement of the gateway's own group, whoever brought it.
func (g *Gateway) Verify(kind revision.Kind, data []byte) (revision.Statement, error) {
	r, ok := g.reader(nil)
	if !ok {
		return revision.Statement{}, errors.New("this gateway has not joined")
	}
	return revision.Verify(data, revision.Want{Kind: kind, Stack: r.Stack, Group: r.Group, Keys: r.Keys})
}

// Server is the gateway that serves, nil until there is something to serve.
func (g *Gateway) Server() *proxy.Server { return g.server.Load() }

// Ready is closed when traffic is served.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Hangup reloads what is served, as SIGHUP does, looks at the bucket, and tries again what was refused.
func (g *Gateway) Hangup() {
	if s := g.server.Load(); s != nil {
		s.Hangup()
	}
	g.offers.again(g.server.Load() == nil)
	select {
	case g.lookNow <- struct{}{}:
	default:
	}
}

// Run joins if that is to be done, and serves until ctx ends. Its error is nil then; another error says why it cannot go on.
func (g *Gateway) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if g.identity.Load() != nil {
		close(g.joined)
	}
	g.offerDisk()
	var work sync.WaitGroup
	if len(g.client.managers) > 0 {
		work.Go(func() {
			if err := g.withManager(ctx); err != nil && ctx.Err() == nil {
				if g.server.Load() != nil || g.options.Bucket != nil {
					g.log.Error("this gateway cannot join", zap.Error(err))
					return
				}
				cancel(err)
			}
		})
	}
	if g.options.Bucket != nil {
		work.Go(func() { g.watchBucket(ctx) })
	}
	g.apply(ctx) // until ctx ends, or the server fails
	err = context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	cancel(nil)
	work.Wait()
	err = errors.Join(err, g.fault)
	if s := g.server.Load(); s != nil {
		err = errors.Join(err, s.Stop(context.Background()))
	}
	g.endEvents()
	return errors.Join(err, g.endTrial(), g.dir.close())
}

// withManager joins, and then renews, polls and reports until ctx ends.
func (g *Gateway) withManager(ctx context.Context) error {
	if err := g.enroll(ctx); err != nil {
		return err
	}
	select {
	case <-g.joined:
	default:
		close(g.joined)
	}
	g.offers.again(g.server.Load() == nil) // what was offered before the group was known
	var work sync.WaitGroup
	work.Go(func() { g.renew(ctx) })
	work.Go(func() { g.report(ctx) })
	work.Go(func() { g.sendEvents(ctx) })
	g.poll(ctx)
	work.Wait()
	return nil
}
