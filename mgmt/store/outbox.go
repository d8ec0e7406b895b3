package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/rules/revision"
)

// Outbox carries what was written to the depot to the bucket, from which gateways boot while no manager is there.
//
// Invariant: the head in the bucket never goes back, whatever becomes of the manager that carries: objects are only created, a head is
// replaced only if it is still the one that was read and comes before ours, and rows are taken out of the outbox only under the lease.
type Outbox struct {
	DB     *DB
	Bucket revision.Depot
	Holder string
	Stack  string
	// Keys are those of which one has signed what is in the bucket.
	Keys func(ctx context.Context) ([]revision.PublicKey, error)
	Log  *zap.Logger
	// Wrote is told of each write how it ended.
	Wrote func(OutboxResult)
	// Step, if it is set, is called at named places; tests end the process there.
	Step func(name string)

	lease Lease // the last
}

// OutboxResult is how one write to the bucket ended.
type OutboxResult string

// The results.
const (
	OutboxWritten OutboxResult = "written"
	OutboxThere   OutboxResult = "there" // the object was there already, or the head is the same
	OutboxOlder   OutboxResult = "older" // the head in the bucket is ahead of ours
	OutboxError   OutboxResult = "error"
)

// metaBucket names the bucket that the depot was carried to; it is empty if there is none.
const metaBucket = "bucket"

// UseBucket says which bucket the depot is carried to, empty for none. All of the depot is put into the outbox for a bucket that is new.
func (db *DB) UseBucket(ctx context.Context, name string) error {
	return db.Write(ctx, func(tx *Tx) error {
		was, err := tx.Meta(metaBucket)
		if err != nil && !errors.Is(err, ErrNotFound) || err == nil && was == name {
			return err
		}
		if err := tx.SetMeta(metaBucket, name); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM outbox"); err != nil || name == "" {
			return err
		}
		_, err = tx.Exec(`INSERT INTO outbox (id, name, head, at)
			SELECT name, name, CASE WHEN name LIKE '%/head.json' THEN 1 ELSE 0 END, CAST($1 AS BIGINT) FROM depot`, tx.now)
		tx.Notify(OutboxTopic)
		return err
	})
}

// Times of the outbox.
const (
	outboxLease = 30 * time.Second
	outboxIdle  = 10 * time.Second
	outboxFirst = time.Second // before it is tried again; twice as much each time
	outboxMost  = time.Minute
	outboxBatch = 100

	releaseTimeout = 5 * time.Second
)

const outboxLeaseName = "outbox"

// Run carries until ctx ends, while it has the lease, which it gives back then.
func (o *Outbox) Run(ctx context.Context) {
	defer o.release(context.WithoutCancel(ctx))
	wait := outboxFirst
	for ctx.Err() == nil {
		woken := o.DB.Wake(OutboxTopic)
		again := outboxIdle
		switch err := o.Carry(ctx); {
		case errors.Is(err, ErrLeaseLost), ctx.Err() != nil: // another manager carries
			wait = outboxFirst
		case err != nil:
			o.Log.Warn("carry revisions to the bucket; it is tried again", zap.Error(err), zap.Duration("after", wait))
			again, woken = wait/2+rand.N(wait), nil //nolint:gosec // a pause needs no secret
			wait = min(2*wait, outboxMost)
		default:
			wait = outboxFirst
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-woken:
		case <-t.C:
		}
		t.Stop()
	}
}

// release lets another manager carry at once.
func (o *Outbox) release(ctx context.Context) {
	if o.lease.Token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if err := o.DB.Release(ctx, o.lease); err != nil {
		o.Log.Warn("give the lease back", zap.Error(err))
	}
}

// Carry takes the lease and empties the outbox.
func (o *Outbox) Carry(ctx context.Context) error {
	for {
		lease, err := o.DB.Acquire(ctx, outboxLeaseName, o.Holder, outboxLease)
		if err != nil {
			return err
		}
		o.lease = lease
		rows, err := o.next(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := o.carry(ctx, lease, r); err != nil {
				return err
			}
		}
	}
}

// outboxRow is an object that is to be written.
type outboxRow struct {
	id, name string
	head     bool
	data     []byte
}

