package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
)

// site publishes revisions of one group into a database, and carries them to a directory.
type site struct {
	t      *testing.T
	key    revision.PrivateKey
	bucket revision.Depot
	dir    string // of the bucket, if it is one
}

func newSite(t *testing.T) *site {
	t.Helper()
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &site{t, key, revision.Dir(dir), dir}
}

func (s *site) outbox(db *store.DB, holder string) *store.Outbox {
	return &store.Outbox{
		DB: db, Bucket: s.bucket, Holder: holder, Stack: "test", Log: zaptest.NewLogger(s.t),
		Keys: func(context.Context) ([]revision.PublicKey, error) { return []revision.PublicKey{s.key.Public()}, nil },
	}
}

func (s *site) publish(db *store.DB, number uint64, text string) {
	s.t.Helper()
	built, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: map[string][]byte{"gatehouse.yaml": []byte(text)}})
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, db, func(tx *store.Tx) error {
		p := revision.Publisher{Depot: tx.Depot(), Stack: "test", Group: "edge", Signers: []revision.Signer{s.key}}
		return p.Publish(tx.Context(), built, revision.Order{Epoch: 1, Number: number})
	})
}

// want reads the bucket as a gateway does.
func (s *site) want(number uint64, text string) {
	s.t.Helper()
	r := revision.Reader{Depot: s.bucket, Stack: "test", Group: "edge", Keys: []revision.PublicKey{s.key.Public()}}
	head, err := r.Head(s.t.Context())
	if err != nil {
		s.t.Error(err)
		return
	}
	got, err := r.Revision(s.t.Context(), head)
	if err != nil {
		s.t.Error(err)
		return
	}
	if head.Order.Number != number || string(got.Files["gatehouse.yaml"]) != text {
		s.t.Errorf("the bucket has revision %s with %q, not %d with %q", head.Order, got.Files["gatehouse.yaml"], number, text)
	}
}

func (s *site) use(db *store.DB) {
	s.t.Helper()
	if err := db.UseBucket(s.t.Context(), "test:"+s.dir); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) waiting(db *store.DB) int64 {
	s.t.Helper()
	n, _, err := db.OutboxLag(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestOutbox(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		s, db := newSite(t), open()
		s.publish(db, 1, "one")
		if n := s.waiting(db); n != 0 {
			t.Errorf("%d objects wait for a bucket that is not there", n)
		}
		s.use(db)
		if err := s.outbox(db, "a").Carry(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(1, "one")
		s.publish(db, 2, "two")
		if n, oldest, err := db.OutboxLag(t.Context()); err != nil || n == 0 || oldest.IsZero() {
			t.Errorf("the lag is %d since %v, %v", n, oldest, err)
		}
		s.want(1, "one")
		results := map[store.OutboxResult]int{}
		o := s.outbox(db, "a")
		o.Wrote = func(r store.OutboxResult) { results[r]++ }
		if err := o.Carry(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(2, "two")
		if results[store.OutboxWritten] != 4 { // the file, the manifest, the revision, the head
			t.Errorf("the results are %v", results)
		}
		if n := s.waiting(db); n != 0 {
			t.Errorf("%d objects still wait", n)
		}
	})
}

// TestOutboxHeadLast stops before each write: the head never names what is not there.
func TestOutboxHeadLast(t *testing.T) {
	s, db := newSite(t), storetest.SQLite(t)()
	s.use(db)
	s.publish(db, 1, "one")
	stop := errors.New("stop")
	for writes := range 10 {
		o, n := s.outbox(db, "a"), 0
		o.Bucket = failing{s.bucket, func() error {
			if n++; n > writes {
				return stop
			}
			return nil
		}}
		err := o.Carry(t.Context())
		if _, _, headErr := s.bucket.Get(t.Context(), "edge/head.json", revision.MaxSigned); headErr == nil {
			s.want(1, "one")
		} else if !errors.Is(headErr, fs.ErrNotExist) {
			t.Error(headErr)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	t.Error("it never came to an end")
}

// failing is a bucket whose writes may fail.
type failing struct {
	revision.Depot
	before func() error
}

func (f failing) Create(ctx context.Context, name string, data []byte) error {
	if err := f.before(); err != nil {
		return err
	}
	return f.Depot.Create(ctx, name, data)
}

func (f failing) Replace(ctx context.Context, name, tag string, data []byte) error {
	if err := f.before(); err != nil {
		return err
	}
	return f.Depot.Replace(ctx, name, tag, data)
}

// TestOutboxPaused stops a holder of the lease at each place, lets another one carry a later revision, and goes on.
func TestOutboxPaused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		testOutboxPaused(t, open, newSite)
	})
}

func testOutboxPaused(t *testing.T, open func() *store.DB, newSite func(*testing.T) *site) {
	for _, place := range []string{"before the bucket", "before the head", "after the bucket"} {
		t.Run(place, func(t *testing.T) {
			s, db := newSite(t), open()
			s.use(db)
			s.publish(db, 1, "one")
			paused := s.outbox(db, "a")
			done := false
			paused.Step = func(name string) {
				if name != place || done {
					return
				}
				done = true
				write(t, db, func(tx *store.Tx) error {
					_, err := tx.Exec("UPDATE leases SET until = 1")
					return err
				})
				s.publish(db, 2, "two")
				if err := s.outbox(db, "b").Carry(t.Context()); err != nil {
					t.Error(err)
				}
				s.want(2, "two")
			}
			if err := paused.Carry(t.Context()); err == nil {
				t.Error("the old holder noticed nothing")
			}
			if !done {
				t.Error("it was never there")
			}
			s.want(2, "two")
			write(t, db, func(tx *store.Tx) error {
				for _, table := range []string{"depot", "outbox", "leases"} {
					if _, err := tx.Exec("DELETE FROM " + table); err != nil {
						return err
					}
				}
				return tx.SetMeta("bucket", "")
			})
		})
	}
}

// TestOutboxFence takes the lease away between a write and its row: the row stays for the new holder.
func TestOutboxFence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		s, db := newSite(t), open()
		s.use(db)
		s.publish(db, 1, "one")
		before := s.waiting(db)
		o := s.outbox(db, "a")
		o.Step = func(name string) {
			if name != "after the bucket" {
				return
			}
			write(t, db, func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE leases SET until = 1")
				return err
			})
			if _, err := db.Acquire(t.Context(), "outbox", "b", time.Minute); err != nil {
				t.Error(err)
			}
		}
		if err := o.Carry(t.Context()); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("the old holder: %v", err)
		}
		if after := s.waiting(db); after != before {
			t.Errorf("%d objects wait, not %d", after, before)
		}
	})
}

