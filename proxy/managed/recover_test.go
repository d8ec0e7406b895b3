package managed

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/config"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// crash ends a gateway as a kill does: nothing of it gets to say goodbye. What a process leaves on its disk is copied while
// it runs, and another one starts on the copy.
func (r *running) crash(t testing.TB, o Options) Options {
	t.Helper()
	o.StateDir = copyDir(t, o.StateDir)
	return o
}

func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestCrashOnTrial: a process that dies with a revision on trial is followed by one that serves the revision before and says so,
// takes that one not again, and takes the next.
func TestCrashOnTrial(t *testing.T) {
	m := newManager(t)
	first, second := upstreamOf(t, "first"), upstreamOf(t, "second")
	m.publish(1, 0, configFor(first))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	m.publish(2, time.Hour, configFor(second))
	g.serves(2)
	eventually(t, "it is reported on trial", func() bool { r := m.report(); return r.Serving.Revision.Number == 2 && r.Serving.Trial })
	after := g.crash(t, o)
	g.stop()

	address := m.address()
	m.stop()
	away := run(t, after) // the crash cannot be told yet, and is not forgotten
	away.serves(1)
	away.stop()
	m.start(address)
	again := run(t, after)
	again.serves(1)
	eventually(t, "the crash is reported", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, r := range m.reports {
			if r.Crashed != nil && r.Crashed.Order.Number == 2 && strings.Contains(r.Crashed.Reason, "on trial") {
				return true
			}
		}
		return false
	})
	m.say(func(*fleetapi.State) {}) // the manager goes on offering it
	time.Sleep(200 * time.Millisecond)
	if n := again.number(); n != 1 {
		t.Errorf("revision %d is served", n)
	}
	if got := again.get(); got != "first" {
		t.Errorf("it serves %q", got)
	}
	again.stop()
	third := run(t, after) // it is remembered over one more restart
	third.serves(1)
	time.Sleep(200 * time.Millisecond)
	if n := third.number(); n != 1 {
		t.Errorf("after one more restart revision %d is served", n)
	}
	m.publish(3, 0, configFor(second))
	third.serves(3)
}

// TestStopOnTrial: a process that is told to end on trial has not crashed; the next one goes on with the trial, which ends with traffic.
func TestStopOnTrial(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	m.publish(2, 300*time.Millisecond, configFor(upstreamOf(t, "second")))
	g.serves(2)
	g.stop()
	if r := m.report(); !r.Draining || r.Ready {
		t.Errorf("its last report does not say that it ends: %+v", r)
	}
	m.say(func(s *fleetapi.State) { s.Head = nil })
	again := run(t, o)
	again.serves(2)
	if !again.Status().Trial {
		t.Error("it is not on trial any more")
	}
	time.Sleep(500 * time.Millisecond) // without traffic, time alone is no trial
	if !again.Status().Trial {
		t.Error("the trial ended without traffic")
	}
	eventually(t, "the trial passes", func() bool { again.get(); return !again.Status().Trial })
	if m.report().Crashed != nil {
		t.Error("a crash was reported")
	}
	after := again.crash(t, o) // now a crash is not the revision's
	again.stop()
	third := run(t, after)
	third.serves(2)
}

// TestFirstTrialCrash: with nothing before it, the revision is served again, and the crash is told.
func TestFirstTrialCrash(t *testing.T) {
	m := newManager(t)
	m.publish(1, time.Hour, configFor(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	after := g.crash(t, o)
	g.stop()
	again := run(t, after)
	again.serves(1)
	eventually(t, "the crash is reported", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.reports) > 0 && m.reports[len(m.reports)-1].Boot == again.boot && again.crashed.Reported
	})
}

