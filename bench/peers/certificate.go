package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// TLSHost is the name that servers have on TLS. It resolves without a name server, which wrk asks for the name that it
// also sends as SNI.
const TLSHost = "localhost"

// certificate are the files of one that servers on TLS show.
type certificate struct{ chain, key, both string }

// newCertificate makes one, signed by itself, for an hour or as long as a run takes.
func newCertificate(dir string) (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{TLSHost}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(7 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, err
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	c := certificate{chain: filepath.Join(dir, "chain.pem"), key: filepath.Join(dir, "key.pem"), both: filepath.Join(dir, "both.pem")}
	for name, content := range map[string][]byte{c.chain: chain, c.key: private, c.both: append(append([]byte{}, chain...), private...)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return certificate{}, err
		}
	}
	return c, nil
}

// trustAll is for clients that know whom they ask: what they started themselves.
func trustAll() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
