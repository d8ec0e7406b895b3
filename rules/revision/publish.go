package revision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Content is what a revision is made of.
type Content struct {
	Main  string            // the name of the configuration among Files
	Files map[string][]byte // by name, relative and with slashes
	CRS   []string          // the releases that it needs
}

// Built is a revision that was not signed yet.
type Built struct {
	Manifest *Manifest
	hash     Hash
	objects  map[Hash][]byte // the manifest among them, as they are
}

// Hash is the hash of the manifest. The same content has the same.
func (b *Built) Hash() Hash { return b.hash }

// Build makes a revision of content.
func Build(c Content) (*Built, error) {
	b := &Built{Manifest: &Manifest{Format: manifestFormat, Main: c.Main, CRS: c.CRS}, objects: make(map[Hash][]byte)}
	for name, data := range c.Files {
		h := HashOf(data)
		b.objects[h] = data
		b.Manifest.Files = append(b.Manifest.Files, Part{Name: name, Hash: h, Size: int64(len(data))})
	}
	text, err := b.Manifest.encode()
	if err != nil {
		return nil, err
	}
	b.hash = HashOf(text)
	b.objects[b.hash] = text
	return b, nil
}

// Publisher writes revisions of one group to a depot.
type Publisher struct {
	Depot   Depot
	Stack   string
	Group   string
	Signers []Signer
	Now     func() time.Time // nil is time.Now
}

func (p *Publisher) statement(kind Kind, o Order, content Hash) Statement {
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	return Statement{Kind: kind, Stack: p.Stack, Group: p.Group, Order: o, Content: content, Time: now().UTC().Truncate(time.Second)}
}

// keys are those that this publisher's own statements are verified with.
func (p *Publisher) keys() []PublicKey {
	var keys []PublicKey
	for _, s := range p.Signers {
		keys = append(keys, s.Public())
	}
	return keys
}

// Head is the head that the depot has, the zero Statement if it has none. It must be signed by one of the signers.
func (p *Publisher) Head(ctx context.Context) (Statement, error) {
	head, _, err := p.head(ctx)
	return head, err
}

func (p *Publisher) head(ctx context.Context) (head Statement, tag string, err error) {
	data, tag, err := p.Depot.Get(ctx, HeadName(p.Group), MaxSigned)
	if errors.Is(err, fs.ErrNotExist) {
		return Statement{}, "", nil
	}
	if err != nil {
		return Statement{}, "", fmt.Errorf("read the head of group %s: %w", p.Group, err)
	}
	head, err = Verify(data, Want{Kind: KindHead, Stack: p.Stack, Group: p.Group, Keys: p.keys()})
	if err != nil {
		return Statement{}, "", fmt.Errorf("the head of group %s: %w", p.Group, err)
	}
	return head, tag, nil
}

// Publish writes a revision and then moves the head to it, never back: an OlderError or a ForkError says that the depot has
// a later one, or another of that number. Whatever is interrupted can be done again.
func (p *Publisher) Publish(ctx context.Context, b *Built, o Order) error {
	if err := p.Store(ctx, b, o); err != nil {
		return err
	}
	return p.Advance(ctx, o, b.hash)
}

// Store writes a revision and leaves the head where it is, for a rollout that moves it with Advance later.
func (p *Publisher) Store(ctx context.Context, b *Built, o Order) error {
	s := p.statement(KindRevision, o, b.hash)
	head, _, err := p.head(ctx)
	if err != nil {
		return err
	}
	if err := s.Follows(head); err != nil {
		return err
	}
	for h, data := range b.objects {
		if err := p.Depot.Create(ctx, objectName(p.Group, h), compress(data)); err != nil && !errors.Is(err, ErrChanged) {
			return fmt.Errorf("write an object: %w", err) // one that is there holds the same: its name says so
		}
	}
	text, err := Sign(ctx, s, p.Signers...)
	if err != nil {
		return err
	}
	switch err := p.Depot.Create(ctx, revisionName(p.Group, o), text); {
	case errors.Is(err, ErrChanged):
		if err := p.sameRevision(ctx, s); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("write the revision: %w", err)
	}
	return nil
}

// sameRevision says whether the revision of that number, which is in the depot already, is this one.
func (p *Publisher) sameRevision(ctx context.Context, s Statement) error {
	data, _, err := p.Depot.Get(ctx, revisionName(p.Group, s.Order), MaxSigned)
	if err != nil {
		return fmt.Errorf("read the revision: %w", err)
	}
	there, err := Verify(data, Want{Kind: KindRevision, Stack: p.Stack, Group: p.Group, Keys: p.keys()})
	if err != nil {
		return fmt.Errorf("the revision %s that is there already: %w", s.Order, err)
	}
	return s.Follows(there)
}

// Advance signs the head anew for a revision, and writes it unless the depot has a later one. It is called again now and then
// for the same revision, so that its time tells gateways that the manager is there.
func (p *Publisher) Advance(ctx context.Context, o Order, content Hash) error {
	const tries = 10
	for range tries {
		head, tag, err := p.head(ctx)
		if err != nil {
			return err
		}
		next := p.statement(KindHead, o, content)
		if err := next.Follows(head); err != nil {
			return err
		}
		text, err := Sign(ctx, next, p.Signers...)
		if err != nil {
			return err
		}
		if err := p.Depot.Replace(ctx, HeadName(p.Group), tag, text); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return fmt.Errorf("move the head of group %s: %w, %d times", p.Group, ErrChanged, tries)
}
