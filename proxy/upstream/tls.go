package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"net"
	"os"
	"strings"

	"gatehouse/proxy/config"
)

// Certificates gives the certificate with a name of the configuration, for upstreams that ask for one.
type Certificates func(name string) (*tls.Certificate, error)

// The words of tls.verify_name; anything else is a DNS name.
const (
	verifyURLHost     = "url_host"
	verifyRequestHost = "request_host"
)

// sessionCacheSize bounds the TLS sessions that an upstream remembers for resumption.
const sessionCacheSize = 64

// tlsSettings is how an https upstream is verified and what it is shown.
type tlsSettings struct {
	verify string
	base   *tls.Config
}

// newTLSSettings loads the CA file and the client certificate, and adds what they hold to digest.
func newTLSSettings(c config.UpstreamTLS, certs Certificates, digest hash.Hash) (*tlsSettings, error) {
	s := &tlsSettings{verify: c.VerifyName, base: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(sessionCacheSize),
	}}
	if s.verify == "" {
		s.verify = verifyURLHost
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no PEM certificate", c.CAFile)
		}
		s.base.RootCAs = pool
		sum := sha256.Sum256(pem)
		digest.Write(sum[:])
	}
	if c.ClientCertificate != "" {
		if certs == nil {
			return nil, fmt.Errorf("tls.client_certificate: no certificate is named %q", c.ClientCertificate)
		}
		cert, err := certs(c.ClientCertificate)
		if err != nil {
			return nil, fmt.Errorf("tls.client_certificate: %w", err)
		}
		if cert == nil || len(cert.Certificate) == 0 {
			return nil, errors.New("tls.client_certificate: the certificate is empty")
		}
		s.base.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		for _, der := range cert.Certificate {
			digest.Write(der)
		}
	}
	return s, nil
}

// serverName is the name for SNI and verification of a request to a URL's host.
func (s *tlsSettings) serverName(urlHost, requestHost string) string {
	switch s.verify {
	case verifyURLHost:
		return urlHost
	case verifyRequestHost:
		if host, _, err := net.SplitHostPort(requestHost); err == nil {
			requestHost = host
		}
		return strings.ToLower(strings.TrimSuffix(strings.Trim(requestHost, "[]"), "."))
	default:
		return s.verify
	}
}

// config is the configuration of one handshake.
func (s *tlsSettings) config(serverName string, p Protocol) *tls.Config {
	c := s.base.Clone()
	c.ServerName = serverName
	c.NextProtos = []string{"http/1.1"}
	if p == GRPC {
		c.NextProtos = []string{"h2"}
	}
	return c
}
