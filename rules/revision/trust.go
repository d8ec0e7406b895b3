package revision

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Trust is what a gateway trusts: the keys of which one must have signed what it takes, and the authorities that the
// manager's certificate may be of. Gateways get the first one from whoever enrolls them, and each later one signed with a key
// of the one before.
type Trust struct {
	Serial      uint64      `json:"serial"` // a later one has a higher
	Keys        []PublicKey `json:"keys"`
	Authorities string      `json:"authorities"` // certificates in PEM
}

// maxTrust is how long a bundle is at most, in bytes.
const maxTrust = 256 << 10

// Encode is the text of the bundle. Its hash is what a join token carries.
func (t Trust) Encode() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return json.Marshal(t)
}

// ParseTrust reads a bundle whose hash is known. Nothing of it counts if it has another.
func ParseTrust(text []byte, want Hash) (Trust, error) {
	if len(text) > maxTrust {
		return Trust{}, fmt.Errorf("the trust bundle has %d bytes, more than %d", len(text), maxTrust)
	}
	if err := checkHash(text, want); err != nil {
		return Trust{}, fmt.Errorf("the trust bundle: %w", err)
	}
	var t Trust
	if err := decodeStrict(text, &t); err != nil {
		return Trust{}, fmt.Errorf("read the trust bundle: %w", err)
	}
	return t, t.check()
}

func (t Trust) check() error {
	const most = 16
	switch {
	case t.Serial == 0:
		return errors.New("the serial of a trust bundle begins at 1")
	case len(t.Keys) == 0 || len(t.Keys) > most:
		return fmt.Errorf("a trust bundle has 1 to %d keys, this one %d", most, len(t.Keys))
	}
	_, err := t.Pool()
	return err
}

// Pool are the authorities.
func (t Trust) Pool() (*x509.CertPool, error) {
	pool, rest, n := x509.NewCertPool(), []byte(t.Authorities), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the trust bundle: %w", n+1, err)
		}
		if !certificate.IsCA {
			return nil, fmt.Errorf("certificate %d of the trust bundle, %s, is not an authority's", n+1, certificate.Subject)
		}
		pool.AddCert(certificate)
		n++
	}
	if n == 0 {
		return nil, errors.New("the trust bundle has no authority")
	}
	return pool, nil
}

// signedTrust is a bundle with the signed statement about it.
type signedTrust struct {
	Signed json.RawMessage `json:"signed"`
	Bundle string          `json:"bundle"`
}

// SignTrust signs a bundle, for gateways that know one of the signers' keys.
func SignTrust(ctx context.Context, stack string, t Trust, at time.Time, signers ...Signer) ([]byte, error) {
	text, err := t.Encode()
	if err != nil {
		return nil, err
	}
	s := Statement{Kind: KindTrust, Stack: stack, Order: Order{Number: t.Serial}, Content: HashOf(text), Time: at.UTC().Truncate(time.Second)}
	about, err := Sign(ctx, s, signers...)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signedTrust{Signed: about, Bundle: string(text)})
}

// Renew reads a bundle that takes the place of t: a key of t has signed it, and it is later.
func (t Trust) Renew(data []byte, stack string) (Trust, error) {
	var in signedTrust
	if len(data) > maxTrust+MaxSigned {
		return Trust{}, fmt.Errorf("a signed trust bundle of %d bytes", len(data))
	}
	if err := decodeStrict(data, &in); err != nil {
		return Trust{}, fmt.Errorf("read the signed trust bundle: %w", err)
	}
	s, err := Verify(in.Signed, Want{Kind: KindTrust, Stack: stack, Keys: t.Keys})
	if err != nil {
		return Trust{}, fmt.Errorf("the trust bundle: %w", err)
	}
	next, err := ParseTrust([]byte(in.Bundle), s.Content)
	switch {
	case err != nil:
		return Trust{}, err
	case next.Serial != s.Order.Number:
		return Trust{}, fmt.Errorf("the trust bundle has serial %d, and is signed as %d", next.Serial, s.Order.Number)
	case next.Serial < t.Serial:
		return Trust{}, fmt.Errorf("the trust bundle has serial %d, and %d was here before", next.Serial, t.Serial)
	}
	return next, nil
}
