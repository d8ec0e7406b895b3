package listener

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gatehouse/proxy/config"
)

// certificate is one entry of certificates with the pair that is served for it. It is not changed after loading.
type certificate struct {
	cfg    config.Certificate
	pair   *tls.Certificate
	digest [sha256.Size]byte // of the content that pair was made from
}

// Sealed gives a sealed certificate by its name: PEM of its chain and key, opened. It is the same at any time.
type Sealed func(name string) ([]byte, bool)

// readCertificate reads the bytes of a certificate's chain and key, which are the same in a combined file.
func readCertificate(cfg config.Certificate, sealed Sealed) (chain, key []byte, err error) {
	if name, ok := strings.CutPrefix(cfg.Secret, config.SealedPrefix); ok && sealed != nil {
		if chain, ok = sealed(name); !ok {
			return nil, nil, fmt.Errorf("certificate %q: there is no sealed certificate %q", cfg.Name, name)
		}
		return chain, chain, nil
	}
	if cfg.Secret != "" {
		path, ok := strings.CutPrefix(cfg.Secret, "file:")
		if !ok {
			return nil, nil, fmt.Errorf("certificate %q: secret: %q is not file:PATH", cfg.Name, cfg.Secret)
		}
		if chain, err = os.ReadFile(path); err != nil {
			return nil, nil, fmt.Errorf("certificate %q: secret: %w", cfg.Name, err)
		}
		return chain, chain, nil
	}
	if cfg.CertFile == "" || cfg.KeyFile == "" {
		return nil, nil, fmt.Errorf("certificate %q: needs cert_file and key_file, or secret", cfg.Name)
	}
	if chain, err = os.ReadFile(cfg.CertFile); err != nil {
		return nil, nil, fmt.Errorf("certificate %q: cert_file: %w", cfg.Name, err)
	}
	if key, err = os.ReadFile(cfg.KeyFile); err != nil {
		return nil, nil, fmt.Errorf("certificate %q: key_file: %w", cfg.Name, err)
	}
	return chain, key, nil
}

func contentDigest(chain, key []byte) [sha256.Size]byte {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d\n", len(chain)) // one pair's bytes are never another's
	hash.Write(chain)
	hash.Write(key)
	return [sha256.Size]byte(hash.Sum(nil))
}

// parseCertificate makes a certificate from its bytes. Errors never carry any of them.
func parseCertificate(cfg config.Certificate, chain, key []byte) (*certificate, error) {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", cfg.Name, err)
	}
	if len(pair.Leaf.DNSNames) == 0 {
		return nil, fmt.Errorf("certificate %q: has no DNS name (subjectAltName), so no client could be given it", cfg.Name)
	}
	return &certificate{cfg: cfg, pair: &pair, digest: contentDigest(chain, key)}, nil
}

// table finds certificates by name at a cost that does not grow with their number. It is not changed after newTable.
type table struct {
	list     []*certificate
	exact    map[string][]*tls.Certificate
	wildcard map[string][]*tls.Certificate // by what follows "*."
	sealed   Sealed
}

func newTable(list []*certificate) *table {
	t := &table{list: list, exact: map[string][]*tls.Certificate{}, wildcard: map[string][]*tls.Certificate{}}
	for _, c := range list {
		for _, name := range c.pair.Leaf.DNSNames {
			name = strings.ToLower(name)
			if parent, ok := strings.CutPrefix(name, "*."); ok {
				t.wildcard[parent] = append(t.wildcard[parent], c.pair)
			} else {
				t.exact[name] = append(t.exact[name], c.pair)
			}
		}
	}
	return t
}

// loadTable reads all certificates; the error names every one that is not usable.
func loadTable(list []config.Certificate, sealed Sealed) (*table, error) {
	var certificates []*certificate
	var problems []error
	for _, cfg := range list {
		chain, key, err := readCertificate(cfg, sealed)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		c, err := parseCertificate(cfg, chain, key)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		certificates = append(certificates, c)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	t := newTable(certificates)
	t.sealed = sealed
	return t, nil
}

// find returns the certificates for a server name: those that carry it, else those with a wildcard for it; without a
// name, the first of all. It returns nil for a name that none carries.
func (t *table) find(name string) []*tls.Certificate {
	if name == "" {
		if len(t.list) == 0 {
			return nil
		}
		return []*tls.Certificate{t.list[0].pair}
	}
	name = strings.ToLower(name)
	if found := t.exact[name]; found != nil {
		return found
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		return t.wildcard[parent]
	}
	return nil
}

// choose returns the first of found that the client can use (a name may have an ECDSA and an RSA certificate), else
// the first, so that the handshake fails with the right alert.
func choose(found []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	for _, c := range found {
		if hello.SupportsCertificate(c) == nil {
			return c
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// reread returns a table with the certificates whose files have changed, or t itself if none has. A pair that cannot
// be used leaves the old one in place; report is called for each that changed, once for each content.
func (t *table) reread(bad map[string][sha256.Size]byte, report func(name string, err error)) *table {
	list := append([]*certificate(nil), t.list...)
	changed := false
	for i, old := range t.list {
		chain, key, err := readCertificate(old.cfg, t.sealed)
		digest := contentDigest(chain, key)
		if err != nil {
			digest = sha256.Sum256([]byte(err.Error()))
		}
		if digest == old.digest {
			delete(bad, old.cfg.Name)
			continue
		}
		if seen, ok := bad[old.cfg.Name]; ok && seen == digest {
			continue
		}
		var c *certificate
		if err == nil {
			c, err = parseCertificate(old.cfg, chain, key)
		}
		if err != nil {
			bad[old.cfg.Name] = digest
			report(old.cfg.Name, err)
			continue
		}
		delete(bad, old.cfg.Name)
		list[i], changed = c, true
		report(old.cfg.Name, nil)
	}
	if !changed {
		return t
	}
	next := newTable(list)
	next.sealed = t.sealed
	return next
}

// Expiry is when a certificate ends.
type Expiry struct {
	Certificate string // name in the configuration
	NotAfter    time.Time
}

func (t *table) expiry() []Expiry {
	list := make([]Expiry, 0, len(t.list))
	for _, c := range t.list {
		list = append(list, Expiry{Certificate: c.cfg.Name, NotAfter: c.pair.Leaf.NotAfter})
	}
	return list
}
