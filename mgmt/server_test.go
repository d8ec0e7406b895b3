package mgmt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
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

// TestTwoManagers has two managers on one PostgreSQL: what either publishes is in the bucket, and when one ends the other carries on.
func TestTwoManagers(t *testing.T) {
	settings := testSettings(t)
	settings.Bucket, settings.Database.URL = t.TempDir(), storetest.PostgresOptions(t).URL
	first := startServer(t, settings)
	second := startServer(t, settings)
	if first.key.Public().String() != second.key.Public().String() {
		t.Error("the managers sign with different keys")
	}
	inBucket := func(number uint64) {
		t.Helper()
		r := revision.Reader{Depot: revision.Dir(settings.Bucket), Stack: settings.Stack, Group: "edge", Keys: []revision.PublicKey{first.key.Public()}}
		waitFor(t, "the bucket has the revision", func() bool {
			head, err := r.Head(t.Context())
			return err == nil && head.Order.Number == number
		})
	}
	publishRevision(t, first, 1, 1)
	inBucket(1)
	publishRevision(t, second, 1, 2)
	inBucket(2)
	if err := first.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	start := time.Now()
	publishRevision(t, second, 1, 3)
	inBucket(3)
	if took := time.Since(start); took > 9*time.Second {
		t.Errorf("the second manager needed %v to take over", took)
	}
}

// TestAPITLS serves the API with a certificate from files, and takes up another one while it runs.
func TestAPITLS(t *testing.T) {
	settings := testSettings(t)
	dir := t.TempDir()
	settings.API.CertFile, settings.API.KeyFile = filepath.Join(dir, "api.pem"), filepath.Join(dir, "api.key")
	if _, err := New(t.Context(), Options{Settings: settings, Logger: zaptest.NewLogger(t)}); err == nil {
		t.Fatal("it starts without its certificate")
	}
	writeCertificate(t, settings.API, "one.example")
	s := startServer(t, settings)
	if r, err := http.Get("http://" + s.APIAddr().String() + "/"); err == nil {
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered with %d", r.StatusCode)
		}
	}
	if got := servedName(t, s.APIAddr().String()); got != "one.example" {
		t.Errorf("the certificate is of %s", got)
	}
	certificate, err := serverTLS(settings.API.CertFile, settings.API.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	get := func() string {
		t.Helper()
		c, err := certificate.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.DNSNames[0]
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(settings.API.CertFile, old, old); err != nil {
		t.Fatal(err)
	}
	files := &fileCertificate{certFile: settings.API.CertFile, keyFile: settings.API.KeyFile}
	if err := files.load(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings.API.CertFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	files.looked = time.Time{}
	if c := files.get(); c.Leaf.DNSNames[0] != "one.example" {
		t.Error("a half-written certificate took effect")
	}
	writeCertificate(t, settings.API, "two.example")
	files.looked = time.Time{}
	if c := files.get(); c.Leaf.DNSNames[0] != "two.example" {
		t.Errorf("after a new certificate it serves %s", c.Leaf.DNSNames)
	}
	if get() != "one.example" {
		t.Error("the files are looked at with every handshake")
	}
}

func servedName(t *testing.T, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test looks at what is served
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

func writeCertificate(t *testing.T, to APISettings, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{to.KeyFile: {Type: "PRIVATE KEY", Bytes: private}, to.CertFile: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStopLetsRequestsEnd stops while a request is under way: it gets its reply, with its context alive, and then nothing is served.
func TestStopLetsRequestsEnd(t *testing.T) {
	s, err := New(t.Context(), Options{Settings: testSettings(t), Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	arrived, goOn := make(chan struct{}), make(chan struct{})
	s.api.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-goOn
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s.Start()
	reply := make(chan int, 1)
	go func() {
		r, err := http.Get("http://" + s.APIAddr().String())
		if err != nil {
			reply <- 0
			return
		}
		r.Body.Close()
		reply <- r.StatusCode
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	<-s.stopping.Done()
	close(goOn)
	if status := <-reply; status != http.StatusOK {
		t.Errorf("the request that was under way got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

// TestHeadsSignedAnew starts over a head that is two hours old, and over one that is not: the old one gets a new time, and nothing else.
func TestHeadsSignedAnew(t *testing.T) {
	settings := testSettings(t)
	settings.Bucket = t.TempDir()
	s, err := New(t.Context(), Options{Settings: settings, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	built, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: map[string][]byte{"gatehouse.yaml": []byte("version: 1\n")}})
	if err != nil {
		t.Fatal(err)
	}
	ages := map[string]time.Duration{"old": 2 * time.Hour, "young": time.Minute}
	was := map[string]time.Time{}
	for group, age := range ages {
		err := s.db.Write(t.Context(), func(tx *store.Tx) error {
			p := revision.Publisher{
				Depot: tx.Depot(), Stack: settings.Stack, Group: group, Signers: []revision.Signer{s.key},
				Now: func() time.Time { return tx.Now().Add(-age) },
			}
			if err := p.Publish(tx.Context(), built, revision.Order{Epoch: 1, Number: 7}); err != nil {
				return err
			}
			head, err := p.Head(tx.Context())
			was[group] = head.Time
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Start()
	defer s.Stop(context.Background())
	head := func(group string) revision.Statement {
		r := revision.Reader{Depot: revision.Dir(settings.Bucket), Stack: settings.Stack, Group: group, Keys: []revision.PublicKey{s.key.Public()}}
		h, _ := r.Head(t.Context()) // the zero one while there is none
		return h
	}
	waitFor(t, "the bucket has the old group's head with a new time", func() bool { return time.Since(head("old").Time) < time.Minute })
	if h := head("old"); h.Order.Number != 7 || h.Content != built.Hash() {
		t.Errorf("the head is of %s", h.Order)
	}
	waitFor(t, "the bucket has the young group's head", func() bool { return head("young").Order.Number == 7 })
	if h := head("young"); !h.Time.Equal(was["young"]) {
		t.Errorf("a head that was not old was signed anew, at %v", h.Time)
	}
}
