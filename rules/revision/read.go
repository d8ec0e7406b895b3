package revision

import (
	"bytes"
	"context"
	"fmt"
)

// Reader reads revisions of one group, and trusts nothing that it reads.
type Reader struct {
	Depot Depot
	Stack string
	Group string
	Keys  []PublicKey
	// Have gives a part that is here already, of a revision before; nil has none. What it gives is verified too.
	Have func(Hash) ([]byte, bool)
}

// Head is the latest revision's, as the depot says.
func (r *Reader) Head(ctx context.Context) (Statement, error) {
	data, err := r.SignedHead(ctx)
	if err != nil {
		return Statement{}, err
	}
	return r.VerifyHead(data)
}

// SignedHead is the latest revision's head as the depot has it. Nothing of it was verified.
func (r *Reader) SignedHead(ctx context.Context) ([]byte, error) {
	data, _, err := r.Depot.Get(ctx, HeadName(r.Group), MaxSigned)
	if err != nil {
		return nil, fmt.Errorf("read the head of group %s: %w", r.Group, err)
	}
	return data, nil
}

// VerifyHead reads a signed head.
func (r *Reader) VerifyHead(data []byte) (Statement, error) {
	return Verify(data, Want{Kind: KindHead, Stack: r.Stack, Group: r.Group, Keys: r.Keys})
}

// Revision is a verified revision with all its parts.
type Revision struct {
	Statement Statement
	Manifest  *Manifest
	Files     map[string][]byte

	signed, manifest []byte // as they were read
}

// Revision reads the revision of a head. All of it is verified.
func (r *Reader) Revision(ctx context.Context, head Statement) (*Revision, error) {
	data, _, err := r.Depot.Get(ctx, revisionName(r.Group, head.Order), MaxSigned)
	if err != nil {
		return nil, fmt.Errorf("read revision %s of group %s: %w", head.Order, r.Group, err)
	}
	s, err := Verify(data, Want{Kind: KindRevision, Stack: r.Stack, Group: r.Group, Keys: r.Keys})
	switch {
	case err != nil:
		return nil, err
	case s.Order != head.Order:
		return nil, fmt.Errorf("it is revision %s, not %s", s.Order, head.Order)
	case s.Content != head.Content:
		return nil, &ForkError{Group: r.Group, Order: s.Order, Got: s.Content, Known: head.Content}
	}
	out, err := r.content(ctx, s)
	if err != nil {
		return nil, err
	}
	out.signed = data
	return out, nil
}

func (r *Reader) content(ctx context.Context, s Statement) (*Revision, error) {
	text, err := r.manifest(ctx, s.Content)
	if err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, err
	}
	out := &Revision{Statement: s, Manifest: m, manifest: text, Files: make(map[string][]byte, len(m.Files))}
	for _, f := range m.Files {
		data, err := r.part(ctx, f.Hash, f.Size)
		if err != nil {
			return nil, fmt.Errorf("the file %s: %w", f.Name, err)
		}
		out.Files[f.Name] = data
	}
	return out, nil
}

// manifest reads the manifest of that hash, whose size nobody says.
func (r *Reader) manifest(ctx context.Context, h Hash) ([]byte, error) {
	if r.Have != nil {
		if data, ok := r.Have(h); ok && HashOf(data) == h {
			return data, nil
		}
	}
	object, _, err := r.Depot.Get(ctx, objectName(r.Group, h), maxObject(MaxManifest))
	if err != nil {
		return nil, err
	}
	data, err := decompressMost(object, MaxManifest)
	if err != nil {
		return nil, err
	}
	return data, checkHash(data, h)
}

// part reads the part of that hash and size.
func (r *Reader) part(ctx context.Context, h Hash, size int64) ([]byte, error) {
	if r.Have != nil {
		if data, ok := r.Have(h); ok && int64(len(data)) == size && HashOf(data) == h {
			return bytes.Clone(data), nil
		}
	}
	object, _, err := r.Depot.Get(ctx, objectName(r.Group, h), maxObject(size))
	if err != nil {
		return nil, err
	}
	data, err := decompress(object, size)
	if err != nil {
		return nil, err
	}
	return data, checkHash(data, h)
}

func checkHash(data []byte, want Hash) error {
	if got := HashOf(data); got != want {
		return fmt.Errorf("its hash is %s, not %s: it was changed", got, want)
	}
	return nil
}
