package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	k, other := NewKey(), NewKey()
	label := Label("prod", "edge", "certificates/shop")
	secret := []byte("the private key")
	s := k.Seal(label, secret)
	if got, err := k.Open(label, s); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened: %q, %v", got, err)
	}
	if bytes.Contains(s, secret) || bytes.Equal(s, k.Seal(label, secret)) {
		t.Error("it is not sealed, or always looks the same")
	}
	if _, err := other.Open(label, s); !errors.Is(err, ErrSealed) {
		t.Errorf("another key: %v", err)
	}
	if _, err := k.Open(Label("prod", "edge", "certificates/blog"), s); !errors.Is(err, ErrSealed) {
		t.Errorf("another label: %v", err)
	}
	for i := range s {
		changed := bytes.Clone(s)
		changed[i] ^= 1
		if _, err := k.Open(label, changed); err == nil {
			t.Errorf("byte %d was changed, and it opens", i)
		}
		if _, err := k.Open(label, s[:i]); err == nil {
			t.Errorf("%d bytes of it open", i)
		}
	}
}

func TestKeyFile(t *testing.T) {
	k := NewKey()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(k.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadKey(file); err != nil || got != k {
		t.Errorf("read: %v, %v", got, err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by others: %v", err)
	}
	for _, text := range []string{"", "gatehouse-key:", "gatehouse-key:AAAA", "gatehouse-key:!", strings.TrimPrefix(k.Text(), "gatehouse-")} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(shown, strings.TrimSpace(strings.TrimPrefix(k.Text(), keyPrefix))) || strings.Contains(shown, fmt.Sprint(k.bytes[0], " ", k.bytes[1])) {
		t.Errorf("a key shows itself: %s", shown)
	}
}
