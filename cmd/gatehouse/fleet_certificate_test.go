package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy/managed"
	"gatehouse/proxy/proxytest"
)

// TestCertificate uploads certificates through the API: gateways serve each by its name without a restart, and no key is found in what
// the manager, its bucket and the gateway keep on disk, nor in an export, nor in their logs.
func TestCertificate(t *testing.T) {
	bucket := t.TempDir()
	m, stop := startManager(t, managerSettings(t, bucket))
	defer stop()
	c := setUp(t, m)
	configuration := strings.NewReplacer(
		"trusted_hops: 0 }]", `trusted_hops: 0 }, { name: https, address: "127.0.0.1:0", protocol: https, trusted_hops: 0 }]`,
		"listeners: [http],", "listeners: [http, https],",
	).Replace(edgeConfiguration(t, "one"))
	authority := newAuthority(t)
	var keys []string
	upload := func(name string) (certificate string) {
		t.Helper()
		certificate, key := authority.issue(t, name+".example.com")
		keys = append(keys, key)
		etag := "*"
		if status, _, header := c.do(http.MethodGet, "/certificates/"+name, "", nil); status == http.StatusOK {
			etag = header.Get("ETag")
		}
		status, answer, _ := c.do(http.MethodPut, "/certificates/"+name, etag, map[string]string{"chain": certificate, "key": key})
		if status >= http.StatusBadRequest || strings.Contains(answer, "PRIVATE KEY") {
			t.Fatalf("upload %s: %d %s", name, status, answer)
		}
		return certificate
	}
	publish := func() {
		t.Helper()
		c.want(http.MethodPost, "/publish", "", map[string]any{"groups": []string{"edge"}})
	}

	upload("shop")
	c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": configuration})
	publish()
	state := filepath.Join(t.TempDir(), "state")
	g, _ := joinGateway(t, m, c.joinToken(1), state)
	serve(t, []*managed.Gateway{g}, "one")
	server := g.Server()
	shows := func(name string) string {
		t.Helper()
		conn, err := tls.Dial("tcp", server.Addr("https").String(), &tls.Config{ServerName: name + ".example.com", RootCAs: authority.pool})
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return block("CERTIFICATE", conn.ConnectionState().PeerCertificates[0].Raw)
	}
	if got := shows("shop"); !strings.HasPrefix(got, "-----BEGIN") {
		t.Fatalf("shop.example.com: %s", got)
	}
	if got := shows("wiki"); strings.HasPrefix(got, "-----BEGIN") {
		t.Fatal("wiki.example.com has a certificate that nobody has uploaded")
	}
	for _, step := range []string{"a second name", "a renewed certificate"} {
		want := upload("wiki")
		publish()
		proxytest.Eventually(t, step, func() bool { return shows("wiki") == want })
	}
	if g.Server() != server {
		t.Error("the gateway was started again")
	}

	status, export, _ := c.do(http.MethodGet, "/export", "", nil)
	if status != http.StatusOK || !strings.Contains(export, "wiki") {
		t.Fatalf("export: %d %s", status, export)
	}
	noKey(t, "the export", []byte(export), keys)
	logged := logOf(t).Bytes()
	if !bytes.Contains(logged, []byte("a gateway has joined")) || !bytes.Contains(logged, []byte("revision applied")) {
		t.Error("the log is not that of the manager and the gateway")
	}
	noKey(t, "the log", logged, keys)
	for _, dir := range []string{m.settings.Data, bucket, state} {
		files := 0
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			data, err := os.ReadFile(path)
			noKey(t, path, data, keys)
			return err
		})
		if err != nil || files == 0 {
			t.Errorf("%s: %d files, %v", dir, files, err)
		}
	}
}

// noKey says where one of the private keys is found, as text or as the bytes that the text stands for.
func noKey(t *testing.T, where string, data []byte, keys []string) {
	t.Helper()
	for _, key := range keys {
		der, _ := pem.Decode([]byte(key))
		found := bytes.Contains(data, der.Bytes)
		found = found || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(der.Bytes)))
		for _, line := range strings.Split(key, "\n") {
			const whole = 64 // shorter lines may be found anywhere
			found = found || len(line) == whole && bytes.Contains(data, []byte(line))
		}
		if found {
			t.Errorf("%s holds a private key in clear", where)
		}
	}
}
