package fleetapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"gatehouse/rules/revision"
)

// JoinToken is what a gateway is given to enroll with. Its text is secret: whoever has it gets a certificate of a gateway.
type JoinToken struct {
	// ID names the token among the manager's, for people and logs: letters, digits, dashes and underscores.
	ID string
	// Secret is random. The manager keeps its hash alone.
	Secret [32]byte
	// Trust is the hash of the trust bundle that the manager had when it made the token. The gateway asks for the bundle of that
	// hash (PathTrust) before it knows whom it talks to, and believes nothing else.
	Trust revision.Hash
}

// joinPrefix is how the text of a token begins, for people and for scanners that look for secrets.
const joinPrefix = "gatehouse-join"

const maxTokenID = 63

// Encode is the text of the token: gatehouse-join.ID.SECRET.TRUST, the last two in base64url.
func (t JoinToken) Encode() string {
	b := base64.RawURLEncoding
	return strings.Join([]string{joinPrefix, t.ID, b.EncodeToString(t.Secret[:]), b.EncodeToString(t.Trust[:])}, ".")
}

// ParseJoinToken reads the text of a token. Its errors do not show the text.
func ParseJoinToken(text string) (t JoinToken, err error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	const names = 4
	if len(parts) != names || parts[0] != joinPrefix {
		return t, fmt.Errorf("it is no join token: one begins with %s. and has %d parts between dots", joinPrefix, names)
	}
	if t.ID = parts[1]; !validTokenID(t.ID) {
		return t, errors.New("the join token has no valid ID: letters, digits, dashes and underscores")
	}
	b := base64.RawURLEncoding.Strict()
	secret, err := b.DecodeString(parts[2])
	if err != nil || len(secret) != len(t.Secret) {
		return t, errors.New("the secret of the join token is not whole")
	}
	trust, err := b.DecodeString(parts[3])
	if err != nil || len(trust) != len(t.Trust) {
		return t, errors.New("the hash of the join token is not whole")
	}
	copy(t.Secret[:], secret)
	copy(t.Trust[:], trust)
	return t, nil
}

// String keeps the secret out of logs.
func (t JoinToken) String() string { return "join token " + t.ID }

// GoString keeps the secret out of logs.
func (t JoinToken) GoString() string { return t.String() }

func validTokenID(id string) bool {
	return id != "" && len(id) <= maxTokenID && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
