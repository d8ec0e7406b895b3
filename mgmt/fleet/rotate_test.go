package fleet

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// TestRotation makes a new authority. One gateway is told; another one is away, knows the first authority only, and renews 20 days later;
// a token of before lets a third one join. When the overlap is over, a certificate of the first authority is good for nothing.
func TestRotation(t *testing.T) {
	s := newSite(t)
	_, token := s.token("edge", 100*24*time.Hour, 3)
	told, away := s.join(token), s.join(token)
	first, oldPool, oldHash := s.trustBundle(), s.service.trustNow().pool, s.service.TrustHash()
	rotate := func() (out Trust, err error) {
		err = s.db.Write(t.Context(), func(tx *store.Tx) (err error) {
			out, err = s.service.RotateAuthority(tx, "user:ann")
			return err
		})
		return out, err
	}
	out, err := rotate()
	if err != nil || out.Serial != 2 || out.Until == nil || out.Hash == oldHash {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := rotate(); err == nil || !strings.Contains(err.Error(), "made anew at") {
		t.Errorf("once more: %v", err)
	}
	s.open() // as after a restart, or as another manager
	told.client = s.clientOf(oldPool, told)
	status, state, _ := told.poll("", 0)
	if status != http.StatusOK {
		t.Fatalf("the state: %d", status)
	}
	second, err := first.Renew(state.Trust, "prod")
	if err != nil || second.Serial != 2 || strings.Count(second.Authorities, "BEGIN") != 2 {
		t.Fatalf("the bundle that it is told: %+v, %v", second, err)
	}
	renew := func(m *member) *x509.Certificate {
		t.Helper()
		m.take(s.must(m, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: requestFor(t, m.key)}))
		leaf, err := x509.ParseCertificate(pair(m.credentials.Certificate, m.key).Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf
	}
	s.ahead.Store(int64(20 * 24 * time.Hour))
	s.open()
	away.client = s.clientOf(oldPool, away)
	leaf := renew(away)
	behind := x509.NewCertPool()
	behind.AppendCertsFromPEM([]byte(strings.Join(strings.SplitAfter(away.credentials.Certificate, "-----END CERTIFICATE-----\n")[1:], "")))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: oldPool, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("the new certificate is one of the first authority")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: oldPool, Intermediates: behind, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("whoever knows the first authority only cannot verify the new certificate: %v", err)
	}

	turn := func() {
		t.Helper()
		s.write(s.service.turnAuthority)
		s.open()
	}
	if turn(); s.trustBundle().Serial != 2 {
		t.Error("the first authority is dropped too early")
	}
	s.ahead.Store(int64(overlap + time.Hour))
	told.client = s.clientOf(oldPool, told) // its certificate is one of the first authority, and has ended
	if turn(); s.trustBundle().Serial != 3 || strings.Contains(s.trustBundle().Authorities, first.Authorities) {
		t.Fatalf("the first authority stays: %+v", s.trustBundle())
	}
	if status, body := told.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusUnauthorized || strings.Contains(body, fleetapi.ProblemExpired) {
		t.Errorf("a certificate of the first authority: %d %s", status, body)
	}
	away.client = s.clientOf(oldPool, away)
	renew(away)
	if status, body := away.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusOK {
		t.Errorf("a certificate of the second authority: %d %s", status, body)
	}
	s.join(token)

	if _, err := rotate(); err != nil {
		t.Errorf("after the overlap: %v", err)
	}
	s.open()
	away.client = s.clientOf(oldPool, away) // two authorities behind
	if status, body := away.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusOK {
		t.Errorf("two authorities later: %d %s", status, body)
	}
	s.ahead.Store(int64(2*overlap + 2*time.Hour))
	turn()
	s.ahead.Store(int64(9*365*24*time.Hour + 60*24*time.Hour))
	before := s.trustBundle().Serial
	if turn(); s.trustBundle().Serial != before+1 {
		t.Error("the authority ends in less than a year, and there is no next one")
	}
}

// trustBundle is the latest bundle.
func (s *site) trustBundle() (t revision.Trust) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), func(tx *store.Tx) error {
		now, err := GetTrust(tx)
		t = now.bundle
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// clientOf is a gateway's that trusts some authorities.
func (s *site) clientOf(pool *x509.CertPool, m *member) *http.Client {
	client := s.client(pair(m.credentials.Certificate, m.key))
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = pool
	return client
}
