package revision

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// PublicKey verifies statements. Its text is "ed25519:" and base64.
type PublicKey struct{ key ed25519.PublicKey }

const keyPrefix = "ed25519:"

func (k PublicKey) String() string { return keyPrefix + base64.StdEncoding.EncodeToString(k.key) }

// ID is a short name of the key: 16 hexadecimal digits of its hash.
func (k PublicKey) ID() string {
	const bytes = 8
	sum := sha256.Sum256(k.key)
	return hex.EncodeToString(sum[:bytes])
}

// MarshalText implements encoding.TextMarshaler.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *PublicKey) UnmarshalText(text []byte) error {
	encoded, ok := strings.CutPrefix(string(text), keyPrefix)
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(raw) != ed25519.PublicKeySize {
		return fmt.Errorf("%.80q is no key; it is ed25519: and 44 characters of base64", text)
	}
	k.key = raw
	return nil
}

// ParsePublicKeys reads keys, one a line; empty lines and those that begin with # are left out.
func ParsePublicKeys(text string) ([]PublicKey, error) {
	var keys []PublicKey
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var k PublicKey
		if err := k.UnmarshalText([]byte(line)); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key; write one a line, each ed25519: and base64")
	}
	return keys, nil
}

// Signer signs statements: with a key file, or a service that never shows the key. It is safe for concurrent use.
type Signer interface {
	Public() PublicKey
	// Sign is the Ed25519 signature (RFC 8032) of a message of at most MaxStatement bytes.
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// PrivateKey is a Signer that has the key in memory.
type PrivateKey struct{ key ed25519.PrivateKey }

// NewPrivateKey makes a key.
func NewPrivateKey() (PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return PrivateKey{key}, err
}

// Public implements Signer.
func (k PrivateKey) Public() PublicKey { return PublicKey{k.key.Public().(ed25519.PublicKey)} }

// Sign implements Signer.
func (k PrivateKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(k.key, message), nil
}

// EncodePEM is the key as a PEM block of PKCS #8, as openssl genpkey writes it.
func (k PrivateKey) EncodePEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParsePrivateKey reads a PEM block of PKCS #8.
func ParsePrivateKey(text []byte) (PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return PrivateKey{}, errors.New("it holds no PEM block")
	}
	if block.Type != "PRIVATE KEY" {
		return PrivateKey{}, fmt.Errorf("it holds a %s, not a PRIVATE KEY; make one with: openssl genpkey -algorithm ed25519", block.Type)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return PrivateKey{}, err
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return PrivateKey{}, fmt.Errorf("it holds a key of type %T, not one of Ed25519; make one with: openssl genpkey -algorithm ed25519", key)
	}
	return PrivateKey{k}, nil
}

// ReadPrivateKey reads a key file, which nobody else may be able to read.
func ReadPrivateKey(file string) (PrivateKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return PrivateKey{}, err
	}
	const others = 0o077
	if info.Mode().Perm()&others != 0 {
		return PrivateKey{}, fmt.Errorf("%s: others may read this key (mode %04o); chmod 600 it, and make a new one if they did", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return PrivateKey{}, err
	}
	k, err := ParsePrivateKey(text)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}
