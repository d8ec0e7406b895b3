package fleet

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

// authoritySecret is the secret that holds the authority with its key.
const authoritySecret = "fleet-authority"

// openAuthority gives the installation's authority, and makes it at the first start.
func (s *Service) openAuthority(tx *store.Tx) (*authority.Authority, error) {
	text, err := s.o.Vault.Get(tx, authoritySecret)
	if err == nil {
		return authority.Parse(text)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	ca, err := authority.New(s.o.Stack, tx.Now())
	if err != nil {
		return nil, err
	}
	if text, err = ca.EncodeSecret(); err != nil {
		return nil, err
	}
	if err := s.o.Vault.Put(tx, authoritySecret, text); err != nil {
		return nil, err
	}
	return ca, tx.Audit("manager", "authority.make", "authorities/"+s.o.Stack, map[string]any{"until": ca.Until()})
}

// trusted is the latest trust bundle.
type trusted struct {
	serial uint64
	hash   revision.Hash
	signed []byte
	pool   *x509.CertPool
}

// firstTrust makes the first bundle, if there is none.
func (s *Service) firstTrust(tx *store.Tx, ca *authority.Authority) error {
	var n int64
	if err := tx.Get(store.Row(&n), "SELECT COUNT(*) FROM trust"); err != nil || n > 0 {
		return err
	}
	t := revision.Trust{Serial: 1, Keys: []revision.PublicKey{s.o.Key.Public()}, Authorities: ca.Certificate()}
	return s.putTrust(tx, "manager", t)
}

// putTrust stores a bundle, signed with the key that gateways know.
func (s *Service) putTrust(tx *store.Tx, by string, t revision.Trust) error {
	text, err := t.Encode()
	if err != nil {
		return err
	}
	signed, err := revision.SignTrust(tx.Context(), s.o.Stack, t, tx.Now(), s.o.Key)
	if err != nil {
		return err
	}
	hash := revision.HashOf(text).String()
	_, err = tx.Exec("INSERT INTO trust (serial, at, hash, bundle, signed) VALUES ($1, $2, $3, $4, $5)", int64(t.Serial), tx.Now(), hash, text, signed) //nolint:gosec // a small number
	if err != nil {
		return err
	}
	tx.Notify(Topic)
	return tx.Audit(by, "trust.make", "trust/"+fmt.Sprint(t.Serial), map[string]string{"hash": hash})
}

// readTrust reads the latest bundle, and the authority that signs.
func (s *Service) readTrust(tx *store.Tx) error {
	var serial int64
	var hash string
	var bundle, signed []byte
	if err := tx.Get(store.Row(&serial, &hash, &bundle, &signed), "SELECT serial, hash, bundle, signed FROM trust ORDER BY serial DESC LIMIT 1"); err != nil {
		return err
	}
	t := trusted{serial: uint64(serial), signed: signed} //nolint:gosec // it begins at 1
	if err := t.hash.UnmarshalText([]byte(hash)); err != nil {
		return err
	}
	parsed, err := revision.ParseTrust(bundle, t.hash)
	if err != nil {
		return err
	}
	if t.pool, err = parsed.Pool(); err != nil {
		return err
	}
	ca, err := s.openAuthority(tx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ca == nil || s.ca.Certificate() != ca.Certificate() {
		s.ca, s.listener = ca, certificate{}
	}
	s.trust = t
	return nil
}

// issuer is the authority that signs.
func (s *Service) issuer() *authority.Authority {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ca
}

// trustNow is the latest bundle.
func (s *Service) trustNow() trusted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trust
}

// TrustHash is the hash of the bundle that gateways are given, which -manager-ca takes.
func (s *Service) TrustHash() revision.Hash { return s.trustNow().hash }

// bundle gives the text of a bundle, of the latest without a hash.
func bundle(tx *store.Tx, hash string) (text []byte, err error) {
	if hash == "" {
		err = tx.Get(store.Row(&text), "SELECT bundle FROM trust ORDER BY serial DESC LIMIT 1")
	} else {
		err = tx.Get(store.Row(&text), "SELECT bundle FROM trust WHERE hash = $1", hash)
	}
	return text, err
}

// certificate is that of the listener, with when it is made anew.
type certificate struct {
	pair  *tls.Certificate
	until time.Time
}

// serverCertificate gives the listener's certificate, made anew at half of its life.
func (s *Service) serverCertificate() (*tls.Certificate, error) {
	now := s.o.DB.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener.pair != nil && now.Before(s.listener.until) {
		return s.listener.pair, nil
	}
	pair, err := s.ca.Listener(s.o.Names, now)
	if err != nil {
		return nil, fmt.Errorf("the listener's certificate: %w", err)
	}
	s.listener = certificate{&pair, now.Add(authority.ListenerLife / 2)}
	return &pair, nil
}
