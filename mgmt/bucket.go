package mgmt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
	"gatehouse/rules/revision/s3depot"
)

// openBucket opens s3://BUCKET/PREFIX or a directory.
func openBucket(ctx context.Context, place string) (revision.Depot, error) {
	if !strings.HasPrefix(place, s3depot.Scheme) {
		return revision.Dir(place), nil
	}
	return s3depot.Open(ctx, place)
}

// openAnchor opens s3://BUCKET/PREFIX or a file.
func openAnchor(ctx context.Context, place string) (store.Anchor, error) {
	if !strings.HasPrefix(place, s3depot.Scheme) {
		return store.FileAnchor(place), nil
	}
	bucket, err := s3depot.Open(ctx, place)
	return store.BucketAnchor{Bucket: bucket}, err
}

// startOutbox carries revisions to the bucket, if there is one, and keeps its metrics.
func (s *Server) startOutbox(ctx context.Context) error {
	place := s.opts.Settings.Bucket
	if err := s.db.UseBucket(ctx, place); err != nil {
		return fmt.Errorf("bucket: %w", err)
	}
	if place == "" {
		return nil
	}
	bucket, err := openBucket(ctx, place)
	if err != nil {
		return fmt.Errorf("bucket: %w", err)
	}
	outbox := &store.Outbox{
		DB: s.db, Bucket: bucket, Holder: s.holder, Stack: s.opts.Settings.Stack, Log: s.log.Named("outbox"),
		Keys:  func(context.Context) ([]revision.PublicKey, error) { return []revision.PublicKey{s.key.Public()}, nil },
		Wrote: func(r store.OutboxResult) { s.metrics.outboxWritten.WithLabelValues(string(r)).Inc() },
	}
	s.onStart(outbox.Run)
	s.onStart(s.watchOutbox)
	return nil
}

// lagEvery is how often the metrics of the outbox are brought up to date.
const lagEvery = 5 * time.Second

func (s *Server) watchOutbox(ctx context.Context) {
	for {
		if n, oldest, err := s.db.OutboxLag(ctx); err == nil { // what is wrong with the database, /readyz says
			s.metrics.outboxWaiting.Set(float64(n))
			age := time.Duration(0)
			if n > 0 {
				age = s.db.Now().Sub(oldest)
			}
			s.metrics.outboxAge.Set(age.Seconds())
		}
		if !wait(ctx, lagEvery) {
			return
		}
	}
}

// Times of the anchor of the audit log.
const (
	anchorEvery = time.Hour
	anchorRetry = time.Minute
)

// startAnchor has a signed head of the audit log written to the anchor, now and every hour.
func (s *Server) startAnchor(ctx context.Context) error {
	place := s.opts.Settings.Audit.Anchor
	if place == "" {
		return nil
	}
	anchor, err := openAnchor(ctx, place)
	if err != nil {
		return fmt.Errorf("audit.anchor: %w", err)
	}
	s.onStart(func(ctx context.Context) {
		for {
			next := anchorEvery
			err := s.db.AnchorAudit(ctx, s.holder, anchor, s.opts.Settings.Stack, s.key)
			switch {
			case err == nil:
				s.metrics.anchored.SetToCurrentTime()
			case errors.Is(err, store.ErrLeaseLost): // another manager does it
			case ctx.Err() == nil:
				s.log.Warn("anchor the audit log; it is tried again", zap.Error(err))
				next = anchorRetry
			}
			if !wait(ctx, next) {
				return
			}
		}
	})
	return nil
}

// wait waits, and says whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// bucketEpoch is the highest epoch of the heads that the bucket has of the groups in a restored database, 0 if it has none. Only heads
// that this installation has signed count.
func bucketEpoch(tx *store.Tx, vault *secret.Vault, settings Settings) (highest uint64, err error) {
	if settings.Bucket == "" {
		return 0, nil
	}
	bucket, err := openBucket(tx.Context(), settings.Bucket)
	if err != nil {
		return 0, err
	}
	key, err := readSigningKey(tx, vault)
	if errors.Is(err, store.ErrNotFound) { // it has signed nothing
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	groups, err := tx.Depot().Groups()
	if err != nil {
		return 0, err
	}
	for _, group := range groups {
		r := revision.Reader{Depot: bucket, Stack: settings.Stack, Group: group, Keys: []revision.PublicKey{key.Public()}}
		head, err := r.Head(tx.Context())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("bucket: %w", err)
		}
		highest = max(highest, head.Order.Epoch)
	}
	return highest, nil
}
