package mgmt

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// TestBackupCommand backs up a running manager and restores it beside: secrets open with the copy of the key, and with no other.
func TestBackupCommand(t *testing.T) {
	settings := testSettings(t)
	s := startServer(t, settings)
	if err := s.db.Write(t.Context(), func(tx *store.Tx) error { return s.vault.Put(tx, "test", []byte("the secret")) }); err != nil {
		t.Fatal(err)
	}
	publishRevision(t, s, 1, 1)
	file := filepath.Join(t.TempDir(), "backup")
	if _, _, err := Backup(t.Context(), settings, file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	if _, _, err := Backup(t.Context(), settings, file); err == nil {
		t.Error("a backup was written over another one")
	}
	key, err := os.ReadFile(settings.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	beside := testSettings(t)
	if _, _, err := Restore(t.Context(), beside, file, 0); err == nil || !strings.Contains(err.Error(), "put the copy of that file there first") {
		t.Errorf("without the key: %v", err)
	}
	if err := os.MkdirAll(beside.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, want string
	}{{sealed.NewKey().Text(), "was made with key"}, {string(key), ""}} {
		if err := os.WriteFile(beside.KeyFile, []byte(c.key), 0o600); err != nil {
			t.Fatal(err)
		}
		_, epoch, err := Restore(t.Context(), beside, file, 5)
		switch {
		case c.want == "" && (err != nil || epoch < uint64(time.Now().Add(-time.Hour).Unix())):
			t.Errorf("epoch %d, %v", epoch, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("with another key: %v", err)
		}
	}
	db, vault, err := open(t.Context(), beside, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Read(context.Background(), func(tx *store.Tx) error {
		secret, err := vault.Get(tx, "test")
		if err == nil && string(secret) != "the secret" {
			t.Errorf("the secret is %q", secret)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// publishRevision publishes a revision of one group.
func publishRevision(t *testing.T, s *Server, epoch, number uint64) {
	t.Helper()
	built, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: map[string][]byte{"gatehouse.yaml": {byte(number)}}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Write(t.Context(), func(tx *store.Tx) error {
		p := revision.Publisher{Depot: tx.Depot(), Stack: s.opts.Settings.Stack, Group: "edge", Signers: []revision.Signer{s.key}}
		return p.Publish(tx.Context(), built, revision.Order{Epoch: epoch, Number: number})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for range 400 {
		if yes() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s: it does not come true", what)
}

// TestRestoreAbove restores an old backup under a bucket that has seen a later epoch: the next one is above it.
func TestRestoreAbove(t *testing.T) {
	settings := testSettings(t)
	settings.Bucket = t.TempDir()
	s := startServer(t, settings)
	publishRevision(t, s, 1, 1)
	file := filepath.Join(t.TempDir(), "backup")
	if _, _, err := Backup(t.Context(), settings, file); err != nil {
		t.Fatal(err)
	}
	future := uint64(time.Now().Add(24 * time.Hour).Unix()) // of a manager whose clock was wrong
	publishRevision(t, s, future, 2)
	r := revision.Reader{Depot: revision.Dir(settings.Bucket), Stack: settings.Stack, Group: "edge", Keys: []revision.PublicKey{s.key.Public()}}
	waitFor(t, "the bucket has the revision", func() bool {
		head, err := r.Head(t.Context())
		return err == nil && head.Order.Epoch == future
	})
	beside := testSettings(t)
	beside.Bucket, beside.KeyFile = settings.Bucket, settings.KeyFile
	_, epoch, err := Restore(t.Context(), beside, file, 0)
	if err != nil || epoch != future+1 {
		t.Fatalf("the epoch is %d, not %d: %v", epoch, future+1, err)
	}
	restored := startServer(t, beside)
	wait(t.Context(), 300*time.Millisecond) // what was in the outbox is carried, and moves nothing back
	if head, err := r.Head(t.Context()); err != nil || head.Order.Epoch != future {
		t.Errorf("the head of the bucket is %v, %v", head.Order, err)
	}
	publishRevision(t, restored, epoch, 2)
	waitFor(t, "the bucket has what the restored manager published", func() bool {
		head, err := r.Head(t.Context())
		return err == nil && head.Order.Epoch == epoch
	})
}

// TestAnchored starts with an anchor: it has a head that verifies at once.
func TestAnchored(t *testing.T) {
	settings := testSettings(t)
	settings.Audit.Anchor = filepath.Join(t.TempDir(), "anchor.jsonl")
	s := startServer(t, settings)
	anchor := store.FileAnchor(settings.Audit.Anchor)
	waitFor(t, "the anchor has a head", func() bool {
		n, _, err := anchor.Last(t.Context())
		return err == nil && n == 1
	})
	heads, err := anchor.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Read(t.Context(), func(tx *store.Tx) error {
		result, err := store.VerifyAudit(tx.AuditAll(), heads, settings.Stack, []revision.PublicKey{s.key.Public()})
		if result.Anchored == 0 {
			t.Errorf("%+v", result)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	waitFor(t, "the metric", func() bool {
		_, page := get(t, "http://"+s.AdminAddr().String()+"/metrics")
		return strings.Contains(page, "gatehouse_manager_audit_anchored_timestamp_seconds 1.")
	})
}