// TestTamperedDisk changes every file that a gateway has on its disk, with the manager away and with it there: nothing that was changed is
// served, the reason is said, and with the manager it recovers by itself where no secret was lost.
func TestTamperedDisk(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	g.stop()
	original := o.StateDir
	var files []string
	if err := filepath.WalkDir(original, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			rel, relErr := filepath.Rel(original, path)
			files = append(files, rel)
			return relErr
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) < 6 { // identity, trust, good, the revision, its manifest and configuration
		t.Fatalf("only %v are on the disk", files)
	}
	changes := map[string]func(data []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(data []byte) []byte { return data[:len(data)/2] },
		"one bit": func(data []byte) []byte { data[len(data)/2] ^= 1; return data },
		"zeros":   func(data []byte) []byte { return make([]byte, len(data)) },
		"doubled": func(data []byte) []byte { return append(data, data...) },
	}
	m.stop()
	address := strings.TrimPrefix(o.Managers[0], "https://")
	if raceDetector {
		changes = map[string]func(data []byte) []byte{"one bit": changes["one bit"]}
	}
	kinds := 0
	for _, file := range files {
		for name, change := range changes {
			kinds++
			t.Run(file+" "+name, func(t *testing.T) {
				bad := o
				bad.StateDir = copyDir(t, original)
				path := filepath.Join(bad.StateDir, file)
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, change(data), 0o600); err != nil {
					t.Fatal(err)
				}
				g, err := New(bad)
				if err != nil { // identity or trust: it says which
					if !strings.Contains(err.Error(), filepath.Base(file)) {
						t.Errorf("%v", err)
					}
					return
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- g.Run(ctx) }()
				r := &running{Gateway: g, t: t, end: cancel, done: done}
				defer r.stop()
				eventually(t, "it is refused, or served as it was", func() bool {
					s := g.Status()
					return s.Refused != nil || g.Server() != nil
				})
				if g.Server() != nil { // the bit said nothing, as in the letter case of an escape
					if got := r.get(); got != "first" {
						t.Errorf("it serves %q", got)
					}
					return
				}
				if s := g.Status(); !strings.Contains(s.Refused.Reason, "from disk") {
					t.Errorf("refused with %q", s.Refused.Reason)
				}
			})
		}
	}
	t.Logf("%d kinds", kinds)
	// With the manager there, a damaged part is got again.
	m.start(address)
	bad := o
	bad.StateDir = copyDir(t, original)
	for _, file := range files {
		if strings.Contains(file, "objects") || strings.Contains(file, "revisions") || file == goodName {
			if err := os.WriteFile(filepath.Join(bad.StateDir, file), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	repaired := run(t, bad)
	repaired.serves(1)
	repaired.stop()
	m.stop()
	run(t, bad).serves(1) // from its disk again
}

// TestStateDirIsPrivate: a directory or file that others may use is not used.
func TestStateDirIsPrivate(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "in use by another gateway") {
		t.Errorf("two on one directory: %v", err)
	}
	g.stop()
	err := filepath.WalkDir(o.StateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if strings.HasSuffix(path, ".json") && !strings.Contains(path, "revisions") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		path string
		mode fs.FileMode
	}{{o.StateDir, 0o755}, {o.StateDir, 0o770}, {filepath.Join(o.StateDir, identityName), 0o644}, {filepath.Join(o.StateDir, trustName), 0o640}} {
		before, err := os.Stat(x.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(x.path, x.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "others may use it") {
			t.Errorf("%s with mode %v: %v", x.path, x.mode, err)
		}
		if err := os.Chmod(x.path, before.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// siteCertificate is a certificate with its key for a name.
func siteCertificate(t testing.TB, name string) string {
	t.Helper()
	a := newAuthority(t)
	certificate, key := a.pair(t, x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
	return certificate + key
}

// httpsConfig has an HTTPS listener with sealed certificates for names.
func (m *manager) httpsConfig(t testing.TB, upstream string, secrets map[string]string) map[string][]byte {
	t.Helper()
	files := configFor(upstream)
	text := string(files[config.BundleMain])
	text = strings.Replace(text, "trusted_hops: 0 }", `trusted_hops: 0 }, { name: https, address: "127.0.0.1:0", protocol: https, trusted_hops: 0 }`, 1)
	text += "certificates:\n"
	for name, secret := range secrets {
		text += fmt.Sprintf("  - { name: %q, secret: %q }\n", name, "sealed:"+name)
		files[sealed.FilePrefix+name] = m.group.Seal(sealed.CertificateLabel(testStack, testGroup, name), []byte(secret))
	}
	files[config.BundleMain] = []byte(text)
	return files
}

// served is the certificate that a gateway shows for a name.
func (r *running) served(name string) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", r.Server().Addr("https").String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// TestSealedCertificates: a certificate of a revision is served by its name without a restart, its key is nowhere on the disk, and with
// a key of its own the gateway starts while the manager is away.
func TestSealedCertificates(t *testing.T) {
	m := newManager(t)
	up := upstreamOf(t, "site")
	shop, wiki := siteCertificate(t, "shop.example.com"), siteCertificate(t, "wiki.example.com")
	m.publish(1, 0, m.httpsConfig(t, up, map[string]string{"shop": shop}))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	if c, err := g.served("shop.example.com"); err != nil || c.DNSNames[0] != "shop.example.com" {
		t.Fatalf("%v, %v", c, err)
	}
	if _, err := g.served("wiki.example.com"); err == nil {
		t.Error("there is a certificate for wiki already")
	}
	server := g.Server()
	m.publish(2, 0, m.httpsConfig(t, up, map[string]string{"shop": shop, "wiki": wiki}))
	g.serves(2)
	if c, err := g.served("wiki.example.com"); err != nil || c.DNSNames[0] != "wiki.example.com" {
		t.Fatalf("%v, %v", c, err)
	}
	if g.Server() != server {
		t.Error("the gateway was started again")
	}
	renewed := siteCertificate(t, "wiki.example.com")
	m.publish(3, 0, m.httpsConfig(t, up, map[string]string{"shop": shop, "wiki": renewed}))
	g.serves(3)
	want, _ := tls.X509KeyPair([]byte(renewed), []byte(renewed))
	if c, err := g.served("wiki.example.com"); err != nil || !c.Equal(want.Leaf) {
		t.Errorf("the renewed certificate is not served: %v", err)
	}
	if ok, why := g.restartable(); ok || !strings.Contains(why, "-secret-key-file") {
		t.Errorf("restartable: %v %s", ok, why)
	}
	noKeyOnDisk(t, o.StateDir, shop, wiki, renewed, string(m.group.Bytes()))
	g.stop()

	keyFile := filepath.Join(t.TempDir(), "group.key")
	if err := os.WriteFile(keyFile, []byte(m.group.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	address := m.address()
	m.stop()
	waiting := run(t, o) // without the key it waits for the manager
	time.Sleep(300 * time.Millisecond)
	if waiting.Server() != nil {
		t.Error("it serves without the key")
	}
	m.start(address)
	waiting.serves(3)
	waiting.stop()
	m.stop()
	o.SecretKeyFile = keyFile
	again := run(t, o)
	again.serves(3)
	if c, err := again.served("shop.example.com"); err != nil || c.DNSNames[0] != "shop.example.com" {
		t.Errorf("with the manager away: %v, %v", c, err)
	}
	if ok, why := again.restartable(); !ok {
		t.Errorf("not restartable: %s", why)
	}
}

// noKeyOnDisk looks for private keys below a directory.
func noKeyOnDisk(t testing.TB, dir string, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range secrets {
			if i := strings.Index(s, "-----BEGIN PRIVATE KEY-----"); i >= 0 {
				s = strings.Split(s[i:], "\n")[1]
			}
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds a secret in clear", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBucket: with the manager away, a new gateway boots from the bucket, also with HTTPS; what is newer there is served, and what
// is older there than what is served is not.
func TestBucket(t *testing.T) {
	m := newManager(t)
	up := upstreamOf(t, "site")
	m.publish(1, 0, m.httpsConfig(t, up, map[string]string{"shop": siteCertificate(t, "shop.example.com")}))
	keys, secret := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "group.key")
	if err := errors.Join(os.WriteFile(keys, []byte(m.key.Public().String()), 0o600), os.WriteFile(secret, []byte(m.group.Text()), 0o600)); err != nil {
		t.Fatal(err)
	}
	o := optionsFor(t, m)
	o.Bucket, o.BucketName = m.dir, "a directory"
	o.Stack, o.Group, o.RevisionKeys, o.SecretKeyFile = testStack, testGroup, keys, secret
	address := m.address()
	m.stop()
	g := run(t, o)
	g.serves(1)
	if s := g.Status(); s.Source != "bucket" || !s.Restartable {
		t.Errorf("%+v", s)
	}
	if c, err := g.served("shop.example.com"); err != nil || c.DNSNames[0] != "shop.example.com" {
		t.Errorf("%v, %v", c, err)
	}
	m.publish(2, 0, configFor(up)) // written while the manager is away
	g.serves(2)
	p := &poisoner{manager: m}
	second := p.read(testGroup + "/head.json")
	m.start(address) // it joins when the manager is there
	eventually(t, "it has joined", func() bool { return g.Status().Reachable })
	m.publish(3, 0, configFor(up))
	g.serves(3)
	// An attacker, or a copy from a backup, takes the bucket back.
	p.file(testGroup+"/head.json", second)
	time.Sleep(400 * time.Millisecond)
	if g.number() != 3 {
		t.Errorf("revision %d is served", g.number())
	}
	g.stop()
	m.stop()
	again := run(t, o)
	again.serves(3)
	time.Sleep(400 * time.Millisecond)
	if again.number() != 3 {
		t.Errorf("after a restart revision %d is served", again.number())
	}
}

// TestBucketAlone: without any manager, what the bucket has is served, and older ones are refused and said.
func TestBucketAlone(t *testing.T) {
	m := newManager(t)
	up := upstreamOf(t, "site")
	m.publish(5, 0, configFor(up))
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(m.key.Public().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	o := optionsFor(t, nil)
	o.Bucket, o.Stack, o.Group, o.RevisionKeys = m.dir, testStack, testGroup, keys
	g := run(t, o)
	g.serves(5)
	p := &poisoner{manager: m, number: 4, upstream: up}
	p.file(testGroup+"/head.json", p.raw(string(p.statement(revision.KindHead, p.content(p.good())).Encode()), m.key))
	eventually(t, "the older one is refused", func() bool {
		s := g.Status()
		return s.Refused != nil && strings.Contains(s.Refused.Reason, "is older than 5")
	})
	if g.number() != 5 {
		t.Errorf("revision %d is served", g.number())
	}
}

// TestRenewal: a certificate is renewed at half its life, and when it has expired.
func TestRenewal(t *testing.T) {
	m := newManager(t)
	m.life = 2 * time.Second
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	first := g.identity.Load()
	eventually(t, "it is renewed", func() bool { return g.identity.Load() != first })
	if left := time.Until(first.pair.Leaf.NotAfter); left < 0 {
		t.Errorf("it was renewed %v after its end", -left)
	}
	if g.identity.Load().Key == first.Key {
		t.Error("the key stayed the same")
	}
	g.stop()
	m.stop()
	time.Sleep(time.Until(g.identity.Load().pair.Leaf.NotAfter) + 100*time.Millisecond) // the manager is away for longer than the certificate lasts
	m.life = time.Hour
	m.start(strings.TrimPrefix(o.Managers[0], "https://"))
	again := run(t, o)
	m.publish(2, 0, configFor(upstreamOf(t, "second")))
	again.serves(2)
	if again.identity.Load().pair.Leaf.NotAfter.Before(time.Now().Add(time.Minute)) {
		t.Error("the expired certificate is still used")
	}
}

// TestCertificateJoin: a certificate that was made beforehand is shown once; the gateway has a key of its own afterwards.
func TestCertificateJoin(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	dir := t.TempDir()
	certificate, key := m.ca.pair(t, gatewayTemplate(time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, set := range map[string]func(o *Options){
		"by hash": func(o *Options) { o.ManagerCA = m.token.Trust.String() },
		"by files": func(o *Options) {
			o.ManagerCA, o.RevisionKeys = write("ca.pem", m.ca.pem), write("keys", m.key.Public().String())
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := optionsFor(t, m)
			o.Join, o.TokenFile = JoinCertificate, ""
			o.CertificateFile, o.KeyFile = write("gw.pem", certificate), write("gw.key", key)
			set(&o)
			g := run(t, o)
			g.serves(1)
			if g.identity.Load().Key == key {
				t.Error("the key that was made beforehand is used on")
			}
			g.stop()
			o.Join, o.CertificateFile = "", ""
			run(t, o).serves(1) // it needs the files no more
		})
	}
	other := newManager(t)
	o := optionsFor(t, m)
	o.Join, o.TokenFile, o.CertificateFile, o.KeyFile = JoinCertificate, "", write("gw.pem", certificate), write("gw.key", key)
	o.ManagerCA, o.RevisionKeys = write("other.pem", other.ca.pem), write("keys", m.key.Public().String())
	g := run(t, o)
	eventually(t, "another authority is refused", func() bool { return strings.Contains(g.Status().ManagerError, "certificate") })
	if m.calls[fleetapi.PathRenew] > 2 {
		t.Error("it was asked all the same")
	}
}

// TestTrustRotation: a later bundle that a key of the one before has signed is taken, and only that.
func TestTrustRotation(t *testing.T) {
	m := newManager(t)
	up := upstreamOf(t, "site")
	m.publish(1, 0, configFor(up))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	next, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	bundle := revision.Trust{Serial: 2, Keys: []revision.PublicKey{next.Public()}, Authorities: m.ca.pem}
	rotate := func(signer revision.PrivateKey, stack string, b revision.Trust) {
		data, err := revision.SignTrust(t.Context(), stack, b, time.Now(), signer)
		if err != nil {
			t.Fatal(err)
		}
		m.say(func(s *fleetapi.State) { s.Trust = data })
	}
	refusedTrust := func(want string) {
		t.Helper()
		eventually(t, "it is refused: "+want, func() bool {
			for _, r := range m.refusals() {
				if r.Kind == revision.KindTrust && strings.Contains(r.Reason, want) {
					return true
				}
			}
			return false
		})
	}
	rotate(next, testStack, bundle)
	refusedTrust("none of these keys is trusted")
	rotate(m.key, "test", bundle)
	refusedTrust("of stack test, not of prod")
	old := m.key
	m.key = next
	m.publishTo(&revision.Publisher{Depot: depotWithoutHead{m.dir}, Stack: testStack, Group: testGroup, Signers: []revision.Signer{next}}, 2, configFor(up))
	p := &poisoner{manager: m, number: 2, upstream: up}
	head := p.raw(string(p.statement(revision.KindHead, contentOf(t, configFor(up))).Encode()), next)
	m.say(func(s *fleetapi.State) { s.Head = head })
	eventually(t, "the new key is not trusted yet", func() bool {
		return strings.Contains(fmt.Sprint(m.refusals()), "none of these keys is trusted") && g.number() == 1
	})
	rotate(old, testStack, bundle)
	g.serves(2)
	g.stop()
	again := run(t, o)
	again.serves(2)
	rotate(next, testStack, revision.Trust{Serial: 1, Keys: []revision.PublicKey{old.Public()}, Authorities: m.ca.pem})
	refusedTrust("and 2 was here before")
}

func contentOf(t testing.TB, files map[string][]byte) revision.Hash {
	t.Helper()
	b, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: files, CRS: []string{"4.25.0"}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Hash()
}

// TestRetryAfter: a manager that is too busy is left alone for as long as it asks.
func TestRetryAfter(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	var busy atomic.Bool
	var mu sync.Mutex
	var asked []time.Time
	m.problem = func(r *http.Request) *fleetapi.Problem {
		if !busy.Load() || r.URL.Path != fleetapi.PathState {
			return nil
		}
		mu.Lock()
		asked = append(asked, time.Now())
		mu.Unlock()
		return &fleetapi.Problem{Type: fleetapi.ProblemBusy, Title: "too many gateways ask", Status: http.StatusTooManyRequests, Detail: "1"}
	}
	g := run(t, optionsFor(t, m))
	g.serves(1)
	busy.Store(true)
	m.say(func(*fleetapi.State) {})
	eventually(t, "it asks again", func() bool { mu.Lock(); defer mu.Unlock(); return len(asked) >= 2 })
	mu.Lock()
	if d := asked[1].Sub(asked[0]); d < time.Second {
		t.Errorf("it asked again after %v", d)
	}
	mu.Unlock()
	if s := g.Status(); !strings.Contains(s.ManagerError, "too many gateways ask") || s.Reachable {
		t.Errorf("%+v", s)
	}
	busy.Store(false)
	m.publish(2, 0, configFor(upstreamOf(t, "second")))
	g.serves(2)
}

// TestNextManager: of several managers, the next one is asked where one does not answer.
func TestNextManager(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	o.Managers = []string{"https://127.0.0.1:1", "https://" + m.address(), "https://127.0.0.1:2"}
	run(t, o).serves(1)
}

// blackHole forwards connections until it is told to swallow everything.
type blackHole struct {
	net.Listener
	to      string
	swallow atomic.Bool
	mu      sync.Mutex // guards open
	open    []net.Conn
	all     sync.WaitGroup
}

func newBlackHole(t testing.TB, to string) *blackHole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &blackHole{Listener: l, to: to}
	b.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.all.Go(func() { b.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, c := range b.open {
			c.Close()
		}
		b.mu.Unlock()
		b.all.Wait()
	})
	return b
}

// carry forwards one connection. One that was open when the hole began is never answered or closed again; a new one is carried.
func (b *blackHole) carry(c net.Conn) {
	up, err := net.Dial("tcp", b.to)
	if err != nil {
		c.Close()
		return
	}
	b.mu.Lock()
	b.open = append(b.open, c, up)
	b.mu.Unlock()
	began := b.swallow.Load()
	pipe := func(from, to net.Conn) {
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			if b.swallow.Load() && !began {
				discard(from)
				return
			}
			if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
				to.Close()
				return
			}
		}
	}
	b.all.Go(func() { pipe(up, c) })
	pipe(c, up)
}

// discard reads on and throws away.
func discard(from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		if _, err := from.Read(buffer); err != nil {
			return
		}
	}
}

// TestBlackHole: a connection that is swallowed on the way, without an end, is found lost by the pings, and the new revision is there in
// the time that they take. The real times are 20 s and 10 s, so that it is there within a minute; here they are half a second each.
func TestBlackHole(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, configFor(upstreamOf(t, "first")))
	hole := newBlackHole(t, m.address())
	o := optionsFor(t, m)
	o.Managers = []string{"https://" + hole.Addr().String()}
	limit := testTimes.Ping + testTimes.PingAnswer + 2*time.Second
	if os.Getenv("BLACKHOLE") == "real" { // make blackhole
		o.Times, limit = Times{}, time.Minute
	}
	o.Times.Wait = 50 * time.Second
	o.Times.Report = time.Hour // reports would find the connection lost too
	m.say(func(s *fleetapi.State) { s.ReportEvery = 3600 })
	g := run(t, o)
	g.serves(1)
	eventually(t, "it waits at the manager", func() bool { return g.Status().Reachable })
	time.Sleep(100 * time.Millisecond)
	hole.swallow.Store(true)
	begin := time.Now()
	m.publish(2, 0, configFor(upstreamOf(t, "second")))
	for g.number() != 2 && time.Since(begin) < 2*limit {
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Since(begin)
	t.Logf("the new revision is there after %v", took)
	if g.number() != 2 || took > limit {
		t.Errorf("it took %v, more than %v", took, limit)
	}
	real := Times{}.complete()
	if worst := real.Ping + real.PingAnswer + real.MaxBackoff; worst > time.Minute {
		t.Errorf("with the real times it may take %v", worst)
	}
}

// TestReportsSurvive: what was refused while the manager did not take reports is in a later one.
func TestReportsSurvive(t *testing.T) {
	m := newManager(t)
	up := upstreamOf(t, "site")
	m.publish(1, 0, configFor(up))
	var away atomic.Bool
	m.problem = func(r *http.Request) *fleetapi.Problem {
		if away.Load() && r.URL.Path == fleetapi.PathReport {
			return &fleetapi.Problem{Title: "not now", Status: http.StatusServiceUnavailable}
		}
		return nil
	}
	g := run(t, optionsFor(t, m))
	g.serves(1)
	away.Store(true)
	p := &poisoner{manager: m, number: 2, upstream: up}
	head := p.good()
	p.remove(p.revisionFile())
	m.say(func(s *fleetapi.State) { s.Head = head })
	eventually(t, "it is refused", func() bool { return g.Status().Refused != nil })
	time.Sleep(200 * time.Millisecond)
	if n := len(m.refusals()); n != 0 {
		t.Fatalf("%d refusals are reported", n)
	}
	away.Store(false)
	eventually(t, "it is reported", func() bool { return len(m.refusals()) > 0 })
	g.Hangup() // it is looked at again, with the same end
	time.Sleep(500 * time.Millisecond)
	if n := len(m.refusals()); n != 1 {
		t.Errorf("it is reported %d times", n)
	}
}

// TestJitter: the waits between failures spread over their whole range.
func TestJitter(t *testing.T) {
	low, high := 0, 0
	for range 1000 {
		b := backoff{first: time.Second, most: 8 * time.Second, failures: 3}
		switch d := b.next(); {
		case d > 8*time.Second+time.Millisecond:
			t.Fatalf("%v", d)
		case d < 2*time.Second:
			low++
		case d > 6*time.Second:
			high++
		}
	}
	if low < 150 || high < 150 {
		t.Errorf("%d are short and %d long", low, high)
	}
	for _, x := range []struct {
		text string
		want time.Duration
	}{{"5", 5 * time.Second}, {"", 0}, {"-1", 0}, {"soon", 0}, {"999999999", 10 * time.Minute}, {time.Unix(1000, 0).UTC().Format(http.TimeFormat), 100 * time.Second}} {
		if got := retryAfter(http.Header{"Retry-After": {x.text}}, time.Unix(900, 0)); got != x.want {
			t.Errorf("Retry-After: %s: %v", x.text, got)
		}
	}
}

// countingDepot counts how often revisions are read.
type countingDepot struct {
	revision.Dir
	revisions atomic.Int32
}

func (d *countingDepot) Get(ctx context.Context, name string, most int64) ([]byte, string, error) {
	if strings.Contains(name, "/revisions/") {
		d.revisions.Add(1)
	}
	return d.Dir.Get(ctx, name, most)
}

// TestBucketRefusedOnce: a bad revision in the bucket is not read again each time that the bucket is looked at.
func TestBucketRefusedOnce(t *testing.T) {
	m := newManager(t)
	up := upstreamOf(t, "site")
	m.publish(1, 0, configFor(up))
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(m.key.Public().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	depot := &countingDepot{Dir: m.dir}
	o := optionsFor(t, nil)
	o.Bucket, o.Stack, o.Group, o.RevisionKeys = depot, testStack, testGroup, keys
	o.Logger = zapNop
	g := run(t, o)
	g.serves(1)
	p := &poisoner{manager: m, number: 2, upstream: up}
	head := p.good()
	p.remove(p.revisionFile())
	p.file(testGroup+"/head.json", head)
	eventually(t, "it is refused", func() bool { return g.Status().Refused != nil })
	before := depot.revisions.Load()
	time.Sleep(5 * testTimes.Bucket)
	if n := depot.revisions.Load() - before; n != 0 {
		t.Errorf("it was read %d times more", n)
	}
	g.Hangup()
	eventually(t, "it is looked at again at SIGHUP", func() bool { return depot.revisions.Load() > before })
}
