package proxy_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/proxy"
)

type proxyOptions = proxy.Options

// quietWatch keeps the watcher from reloading by itself.
func quietWatch(o *proxyOptions) { o.WatchInterval = time.Hour }

// writeConfig writes a configuration to a file and gives its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
