package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const sealedConfig = `
listeners: [{ name: https, address: ":8443", protocol: https }]
admin: { address: "127.0.0.1:9081" }
certificates: [{ name: shop, secret: "sealed:shop" }]
policies: [{ name: default, crs: { version: 4.25.0 } }]
applications: [{ name: shop, hosts: [shop.example.com], upstream: "http://shop.internal" }]
`

// TestSealedCertificate: a sealed certificate is opened by who loads the revision, checked, and part of the digest, and no file.
func TestSealedCertificate(t *testing.T) {
	loadWith := func(open func(string) ([]byte, error)) (*Loaded, error) {
		return Options{Sealed: open}.LoadBundle("/revision", map[string][]byte{BundleMain: []byte(sealedConfig)})
	}
	chain, key := certificate(t, time.Now().Add(time.Hour))
	l, err := loadWith(func(name string) ([]byte, error) { return []byte(chain + key), nil })
	if err != nil {
		t.Fatal(err)
	}
	if data, ok := l.Sealed("shop"); !ok || string(data) != chain+key {
		t.Error("the certificate is not there")
	}
	for _, file := range l.Files {
		if data, _ := l.Content(file); strings.Contains(string(data), "PRIVATE KEY") {
			t.Errorf("the key is among the files, as %s", file)
		}
	}
	otherChain, otherKey := certificate(t, time.Now().Add(time.Hour))
	other, err := loadWith(func(string) ([]byte, error) { return []byte(otherChain + otherKey), nil })
	if err != nil || other.Digest == l.Digest {
		t.Errorf("another certificate has the same digest: %v", err)
	}
	for name, test := range map[string]struct {
		open func(string) ([]byte, error)
		want string
	}{
		"nothing opens it":        {nil, "only a managed gateway"},
		"it cannot be opened":     {func(string) ([]byte, error) { return nil, errors.New("another key") }, "another key"},
		"it is no certificate":    {func(string) ([]byte, error) { return []byte("x"), nil }, "cannot be used"},
		"the key is another's":    {func(string) ([]byte, error) { return []byte(chain + otherKey), nil }, "cannot be used"},
		"it has no private key":   {func(string) ([]byte, error) { return []byte(chain), nil }, "cannot be used"},
		"it has no certificate":   {func(string) ([]byte, error) { return []byte(key), nil }, "cannot be used"},
		"it is empty when opened": {func(string) ([]byte, error) { return nil, nil }, "cannot be used"},
	} {
		if _, err := loadWith(test.open); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "certificates[0].secret") {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: the key is in the error", name)
		}
	}
}

// TestOwnAddresses: a machine may have addresses of its own for the listeners of a revision.
func TestOwnAddresses(t *testing.T) {
	l, err := Options{Addresses: map[string]string{"http": "127.0.0.1:18080", "gone": ":1"}, Admin: "127.0.0.1:19081", Revision: Revision{Name: "edge/42", Group: "edge"}}.LoadBytes(
		"g.yaml", []byte(strings.NewReplacer("https", "http", `certificates: [{ name: shop, secret: "sealed:shop" }]`, "").Replace(sealedConfig)))
	if err != nil {
		t.Fatal(err)
	}
	if a := l.Config.Listeners[0].Address; a != "127.0.0.1:18080" || l.Config.Admin.Address != "127.0.0.1:19081" || l.Revision.Name != "edge/42" {
		t.Errorf("%s, %s, %v", a, l.Config.Admin.Address, l.Revision)
	}
	if _, err := (Options{Addresses: map[string]string{"http": "nonsense"}}).LoadBytes("g.yaml", []byte("listeners: [{ name: http, address: ':80' }]\n")); err == nil {
		t.Error("a bad address was taken")
	}
}
