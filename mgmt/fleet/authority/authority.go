// Package authority is the manager's own certificate authority: it says which gateway somebody is, and shows gateways that the
// manager is the manager.
//
// Invariant: a certificate says no more than what the manager wrote into it. Nothing of a request counts but its public key, of
// which the one who asks has shown that he has the private one.
package authority

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"

	"gatehouse/rules/revision"
)

// How long certificates are good for. A gateway's is fleetapi.CertificateLife.
const (
	Life         = 10 * 365 * 24 * time.Hour // of the authority
	ListenerLife = 30 * 24 * time.Hour
	// backdated is how much earlier they begin: clocks differ.
	backdated = 5 * time.Minute
)

// Authority signs certificates. It is safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// crosses lead from this authority to those before it, for whoever trusts one of them only: the first is this one's
	// key, signed by the one before.
	crosses []*x509.Certificate
}

// New makes an authority of an installation.
func New(stack string, now time.Time) (*Authority, error) {
	if !revision.ValidName(stack) {
		return nil, fmt.Errorf("%q is no name of a stack", stack)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Gatehouse " + stack}, NotBefore: now.Add(-backdated), NotAfter: now.Add(Life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &Authority{certificate: certificate, key: key}, err
}

// Next makes an authority that takes the place of a. Whoever trusts a only can go on verifying what it signs.
func (a *Authority) Next(stack string, now time.Time) (*Authority, error) {
	next, err := New(stack, now)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: next.certificate.Subject, NotBefore: now.Add(-backdated), NotAfter: a.certificate.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: next.certificate.SubjectKeyId,
	}
	der, err := a.sign(template, next.key.Public())
	if err != nil {
		return nil, err
	}
	cross, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	for _, c := range append([]*x509.Certificate{cross}, a.crosses...) {
		if c.NotAfter.After(now) {
			next.crosses = append(next.crosses, c)
		}
	}
	return next, nil
}

// serial is 127 random bits, of which the highest is set: it never begins with 0.
func serial() *big.Int {
	const bits = 127
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits-1)) // it never fails
	return n.SetBit(n, bits-1, 1)
}

const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// Certificate is the authority's own, as PEM.
func (a *Authority) Certificate() string { return encode(certificateBlock, a.certificate.Raw) }

// Until is when the authority's certificate ends.
func (a *Authority) Until() time.Time { return a.certificate.NotAfter }

// EncodeSecret is the authority with its key, as PEM.
func (a *Authority) EncodeSecret() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, err
	}
	return []byte(a.Certificate() + encode(keyBlock, der) + a.path()), nil
}

// path are the certificates that stand behind each that it signs, as PEM.
func (a *Authority) path() (text string) {
	for _, c := range a.crosses {
		text += encode(certificateBlock, c.Raw)
	}
	return text
}

// Parse reads what EncodeSecret gave.
func Parse(secret []byte) (*Authority, error) {
	certificate, rest := pem.Decode(secret)
	key, rest := pem.Decode(rest)
	if certificate == nil || certificate.Type != certificateBlock || key == nil || key.Type != keyBlock {
		return nil, errors.New("it is no authority: a certificate and a key as PEM")
	}
	a := &Authority{}
	var err error
	if a.certificate, err = x509.ParseCertificate(certificate.Bytes); err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		return nil, err
	}
	var ok bool
	if a.key, ok = private.(*ecdsa.PrivateKey); !ok || !a.key.PublicKey.Equal(a.certificate.PublicKey) {
		return nil, errors.New("the key is not that of the authority's certificate")
	}
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		cross, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		a.crosses = append(a.crosses, cross)
	}
	return a, nil
}

func encode(block string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}))
}

// Gateway is who a gateway is.
type Gateway struct {
	Stack, Group, Name string
	Serial             string // of the certificate, in hexadecimal
	NotAfter           time.Time
}

// uri is what a gateway's certificate says of it: gatehouse://STACK/GROUP/NAME.
func (g Gateway) uri() *url.URL {
	return &url.URL{Scheme: uriScheme, Host: g.Stack, Path: "/" + g.Group + "/" + g.Name}
}

const uriScheme = "gatehouse"

// Issue makes a certificate of a gateway for the key of a request (PKCS #10, DER), and gives its chain as PEM.
func (a *Authority) Issue(g Gateway, request []byte, now time.Time, life time.Duration) (chain string, issued Gateway, err error) {
	for _, name := range []string{g.Stack, g.Group, g.Name} {
		if !revision.ValidName(name) {
			return "", g, fmt.Errorf("%q is no name of a stack, group or gateway", name)
		}
	}
	public, err := publicKey(request)
	if err != nil {
		return "", g, err
	}
	number := serial()
	g.Serial, g.NotAfter = number.Text(16), now.Add(life).UTC().Truncate(time.Second)
	if g.NotAfter.After(a.certificate.NotAfter) {
		return "", g, fmt.Errorf("the authority ends %s; make a new one", a.certificate.NotAfter.Format(time.RFC3339))
	}
	der, err := a.sign(&x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: g.Name}, URIs: []*url.URL{g.uri()}, NotBefore: now.Add(-backdated), NotAfter: g.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}, public)
	return encode(certificateBlock, der) + a.path(), g, err
}

func (a *Authority) sign(template *x509.Certificate, public any) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
}

// maxRequest is how long a request for a certificate is at most, in bytes.
const maxRequest = 8 << 10

// publicKey gives the key of a request, whose signature shows that the one who asks has the private one. Keys that are too weak, or of a
// kind that gateways do not make, are refused.
func publicKey(request []byte) (any, error) {
	if len(request) > maxRequest {
		return nil, fmt.Errorf("csr: %d bytes are more than %d", len(request), maxRequest)
	}
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("csr: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("csr: it is not signed with its own key: %w", err)
	}
	switch key := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return key, nil
		}
	case ed25519.PublicKey:
		return key, nil
	}
	return nil, errors.New("csr: its key is none of ECDSA P-256, P-384 and Ed25519")
}

// Listener makes a key and a certificate for the manager's listener, by the names that gateways call it.
func (a *Authority) Listener(names []string, now time.Time) (tls.Certificate, error) {
	if len(names) == 0 {
		return tls.Certificate{}, errors.New("the listener needs a name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Gatehouse manager"}, NotBefore: now.Add(-backdated), NotAfter: now.Add(ListenerLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := a.sign(template, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	out := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	for _, c := range a.crosses {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, err
}

// Identify says which gateway shows a chain, its own certificate first. The certificate is held against the authorities at the
// end of its own time: whether it has expired or was revoked is for the caller to ask.
func Identify(chain []*x509.Certificate, authorities *x509.CertPool, stack string) (Gateway, error) {
	if len(chain) == 0 {
		return Gateway{}, errors.New("there is no certificate")
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: authorities, CurrentTime: leaf.NotAfter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return Gateway{}, fmt.Errorf("the certificate: %w", err)
	}
	if leaf.IsCA || len(leaf.URIs) != 1 || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 {
		return Gateway{}, errors.New("the certificate is not a gateway's")
	}
	uri := leaf.URIs[0]
	group, name, _ := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
	g := Gateway{Stack: uri.Host, Group: group, Name: name, Serial: leaf.SerialNumber.Text(16), NotAfter: leaf.NotAfter}
	if !revision.ValidName(g.Group) || !revision.ValidName(g.Name) || g.uri().String() != uri.String() {
		return Gateway{}, errors.New("the certificate is not a gateway's")
	}
	if g.Stack != stack {
		return Gateway{}, fmt.Errorf("the certificate is of the stack %q, not of %q", g.Stack, stack)
	}
	return g, nil
}
