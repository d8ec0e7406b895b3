package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
)

func TestTransactions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		at := time.Now().UTC().Truncate(time.Microsecond)
		write(t, db, func(tx *store.Tx) error {
			return tx.SetMeta("stack", "test")
		})
		failed := errors.New("no")
		if err := db.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.SetMeta("stack", "other"); err != nil {
				return err
			}
			return failed
		}); !errors.Is(err, failed) {
			t.Errorf("the error is %v", err)
		}
		write(t, db, func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO depot (name, tag, data, at) VALUES ($1, $2, $3, $4)", "a", "b", []byte{0, 1, 0xff}, at)
			return err
		})
		other := open() // sees what was committed, and migrates nothing again
		read(t, other, func(tx *store.Tx) error {
			if stack, err := tx.Meta("stack"); err != nil || stack != "test" {
				t.Errorf("stack is %q, %v", stack, err)
			}
			var data []byte
			var when time.Time
			err := tx.Get(store.Row(&data, &when), "SELECT data, at FROM depot WHERE name = $1", "a")
			if !bytes.Equal(data, []byte{0, 1, 0xff}) || !when.Equal(at) {
				t.Errorf("data %x at %v, want at %v", data, when, at)
			}
			return err
		})
		if err := db.Read(t.Context(), func(tx *store.Tx) error { return tx.SetMeta("stack", "other") }); err == nil {
			t.Error("a transaction for reading has written")
		}
	})
}

// TestWritersTogether lets many add to one row at once: each addition counts.
func TestWritersTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		write(t, dbs[0], func(tx *store.Tx) error { return tx.Audit("manager", "test.start", "test", nil) })
		const writers, each = 8, 10
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for range each {
					write(t, dbs[w%2], func(tx *store.Tx) error { return tx.Audit("manager", "test.add", "test", map[string]int{"writer": w}) })
				}
			})
		}
		group.Wait()
		var last store.Entry
		read(t, dbs[0], func(tx *store.Tx) error {
			n := int64(0)
			for e, err := range tx.AuditLog(0, 1000) {
				if err != nil {
					return err
				}
				if n++; e.Seq != n {
					t.Errorf("entry %d has number %d", n, e.Seq)
				}
				last = e
			}
			return nil
		})
		if last.Seq != writers*each+1 {
			t.Errorf("%d entries", last.Seq)
		}
	})
}

func TestWake(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		woken := b.Wake("revisions")
		start := time.Now()
		write(t, a, func(tx *store.Tx) error { tx.Notify("revisions"); return nil })
		select {
		case <-woken:
			t.Logf("the other manager knew after %v", time.Since(start))
		case <-time.After(10 * time.Second):
			t.Error("the other manager was not woken")
		}
	})
}

func TestDepot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		key, err := revision.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		built, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: map[string][]byte{"gatehouse.yaml": []byte("version: 1\n")}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, db, func(tx *store.Tx) error {
			p := revision.Publisher{Depot: tx.Depot(), Stack: "test", Group: "edge", Signers: []revision.Signer{key}}
			return p.Publish(tx.Context(), built, revision.Order{Epoch: 1, Number: 1})
		})
		read(t, db, func(tx *store.Tx) error {
			r := revision.Reader{Depot: tx.Depot(), Stack: "test", Group: "edge", Keys: []revision.PublicKey{key.Public()}}
			head, err := r.Head(tx.Context())
			if err != nil {
				return err
			}
			got, err := r.Revision(tx.Context(), head)
			if err == nil && string(got.Files["gatehouse.yaml"]) != "version: 1\n" {
				t.Errorf("the files are %q", got.Files)
			}
			_, _, missing := tx.Depot().Get(tx.Context(), "edge/none", 10)
			if !errors.Is(missing, fs.ErrNotExist) {
				t.Errorf("what is not there: %v", missing)
			}
			return err
		})
	})
}

func TestLease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		first, err := db.Acquire(t.Context(), "rollouts", "a", 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Acquire(t.Context(), "rollouts", "b", time.Minute); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("a second holder: %v", err)
		}
		again, err := db.Acquire(t.Context(), "rollouts", "a", 50*time.Millisecond)
		if err != nil || again.Token != first.Token {
			t.Errorf("prolonged: %v, %v", again, err)
		}
		time.Sleep(100 * time.Millisecond)
		second, err := db.Acquire(t.Context(), "rollouts", "b", time.Minute)
		if err != nil || second.Token <= first.Token {
			t.Errorf("after it ended: %v, %v", second, err)
		}
		write := func(l store.Lease) error {
			return db.Write(t.Context(), func(tx *store.Tx) error { return tx.Fence(l) })
		}
		if err := write(first); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("the old holder writes: %v", err)
		}
		if err := write(second); err != nil {
			t.Errorf("the new holder: %v", err)
		}
	})
}

func write(t *testing.T, db *store.DB, do func(*store.Tx) error) {
	t.Helper()
	if err := db.Write(context.WithoutCancel(t.Context()), do); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, db *store.DB, do func(*store.Tx) error) {
	t.Helper()
	if err := db.Read(t.Context(), do); err != nil {
		t.Error(err)
	}
}
