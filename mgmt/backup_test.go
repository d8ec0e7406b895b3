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
	"gatehouse/rules/sealed"
)

// TestBackupCommand backs up a running manager and restores it beside: secrets open with the copy of the key, and with no other.
func TestBackupCommand(t *testing.T) {
	settings := testSettings(t)
	s := startServer(t, settings)
	if err := s.db.Write(t.Context(), func(tx *store.Tx) error { return s.vault.Put(tx, "test", []byte("the secret")) }); err != nil {
		t.Fatal(err)
	}
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
