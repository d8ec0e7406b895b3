package revision

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// signed is a statement with its signatures, as it is stored and sent.
type signed struct {
	Statement  string      `json:"statement"`
	Signatures []signature `json:"signatures"`
}

type signature struct {
	Key       string `json:"key"` // its ID
	Signature []byte `json:"signature"`
}

// MaxSigned is how long a signed statement is at most, in bytes.
const MaxSigned = 16 << 10

const maxSignatures = 8

// Sign signs a statement with each of the signers: with two keys, gateways that know one of them accept it.
func Sign(ctx context.Context, s Statement, signers ...Signer) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	text := s.Encode()
	out := signed{Statement: string(text)}
	for _, signer := range signers {
		sig, err := signer.Sign(ctx, text)
		if err != nil {
			return nil, fmt.Errorf("sign with key %s: %w", signer.Public().ID(), err)
		}
		out.Signatures = append(out.Signatures, signature{Key: signer.Public().ID(), Signature: sig})
	}
	if len(out.Signatures) == 0 {
		return nil, errors.New("no key was given to sign with")
	}
	return json.Marshal(out)
}

// Want is what a reader knows about a statement before it has read it. None of it is taken from the statement.
type Want struct {
	Kind  Kind
	Stack string
	Group string
	Keys  []PublicKey // of which one must have signed
}

// Verify reads a signed statement. It is answered only if one of the keys has signed it and it is what was asked for.
func Verify(data []byte, want Want) (Statement, error) {
	if len(data) > MaxSigned {
		return Statement{}, fmt.Errorf("a signed statement of %d bytes, more than %d", len(data), MaxSigned)
	}
	var in signed
	if err := decodeStrict(data, &in); err != nil {
		return Statement{}, fmt.Errorf("read the signed statement: %w", err)
	}
	if err := verifySignature(in, want.Keys); err != nil {
		return Statement{}, err
	}
	s, err := parseStatement([]byte(in.Statement))
	if err != nil {
		return Statement{}, err
	}
	switch {
	case s.Kind != want.Kind:
		return Statement{}, fmt.Errorf("it is a %s, not a %s", s.Kind, want.Kind)
	case s.Stack != want.Stack:
		return Statement{}, fmt.Errorf("it is of stack %s, not of %s", s.Stack, want.Stack)
	case s.Group != want.Group:
		return Statement{}, fmt.Errorf("it is of group %s, not of %s", s.Group, want.Group)
	}
	return s, nil
}

func verifySignature(in signed, keys []PublicKey) error {
	switch {
	case len(in.Signatures) == 0:
		return errors.New("it is not signed")
	case len(in.Signatures) > maxSignatures:
		return fmt.Errorf("it has %d signatures, more than %d", len(in.Signatures), maxSignatures)
	}
	var ids []string
	for _, sig := range in.Signatures {
		i := slices.IndexFunc(keys, func(k PublicKey) bool { return k.ID() == sig.Key })
		if i < 0 {
			ids = append(ids, sig.Key)
			continue
		}
		if !ed25519.Verify(keys[i].key, []byte(in.Statement), sig.Signature) {
			return fmt.Errorf("the signature of key %.20s is wrong", sig.Key)
		}
		return nil
	}
	return fmt.Errorf("it is signed by %.20q, and none of these keys is trusted here", ids)
}

// decodeStrict reads one JSON value of known fields, and nothing behind it.
func decodeStrict(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something stands behind its end")
	}
	return nil
}
