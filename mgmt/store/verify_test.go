package store_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
)

// auditLog is a log of some entries with an anchor that has three heads.
type auditLog struct {
	t      *testing.T
	db     *store.DB
	key    revision.PrivateKey
	anchor store.Anchor
}

func newAuditLog(t *testing.T, db *store.DB, anchor store.Anchor) *auditLog {
	t.Helper()
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	l := &auditLog{t, db, key, anchor}
	for _, n := range []int{4, 3, 3} {
		l.add("user:ann", n)
		l.sign()
	}
	return l
}

func (l *auditLog) add(actor string, n int) {
	l.t.Helper()
	for range n {
		write(l.t, l.db, func(tx *store.Tx) error {
			return tx.Audit(actor, "change.save", "applications/shop", map[string]string{"mode": "block"})
		})
	}
}

func (l *auditLog) sign() {
	l.t.Helper()
	if err := l.db.AnchorAudit(l.t.Context(), "a", l.anchor, "test", l.key); err != nil {
		l.t.Fatal(err)
	}
}

func (l *auditLog) verify(keys ...revision.PublicKey) (result store.AuditResult, err error) {
	heads, err := l.anchor.Heads(l.t.Context())
	if err != nil {
		return result, err
	}
	err = l.db.Read(l.t.Context(), func(tx *store.Tx) error {
		result, err = store.VerifyAudit(tx.AuditAll(), heads, "test", append(keys, l.key.Public()))
		return err
	})
	return result, err
}

