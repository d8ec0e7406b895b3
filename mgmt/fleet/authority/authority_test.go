package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

const day = 24 * time.Hour

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := New("prod", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(t *testing.T, key crypto.Signer, template x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t *testing.T, chain string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(chain))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("the chain is %q", chain)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *Authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(a.Certificate()))
	return pool
}

// TestIssue: what a certificate says is the manager's, whatever the request says; and it is read back so.
func TestIssue(t *testing.T) {
	a := newAuthority(t)
	edge := Gateway{Stack: "prod", Group: "edge", Name: "gw-1"}
	wishes := x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "gw-2", Organization: []string{"admin"}}, DNSNames: []string{"manager.example.com"}, IPAddresses: []net.IP{{10, 0, 0, 1}},
		URIs: []*url.URL{{Scheme: "gatehouse", Host: "prod", Path: "/inner/gw-2"}}, EmailAddresses: []string{"a@example.com"},
	}
	chain, issued, err := a.Issue(edge, request(t, newKey(t), wishes), now, day)
	if err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, chain)
	got, err := Identify([]*x509.Certificate{leaf}, a.pool(), "prod")
	if err != nil || got != issued || got.Group != "edge" || got.Name != "gw-1" || !got.NotAfter.Equal(now.Add(day)) {
		t.Errorf("it is %+v, %v, and %+v was issued", got, err, issued)
	}
	if leaf.Subject.String() != "CN=gw-1" || leaf.IsCA || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) > 0 || len(leaf.URIs) != 1 {
		t.Errorf("it says %s, %v, %v", leaf.Subject, leaf.DNSNames, leaf.URIs)
	}
	_, again, err := a.Issue(edge, request(t, newKey(t), wishes), now, day)
	if err != nil || again.Serial == issued.Serial {
		t.Errorf("two certificates have the serial %s, %v", again.Serial, err)
	}
	for _, key := range []crypto.Signer{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), newKey(t)} {
		if _, _, err := a.Issue(edge, request(t, key, x509.CertificateRequest{}), now, day); err != nil {
			t.Errorf("%T: %v", key, err)
		}
	}
}

// TestIssueRefuses: requests that show nothing, weak keys, and names that are none.
func TestIssueRefuses(t *testing.T) {
	a := newAuthority(t)
	edge := Gateway{Stack: "prod", Group: "edge", Name: "gw-1"}
	good := request(t, newKey(t), x509.CertificateRequest{})
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	changed[len(changed)-1] ^= 1
	for name, der := range map[string][]byte{
		"nothing": nil, "text": []byte("give me a certificate"), "cut off": good[:len(good)/2], "another signature": changed,
		"RSA": request(t, weak, x509.CertificateRequest{}), "P-224": request(t, short, x509.CertificateRequest{}),
		"much": request(t, newKey(t), x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("x", 9000)}}),
	} {
		if chain, _, err := a.Issue(edge, der, now, day); err == nil || !strings.HasPrefix(err.Error(), "csr: ") || chain != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, g := range []Gateway{
		names{"", "edge", "gw"}.of(), names{"prod", "", "gw"}.of(), names{"prod", "edge", ""}.of(), names{"prod", "edge/x", "gw"}.of(), names{"prod", "edge", "../gw"}.of(), names{"prod", "edge", "gw 1"}.of(),
	} {
		if _, _, err := a.Issue(g, good, now, day); err == nil {
			t.Errorf("%+v got a certificate", g)
		}
	}
	if _, _, err := a.Issue(edge, good, now.Add(Life), day); err == nil || !strings.Contains(err.Error(), "make a new one") {
		t.Errorf("beyond the authority's end: %v", err)
	}
	if _, err := New("a b", now); err == nil {
		t.Error("a stack may be called anything")
	}
}

// names is a gateway of three names.
type names [3]string

