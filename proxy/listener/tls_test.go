package listener

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"gatehouse/proxy/config"
)

func secure(certificates []config.Certificate, change ...func(*config.Listener)) Config {
	return Config{Listeners: []config.Listener{plain(append(change, withHTTPS)...)}, Certificates: certificates}
}

// handshake connects with a server name and returns the certificate's names.
func handshake(t *testing.T, s *Set, pool *x509.CertPool, name string) ([]string, error) {
	t.Helper()
	c := tls.Client(dial(t, s), &tls.Config{ServerName: name, RootCAs: pool, InsecureSkipVerify: name == ""})
	defer c.Close()
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0].DNSNames, nil
}

func TestServerNames(t *testing.T) {
	ca := newCA(t)
	certificates := slices.Concat(
		ca.files(t, "first", "first.example.com"),
		ca.files(t, "wild", "*.shop.example.com", "shop.example.com"),
		ca.files(t, "exact", "API.shop.example.com"),
		ca.files(t, "other", "other.example.net", "*.other.example.net"),
	)
	s, rec := serve(t, secure(certificates), hello)
	tests := []struct {
		name string
		sni  string
		want string // first name of the certificate; empty = refused
	}{
		{"exact", "shop.example.com", "*.shop.example.com"},
		{"wildcard", "a.shop.example.com", "*.shop.example.com"},
		{"exact before wildcard", "api.shop.example.com", "API.shop.example.com"},
		{"any case", "Other.Example.NET", "other.example.net"},
		{"no name", "", "first.example.com"},
		{"unknown", "unknown.example.com", ""},
		{"wildcard takes one label", "a.b.shop.example.com", ""},
		{"parent of a wildcard", "example.com", ""},
	}
	refused := 0
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			names, err := handshake(t, s, ca.pool, test.sni)
			if test.want == "" {
				refused++
				if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
					t.Errorf("got %v, %v; want alert unrecognized_name", names, err)
				}
				eventually(t, "the failure is reported", func() bool { return len(rec.failures()) == refused })
				if got := rec.failures(); got[refused-1] != TLSNoCertificate {
					t.Errorf("reported %v", got)
				}
				return
			}
			if err != nil || names[0] != test.want {
				t.Errorf("got %v, %v; want %s", names, err, test.want)
			}
		})
	}
}

func TestTLSConnInfo(t *testing.T) {
	ca := newCA(t)
	var info ConnInfo
	var state *tls.ConnectionState
	handler := func(w http.ResponseWriter, r *http.Request) {
		info, state = *FromContext(r.Context()), r.TLS
		hello(w, r)
	}
	for _, proto := range []string{"h2", "http/1.1"} {
		t.Run(proto, func(t *testing.T) {
			s, _ := serve(t, secure(ca.files(t, "shop", "shop.example.com")), handler)
			client := httpsClient(t, s, ca, proto == "h2")
			response, err := client.Get("https://shop.example.com/x")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			want := map[bool]int{true: 2, false: 1}[proto == "h2"]
			if response.ProtoMajor != want {
				t.Errorf("protocol %s", response.Proto)
			}
			if info.TLSVersion != "TLS 1.3" || info.ALPN != proto || info.SNI != "shop.example.com" || info.Scheme() != "https" {
				t.Errorf("got %+v", info)
			}
			if state == nil || state.ServerName != "shop.example.com" {
				t.Errorf("Request.TLS = %+v", state)
			}
		})
	}
}