// rewrite makes the log anew from an entry on, with hashes that are right.
func (l *auditLog) rewrite(from, entries int) {
	l.t.Helper()
	write(l.t, l.db, func(tx *store.Tx) error {
		if _, err := tx.Exec("DELETE FROM audit WHERE seq >= $1", from); err != nil {
			return err
		}
		hash := ""
		if from > 1 {
			if err := tx.Get(store.Row(&hash), "SELECT hash FROM audit WHERE seq = $1", from-1); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE audit_head SET seq = $1, hash = $2", from-1, hash)
		return err
	})
	l.add("user:eve", entries)
}

func TestVerifyAudit(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(*auditLog, *store.Tx) error // in the database
		after  func(*auditLog)
		want   string // empty: it verifies
	}{
		{name: "untouched"},
		{name: "later entries", after: func(l *auditLog) { l.add("user:bob", 2) }},
		{name: "edit", want: "audit entry 3 (user:eve, change.save, applications/shop) was edited", tamper: func(_ *auditLog, tx *store.Tx) error {
			_, err := tx.Exec("UPDATE audit SET actor = 'user:eve' WHERE seq = 3")
			return err
		}},
		{name: "edit of a detail", want: "audit entry 9", tamper: func(_ *auditLog, tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE audit SET detail = '{"mode":"detect"}' WHERE seq = 9`)
			return err
		}},
		{name: "edit with its own hash made anew", want: "audit entry 6", tamper: func(_ *auditLog, tx *store.Tx) error {
			return rehash(tx, 5, "user:eve")
		}},
		{name: "an entry taken out", want: "audit entry 6 follows on 4", tamper: func(_ *auditLog, tx *store.Tx) error {
			_, err := tx.Exec("DELETE FROM audit WHERE seq = 5")
			return err
		}},
		{name: "cut tail", want: "the audit log was cut: it ends with entry 8, and the anchor has a head of entry 10", tamper: func(_ *auditLog, tx *store.Tx) error {
			_, err := tx.Exec("DELETE FROM audit WHERE seq > 8")
			return err
		}},
		{name: "emptied", want: "it ends with entry 0", tamper: func(_ *auditLog, tx *store.Tx) error {
			_, err := tx.Exec("DELETE FROM audit")
			return err
		}},
		{name: "fork", want: "written anew between entry 8 and 10", after: func(l *auditLog) { l.rewrite(9, 4) }},
		{name: "full rewrite", want: "written anew between entry 1 and 4", after: func(l *auditLog) { l.rewrite(1, 12) }},
		{name: "full rewrite, signed on", want: "written anew between entry 1 and 4", after: func(l *auditLog) { l.rewrite(1, 12); l.sign() }},
		{name: "put back, signed on", want: "the log went back in between", after: func(l *auditLog) { l.rewrite(6, 1); l.sign() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) {
				l := newAuditLog(t, open(), store.FileAnchor(filepath.Join(t.TempDir(), "anchor.jsonl")))
				if c.tamper != nil {
					write(t, l.db, func(tx *store.Tx) error { return c.tamper(l, tx) })
				}
				if c.after != nil {
					c.after(l)
				}
				result, err := l.verify()
				switch {
				case c.want == "" && (err != nil || result.Entries < 10 || result.Anchored != 10 || result.Heads != 3):
					t.Errorf("%+v, %v", result, err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%+v, %v, not %q", result, err, c.want)
				}
			})
		})
	}
}

// rehash edits an entry as somebody would who knows how hashes are made.
func rehash(tx *store.Tx, seq int64, actor string) error {
	for e, err := range tx.AuditAll() {
		if err != nil {
			return err
		}
		if e.Seq == seq {
			e.Actor = actor
			var before string
			if err := tx.Get(store.Row(&before), "SELECT hash FROM audit WHERE seq = $1", seq-1); err != nil {
				return err
			}
			_, err := tx.Exec("UPDATE audit SET actor = $1, hash = $2 WHERE seq = $3", actor, store.EntryHash(e, before), seq)
			return err
		}
	}
	return store.ErrNotFound
}

func TestAnchors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "anchor.jsonl")
	for name, anchor := range map[string]store.Anchor{
		"file":   store.FileAnchor(file),
		"bucket": store.BucketAnchor{Bucket: revision.Dir(t.TempDir())},
	} {
		t.Run(name, func(t *testing.T) {
			l := newAuditLog(t, storetest.SQLite(t)(), anchor)
			l.sign() // nothing is new
			heads, err := anchor.Heads(t.Context())
			if err != nil || len(heads) != 3 {
				t.Fatalf("%d heads, %v", len(heads), err)
			}
			if _, err := l.verify(); err != nil {
				t.Error(err)
			}
			if _, err := store.VerifyAudit(none, [][]byte{heads[0]}, "other", []revision.PublicKey{l.key.Public()}); err == nil || !strings.Contains(err.Error(), "head 1 of the anchor") {
				t.Errorf("a head of another installation counts: %v", err)
			}
			other, _ := revision.NewPrivateKey()
			if _, err := store.VerifyAudit(none, heads, "test", []revision.PublicKey{other.Public()}); err == nil || !strings.Contains(err.Error(), "head 1 of the anchor") {
				t.Errorf("a head that nobody trusted has signed counts: %v", err)
			}
			if _, err := store.VerifyAudit(none, [][]byte{bytes.Replace(heads[0], []byte("number 4"), []byte("number 3"), 1)}, "test", []revision.PublicKey{l.key.Public()}); err == nil || !strings.Contains(err.Error(), "head 1 of the anchor") {
				t.Errorf("a head that was edited counts: %v", err)
			}
		})
	}
	bucket := store.BucketAnchor{Bucket: revision.Dir(t.TempDir())}
	if err := bucket.Append(t.Context(), 0, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := bucket.Append(t.Context(), 0, []byte("[]")); !errors.Is(err, revision.ErrChanged) {
		t.Errorf("a head was replaced: %v", err)
	}
	// A crash in the middle of a line spoils that line alone.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("\n" + hex.EncodeToString(make([]byte, 20)))
	_ = f.Close()
	if err := store.FileAnchor(file).Append(t.Context(), 3, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if heads, err := store.FileAnchor(file).Heads(t.Context()); err != nil || len(heads) != 4 {
		t.Errorf("%d heads after half a line and another one, %v", len(heads), err)
	}
	for n := 1; n < 40; n++ {
		if err := bucket.Append(t.Context(), n, []byte{byte('a' + n)}); err != nil {
			t.Fatal(err)
		}
		if last, head, err := bucket.Last(t.Context()); err != nil || last != n+1 || head[0] != byte('a'+n) {
			t.Fatalf("the last of %d heads is %d: %s, %v", n+1, last, head, err)
		}
	}
}

func none(func(store.Entry, error) bool) {}
