package managed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// authority is a certificate authority of a test.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pem         string
	serial      int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(10000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key, certificate: certificate, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), serial: 1}
}

// issue signs a certificate of a public key.
func (a *authority) issue(public any, template x509.Certificate) (string, error) {
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	der, err := x509.CreateCertificate(rand.Reader, &template, a.certificate, public, a.key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// pair makes a key and a certificate for it, as PEM.
func (a *authority) pair(t testing.TB, template x509.Certificate) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if certificate, err = a.issue(private.Public(), template); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// manager is the manager's listener as far as a gateway sees it. It lets a test say anything.
type manager struct {
	t      testing.TB
	ca     *authority
	key    revision.PrivateKey
	dir    revision.Dir
	group  sealed.Key
	token  fleetapi.JoinToken
	life   time.Duration // of certificates
	server *httptest.Server

	mu       sync.Mutex // guards what follows
	trust    map[revision.Hash]string
	state    fleetapi.State
	version  int
	changed  chan struct{}
	reports  []fleetapi.Report
	problem  func(r *http.Request) *fleetapi.Problem
	calls    map[string]int
	renewals int
	noKey    bool
	events   *eventStore // nil knows no route for them
}

const (
	testStack = "prod"
	testGroup = "edge"
)

func newManager(t testing.TB) *manager {
	t.Helper()
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{
		t: t, ca: newAuthority(t), key: key, dir: revision.Dir(t.TempDir()), group: sealed.NewKey(), life: time.Hour,
		trust: map[revision.Hash]string{}, changed: make(chan struct{}), calls: map[string]int{},
	}
	m.state.ReportEvery = 0.5
	bundle := m.addTrust(revision.Trust{Serial: 1, Keys: []revision.PublicKey{key.Public()}, Authorities: m.ca.pem})
	m.token = fleetapi.JoinToken{ID: "first", Trust: bundle}
	_, _ = rand.Read(m.token.Secret[:])
	m.start("127.0.0.1:0")
	t.Cleanup(m.stop)
	return m
}

func (m *manager) addTrust(b revision.Trust) revision.Hash {
	text, err := b.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	m.trust[revision.HashOf(text)] = string(text)
	return revision.HashOf(text)
}

// start listens, and stop ends that; both may be called again.
func (m *manager) start(address string) {
	m.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		m.t.Fatal(err)
	}
	certificate, key := m.ca.pair(m.t, x509.Certificate{
		Subject: pkix.Name{CommonName: "manager"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		m.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(m)
	s.Listener.Close()
	s.Listener = listener
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	m.server = s
}

func (m *manager) stop() {
	m.mu.Lock()
	close(m.changed) // waiting polls end
	m.changed = make(chan struct{})
	m.mu.Unlock()
	m.server.CloseClientConnections()
	m.server.Close()
}

func (m *manager) address() string { return m.server.Listener.Addr().String() }

// say changes the state that gateways are told.
func (m *manager) say(change func(s *fleetapi.State)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.state)
	m.version++
	close(m.changed)
	m.changed = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.calls[r.URL.Path]++
	problem := m.problem
	m.mu.Unlock()
	if problem != nil {
		if p := problem(r); p != nil {
			refuseWith(w, p)
			return
		}
	}
	switch path := r.URL.Path; {
	case path == fleetapi.PathTrust:
		var h revision.Hash
		_ = h.UnmarshalText([]byte(r.URL.Query().Get("hash")))
		m.mu.Lock()
		text := m.trust[h]
		m.mu.Unlock()
		fmt.Fprint(w, text)
	case path == fleetapi.PathJoin:
		m.join(w, r)
	case !m.knows(r):
		refuseWith(w, &fleetapi.Problem{Title: "no certificate", Status: http.StatusUnauthorized})
	case path == fleetapi.PathRenew:
		m.renew(w, r)
	case path == fleetapi.PathState:
		m.poll(w, r)
	case path == fleetapi.PathReport:
		var report fleetapi.Report
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			refuseWith(w, &fleetapi.Problem{Title: err.Error(), Status: http.StatusBadRequest})
			return
		}
		m.mu.Lock()
		m.reports = append(m.reports, report)
		m.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case path == fleetapi.PathKey && !m.noKey:
		_ = json.NewEncoder(w).Encode(fleetapi.GroupKey{ID: m.group.ID(), Key: m.group.Bytes()})
	case path == fleetapi.PathEvents && m.events != nil:
		m.events.serve(w, r)
	case strings.HasPrefix(path, fleetapi.PathObjects):
		data, _, err := m.dir.Get(r.Context(), strings.TrimPrefix(path, fleetapi.PathObjects), 1<<30)
		if err != nil {
			refuseWith(w, &fleetapi.Problem{Title: "there is no such object", Status: http.StatusNotFound})
			return
		}
		_, _ = w.Write(data)
	default:
		refuseWith(w, &fleetapi.Problem{Title: "there is no such path", Status: http.StatusNotFound})
	}
}

func refuseWith(w http.ResponseWriter, p *fleetapi.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", p.Detail)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// knows says whether the request's certificate is of the authority, as old as it may be.
func (m *manager) knows(r *http.Request) bool {
	if len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	leaf := r.TLS.PeerCertificates[0]
	return leaf.CheckSignatureFrom(m.ca.certificate) == nil && (time.Now().Before(leaf.NotAfter) || r.URL.Path == fleetapi.PathRenew)
}

func (m *manager) join(w http.ResponseWriter, r *http.Request) {
	var in fleetapi.JoinRequest
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Token != m.token.Encode() {
		refuseWith(w, &fleetapi.Problem{Title: "the token is unknown, used up or expired", Status: http.StatusForbidden})
		return
	}
	m.give(w, in.CSR)
}

func (m *manager) renew(w http.ResponseWriter, r *http.Request) {
	var in fleetapi.RenewRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuseWith(w, &fleetapi.Problem{Title: err.Error(), Status: http.StatusBadRequest})
		return
	}
	m.mu.Lock()
	m.renewals++
	m.mu.Unlock()
	m.give(w, in.CSR)
}

// give answers with a certificate.
func (m *manager) give(w http.ResponseWriter, csr []byte) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil || request.CheckSignature() != nil {
		refuseWith(w, &fleetapi.Problem{Title: "the CSR is not signed by its key", Status: http.StatusBadRequest})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	certificate, err := m.ca.issue(request.PublicKey, gatewayTemplate(time.Now().Add(-time.Second), time.Now().Add(m.life)))
	if err != nil {
		refuseWith(w, &fleetapi.Problem{Title: err.Error(), Status: http.StatusInternalServerError})
		return
	}
	_ = json.NewEncoder(w).Encode(fleetapi.Credentials{Gateway: "gw-1", Stack: testStack, Group: testGroup, Certificate: certificate})
}

func gatewayTemplate(from, until time.Time) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: "gw-1"}, NotBefore: from, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// poll waits until there is another state.
func (m *manager) poll(w http.ResponseWriter, r *http.Request) {
	wait := 0
	_, _ = fmt.Sscanf(r.Header.Get("Prefer"), "wait=%d", &wait)
	until := time.After(time.Duration(wait) * time.Second)
	for {
		m.mu.Lock()
		tag, body, changed := fmt.Sprintf(`"%d"`, m.version), m.state, m.changed
		m.mu.Unlock()
		if r.Header.Get("If-None-Match") != tag {
			w.Header().Set("ETag", tag)
			_ = json.NewEncoder(w).Encode(body)
			return
		}
		select {
		case <-changed:
		case <-until:
			w.WriteHeader(http.StatusNotModified)
			return
		case <-r.Context().Done():
			return
		}
	}
}

// publisher writes revisions to the manager's depot.
func (m *manager) publisher() *revision.Publisher {
	return &revision.Publisher{Depot: m.dir, Stack: testStack, Group: testGroup, Signers: []revision.Signer{m.key}}
}

// publish publishes files as a number, and tells gateways.
func (m *manager) publish(number uint64, trial time.Duration, files map[string][]byte) {
	m.t.Helper()
	m.publishTo(m.publisher(), number, files)
	m.offerHead(trial)
}

func (m *manager) publishTo(p *revision.Publisher, number uint64, files map[string][]byte) {
	m.t.Helper()
	b, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: files, CRS: []string{"4.25.0"}})
	if err != nil {
		m.t.Fatal(err)
	}
	if err := p.Publish(context.Background(), b, revision.Order{Epoch: 1, Number: number}); err != nil {
		m.t.Fatal(err)
	}
}

// offerHead tells gateways of the head in the depot.
func (m *manager) offerHead(trial time.Duration) {
	m.t.Helper()
	head, err := os.ReadFile(filepath.Join(string(m.dir), testGroup, "head.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.say(func(s *fleetapi.State) { s.Head, s.Trial = head, fleetapi.SecondsOf(trial) })
}

// report is the latest report, or nil.
func (m *manager) report() *fleetapi.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.reports) == 0 {
		return nil
	}
	r := m.reports[len(m.reports)-1]
	return &r
}

// refusals are all that were reported.
func (m *manager) refusals() []fleetapi.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []fleetapi.Refusal
	for _, r := range m.reports {
		out = append(out, r.Refused...)
	}
	return out
}

// tokenFile writes the join token.
func (m *manager) tokenFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(m.token.Encode()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
