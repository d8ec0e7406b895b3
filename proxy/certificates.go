package proxy

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"

	"gatehouse/proxy/config"
	"gatehouse/proxy/upstream"
)

// clientCertificates gives the certificates that upstreams may be shown, by name.
func clientCertificates(c *config.Config) upstream.Certificates {
	return func(name string) (*tls.Certificate, error) {
		for _, entry := range c.Certificates {
			if entry.Name != name {
				continue
			}
			chain, key := entry.CertFile, entry.KeyFile
			if path, ok := strings.CutPrefix(entry.Secret, "file:"); ok {
				chain, key = path, path
			}
			chainPEM, err := os.ReadFile(chain)
			if err != nil {
				return nil, err
			}
			keyPEM, err := os.ReadFile(key)
			if err != nil {
				return nil, err
			}
			pair, err := tls.X509KeyPair(chainPEM, keyPEM)
			if err != nil {
				return nil, fmt.Errorf("certificate %s: %w", name, err)
			}
			return &pair, nil
		}
		return nil, fmt.Errorf("there is no certificate %q", name)
	}
}