// TestOutboxAhead carries from a database that was put back: the bucket stays where it is.
func TestOutboxAhead(t *testing.T) {
	s, old, late := newSite(t), storetest.SQLite(t)(), storetest.SQLite(t)()
	for _, db := range []*store.DB{old, late} {
		s.use(db)
		s.publish(db, 1, "one")
	}
	s.publish(late, 2, "two")
	if err := s.outbox(late, "a").Carry(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := s.outbox(old, "b")
	var last store.OutboxResult
	o.Wrote = func(r store.OutboxResult) { last = r }
	err := o.Carry(t.Context())
	s.want(2, "two")
	if err == nil && last != store.OutboxOlder {
		t.Errorf("the last result is %s", last)
	}
	s.publish(old, 2, "another two")
	if err := s.outbox(old, "b").Carry(t.Context()); err == nil || !strings.Contains(err.Error(), "another revision of that number") {
		t.Errorf("another revision of the same number: %v", err)
	}
	s.want(2, "two")
}

// TestOutboxForeign finds a head of somebody else in the bucket.
func TestOutboxForeign(t *testing.T) {
	s, other, db := newSite(t), newSite(t), storetest.SQLite(t)()
	other.bucket = s.bucket
	theirs := storetest.SQLite(t)()
	other.use(theirs)
	other.publish(theirs, 7, "theirs")
	if err := other.outbox(theirs, "x").Carry(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.use(db)
	s.publish(db, 8, "ours")
	if err := s.outbox(db, "a").Carry(t.Context()); err == nil || !strings.Contains(err.Error(), "not of this installation") {
		t.Errorf("over somebody else's head: %v", err)
	}
	other.want(7, "theirs")
	if err := os.Remove(filepath.Join(s.dir, "edge", "head.json")); err != nil {
		t.Fatal(err)
	}
	if err := s.outbox(db, "a").Carry(t.Context()); err != nil {
		t.Error(err)
	}
	s.want(8, "ours")
}
