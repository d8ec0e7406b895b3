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
func clientCertificates(l *config.Loaded) upstream.Certificates {
	return func(name string) (*tls.Certificate, error) {
		for _, entry := range l.Config.Certificates {
			if entry.Name != name {
				continue
			}
			chain, key, err := readPair(l, entry)
			if err != nil {
				return nil, err
			}
			pair, err := tls.X509KeyPair(chain, key)
			if err != nil {
				return nil, fmt.Errorf("certificate %s: %w", name, err)
			}
			return &pair, nil
		}
		return nil, fmt.Errorf("there is no certificate %q", name)
	}
}

// readPair reads the PEM of a certificate's chain and of its key, which is the same where one file or secret holds both.
func readPair(l *config.Loaded, entry config.Certificate) (chain, key []byte, err error) {
	if name, ok := strings.CutPrefix(entry.Secret, config.SealedPrefix); ok {
		both, ok := l.Sealed(name)
		if !ok {
			return nil, nil, fmt.Errorf("there is no sealed certificate %q", name)
		}
		return both, both, nil
	}
	chainFile, keyFile := entry.CertFile, entry.KeyFile
	if path, ok := strings.CutPrefix(entry.Secret, "file:"); ok {
		chainFile, keyFile = path, path
	}
	if chain, err = os.ReadFile(chainFile); err != nil {
		return nil, nil, err
	}
	key, err = os.ReadFile(keyFile)
	return chain, key, err
}
