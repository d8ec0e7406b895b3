package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) issue(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS answers with the server name, the peer's certificate and the protocol.
func serveTLS(t *testing.T, c *tls.Config, protocols ...func(*http.Protocols)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := "-"
		if len(r.TLS.PeerCertificates) > 0 {
			peer = r.TLS.PeerCertificates[0].DNSNames[0]
		}
		_, _ = io.WriteString(w, strings.Join([]string{r.TLS.ServerName, peer, r.Proto}, " "))
	}))
	s.TLS = c
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, set := range protocols {
		s.Config.Protocols = new(http.Protocols)
		set(s.Config.Protocols)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	server := ca.issue(t, "localhost", "app.example", "fixed.example")
	client := ca.issue(t, "gateway")
	certs := func(name string) (*tls.Certificate, error) {
		if name != "gateway" {
			return nil, errors.New("no such certificate")
		}
		return &client, nil
	}
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	tests := []struct {
		name   string
		server *tls.Config
		tls    config.UpstreamTLS
		host   string
		proto  Protocol
		want   string // empty: the handshake fails
	}{
		{name: "the URL's host", tls: config.UpstreamTLS{VerifyName: "url_host", CAFile: ca.file}, want: "localhost - HTTP/1.1"},
		{name: "the request's host", tls: config.UpstreamTLS{VerifyName: "request_host", CAFile: ca.file}, host: "APP.example:8443", want: "app.example - HTTP/1.1"},
		{name: "the request's host is another", tls: config.UpstreamTLS{VerifyName: "request_host", CAFile: ca.file}, host: "evil.example"},
		{name: "a name", tls: config.UpstreamTLS{VerifyName: "fixed.example", CAFile: ca.file}, want: "fixed.example - HTTP/1.1"},
		{name: "another name", tls: config.UpstreamTLS{VerifyName: "other.example", CAFile: ca.file}},
		{name: "another CA", tls: config.UpstreamTLS{VerifyName: "url_host", CAFile: stranger.file}},
		{name: "the system's roots", tls: config.UpstreamTLS{VerifyName: "url_host"}},
		{name: "TLS 1.1 only", server: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, tls: config.UpstreamTLS{CAFile: ca.file}},
		{
			name: "client certificate", server: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients},
			tls: config.UpstreamTLS{CAFile: ca.file, ClientCertificate: "gateway"}, want: "localhost gateway HTTP/1.1",
		},
		{name: "HTTP/2 for gRPC", tls: config.UpstreamTLS{CAFile: ca.file}, proto: GRPC, want: "localhost - HTTP/2.0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.server == nil {
				test.server = &tls.Config{}
			}
			test.server.Certificates = []tls.Certificate{server}
			s := serveTLS(t, test.server)
			c := testConfig(strings.Replace(s.URL, "127.0.0.1", "localhost", 1))
			c.TLS = test.tls
			hosts := filepath.Join(t.TempDir(), "hosts")
			if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			u := acquire(t, newRegistry(t, Options{Resolver: ResolverOptions{Hosts: hosts}}), c, certs)
			for i := range 2 {
				r := newRequest("GET", "/", nil)
				r.Protocol = test.proto
				if test.host != "" {
					r.HTTP.Host = test.host
				}
				resp, a, err := u.RoundTrip(r)
				if test.want == "" {
					if e := wantKind(t, err, Unreachable, http.StatusBadGateway); e.Step != StepTLS || a.Sent {
						t.Errorf("got step %s, %+v", e.Step, a)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(b) != test.want || a.Reused != (i == 1) {
					t.Errorf("got %q, %v, %+v, want %q", b, err, a, test.want)
				}
			}
		})
	}
}

func TestNamesThatClientsChooseEjectNoAddress(t *testing.T) {
	ca := newAuthority(t)
	s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "app.example")}})
	for verify, want := range map[string]State{"request_host": Healthy, "evil.example": Ejected} {
		c := testConfig(s.URL)
		c.TLS = config.UpstreamTLS{CAFile: ca.file, VerifyName: verify}
		u := newUpstream(t, c)
		for range 5 {
			r := newRequest("GET", "/", nil)
			r.HTTP.Host = "evil.example"
			_, _, err := u.RoundTrip(r)
			wantKind(t, err, Unreachable, http.StatusBadGateway)
		}
		if got := u.Status().Addresses[0].State; got != want {
			t.Errorf("verify_name %s: the address is %s, want %s", verify, got, want)
		}
	}
}

func TestClientCertificateIsRequired(t *testing.T) {
	ca := newAuthority(t)
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "fixed.example")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	c := testConfig(s.URL)
	c.TLS = config.UpstreamTLS{CAFile: ca.file, VerifyName: "fixed.example"}
	_, _, err := get(newUpstream(t, c)) // with TLS 1.3 the refusal comes behind the handshake
	var e *Error
	if !errors.As(err, &e) || e.Status() != http.StatusBadGateway {
		t.Fatalf("got %v, want 502", err)
	}
}

func TestConnectionsOfDifferentNamesAreNotExchanged(t *testing.T) {
	ca := newAuthority(t)
	s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "*.example")}})
	c := testConfig(s.URL)
	c.TLS = config.UpstreamTLS{CAFile: ca.file, VerifyName: "request_host"}
	u := newUpstream(t, c)
	for _, host := range []string{"a.example", "b.example", "a.example"} {
		r := newRequest("GET", "/", nil)
		r.HTTP.Host = host
		resp, _, err := u.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.HasPrefix(string(b), host+" ") {
			t.Errorf("%s: went over a connection of %s", host, b)
		}
	}
	for i := range maxGroups + 20 {
		r := newRequest("GET", "/", nil)
		r.HTTP.Host = "n" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example"
		resp, _, err := u.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if n := u.Status().Addresses[0].Idle; n > maxGroups {
		t.Errorf("%d idle connections, want at most one for each of %d names", n, maxGroups)
	}
}

func TestAcquireErrors(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(c *config.Upstream)
		want   string
	}{
		{"no URL", func(c *config.Upstream) { c.URLs = nil }, "urls: there is none"},
		{"scheme", func(c *config.Upstream) { c.URLs = []string{"ftp://x"} }, "the scheme must be http or https"},
		{"path", func(c *config.Upstream) { c.URLs = []string{"http://x/y"} }, "scheme, host and port only"},
		{"user", func(c *config.Upstream) { c.URLs = []string{"http://u:p@x"} }, "scheme, host and port only"},
		{"port", func(c *config.Upstream) { c.URLs = []string{"http://x:70000"} }, "port must be"},
		{"host", func(c *config.Upstream) { c.URLs = []string{"http://"} }, "names no host"},
		{"balance", func(c *config.Upstream) { c.Balance = "random" }, "balance"},
		{"health path", func(c *config.Upstream) { c.Health.Path = "up" }, "health.path"},
		{"no CA file", func(c *config.Upstream) { c.TLS.CAFile = filepath.Join(dir, "none") }, "tls.ca_file"},
		{"empty CA file", func(c *config.Upstream) { c.TLS.CAFile = empty }, "holds no PEM certificate"},
		{"client certificate", func(c *config.Upstream) { c.TLS.ClientCertificate = "x" }, "tls.client_certificate"},
	}
	r := newRegistry(t, Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := testConfig("http://127.0.0.1:1")
			test.change(&c)
			_, err := r.Acquire(c, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "upstream test: ") {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "u:p") && test.name == "user" {
				t.Error("the error shows the password")
			}
		})
	}
}
