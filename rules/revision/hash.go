package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash is the SHA-256 of a manifest or a part. Its text is "sha256:" and 64 hexadecimal digits in lower case.
type Hash [sha256.Size]byte

// HashOf is the hash of data.
func HashOf(data []byte) Hash { return sha256.Sum256(data) }

const hashPrefix = "sha256:"

func (h Hash) String() string { return hashPrefix + hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. There is one way to write a hash.
func (h *Hash) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), hashPrefix)
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != len(h) || digits != strings.ToLower(digits) {
		return fmt.Errorf("%.100q is no hash; it is sha256: and 64 hexadecimal digits", text)
	}
	copy(h[:], raw)
	return nil
}
