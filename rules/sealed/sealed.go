// Package sealed keeps secrets from those who may only carry them: what is sealed with a key can be stored, copied and sent in
// the open.
//
// Invariant: what was sealed under one label opens under no other, so that one secret cannot be put in the place of another.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

// Key seals and opens with AES-256-GCM (NIST SP 800-38D). It never prints itself.
type Key struct{ bytes [keySize]byte }

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k.bytes[:]) // it never fails
	return k
}

// KeyOf is the key of these 32 bytes.
func KeyOf(b []byte) (Key, error) {
	if len(b) != keySize {
		return Key{}, fmt.Errorf("a key has %d bytes, not %d", keySize, len(b))
	}
	return Key{[keySize]byte(b)}, nil
}

// keyPrefix is how the text of a key begins.
const keyPrefix = "gatehouse-key:"

// ParseKey reads the text of a key, as Text gives it.
func ParseKey(text string) (Key, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	if !ok {
		return Key{}, fmt.Errorf("it does not begin with %s", keyPrefix)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return Key{}, errors.New("what follows " + keyPrefix + " is not base64")
	}
	return KeyOf(b)
}

// ReadKey reads a key file, which nobody but its owner may be able to read.
func ReadKey(file string) (Key, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Key{}, err
	}
	if others := info.Mode().Perm() & 0o077; others != 0 {
		return Key{}, fmt.Errorf("%s: others may use it (mode %04o); chmod 600 %s", file, info.Mode().Perm(), file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Key{}, err
	}
	k, err := ParseKey(string(text))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

// Text is the key itself, for a file that nobody else may read.
func (k Key) Text() string { return keyPrefix + base64.StdEncoding.EncodeToString(k.bytes[:]) + "\n" }

// Bytes are the key itself.
func (k Key) Bytes() []byte { return k.bytes[:] }

// ID names the key without telling it: 16 hexadecimal digits of a hash.
func (k Key) ID() string {
	sum := sha256.Sum256(append([]byte("gatehouse key id\n"), k.bytes[:]...))
	return hex.EncodeToString(sum[:8])
}

// String keeps the key out of logs.
func (k Key) String() string { return "key " + k.ID() }

// GoString keeps the key out of logs.
func (k Key) GoString() string { return k.String() }

// Label says what a secret is: parts that hold no line break, such as a stack, a group and a name.
func Label(parts ...string) string { return strings.Join(parts, "\n") }

// format is the first byte of what is sealed.
const format = 1

// FilePrefix is how the names of sealed files in a revision begin: the certificate NAME, PEM of its chain and private key, is
// FilePrefix+NAME, sealed with the group's key under CertificateLabel, and the configuration has secret: sealed:NAME for it.
const FilePrefix = "sealed/"

// CertificateLabel is the label of a sealed certificate.
func CertificateLabel(stack, group, name string) string {
	return Label("certificate", stack, group, name)
}

// Seal gives what only the same key opens, and only under the same label. The same secret sealed again looks different.
func (k Key) Seal(label string, secret []byte) []byte {
	gcm := k.cipher()
	out := append(make([]byte, 0, 1+gcm.Overhead()+len(secret)), format)
	return gcm.Seal(out, nil, secret, []byte(label))
}

// ErrSealed says that something cannot be opened: with this key, under this label, or because it was changed.
var ErrSealed = errors.New("it was sealed with another key or for another purpose, or was changed")

// Open gives the secret.
func (k Key) Open(label string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != format {
		return nil, errors.New("it is not a sealed secret that this version knows")
	}
	secret, err := k.cipher().Open(nil, nil, sealed[1:], []byte(label))
	if err != nil {
		return nil, ErrSealed
	}
	return secret, nil
}

// cipher makes random nonces of its own and puts them in front.
func (k Key) cipher() cipher.AEAD {
	block, err := aes.NewCipher(k.bytes[:])
	if err != nil {
		panic(err) // the size is right
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return gcm
}
