package managed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// trustFile is what the gateway trusts, as it is on the disk.
type trustFile struct {
	// Root is the hash that trust began with: that of a join token, or of what the command line gives. Another one there begins
	// anew.
	Root revision.Hash `json:"root"`
	Hash revision.Hash `json:"hash"` // of Bundle
	// Bundle is the text of the bundle, empty if trust is what the command line gives.
	Bundle string `json:"bundle"`
}

const trustName = "trust.json"

// anchor is what a gateway is told to trust before it has asked anybody.
type anchor struct {
	// hash is that of a bundle, which any manager may give; the zero hash if manual is set.
	hash   revision.Hash
	manual *revision.Trust
}

// root tells one anchor from another.
func (a anchor) root() revision.Hash {
	if a.manual == nil {
		return a.hash
	}
	text := a.manual.Authorities
	for _, k := range a.manual.Keys {
		text += k.String() + "\n"
	}
	return revision.HashOf([]byte(text))
}

const caHashPrefix = "sha256:"

// readAnchor reads what the command line gives: a hash, or authorities and keys. Nothing given is nil.
func readAnchor(o Options) (*anchor, error) {
	if strings.HasPrefix(o.ManagerCA, caHashPrefix) {
		var h revision.Hash
		if err := h.UnmarshalText([]byte(o.ManagerCA)); err != nil {
			return nil, fmt.Errorf("-manager-ca: %w", err)
		}
		return &anchor{hash: h}, nil
	}
	if o.ManagerCA == "" && o.RevisionKeys == "" {
		return nil, nil
	}
	t := &revision.Trust{}
	if o.RevisionKeys != "" {
		text, err := os.ReadFile(o.RevisionKeys)
		if err != nil {
			return nil, fmt.Errorf("-revision-key: %w", err)
		}
		if t.Keys, err = revision.ParsePublicKeys(string(text)); err != nil {
			return nil, fmt.Errorf("-revision-key %s: %w", o.RevisionKeys, err)
		}
	}
	if o.ManagerCA != "" {
		text, err := os.ReadFile(o.ManagerCA)
		if err != nil {
			return nil, fmt.Errorf("-manager-ca: %w", err)
		}
		t.Authorities = string(text)
		if _, err := t.Pool(); err != nil {
			return nil, fmt.Errorf("-manager-ca %s: %w", o.ManagerCA, err)
		}
	}
	return &anchor{manual: t}, nil
}

// readToken reads the join token.
func readToken(file string) (fleetapi.JoinToken, error) {
	if file == "" {
		return fleetapi.JoinToken{}, errors.New("-join token needs -join-token-file FILE; the manager makes tokens: gatehouse token create")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fleetapi.JoinToken{}, fmt.Errorf("-join-token-file: %w", err)
	}
	t, err := fleetapi.ParseJoinToken(string(text))
	if err != nil {
		return t, fmt.Errorf("-join-token-file %s: %w", file, err)
	}
	return t, nil
}

// loadTrust reads the trust of an earlier time that began with root. Without one, ok is false.
func loadTrust(d *stateDir, root revision.Hash) (t revision.Trust, ok bool, err error) {
	var f trustFile
	if err := d.read(trustName, &f); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return t, false, nil
		}
		return t, false, err
	}
	if root != (revision.Hash{}) && f.Root != root {
		return t, false, nil
	}
	t, err = revision.ParseTrust([]byte(f.Bundle), f.Hash)
	if err != nil {
		return t, false, fmt.Errorf("%s: %w", trustName, err)
	}
	return t, true, nil
}

func saveTrust(d *stateDir, root revision.Hash, t revision.Trust) error {
	text, err := t.Encode()
	if err != nil {
		return err
	}
	return d.write(trustName, trustFile{Root: root, Hash: revision.HashOf(text), Bundle: string(text)})
}

// fetchTrust asks a manager for the bundle of a hash. Who answers counts for nothing: what it gives is held against the hash, so the
// connection is not verified.
func fetchTrust(ctx context.Context, times Times, manager *url.URL, want revision.Hash) (revision.Trust, error) {
	const most = 256 << 10
	transport := newTransport(times, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}) //nolint:gosec // see above
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, times.Ping)
	defer cancel()
	a, err := ask(ctx, transport, manager, request{method: http.MethodGet, path: fleetapi.PathTrust + "?hash=" + url.QueryEscape(want.String()), most: most})
	if err != nil {
		return revision.Trust{}, &UnavailableError{Manager: manager.Host, Err: fmt.Errorf("ask for the trust bundle: %w", err)}
	}
	t, err := revision.ParseTrust(a.body, want)
	if err != nil {
		return t, fmt.Errorf("what answers at %s is not the manager that this gateway was told to trust, or something between changes what it says: %w", manager.Host, err)
	}
	return t, nil
}

// trust is what the gateway trusts now.
type trust struct {
	revision.Trust
	root revision.Hash
	pool *x509.CertPool // nil if no authority is known yet
}

func newTrust(t revision.Trust, root revision.Hash) (*trust, error) {
	out := &trust{Trust: t, root: root}
	if t.Authorities == "" {
		return out, nil
	}
	var err error
	out.pool, err = t.Pool()
	return out, err
}
