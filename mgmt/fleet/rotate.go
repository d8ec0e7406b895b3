package fleet

import (
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

const (
	// overlap is how long certificates of the authority before are taken: until the last of them cannot be renewed any more.
	overlap = fleetapi.CertificateLife + fleetapi.RenewWithin
	// rotateBefore is how long before the end of an authority the next one is made.
	rotateBefore = 365 * 24 * time.Hour
)

// Trust is what gateways trust.
type Trust struct {
	Serial      uint64        `json:"serial"`
	Hash        revision.Hash `json:"hash" doc:"what gateway -manager-ca takes"`
	Made        time.Time     `json:"made"`
	Keys        []string      `json:"keys" doc:"public keys that revisions are signed with"`
	Authorities string        `json:"authorities" doc:"certificates in PEM, the one that signs first"`
	// Until is when certificates of the authority before are not taken any more.
	Until *time.Time `json:"until,omitempty" doc:"when certificates of the authority before are not taken any more"`

	bundle revision.Trust
}

// GetTrust gives what gateways trust now.
func GetTrust(tx *store.Tx) (t Trust, err error) {
	var hash string
	var text []byte
	if err = tx.Get(store.Row(&t.Made, &hash, &text), "SELECT at, hash, bundle FROM trust ORDER BY serial DESC LIMIT 1"); err != nil {
		return t, err
	}
	if err = t.Hash.UnmarshalText([]byte(hash)); err != nil {
		return t, err
	}
	if t.bundle, err = revision.ParseTrust(text, t.Hash); err != nil {
		return t, err
	}
	t.Serial, t.Authorities = t.bundle.Serial, t.bundle.Authorities
	for _, k := range t.bundle.Keys {
		t.Keys = append(t.Keys, k.String())
	}
	if strings.Count(t.Authorities, "-----BEGIN") > 1 {
		until := t.Made.Add(overlap)
		t.Until = &until
	}
	return t, nil
}

// RotateAuthority makes a new authority, which signs from now on. Gateways that trust the one before only can still verify what it
// signs; theirs is taken as long as certificates of it can be renewed, and no longer.
func (s *Service) RotateAuthority(tx *store.Tx, by string) (Trust, error) {
	now, err := GetTrust(tx)
	switch {
	case err != nil:
		return now, err
	case now.Until != nil:
		return now, problem.New(problem.Conflict, "the authority was made anew at %s; it can be again after %s, when no gateway has a certificate of the one before",
			now.Made.Format(time.RFC3339), now.Until.Format(time.RFC3339))
	}
	ca, err := s.openAuthority(tx)
	if err != nil {
		return now, err
	}
	next, err := ca.Next(s.o.Stack, tx.Now())
	if err != nil {
		return now, err
	}
	secret, err := next.EncodeSecret()
	if err != nil {
		return now, err
	}
	if err := s.o.Vault.Put(tx, authoritySecret, secret); err != nil {
		return now, err
	}
	t := now.bundle
	t.Serial, t.Authorities = t.Serial+1, next.Certificate()+ca.Certificate()
	if err := s.putTrust(tx, by, t); err != nil {
		return now, err
	}
	if err := tx.Audit(by, "authority.make", "authorities/"+s.o.Stack, map[string]any{"until": next.Until()}); err != nil {
		return now, err
	}
	return GetTrust(tx)
}

// turnAuthority does what time asks for: it makes the next authority long before this one ends, and drops the one before after the overlap.
func (s *Service) turnAuthority(tx *store.Tx) error {
	now, err := GetTrust(tx)
	switch {
	case err != nil:
		return err
	case now.Until == nil && s.issuer().Until().Sub(tx.Now()) < rotateBefore:
		_, err = s.RotateAuthority(tx, "manager")
		return err
	case now.Until == nil || tx.Now().Before(*now.Until):
		return nil
	}
	block, _ := pem.Decode([]byte(now.Authorities))
	if block == nil {
		return fmt.Errorf("trust bundle %d has no authority", now.Serial)
	}
	t := now.bundle
	t.Serial, t.Authorities = t.Serial+1, string(pem.EncodeToMemory(block))
	return s.putTrust(tx, "manager", t)
}
