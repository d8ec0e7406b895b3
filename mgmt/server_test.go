package mgmt

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/store"
	"gatehouse/rules/sealed"
)

func testSettings(t *testing.T) Settings {
	t.Helper()
	s, err := LoadSettings(writeSettings(t, `
data: state
api: { address: "127.0.0.1:0" }
gateways: { address: "127.0.0.1:0" }
admin: { address: "127.0.0.1:0" }
`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func startServer(t *testing.T, settings Settings) *Server {
	t.Helper()
	s, err := New(t.Context(), Options{Settings: settings, Logger: zaptest.NewLogger(t), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestServer(t *testing.T) {
	s := startServer(t, testSettings(t))
	admin := "http://" + s.AdminAddr().String()
	for _, c := range []struct {
		path   string
		status int
		text   string
	}{
		{"/livez", http.StatusOK, "ok"},
		{"/readyz", http.StatusOK, "ready"},
		{"/metrics", http.StatusOK, `gatehouse_manager_info{version="test"} 1`},
		{"/else", http.StatusNotFound, "not found"},
	} {
		if status, body := get(t, admin+c.path); status != c.status || !strings.Contains(body, c.text) {
			t.Errorf("%s: %d %q", c.path, status, body)
		}
	}
	s.ready.Store(false)
	if status, _ := get(t, admin+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("not ready: %d", status)
	}
}

// TestMasterKey starts on one database with its key, with another and with none.
func TestMasterKey(t *testing.T) {
	settings := testSettings(t)
	start := func() error {
		s, err := New(t.Context(), Options{Settings: settings, Logger: zaptest.NewLogger(t)})
		if err == nil {
			err = s.abandon()
		}
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(settings.KeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v, %v", info, err)
	}
	for _, file := range []string{filepath.Join(settings.Data, databaseFile), settings.Data} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v, %v", file, info, err)
		}
	}
	if err := start(); err != nil {
		t.Errorf("a second start: %v", err)
	}
	was, err := os.ReadFile(settings.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings.KeyFile, []byte(sealed.NewKey().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "the database was made with key") {
		t.Errorf("with another key: %v", err)
	}
	if err := os.Remove(settings.KeyFile); err != nil {
		t.Fatal(err)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "is missing, and the database was made with key") {
		t.Errorf("without the key: %v", err)
	}
	if err := os.WriteFile(settings.KeyFile, was, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("with a key that others may read: %v", err)
	}
}

// TestSecondKey has another manager set up the database between our look and our claim.
func TestSecondKey(t *testing.T) {
	settings := testSettings(t)
	db, _, err := open(t.Context(), settings, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), func(tx *store.Tx) error { return claimKey(tx, "other.key", sealed.NewKey()) })
	if err == nil || !strings.Contains(err.Error(), "copy its key file here") {
		t.Errorf("a second key: %v", err)
	}
}