// TestIdentify: who is not a gateway of this stack is nobody.
func TestIdentify(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	key := newKey(t)
	der := request(t, key, x509.CertificateRequest{})
	issue := func(a *Authority, g Gateway) *x509.Certificate {
		t.Helper()
		chain, _, err := a.Issue(g, der, now, day)
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, chain)
	}
	sign := func(change func(c *x509.Certificate)) *x509.Certificate {
		t.Helper()
		template := &x509.Certificate{
			SerialNumber: big.NewInt(7), NotBefore: now, NotAfter: now.Add(day), URIs: []*url.URL{{Scheme: "gatehouse", Host: "prod", Path: "/edge/gw-1"}},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
		}
		change(template)
		der, err := a.sign(template, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	uri := func(text string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = []*url.URL{u}
		}
	}
	edge := Gateway{Stack: "prod", Group: "edge", Name: "gw-1"}
	if _, err := Identify([]*x509.Certificate{sign(func(*x509.Certificate) {})}, a.pool(), "prod"); err != nil {
		t.Fatalf("what the cases begin with is refused: %v", err)
	}
	listener, err := a.Listener([]string{"manager.example.com", "127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, chain := range map[string][]*x509.Certificate{
		"nobody":                       nil,
		"another authority":            {issue(other, edge)},
		"another authority, with it":   {issue(other, edge), other.certificate},
		"a gateway below a gateway":    {below(t, issue(a, edge), key), issue(a, edge)},
		"signed by itself":             {selfSigned(t, key)},
		"the authority":                {a.certificate},
		"the listener":                 {listener.Leaf},
		"another stack":                {issue(a, Gateway{Stack: "test", Group: "edge", Name: "gw-1"})},
		"for servers":                  {sign(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		"without a name":               {sign(func(c *x509.Certificate) { c.URIs = nil })},
		"two names":                    {sign(func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) })},
		"a host name too":              {sign(func(c *x509.Certificate) { c.DNSNames = []string{"gw-1"} })},
		"another scheme":               {sign(uri("https://prod/edge/gw-1"))},
		"a user":                       {sign(uri("gatehouse://admin@prod/edge/gw-1"))},
		"a port":                       {sign(uri("gatehouse://prod:1/edge/gw-1"))},
		"a query":                      {sign(uri("gatehouse://prod/edge/gw-1?group=inner"))},
		"a fragment":                   {sign(uri("gatehouse://prod/edge/gw-1#inner"))},
		"a longer path":                {sign(uri("gatehouse://prod/edge/gw-1/inner"))},
		"a shorter path":               {sign(uri("gatehouse://prod/edge"))},
		"dots":                         {sign(uri("gatehouse://prod/edge/../inner"))},
		"an encoded slash":             {sign(uri("gatehouse://prod/edge%2Finner/gw-1"))},
		"an authority in the name":     {sign(func(c *x509.Certificate) { c.IsCA = true })},
		"an empty name":                {sign(uri("gatehouse://prod/edge/"))},
		"the stack in capital letters": {sign(uri("gatehouse://PROD/edge/gw-1"))},
	} {
		if g, err := Identify(chain, a.pool(), "prod"); err == nil {
			t.Errorf("%s: it is %+v", name, g)
		}
	}
}

func (n names) of() Gateway { return Gateway{Stack: n[0], Group: n[1], Name: n[2]} }

// below is a certificate that a gateway has signed.
func below(t *testing.T, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(8), NotBefore: now, NotAfter: now.Add(day), URIs: []*url.URL{{Scheme: "gatehouse", Host: "prod", Path: "/edge/gw-2"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func selfSigned(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(9), NotBefore: now, NotAfter: now.Add(day), URIs: []*url.URL{{Scheme: "gatehouse", Host: "prod", Path: "/edge/gw-1"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSecret: an authority is the same after it was kept.
func TestSecret(t *testing.T) {
	a := newAuthority(t)
	secret, err := a.EncodeSecret()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(secret)
	if err != nil || b.Certificate() != a.Certificate() || !b.key.Equal(a.key) || !b.Until().Equal(now.Add(Life)) {
		t.Errorf("read back: %v", err)
	}
	foreign, err := newAuthority(t).EncodeSecret()
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, _ := bytes.Cut(foreign, []byte("-----END CERTIFICATE-----\n"))
	for name, text := range map[string]string{"nothing": "", "the certificate alone": a.Certificate(), "another key": a.Certificate() + string(otherKey), "cut off": string(secret[:len(secret)-40])} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s is an authority", name)
		}
	}
}

// TestListener: gateways that know the authority reach the manager by its names, and by no other.
func TestListener(t *testing.T) {
	a := newAuthority(t)
	pair, err := a.Listener([]string{"manager.example.com", "127.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Listener(nil, now); err == nil {
		t.Error("a listener without a name")
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake() // the client says whether it went well
			_ = c.Close()
		}
	}()
	for name, ok := range map[string]bool{"manager.example.com": true, "127.0.0.1": true, "other.example.com": false, "127.0.0.2": false} {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: a.pool(), ServerName: name, MinVersion: tls.VersionTLS13, Time: func() time.Time { return now }})
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}
