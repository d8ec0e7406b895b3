package config

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"
)

func (l *loader) validateCertificates() {
	for i := range l.cfg.Certificates {
		c, path := &l.cfg.Certificates[i], item("certificates", i)
		switch {
		case c.Secret != "" && (c.CertFile != "" || c.KeyFile != ""):
			l.problem(key(path, "secret"), "stands beside cert_file or key_file; write the secret or the files, not both")
		case c.Secret != "":
			l.checkSecret(key(path, "secret"), c.Secret)
		case c.CertFile == "" && c.KeyFile == "":
			l.problem(path, "has no certificate; write cert_file and key_file, or secret: file:PATH")
		case c.CertFile == "":
			l.problem(key(path, "cert_file"), "is missing; key_file needs it")
		case c.KeyFile == "":
			l.problem(key(path, "key_file"), "is missing; cert_file needs it")
		default:
			cert, okCert := l.readLocal(key(path, "cert_file"), c.CertFile)
			private, okKey := l.readLocal(key(path, "key_file"), c.KeyFile)
			if okCert && okKey {
				l.checkPair(key(path, "cert_file"), cert, private)
			}
		}
	}
}

// checkSecret checks where a certificate and its key come from. The reference may be shown, what is behind it never.
func (l *loader) checkSecret(path, secret string) {
	store, rest, _ := strings.Cut(secret, ":")
	switch {
	case store == "file" && rest != "":
		if data, ok := l.readLocal(path, rest); ok {
			l.checkPair(path, data, data)
		}
	case store == SealedPrefix[:len(SealedPrefix)-1] && rest != "":
		l.openSealed(path, rest)
	case (store == "secretsmanager" || store == "ssm") && rest != "":
		l.problem(path, "%s: is not available in this version; write file:PATH, or cert_file and key_file", store)
	default:
		l.problem(path, "is not a reference to a secret; write file:PATH, a PEM file with certificate and key")
	}
}

// SealedPrefix is how a reference to a sealed certificate of a revision begins.
const SealedPrefix = "sealed:"

// openSealed opens a sealed certificate and checks it.
func (l *loader) openSealed(path, name string) {
	if l.opts.Sealed == nil {
		l.problem(path, "sealed certificates are those of a revision, which only a managed gateway opens; write file:PATH, or cert_file and key_file")
		return
	}
	data, err := l.opts.Sealed(name)
	if err != nil {
		l.problem(path, "the sealed certificate %q cannot be opened: %v", name, err)
		return
	}
	l.secrets[name] = data
	l.checkPair(path, data, data)
}

// checkPair checks a PEM certificate chain and its private key.
func (l *loader) checkPair(path string, cert, private []byte) {
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		l.problem(path, "certificate and key cannot be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	switch leaf := pair.Leaf; {
	case l.now.After(leaf.NotAfter):
		l.warn(path, "the certificate expired on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case l.now.Before(leaf.NotBefore):
		l.warn(path, "the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.DateOnly))
	}
}

// checkAuthorities checks a PEM file of certificate authorities.
func (l *loader) checkAuthorities(path, file string) {
	if data, ok := l.readFile(path, file); ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		l.problem(path, "%q holds no PEM certificate", file)
	}
}
