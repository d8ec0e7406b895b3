package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bundled is a configuration that names files of every kind but certificates.
const bundled = `
listeners: [{ name: outer, address: ":8080" }, { name: inner, address: ":8081" }]
groups:
  - { name: edge, listeners: [outer], applications: [shop] }
  - { name: all, listeners: [outer, inner], applications: ["*"] }
lists: [{ name: office, file: office.txt }]
policies:
  - { name: base, crs: { version: 4.25.0 }, seclang_file: own.conf }
  - { name: strict, extends: base, crs: { version: 4.25.0, paranoia: 2 } }
  - { name: other, crs: { version: 4.25.0 } }
upstreams:
  - { name: shop, url: https://shop.internal, tls: { ca_file: ca.pem } }
  - { name: orders, url: http://orders.internal }
  - { name: wiki, url: http://wiki.internal }
applications:
  - name: shop
    hosts: [shop.example.com]
    policy: strict
    upstream: shop
    replies: { html_file: page.html }
    routes: [{ path: / }, { path: /orders, upstream: orders }]
  - { name: wiki, hosts: [wiki.example.com], policy: other, upstream: wiki }
`

func loadBundled(t *testing.T) *Loaded {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "office.txt", "198.51.100.0/24\n")
	write(t, dir, "own.conf", "SecRule ARGS:x \"@streq y\" \"id:7,phase:2,pass,nolog\"\n")
	write(t, dir, "page.html", "<p>No: {{ .Incident }}</p>")
	authority, _ := certificate(t, time.Now().Add(time.Hour))
	write(t, dir, "ca.pem", authority)
	return load(t, write(t, dir, "g.yaml", bundled))
}

func names[T any](list []T, name func(T) string) []string {
	var out []string
	for _, x := range list {
		out = append(out, name(x))
	}
	return out
}

// TestBundle shows that a bundle is what its group needs, and means the same wherever it is.
func TestBundle(t *testing.T) {
	l := loadBundled(t)
	for group, want := range map[string][]string{
		"edge": {"outer", "shop", "base", "strict", "orders", "shop"},
		"all":  {"outer", "inner", "shop", "wiki", "base", "strict", "other", "orders", "shop", "wiki"},
	} {
		t.Run(group, func(t *testing.T) {
			files, err := l.Bundle(group)
			if err != nil {
				t.Fatal(err)
			}
			if len(files) != 5 {
				t.Errorf("%d files", len(files))
			}
			got, err := Options{}.LoadBundle("/nowhere/edge-1", files)
			if err != nil {
				t.Fatal(err)
			}
			c := got.Config
			have := names(c.Listeners, func(x Listener) string { return x.Name })
			have = append(have, names(c.Applications, func(x Application) string { return x.Name })...)
			have = append(have, names(c.Policies, func(x Policy) string { return x.Name })...)
			have = slices.DeleteFunc(have, func(name string) bool { return name == "default" }) // which nobody wrote
			upstreams := names(c.Upstreams, func(x Upstream) string { return x.Name })
			slices.Sort(upstreams)
			if diff := cmp.Diff(want, append(have, upstreams...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Config.Lists[0].Addresses[0].Address != l.Config.Lists[0].Addresses[0].Address || got.Config.Policies[0].SecLang != l.Config.Policies[0].SecLang {
				t.Error("lists and rules are not those of the files")
			}
			page, ok := got.Content(got.Config.Applications[0].Replies.HTMLFile)
			if !ok || !strings.Contains(string(page), "{{ .Incident }}") {
				t.Errorf("the page is %q", page)
			}
			again, err := got.Bundle("")
			if err != nil {
				t.Fatal(err)
			}
			second, err := Options{}.LoadBundle("/elsewhere", again)
			if err != nil || second.Digest != got.Digest {
				t.Errorf("a bundle of the bundle has digest %s, not %s: %v", second.Digest, got.Digest, err)
			}
		})
	}
	if _, err := l.Bundle("egde"); err == nil || !strings.Contains(err.Error(), "edge, all") {
		t.Errorf("an unknown group: %v", err)
	}
}

// TestBundleStaysInside shows that a bundle's files are its own: nothing of the gateway's disk is read but certificates.
func TestBundleStaysInside(t *testing.T) {
	files, err := loadBundled(t).Bundle("edge")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of this machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"absolute": secret, "above": "../../../../../.." + secret, "not there": "files/none"} {
		t.Run(name, func(t *testing.T) {
			changed := map[string][]byte{}
			for file, data := range files {
				changed[file] = data
			}
			text := string(files[BundleMain])
			at := strings.Index(text, "html_file: ")
			if at < 0 {
				t.Fatalf("no html_file in\n%s", text)
			}
			end := at + strings.IndexAny(text[at:], ",}\n")
			changed[BundleMain] = []byte(text[:at] + "html_file: " + to + text[end:])
			_, err := Options{}.LoadBundle("/nowhere/edge-1", changed)
			if err == nil || !strings.Contains(err.Error(), "html_file") {
				t.Errorf("%s is read: %v", to, err)
			}
		})
	}
	if _, err := (Options{}).LoadBundle("/nowhere", nil); err == nil {
		t.Error("a bundle without a configuration is loaded")
	}
}

// TestBundlePinsReleases: a bundle names the release that was the newest where it was made.
func TestBundlePinsReleases(t *testing.T) {
	text := []byte("applications: [{ name: shop, hosts: [a], upstream: 'http://shop.internal' }]\n")
	l, err := Options{CRSVersions: []string{"4.25.0", "4.22.0"}}.LoadBytes("g.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	files, err := l.Bundle("")
	if err != nil {
		t.Fatal(err)
	}
	later, err := Options{CRSVersions: []string{"4.30.0", "4.25.0"}}.LoadBundle("/revision", files)
	if err != nil {
		t.Fatal(err)
	}
	if got := later.Config.Releases(); !slices.Equal(got, []string{"4.25.0"}) {
		t.Errorf("it needs %v", got)
	}
}
