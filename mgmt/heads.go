package mgmt

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

// Times of the heads in the depot, and of the bucket with them.
const (
	headAge      = time.Hour // at which a head is signed anew, so that its age tells gateways whether the manager is there
	headsEvery   = 5 * time.Minute
	headsLease   = "heads"
	headsHoldFor = 2 * headsEvery
)

// signHeads signs the heads of the depot anew, while this manager has the lease.
func (s *Server) signHeads(ctx context.Context) {
	var lease store.Lease
	defer func() { s.release(ctx, lease) }()
	for {
		var err error
		if lease, err = s.db.Acquire(ctx, headsLease, s.holder, headsHoldFor); err == nil {
			err = s.signOldHeads(ctx, lease)
		}
		if err != nil && !errors.Is(err, store.ErrLeaseLost) && ctx.Err() == nil {
			s.log.Warn("sign heads anew; it is tried again", zap.Error(err))
		}
		if !wait(ctx, headsEvery) {
			return
		}
	}
}

func (s *Server) signOldHeads(ctx context.Context, lease store.Lease) error {
	var groups []string
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		groups, err = tx.Depot().Groups()
		return err
	})
	for _, group := range groups {
		err = errors.Join(err, s.db.Write(ctx, func(tx *store.Tx) error { return s.signOldHead(tx, lease, group) }))
	}
	return err
}

func (s *Server) signOldHead(tx *store.Tx, lease store.Lease, group string) error {
	if err := tx.Fence(lease); err != nil {
		return err
	}
	p := revision.Publisher{Depot: tx.Depot(), Stack: s.opts.Settings.Stack, Group: group, Signers: []revision.Signer{s.key}, Now: tx.Now}
	head, err := p.Head(tx.Context())
	if err != nil || tx.Now().Sub(head.Time) < headAge {
		return err
	}
	return p.Advance(tx.Context(), head.Order, head.Content)
}

// releaseTimeout is how long a lease may take to be given back.
const releaseTimeout = 5 * time.Second

// release gives a lease back, also when ctx has ended.
func (s *Server) release(ctx context.Context, lease store.Lease) {
	if lease.Token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := s.db.Release(ctx, lease); err != nil {
		s.log.Warn("give a lease back", zap.Error(err))
	}
}
