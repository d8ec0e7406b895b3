package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"gatehouse/mgmt/problem"
)

// Hashing is the cost of argon2id (RFC 9106).
type Hashing struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// Above what OWASP asks for at least (19 MiB, 2 passes): about 50 ms of one core.
var defaultHashing = Hashing{Memory: 32 << 10, Passes: 2, Threads: 1}

// hashAtOnce bounds the memory of sign-ins: the others wait.
const hashAtOnce = 2

type hasher struct {
	cost  Hashing
	slots chan struct{}
}

func newHasher(cost Hashing) *hasher {
	if cost == (Hashing{}) {
		cost = defaultHashing
	}
	return &hasher{cost, make(chan struct{}, hashAtOnce)}
}

const (
	saltBytes = 16
	hashBytes = 32
)

// hash is the password's hash with its parameters, in PHC's format.
func (h *hasher) hash(password string) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // it never fails
	return h.text(h.cost, salt, h.derive(password, salt, h.cost, hashBytes))
}

func (h *hasher) text(c Hashing, salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads, b64(salt), b64(key))
}

func (h *hasher) derive(password string, salt []byte, c Hashing, length uint32) []byte {
	h.slots <- struct{}{}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, c.Passes, c.Memory, c.Threads, length)
}

// matches says whether the text is a hash of the password, and whether it should be made anew, at the cost of today.
func (h *hasher) matches(text, password string) (ok, old bool) {
	var version int
	var c Hashing
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, false
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &c.Memory, &c.Passes, &c.Threads); err != nil || version != argon2.Version {
		return false, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(key) != hashBytes {
		return false, false
	}
	got := h.derive(password, salt, c, hashBytes)
	return subtle.ConstantTimeCompare(got, key) == 1, c != h.cost
}

// Lengths of passwords, in characters (NIST SP 800-63B: length, and no rules about what is in them).
const (
	minPassword = 12
	maxPassword = 256
)

// checkPassword refuses passwords that are too short, and the few that say who they are of.
func checkPassword(location, password, name string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case n < minPassword || n > maxPassword:
		return problem.Field(location, nil, "must have %d to %d characters", minPassword, maxPassword)
	case strings.Contains(strings.ToLower(password), strings.ToLower(name)):
		return problem.Field(location, nil, "must not hold the name of the account")
	case strings.Count(password, password[:1]) == len(password):
		return problem.Field(location, nil, "must have more than one character")
	}
	return nil
}