func TestHandshakeFailures(t *testing.T) {
	ca := newCA(t)
	s, rec := serve(t, secure(ca.files(t, "shop", "shop.example.com"), withTimeouts(200*time.Millisecond, time.Second, time.Second)), hello)
	hello := clientHello(t)
	tests := []struct {
		name   string
		try    func(t *testing.T)
		report []Failure
	}{
		{"garbage", func(t *testing.T) { send(t, dial(t, s), strings.Repeat("\x00garbage", 10)) }, []Failure{TLSBadClientHello}},
		{"old version", func(t *testing.T) {
			tls.Client(dial(t, s), &tls.Config{ServerName: "shop.example.com", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		}, []Failure{TLSBadClientHello}},
		{"no common protocol", func(t *testing.T) {
			tls.Client(dial(t, s), &tls.Config{ServerName: "shop.example.com", NextProtos: []string{"imap"}}).Handshake()
		}, []Failure{TLSBadClientHello}},
		{"stalled", func(t *testing.T) { send(t, dial(t, s), hello[:len(hello)/2]) }, []Failure{TLSTimeout}},
		{"client does not trust us", func(t *testing.T) {
			tls.Client(dial(t, s), &tls.Config{ServerName: "shop.example.com", RootCAs: x509.NewCertPool()}).Handshake()
		}, []Failure{TLSOther}},
		{"ends early", func(t *testing.T) {
			c := dial(t, s)
			send(t, c, hello[:20])
			c.Close()
		}, []Failure{TLSOther}},
		{"TCP health check", func(t *testing.T) { dial(t, s).Close() }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := len(rec.failures())
			test.try(t)
			eventually(t, "the connection is gone", func() bool {
				return s.Status()[0].Connections == 0 && len(rec.failures()) == before+len(test.report)
			})
			if got := rec.failures()[before:]; !slices.Equal(got, test.report) {
				t.Errorf("reported %v, want %v", got, test.report)
			}
		})
	}
}

// clientHello is a well-formed first message.
func clientHello(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	c := tls.Client(writeOnly{&b}, &tls.Config{ServerName: "shop.example.com"})
	c.Handshake() // ends when it wants to read
	return b.String()
}

func TestPlainHTTPOnHTTPSPort(t *testing.T) {
	ca := newCA(t)
	s, rec := serve(t, secure(ca.files(t, "shop", "shop.example.com")), hello)
	c := dial(t, s)
	send(t, c, "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
	r := bufio.NewReader(c)
	if status, body, _ := reply(t, r); status != 400 || body != "incident 400" {
		t.Errorf("got %d %q", status, body)
	}
	atEnd(t, r)
	if got := rec.refusals(); len(got) != 1 || got[0].detail != "plain HTTP on an HTTPS port" || len(rec.failures()) != 0 {
		t.Errorf("reported %+v, %v", got, rec.failures())
	}
}

func TestSessionResumption(t *testing.T) {
	ca := newCA(t)
	cfg := secure(ca.files(t, "shop", "shop.example.com"))
	s, rec := serve(t, cfg, hello)
	cache := tls.NewLRUClientSessionCache(10)
	connect := func(name string) (resumed bool, err error) {
		c := tls.Client(dial(t, s), &tls.Config{ServerName: name, RootCAs: ca.pool, ClientSessionCache: cache, NextProtos: []string{"http/1.1"}, InsecureSkipVerify: true})
		defer c.Close()
		if err := c.Handshake(); err != nil {
			return false, err
		}
		send(t, c, request)
		reply(t, bufio.NewReader(c)) // the ticket comes with it
		return c.ConnectionState().DidResume, nil
	}
	if resumed, err := connect("shop.example.com"); err != nil || resumed {
		t.Fatalf("first: resumed %v, %v", resumed, err)
	}
	if resumed, err := connect("shop.example.com"); err != nil || !resumed {
		t.Fatalf("second: resumed %v, %v", resumed, err)
	}
	// A session does not outlive the certificate's place in the configuration.
	cfg.Certificates = ca.files(t, "other", "other.example.com")
	cfg.Listeners[0].Timeouts.Header *= 2
	plan, err := s.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	plan.Commit()
	if _, err := connect("shop.example.com"); err == nil {
		t.Error("a session was resumed for a name without a certificate")
	}
	eventually(t, "the failure is reported", func() bool { return slices.Equal(rec.failures(), []Failure{TLSNoCertificate}) })
}

func TestCertificateRotation(t *testing.T) {
	ca := newCA(t)
	list := ca.files(t, "shop", "shop.example.com")
	s, rec := serve(t, secure(list), hello)
	reports := func() []string {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		return slices.Clone(rec.reloaded)
	}
	names := func(want string) bool {
		got, err := handshake(t, s, ca.pool, "shop.example.com")
		return err == nil && strings.Join(got, " ") == want
	}
	if !names("shop.example.com") {
		t.Fatal("the first certificate is not served")
	}

	cert, key := ca.issue(t, "shop.example.com", "second.example.com")
	write(t, list[0].CertFile, cert) // for a moment, the pair does not match
	eventually(t, "the mismatch is reported", func() bool { return slices.Equal(reports(), []string{"shop ok=false"}) })
	if !names("shop.example.com") {
		t.Error("the old pair is not served any more")
	}
	write(t, list[0].KeyFile, key)
	eventually(t, "the new pair is served", func() bool { return names("shop.example.com second.example.com") })
	if got := reports(); !slices.Equal(got, []string{"shop ok=false", "shop ok=true"}) {
		t.Errorf("reported %v", got)
	}

	write(t, list[0].KeyFile, []byte("broken"))
	s.ReloadCertificates()
	s.ReloadCertificates()
	if got := reports(); !slices.Equal(got, []string{"shop ok=false", "shop ok=true", "shop ok=false"}) {
		t.Errorf("reported %v: once for each content", got)
	}
	if !names("shop.example.com second.example.com") {
		t.Error("the good pair is not served any more")
	}
	write(t, list[0].KeyFile, key)
	s.ReloadCertificates()
	if got := reports(); len(got) != 3 {
		t.Errorf("reported %v: what is served came back", got)
	}
}

func TestCombinedFileAndExpiry(t *testing.T) {
	ca := newCA(t)
	cert, key := ca.issue(t, "shop.example.com")
	path := filepath.Join(t.TempDir(), "combined.pem")
	write(t, path, key, cert)
	s, _ := serve(t, secure([]config.Certificate{{Name: "combined", Secret: "file:" + path}}), hello)
	if names, err := handshake(t, s, ca.pool, "shop.example.com"); err != nil {
		t.Errorf("got %v, %v", names, err)
	}
	got := s.Expiry()
	if len(got) != 1 || got[0].Certificate != "combined" || time.Until(got[0].NotAfter) > time.Hour || time.Until(got[0].NotAfter) < 50*time.Minute {
		t.Errorf("expiry %+v", got)
	}
}

func TestCertificateErrors(t *testing.T) {
	ca := newCA(t)
	good := ca.files(t, "good", "a.example.com")[0]
	other := ca.files(t, "other", "b.example.com")[0]
	nameless := ca.files(t, "nameless")[0]
	keyOnly := filepath.Join(t.TempDir(), "key.pem")
	_, key := ca.issue(t, "x")
	write(t, keyOnly, key)
	tests := []struct {
		name string
		cfg  config.Certificate
		want string
	}{
		{"no file", config.Certificate{Name: "c", CertFile: "/nowhere/c.pem", KeyFile: good.KeyFile}, `certificate "c": cert_file: open /nowhere/c.pem`},
		{"no key", config.Certificate{Name: "c", CertFile: good.CertFile, KeyFile: "/nowhere/c.key"}, `certificate "c": key_file: open /nowhere/c.key`},
		{"key left out", config.Certificate{Name: "c", CertFile: good.CertFile}, `certificate "c": needs cert_file and key_file, or secret`},
		{"mismatch", config.Certificate{Name: "c", CertFile: good.CertFile, KeyFile: other.KeyFile}, `certificate "c": tls: private key does not match public key`},
		{"key only", config.Certificate{Name: "c", Secret: "file:" + keyOnly}, `certificate "c": tls: `},
		{"other store", config.Certificate{Name: "c", Secret: "vault:x"}, `certificate "c": secret: "vault:x" is not file:PATH`},
		{"no names", nameless, `certificate "nameless": has no DNS name`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(secure([]config.Certificate{good, test.cfg}), Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), "PRIVATE KEY-----") {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
	if _, err := New(secure(nil), Options{}); err == nil || !strings.Contains(err.Error(), `listeners[0].protocol (listener "http"): https needs an entry under certificates`) {
		t.Errorf("https without certificates: %v", err)
	}
}

// No key, and no byte of a broken key file, is ever logged.
func TestKeysAreNotLogged(t *testing.T) {
	ca := newCA(t)
	list := ca.files(t, "shop", "shop.example.com")
	var log bytes.Buffer
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&log), zap.DebugLevel))
	s, err := New(secure(list), Options{Logger: logger, Handler: http.HandlerFunc(hello)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	write(t, list[0].KeyFile, []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n"))
	s.ReloadCertificates()
	if log.Len() == 0 || strings.Contains(log.String(), "c2VjcmV0") || strings.Contains(log.String(), "secretsecret") {
		t.Errorf("log: %s", log.String())
	}
}

// Finding one of 5,000 certificates costs what finding one of 5 does: map lookups, no scan.
func TestLookupDoesNotScan(t *testing.T) {
	ca := newCA(t)
	chain, key := ca.issue(t, "a.example.com", "*.b.example.com")
	pair, err := parseCertificate(config.Certificate{Name: "one"}, chain, key)
	if err != nil {
		t.Fatal(err)
	}
	build := func(n int) *table {
		list := make([]*certificate, n)
		for i := range list {
			leaf := *pair.pair.Leaf
			leaf.DNSNames = []string{fmt.Sprintf("h%d.example.com", i), fmt.Sprintf("*.w%d.example.com", i)}
			copied := *pair.pair
			copied.Leaf = &leaf
			list[i] = &certificate{cfg: pair.cfg, pair: &copied}
		}
		return newTable(list)
	}
	measure := func(t *table) time.Duration {
		best := time.Hour
		for range 20 {
			begin := time.Now()
			for range 2000 {
				t.find("h3.example.com")
				t.find("x.w4.example.com")
				t.find("unknown.example.org")
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	small, large := build(5), build(5000)
	if found := large.find("x.w4999.example.com"); len(found) != 1 {
		t.Fatalf("found %d", len(found))
	}
	if a, b := measure(small), measure(large); b > 8*a {
		t.Errorf("5 certificates: %v, 5000: %v", a, b)
	}
}
