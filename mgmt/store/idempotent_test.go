package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
)

// TestIdempotent sends one request many times at once, over two managers where there may be two: it is done once, and all get its reply.
func TestIdempotent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		r := store.Request{Actor: "user:1", Key: "k", Hash: "h"}
		var first atomic.Int64
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				var done bool
				err := dbs[i%2].Write(t.Context(), func(tx *store.Tx) error {
					reply, again, err := tx.Idempotent(r, func() ([]byte, error) {
						return []byte("reply"), tx.Audit("user:x", "test.once", "x", nil)
					})
					if err == nil && string(reply) != "reply" {
						t.Errorf("the reply is %q", reply)
					}
					done = !again
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if done {
					first.Add(1)
				}
			})
		}
		group.Wait()
		if n := first.Load(); n != 1 {
			t.Errorf("%d have done it", n)
		}
		read(t, dbs[0], func(tx *store.Tx) error {
			n := 0
			for _, err := range tx.AuditLog(0, 100) {
				if err != nil {
					return err
				}
				n++
			}
			if n != 1 {
				t.Errorf("%d audit entries", n)
			}
			return nil
		})
		other := r
		other.Hash = "other"
		if err := dbs[0].Write(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.Idempotent(other, func() ([]byte, error) { return nil, nil })
			return err
		}); !errors.Is(err, store.ErrOtherRequest) {
			t.Errorf("another request under the key: %v", err)
		}
	})
}

// TestIdempotentForgets has replies end after a day, and failures not be kept at all.
func TestIdempotentForgets(t *testing.T) {
	now := time.Now()
	db, err := store.Open(t.Context(), store.Options{File: t.TempDir() + "/manager.db", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ask := func(fault error) (again bool, err error) {
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			_, again, err = tx.Idempotent(store.Request{Actor: "a", Key: "k", Hash: "h"}, func() ([]byte, error) { return []byte("x"), fault })
			return err
		})
		return again, err
	}
	fault := errors.New("no")
	if _, err := ask(fault); !errors.Is(err, fault) {
		t.Fatal(err)
	}
	for i, want := range []struct {
		after time.Duration
		again bool
	}{{0, false}, {0, true}, {store.KeepReplies - time.Second, true}, {time.Second, false}} {
		now = now.Add(want.after)
		if again, err := ask(nil); err != nil || again != want.again {
			t.Errorf("request %d: again %v, want %v; %v", i, again, want.again, err)
		}
	}
}
