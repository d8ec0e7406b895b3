package fleet

import (
	"bytes"
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
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// site is a manager's listener for gateways, on a socket, with a clock that the test moves.
type site struct {
	t       *testing.T
	db      *store.DB
	key     revision.PrivateKey
	service *Service
	url     string
	ahead   atomic.Int64 // nanoseconds that the clock is ahead
	batches atomic.Int64
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	var err error
	if s.db, err = store.Open(t.Context(), store.Options{File: filepath.Join(t.TempDir(), "manager.db"), Now: s.now, Logger: zaptest.NewLogger(t)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.key, err = revision.NewPrivateKey(); err != nil {
		t.Fatal(err)
	}
	s.open()
	return s
}

// open makes the service anew, as after a restart.
func (s *site) open() {
	s.t.Helper()
	group := sealed.NewKey()
	var err error
	s.service, err = New(s.t.Context(), Options{
		DB: s.db, Vault: secret.New(masterKey), Logger: zaptest.NewLogger(s.t), Stack: "prod", Names: []string{"127.0.0.1"}, Key: s.key,
		GroupKey: func(*store.Tx, string) (sealed.Key, error) { return group, nil },
		Events: func(_ context.Context, _, _ string, _ []byte) (fleetapi.Receipt, error) {
			s.batches.Add(1)
			return fleetapi.Receipt{Stored: 1}, nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	s.service.Configure(server)
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	s.url = "https://" + listener.Addr().String()
	s.t.Cleanup(func() {
		s.service.Stop()
		if err := server.Close(); err != nil {
			s.t.Error(err)
		}
		<-done
	})
}

var masterKey = sealed.NewKey()

func (s *site) write(do func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), do); err != nil {
		s.t.Fatal(err)
	}
}

// token makes a join token of a group.
func (s *site) token(group string, life time.Duration, uses int64) (id, text string) {
	s.t.Helper()
	s.write(func(tx *store.Tx) error {
		t, secret, err := s.service.CreateToken(tx, "user:ann", group, "", life, uses)
		id, text = t.ID, secret
		return err
	})
	return id, text
}

// member is a gateway with its key.
type member struct {
	s           *site
	key         *ecdsa.PrivateKey
	credentials fleetapi.Credentials
	client      *http.Client
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func requestFor(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// join joins a gateway.
func (s *site) join(token string) *member {
	s.t.Helper()
	m := &member{s: s, key: newKey(s.t)}
	m.client = s.client(nil)
	status, body := m.ask(http.MethodPost, fleetapi.PathJoin, fleetapi.JoinRequest{Token: token, CSR: requestFor(s.t, m.key), Instance: "i-1", Version: "test"})
	if status != http.StatusOK {
		s.t.Fatalf("join: %d %s", status, body)
	}
	m.take(body)
	return m
}

// take uses the credentials of an answer from now on.
func (m *member) take(body string) {
	m.s.t.Helper()
	if err := json.Unmarshal([]byte(body), &m.credentials); err != nil {
		m.s.t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(m.credentials.Certificate))
	m.client = m.s.client(&tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: m.key})
}

// client trusts the manager's authority, and shows a certificate.
func (s *site) client(certificate *tls.Certificate) *http.Client {
	conf := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: s.service.trustNow().pool, ServerName: "127.0.0.1", Time: s.now}
	if certificate != nil {
		conf.Certificates = []tls.Certificate{*certificate}
		// Also one that the manager did not ask for.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func (m *member) ask(method, path string, body any) (int, string) {
	m.s.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		data = b
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			m.s.t.Fatal(err)
		}
	}
	status, answer, _ := m.s.send(m.client, method, path, data, nil)
	return status, answer
}

func (s *site) send(client *http.Client, method, path string, body []byte, header http.Header) (int, string, http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + path // as it is
	for k, v := range header {
		r.Header[k] = v
	}
	reply, err := client.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply.StatusCode, string(text), reply.Header
}

// gateways is how many there are.
func (s *site) gateways() (n int64) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), func(tx *store.Tx) error { return tx.Get(store.Row(&n), "SELECT COUNT(*) FROM gateways") })
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// publish publishes something small to a group.
func (s *site) publish(group string, number uint64) {
	s.t.Helper()
	built, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: map[string][]byte{"gatehouse.yaml": fmt.Appendf(nil, "version: 1 # %d\n", number)}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(func(tx *store.Tx) error {
		p := revision.Publisher{Depot: tx.Depot(), Stack: "prod", Group: group, Signers: []revision.Signer{s.key}}
		return p.Publish(tx.Context(), built, revision.Order{Epoch: 1, Number: number})
	})
}

// TestEnrolmentAbuse: whoever has no token, or one that is not good any more, does not join; whoever has no certificate of this
// manager's for this group, or one that is not good any more, is told nothing.
func TestEnrolmentAbuse(t *testing.T) {
	s := newSite(t)
	s.publish("edge", 1)
	s.publish("inner", 1)
	_, good := s.token("edge", time.Hour, 2)
	g := s.join(good)
	_, innerToken := s.token("inner", time.Hour, 1)
	inner := s.join(innerToken)
	anybody := &member{s: s, client: s.client(nil)}
	cases := 0
	refused := func(name string, m *member, method, path string, body any, want int) {
		t.Helper()
		cases++
		before := s.gateways()
		status, answer := m.ask(method, path, body)
		if status != want && (want != 0 || status != 0) {
			t.Errorf("%s: %d %s, want %d", name, status, answer, want)
		}
		if strings.Contains(answer, "CERTIFICATE") || strings.Contains(answer, `"head"`) || strings.Contains(answer, `"key"`) {
			t.Errorf("%s: it is told %s", name, answer)
		}
		if after := s.gateways(); after != before {
			t.Errorf("%s: a gateway has joined", name)
		}
	}
	joinWith := func(token string, csr []byte) fleetapi.JoinRequest {
		return fleetapi.JoinRequest{Token: token, CSR: csr, Instance: "i-1"}
	}
	csr := requestFor(t, newKey(t))

	// Tokens.
	usedID, used := s.token("edge", time.Hour, 1)
	s.join(used)
	revokedID, revoked := s.token("edge", time.Hour, 5)
	s.write(func(tx *store.Tx) error { _, err := RevokeToken(tx, "user:ann", revokedID); return err })
	_, short := s.token("edge", time.Minute, 5)
	parsed, err := fleetapi.ParseJoinToken(good)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(x *fleetapi.JoinToken)) string {
		x := parsed
		change(&x)
		return x.Encode()
	}
	for name, token := range map[string]string{
		"no token": "", "a word": "letmein", "used up": used, "revoked": revoked,
		"an ID alone":          usedID,
		"another secret":       with(func(x *fleetapi.JoinToken) { x.Secret[0] ^= 1 }),
		"an empty secret":      with(func(x *fleetapi.JoinToken) { x.Secret = [32]byte{} }),
		"another's ID":         with(func(x *fleetapi.JoinToken) { x.ID = revokedID }),
		"an unknown ID":        with(func(x *fleetapi.JoinToken) { x.ID = "join_0000" }),
		"SQL":                  with(func(x *fleetapi.JoinToken) { x.ID = "x-OR-1" }) + "' OR '1'='1",
		"a cut token":          good[:len(good)-9],
		"a token with a tail":  good + ".edge",
		"two tokens":           good + " " + good,
		"an API token":         "ght_" + strings.Repeat("a", 40),
		"a wildcard":           "gatehouse-join.%.%.%",
		"the hash of a secret": "gatehouse-join." + parsed.ID + ".sha256." + s.service.TrustHash().String(),
	} {
		refused("token: "+name, anybody, http.MethodPost, fleetapi.PathJoin, joinWith(token, csr), http.StatusForbidden)
	}
	s.ahead.Store(int64(2 * time.Minute))
	refused("token: expired", anybody, http.MethodPost, fleetapi.PathJoin, joinWith(short, csr), http.StatusForbidden)
	s.ahead.Store(0)

	// Requests with a good token; it is not used up by them.
	changed := bytes.Clone(csr)
	changed[len(changed)-1] ^= 1
	ca, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "x"}}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string][]byte{"none": nil, "text": []byte("please"), "cut": csr[:len(csr)/2], "another signature": changed, "two": append(bytes.Clone(csr), ca...)} {
		refused("CSR: "+name, anybody, http.MethodPost, fleetapi.PathJoin, joinWith(good, request), http.StatusUnprocessableEntity)
	}
	refused("join: not JSON", anybody, http.MethodPost, fleetapi.PathJoin, []byte("token="+good), http.StatusBadRequest)
	refused("join: two documents", anybody, http.MethodPost, fleetapi.PathJoin, []byte(`{"token":"x"}{"token":"`+good+`"}`), http.StatusBadRequest)
	refused("join: large", anybody, http.MethodPost, fleetapi.PathJoin, bytes.Repeat([]byte(" "), fleetapi.MaxRequest+1), http.StatusRequestEntityTooLarge)
	refused("join: GET", anybody, http.MethodGet, fleetapi.PathJoin, nil, http.StatusNotFound)
	refused("join: another path", anybody, http.MethodPost, fleetapi.PathJoin+"/", joinWith(good, csr), http.StatusNotFound)
	refused("join: an encoded path", anybody, http.MethodPost, "/fleet/v1/%6aoin", joinWith(good, csr), http.StatusNotFound)

	// Without a certificate, or with one of somebody else's.
	private := []struct{ method, path string }{
		{http.MethodGet, fleetapi.PathState},
		{http.MethodGet, fleetapi.PathKey},
		{http.MethodGet, fleetapi.PathObjects + "edge/head.json"},
		{http.MethodPost, fleetapi.PathReport},
		{http.MethodPost, fleetapi.PathEvents},
		{http.MethodPost, fleetapi.PathRenew},
	}
	other, err := authority.New("prod", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issued := func(a *authority.Authority, who authority.Gateway, life time.Duration) *member {
		t.Helper()
		m := &member{s: s, key: newKey(t)}
		chain, _, err := a.Issue(who, requestFor(t, m.key), s.now(), life)
		if err != nil {
			t.Fatal(err)
		}
		m.client = s.client(pair(chain, m.key))
		return m
	}
	who := authority.Gateway{Stack: "prod", Group: "edge", Name: g.credentials.Gateway}
	strangers := map[string]*member{
		"nobody":               anybody,
		"another authority":    issued(other, who, time.Hour),
		"another stack":        issued(s.service.ca, authority.Gateway{Stack: "test", Group: "edge", Name: who.Name}, time.Hour),
		"self-signed":          {s: s, client: s.client(selfSigned(t, who.Name))},
		"the manager's":        {s: s, client: s.client(s.listenerPair())},
		"an unknown name":      issued(s.service.ca, authority.Gateway{Stack: "prod", Group: "edge", Name: "gw_unknown"}, time.Hour),
		"another group's name": issued(s.service.ca, authority.Gateway{Stack: "prod", Group: "inner", Name: who.Name}, time.Hour),
	}
	for name, m := range strangers {
		want := http.StatusUnauthorized
		if name == "an unknown name" || name == "another group's name" {
			want = http.StatusForbidden
		}
		for _, p := range private {
			var body any
			if p.method == http.MethodPost {
				body = fleetapi.RenewRequest{CSR: csr}
			}
			refused(name+" at "+p.path, m, p.method, p.path, body, want)
		}
	}

	// A gateway at what is not its own.
	for name, path := range map[string]string{
		"another group's head":     "inner/head.json",
		"another group by dots":    "edge/../inner/head.json",
		"another group by codes":   "edge/%2e%2e/inner/head.json",
		"another group by a slash": "edge%2f..%2finner/head.json",
		"a prefix of its group":    "edg",
		"nothing":                  "",
		"the audit log":            "audit/1.json",
		"a name with NUL":          "edge/head.json%00",
	} {
		refused("object: "+name, g, http.MethodGet, fleetapi.PathObjects+path, nil, http.StatusNotFound)
	}
	refused("renew: another's CSR signature", g, http.MethodPost, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: changed}, http.StatusUnprocessableEntity)
	refused("report: a list", g, http.MethodPost, fleetapi.PathReport, []byte("[]"), http.StatusBadRequest)
	refused("report: large", g, http.MethodPost, fleetapi.PathReport, bytes.Repeat([]byte(" "), fleetapi.MaxRequest+1), http.StatusRequestEntityTooLarge)
	refused("events: large", g, http.MethodPost, fleetapi.PathEvents, make([]byte, fleetapi.MaxBatch+1), http.StatusRequestEntityTooLarge)

	// In time.
	s.ahead.Store(int64(fleetapi.CertificateLife + time.Minute))
	for _, p := range private[:5] {
		refused("expired at "+p.path, g, p.method, p.path, fleetapi.RenewRequest{}, http.StatusUnauthorized)
	}
	s.ahead.Store(int64(fleetapi.CertificateLife + fleetapi.RenewWithin + time.Minute))
	refused("expired for too long", g, http.MethodPost, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: csr}, http.StatusUnauthorized)
	s.ahead.Store(0)

	// Revoked: on the connection that it has, too.
	s.write(func(tx *store.Tx) error { _, err := s.service.RevokeGateway(tx, "user:ann", who.Name, ""); return err })
	for _, p := range private {
		refused("revoked at "+p.path, g, p.method, p.path, fleetapi.RenewRequest{CSR: csr}, http.StatusForbidden)
	}
	if status, _ := inner.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusOK {
		t.Errorf("another gateway gets %d", status)
	}
	if s.batches.Load() != 0 {
		t.Errorf("%d batches were stored", s.batches.Load())
	}
	s.join(good) // what was refused has not used it up
	t.Logf("%d cases, 0 accepted", cases)
	if cases < 40 {
		t.Errorf("%d cases are fewer than 40", cases)
	}
}

func pair(chain string, key *ecdsa.PrivateKey) *tls.Certificate {
	block, _ := pem.Decode([]byte(chain))
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// listenerPair is the manager's own certificate, as somebody who has broken into a manager's host has it.
func (s *site) listenerPair() *tls.Certificate {
	s.t.Helper()
	c, err := s.service.serverCertificate()
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func selfSigned(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{{Scheme: "gatehouse", Host: "prod", Path: "/edge/" + name}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
