package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/managed"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/crs"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// aManager is a manager whose database the test writes to, too.
type aManager struct {
	t        *testing.T
	settings mgmt.Settings
	url      string // of the API
	gateways string // address of their listener
	db       *store.DB
	key      revision.PrivateKey
}

func managerSettings(t *testing.T, bucket string) mgmt.Settings {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manager.yaml")
	text := fmt.Sprintf("data: state\nbucket: %q\napi: { address: \"127.0.0.1:0\" }\nadmin: { address: \"127.0.0.1:0\" }\ngateways: { address: \"127.0.0.1:0\" }\n", bucket)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := mgmt.LoadSettings(file)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// proved proves configurations with what all tests of the process have compiled.
func proved(t *testing.T) func(*config.Loaded) error {
	judges := proxytest.Compiled(t).With(engine.Options{Target: policy.TargetOf})
	return func(loaded *config.Loaded) error {
		i, err := proxy.NewInspector(loaded, zap.NewNop(), judges)
		if err != nil {
			return err
		}
		return i.Close()
	}
}

// startManager starts a manager and gives it with the function that stops it.
func startManager(t *testing.T, settings mgmt.Settings) (*aManager, func()) {
	t.Helper()
	return startManagerWith(t, mgmt.Options{Settings: settings})
}

// startManagerWith is startManager with more options.
func startManagerWith(t *testing.T, o mgmt.Options) (*aManager, func()) {
	t.Helper()
	settings := o.Settings
	o.Logger, o.Version, o.Prove = fleetLogger(t), "test", proved(t)
	s, err := mgmt.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	m := &aManager{t: t, settings: settings, url: "http://" + s.APIAddr().String(), gateways: s.GatewaysAddr().String()}
	if m.db, err = store.Open(t.Context(), store.Options{File: filepath.Join(settings.Data, "manager.db")}); err != nil {
		t.Fatal(err)
	}
	master, err := sealed.ReadKey(settings.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	err = m.db.Read(t.Context(), func(tx *store.Tx) error {
		pem, err := secret.New(master).Get(tx, "signing-key")
		if err == nil {
			m.key, err = revision.ParsePrivateKey(pem)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, func() {
		if err := m.db.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// publish publishes a revision with an upstream that answers with text.
func (m *aManager) publish(epoch, number uint64, text string) {
	m.t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	m.t.Cleanup(upstream.Close)
	built, err := revision.Build(revision.Content{Main: config.BundleMain, CRS: []string{"4.25.0"}, Files: map[string][]byte{config.BundleMain: fmt.Appendf(nil, `version: 1
admin: { address: "127.0.0.1:0" }
logs: { access: none, events: none }
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" } }]
upstreams: [{ name: shop, url: "%s", allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, policy: default, upstream: shop }]
`, upstream.URL)}})
	if err != nil {
		m.t.Fatal(err)
	}
	err = m.db.Write(m.t.Context(), func(tx *store.Tx) error {
		p := revision.Publisher{Depot: tx.Depot(), Stack: m.settings.Stack, Group: "edge", Signers: []revision.Signer{m.key}}
		return p.Publish(tx.Context(), built, revision.Order{Epoch: epoch, Number: number})
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// bootFromBucket starts a gateway that serves what the bucket has.
func bootFromBucket(t *testing.T, m *aManager) *managed.Gateway {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(m.key.Public().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := managed.New(managed.Options{
		StateDir: filepath.Join(t.TempDir(), "state"), Logger: zaptest.NewLogger(t), Version: "test", RevisionKeys: keys, Stack: m.settings.Stack, Group: "edge",
		Bucket: revision.Dir(m.settings.Bucket), BucketName: m.settings.Bucket, Times: managed.Times{Bucket: 100 * time.Millisecond},
		Config: config.Options{CRSVersions: crs.Versions()},
		Proxy:  proxy.Options{Shared: proxytest.Compiled(t), DrainIdle: time.Millisecond, WatchInterval: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g
}

// serve wants every gateway to serve what answers with text.
func serve(t *testing.T, gateways []*managed.Gateway, text string) {
	t.Helper()
	for i, g := range gateways {
		got := ""
		proxytest.Eventually(t, fmt.Sprintf("gateway %d serves %q", i, text), func() bool {
			got = servedBy(g)
			return got == text
		})
	}
}

func servedBy(g *managed.Gateway) string {
	s := g.Server()
	if s == nil {
		return ""
	}
	r, err := http.Get("http://" + s.Addr("").String() + "/")
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return string(body)
}

// TestOldBackupUnderGateways restores an old backup under five gateways that boot from the bucket: nothing moves back, neither in the
// bucket nor on a gateway, a gateway that starts meanwhile included; and what the restored manager publishes is served.
func TestOldBackupUnderGateways(t *testing.T) {
	bucket := t.TempDir()
	m, stop := startManager(t, managerSettings(t, bucket))
	m.publish(1, 1, "one")
	backup := filepath.Join(t.TempDir(), "backup")
	if _, _, err := mgmt.Backup(t.Context(), m.settings, backup); err != nil {
		t.Fatal(err)
	}
	m.publish(1, 2, "two")
	var gateways []*managed.Gateway
	for range 5 {
		gateways = append(gateways, bootFromBucket(t, m))
	}
	serve(t, gateways, "two")
	stop()

	settings := managerSettings(t, bucket)
	settings.KeyFile = m.settings.KeyFile
	_, epoch, err := mgmt.Restore(t.Context(), settings, backup, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, stop = startManager(t, settings)
	defer stop()
	gateways = append(gateways, bootFromBucket(t, m))
	serve(t, gateways, "two")
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for i, g := range gateways {
			if got := servedBy(g); got != "two" {
				t.Fatalf("after the restore gateway %d serves %q", i, got)
			}
		}
	}
	m.publish(epoch, 2, "another two")
	serve(t, gateways, "another two")
}
