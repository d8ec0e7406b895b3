package publish

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/proxy/config"
	"gatehouse/rules/sealed"
)

func certificateSecret(id string) string { return "certificate/" + id }

func groupKeySecret(group string) string { return "group-key/" + group }

// Certificate is what somebody uploads. It is never logged.
type Certificate struct {
	Name       string
	Chain, Key string // PEM; the chain's own certificate first
}

// String keeps the key out of logs.
func (c Certificate) String() string { return "certificate " + c.Name }

// GoString keeps the key out of logs.
func (c Certificate) GoString() string { return c.String() }

// Seal checks a certificate and keeps its key in the vault. It gives the edit that makes it an object. place is where it stands in the
// request.
func (s *Service) Seal(tx *store.Tx, c Certificate, place string, check func(int64) error) (Edit, error) {
	edit := Edit{Key: object.Key{Kind: object.Certificates, Name: c.Name}, Place: place, Check: check}
	chain, err := checkPair(c, place)
	if err != nil {
		return edit, err
	}
	both := append(bytes.Clone(chain), []byte(strings.TrimSpace(c.Key)+"\n")...)
	now, err := Get(tx, edit.Key)
	var missing *problem.Problem
	if err != nil && !errors.As(err, &missing) {
		return edit, err
	}
	id, _ := now.Body[object.CertificateSecret].(string)
	if id != "" {
		if there, err := s.o.Vault.Get(tx, certificateSecret(id)); err != nil || !bytes.Equal(there, both) {
			id = ""
		}
	}
	if id == "" {
		id = store.NewID("sec", tx.Now())
		if err := s.o.Vault.Put(tx, certificateSecret(id), both); err != nil {
			return edit, err
		}
	}
	edit.Body = object.Body{object.CertificateChain: string(chain), object.CertificateSecret: id}
	return edit, nil
}

// checkPair gives the chain alone, as PEM. Its errors say nothing of the key.
func checkPair(c Certificate, place string) ([]byte, error) {
	pair, err := tls.X509KeyPair([]byte(c.Chain), []byte(c.Key))
	if err != nil {
		at, message := join(place, "chain"), "chain and key cannot be used: "+strings.TrimPrefix(err.Error(), "tls: ")
		if !strings.Contains(c.Key, "PRIVATE KEY") {
			at, message = join(place, "key"), "is no private key in PEM"
		} else if !strings.Contains(c.Chain, "CERTIFICATE") {
			message = "is no certificate in PEM"
		}
		return nil, problem.Field(at, nil, "%s", message)
	}
	var out bytes.Buffer
	certs := make([]*x509.Certificate, len(pair.Certificate))
	for i, der := range pair.Certificate {
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, problem.Field(join(place, "chain"), nil, "certificate %d cannot be read", i+1)
		}
		if i > 0 && certs[i-1].CheckSignatureFrom(certs[i]) != nil {
			return nil, problem.Field(join(place, "chain"), nil, "certificate %d did not sign the one before it; the own certificate comes first, and behind each the one that signed it", i+1)
		}
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // into memory
	}
	return out.Bytes(), nil
}

// GroupKey gives a group's data key, which its gateways open sealed certificates with, and makes it if there is none.
func (s *Service) GroupKey(tx *store.Tx, group string) (sealed.Key, error) {
	b, err := s.o.Vault.Get(tx, groupKeySecret(group))
	if err == nil {
		return sealed.KeyOf(b)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return sealed.Key{}, err
	}
	key := sealed.NewKey()
	if err := s.o.Vault.Put(tx, groupKeySecret(group), key.Bytes()); err != nil {
		return sealed.Key{}, err
	}
	return key, tx.Audit("manager", "group.key", "groups/"+group, map[string]string{"key": key.ID()})
}

// Credential gives a group's data key to whoever may have it.
func (s *Service) Credential(tx *store.Tx, by Author, group string) (sealed.Key, error) {
	key, err := s.GroupKey(tx, group)
	if err != nil {
		return key, err
	}
	return key, tx.Audit(by.Name, "group.credential", "groups/"+group, map[string]string{"key": key.ID()})
}

// seal adds the certificates of a configuration to the files of a group's revision. The same secret is the same file each time.
func (s *Service) seal(tx *store.Tx, group string, set object.Set, list []config.Certificate, files map[string][]byte) error {
	for _, c := range list {
		name, ok := strings.CutPrefix(c.Secret, config.SealedPrefix)
		if !ok {
			return fmt.Errorf("certificate %s is not sealed", c.Name)
		}
		id, _ := set[object.Key{Kind: object.Certificates, Name: name}][object.CertificateSecret].(string)
		var data []byte
		err := tx.Get(store.Row(&data), "SELECT data FROM sealed_certificates WHERE grp = $1 AND secret = $2", group, id)
		if errors.Is(err, store.ErrNotFound) {
			data, err = s.sealNew(tx, group, name, id)
		}
		if err != nil {
			return err
		}
		files[sealed.FilePrefix+name] = data
	}
	return nil
}

func (s *Service) sealNew(tx *store.Tx, group, name, id string) ([]byte, error) {
	plain, err := s.o.Vault.Get(tx, certificateSecret(id))
	if err != nil {
		return nil, err
	}
	key, err := s.GroupKey(tx, group)
	if err != nil {
		return nil, err
	}
	data := key.Seal(sealed.CertificateLabel(s.o.Stack, group, name), plain)
	_, err = tx.Exec("INSERT INTO sealed_certificates (grp, secret, data) VALUES ($1, $2, $3)", group, id, data)
	return data, err
}
