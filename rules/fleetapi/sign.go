package fleetapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/rules/revision"
)

// Sign signs a document of a group, such as an Actions.
func Sign(ctx context.Context, kind revision.Kind, stack, group string, order revision.Order, at time.Time, document any, signers ...revision.Signer) (*Signed, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	s := revision.Statement{Kind: kind, Stack: stack, Group: group, Order: order, Content: revision.HashOf(text), Time: at.UTC().Truncate(time.Second)}
	signed, err := revision.Sign(ctx, s, signers...)
	if err != nil {
		return nil, err
	}
	return &Signed{Statement: signed, Document: text}, nil
}

// Open reads a document whose statement was verified: it must be what was signed.
func (s *Signed) Open(statement revision.Statement, document any) error {
	if got := revision.HashOf(s.Document); got != statement.Content {
		return fmt.Errorf("the document is not the signed one: its hash is %s, and %s was signed", got, statement.Content)
	}
	if err := json.Unmarshal(s.Document, document); err != nil {
		return fmt.Errorf("read the signed %s: %w", statement.Kind, err)
	}
	return nil
}