// next gives what is to be written next. Heads come when no object waits: what they name is in the bucket then.
func (o *Outbox) next(ctx context.Context) (rows []outboxRow, err error) {
	err = o.DB.Read(ctx, func(tx *Tx) error {
		for _, head := range []bool{false, true} {
			rows = nil
			err := tx.Query(func(scan func(...any) error) error {
				r := outboxRow{head: head}
				if err := scan(&r.id, &r.name, &r.data); err != nil {
					return err
				}
				rows = append(rows, r)
				return nil
			}, "SELECT o.id, o.name, d.data FROM outbox o JOIN depot d ON d.name = o.name WHERE o.head = $1 ORDER BY o.at, o.id LIMIT $2", head, outboxBatch)
			if err != nil || len(rows) > 0 {
				return err
			}
		}
		return nil
	})
	return rows, err
}

func (o *Outbox) carry(ctx context.Context, lease Lease, r outboxRow) error {
	o.step("before the bucket")
	write := o.object
	if r.head {
		write = o.head
	}
	result, err := write(ctx, r)
	if o.Wrote != nil {
		o.Wrote(result)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	o.step("after the bucket")
	return o.DB.Write(ctx, func(tx *Tx) error {
		if err := tx.Fence(lease); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM outbox WHERE id = $1", r.id)
		return err
	})
}

func (o *Outbox) step(name string) {
	if o.Step != nil {
		o.Step(name)
	}
}

// object writes what never changes.
func (o *Outbox) object(ctx context.Context, r outboxRow) (OutboxResult, error) {
	switch err := o.Bucket.Create(ctx, r.name, r.data); {
	case errors.Is(err, revision.ErrChanged):
		return o.same(ctx, r)
	case err != nil:
		return OutboxError, err
	}
	return OutboxWritten, nil
}

// same looks at a revision that is in the bucket already. What is named by its hash needs no look.
func (o *Outbox) same(ctx context.Context, r outboxRow) (OutboxResult, error) {
	if !strings.Contains(r.name, "/revisions/") {
		return OutboxThere, nil
	}
	there, _, err := o.Bucket.Get(ctx, r.name, revision.MaxSigned)
	if err == nil && !bytes.Equal(there, r.data) {
		err = errors.New("the bucket has another revision of that number; restore the manager's data again with a higher epoch")
	}
	if err != nil {
		return OutboxError, err
	}
	return OutboxThere, nil
}

// head replaces the head in the bucket, if it comes before ours.
func (o *Outbox) head(ctx context.Context, r outboxRow) (OutboxResult, error) {
	keys, err := o.Keys(ctx)
	if err != nil {
		return OutboxError, err
	}
	group, _, _ := strings.Cut(r.name, "/")
	want := revision.Want{Kind: revision.KindHead, Stack: o.Stack, Group: group, Keys: keys}
	ours, err := revision.Verify(r.data, want)
	if err != nil {
		return OutboxError, fmt.Errorf("our own head: %w", err)
	}
	there, tag, err := o.Bucket.Get(ctx, r.name, revision.MaxSigned)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		tag = ""
	case err != nil:
		return OutboxError, err
	default:
		known, err := revision.Verify(there, want)
		if err != nil {
			return OutboxError, fmt.Errorf("the head that is there is not of this installation (%w); if nobody else writes to this bucket, remove it", err)
		}
		var older *revision.OlderError
		switch err := ours.Follows(known); {
		case errors.As(err, &older):
			return OutboxOlder, nil
		case err != nil:
			return OutboxError, err
		case !ours.Time.After(known.Time) && ours.Order == known.Order:
			return OutboxThere, nil
		}
	}
	o.step("before the head")
	if err := o.Bucket.Replace(ctx, r.name, tag, r.data); err != nil {
		return OutboxError, err // also if somebody else was faster: then it is read again
	}
	return OutboxWritten, nil
}

// OutboxLag says how many objects still have to be written to the bucket, and since when the oldest has waited.
func (db *DB) OutboxLag(ctx context.Context) (objects int64, oldest time.Time, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		return tx.Get(Row(&objects, &oldest), "SELECT count(*), coalesce(min(at), 0) FROM outbox")
	})
	return objects, oldest, err
}
