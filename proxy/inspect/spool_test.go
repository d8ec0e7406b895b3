package inspect

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestOpenSpillDir(t *testing.T) {
	parent := t.TempDir()
	dir, err := OpenSpillDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir.Path(), "body-1")
	if err := os.WriteFile(left, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSpillDir(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what an earlier process left is still there (%v)", err)
	}
	if err := os.Chmod(dir.Path(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSpillDir(parent); err == nil {
		t.Error("a directory that others can read was taken")
	}
	if err := os.Remove(dir.Path()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir.Path()); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSpillDir(parent); err == nil {
		t.Error("a link was taken for the directory")
	}
}

// TestHeld shows that the bytes of bodies are counted as long as they are held, decoded ones beside those received.
func TestHeld(t *testing.T) {
	random := func(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16) }
	for _, tt := range []struct {
		name      string
		body      []byte
		encodings []string
		limit     int64
		held      int64
		noDir     bool // the directory has gone
	}{
		{name: "empty", limit: 1 << 20},
		{name: "in memory", body: random(1024), limit: 1 << 20, held: 1024},
		{name: "in a file", body: random(spoolMemory * 2), limit: 1 << 20, held: spoolMemory * 2},
		{name: "cut", body: random(1024), limit: 100, held: 101},
		{name: "decoded", body: encode(t, "gzip", random(4096)), encodings: []string{"gzip"}, limit: 1 << 20, held: 4096 + int64(len(encode(t, "gzip", random(4096))))},
		{name: "not decodable", body: random(1024), encodings: []string{"gzip"}, limit: 1 << 20, held: 1024},
		{name: "not to be spilled", body: random(spoolMemory + 4096), limit: 1 << 20, held: spoolMemory + 4096, noDir: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := &SpillDir{path: t.TempDir()}
			if tt.noDir {
				dir.path = filepath.Join(dir.path, "gone")
			}
			b := newBody(dir, bytes.NewReader(tt.body), int64(len(tt.body)), 1<<20)
			if err := b.read(tt.encodings, tt.limit); err != nil && !isEncoding(err) && !isSpill(err) {
				t.Fatal(err)
			} else if isSpill(err) != tt.noDir {
				t.Errorf("error %v", err)
			}
			if got := dir.Held(); got != tt.held {
				t.Errorf("%d bytes held, want %d", got, tt.held)
			}
			if r, _ := b.forward(); r != nil {
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, tt.body) {
					t.Errorf("forwarded %d bytes (%v), want %d", len(got), err, len(tt.body))
				}
			}
			for range 2 {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
				if got := dir.Held(); got != 0 {
					t.Errorf("%d bytes held after the end", got)
				}
			}
		})
	}
}
