package managed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// identity is who the gateway is, and its certificate. It is one file, so that key and certificate belong together whatever
// is interrupted.
type identity struct {
	Gateway     string `json:"gateway"`
	Stack       string `json:"stack"`
	Group       string `json:"group"`
	Certificate string `json:"certificate"` // the chain in PEM
	Key         string `json:"key"`         // PKCS #8 in PEM

	pair *tls.Certificate
}

const identityName = "identity.json"

// loadIdentity reads the identity of an earlier time, nil if there is none.
func loadIdentity(d *stateDir) (*identity, error) {
	id := &identity{}
	if err := d.read(identityName, id); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", identityName, err)
	}
	return id, nil
}

// check reads the certificate and its key.
func (id *identity) check() error {
	pair, err := tls.X509KeyPair([]byte(id.Certificate), []byte(id.Key))
	if err != nil {
		return fmt.Errorf("certificate and key: %w", err)
	}
	switch {
	case id.Gateway == "":
		return errors.New("it does not say the gateway's name")
	case !revision.ValidName(id.Stack):
		return fmt.Errorf("%.80q is no name of a stack", id.Stack)
	case !revision.ValidName(id.Group):
		return fmt.Errorf("%.80q is no name of a group", id.Group)
	}
	id.pair = &pair
	return nil
}

// renewal is when the certificate is to be renewed: at half its life.
func (id *identity) renewal() time.Time {
	leaf := id.pair.Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
}

// newRequest makes a key and asks for a certificate with it.
func newRequest() (key string, csr []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", nil, err
	}
	if csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private); err != nil {
		return "", nil, err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), csr, nil
}

// identityOf is who the manager says that the holder of the key is. The certificate must be of a trusted authority.
func identityOf(c fleetapi.Credentials, key string, pool *x509.CertPool) (*identity, error) {
	id := &identity{Gateway: c.Gateway, Stack: c.Stack, Group: c.Group, Certificate: c.Certificate, Key: key}
	if err := id.check(); err != nil {
		return nil, fmt.Errorf("the manager's answer: %w", err)
	}
	intermediates := x509.NewCertPool()
	intermediates.AppendCertsFromPEM([]byte(c.Certificate))
	_, err := id.pair.Leaf.Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: id.pair.Leaf.NotBefore,
	})
	if err != nil {
		return nil, fmt.Errorf("the certificate that the manager gave: %w", err)
	}
	return id, nil
}
