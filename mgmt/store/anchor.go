package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/rules/revision"
)

// Anchor keeps signed heads of the audit log where whoever can write the database cannot: nothing in it is ever replaced.
type Anchor interface {
	// Heads are those that are there, in their order.
	Heads(ctx context.Context) ([][]byte, error)
	// Last is the last of n heads, nil if there is none.
	Last(ctx context.Context) (n int, head []byte, err error)
	// Append adds a head behind the n that there are, or fails with revision.ErrChanged if there are more.
	Append(ctx context.Context, n int, head []byte) error
}

// BucketAnchor keeps heads as objects of a bucket, numbered from 1. Object Lock on the bucket keeps them from being removed.
type BucketAnchor struct{ Bucket revision.Depot }

func anchorName(n int) string { return fmt.Sprintf("audit/%d.json", n) }

// Heads implements Anchor.
func (a BucketAnchor) Heads(ctx context.Context) (heads [][]byte, err error) {
	for {
		head, err := a.head(ctx, len(heads)+1)
		if err != nil || head == nil {
			return heads, err
		}
		heads = append(heads, head)
	}
}

// Last implements Anchor. It asks for about as many objects as the number of heads has digits, in binary, twice.
func (a BucketAnchor) Last(ctx context.Context) (n int, head []byte, err error) {
	most := 1 // a number that is not there
	for {
		data, err := a.head(ctx, most)
		if err != nil {
			return 0, nil, err
		}
		if data == nil {
			break
		}
		n, head, most = most, data, 2*most
	}
	for n+1 < most {
		middle := (n + most) / 2
		data, err := a.head(ctx, middle)
		switch {
		case err != nil:
			return 0, nil, err
		case data == nil:
			most = middle
		default:
			n, head = middle, data
		}
	}
	return n, head, nil
}

// head gives one head, nil if there is none of that number.
func (a BucketAnchor) head(ctx context.Context, n int) ([]byte, error) {
	head, _, err := a.Bucket.Get(ctx, anchorName(n), revision.MaxSigned)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return head, err
}

// Append implements Anchor.
func (a BucketAnchor) Append(ctx context.Context, n int, head []byte) error {
	return a.Bucket.Create(ctx, anchorName(n+1), head)
}

// FileAnchor keeps heads as lines of a file that is only appended to. With chattr +a, the system sees to that.
type FileAnchor string

// Heads implements Anchor. A line that a crash has cut short counts for nothing.
func (a FileAnchor) Heads(context.Context) (heads [][]byte, err error) {
	data, err := os.ReadFile(string(a))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for r := bufio.NewReader(bytes.NewReader(data)); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return heads, nil
		}
		if line = bytes.TrimSpace(line); json.Valid(line) {
			heads = append(heads, line)
		}
	}
}

// Last implements Anchor.
func (a FileAnchor) Last(ctx context.Context) (n int, head []byte, err error) {
	heads, err := a.Heads(ctx)
	if n = len(heads); n > 0 {
		head = heads[n-1]
	}
	return n, head, err
}

// Append implements Anchor. Only one manager writes a file.
func (a FileAnchor) Append(_ context.Context, _ int, head []byte) error {
	if err := os.MkdirAll(filepath.Dir(string(a)), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(string(a), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	// The line break in front ends a line that a crash has cut short.
	_, err = f.Write(append(append([]byte("\n"), head...), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// anchorLease is that of whoever writes the anchor.
const (
	anchorLease     = "audit-anchor"
	anchorLeaseHold = time.Minute
)

// AnchorAudit signs the head of the audit log and adds it to the anchor, unless it is there already. Another manager that does so now is
// ErrLeaseLost.
func (db *DB) AnchorAudit(ctx context.Context, holder string, anchor Anchor, stack string, signers ...revision.Signer) error {
	if _, err := db.Acquire(ctx, anchorLease, holder, anchorLeaseHold); err != nil {
		return err
	}
	s := revision.Statement{Kind: revision.KindAudit, Stack: stack, Time: db.Now().Truncate(time.Second)}
	err := db.Read(ctx, func(tx *Tx) (err error) {
		s.Order.Number, s.Content, err = tx.auditHead()
		return err
	})
	if err != nil || s.Order.Number == 0 {
		return err
	}
	n, there, err := anchor.Last(ctx)
	if err != nil {
		return fmt.Errorf("read the anchor of the audit log: %w", err)
	}
	if n > 0 {
		var keys []revision.PublicKey
		for _, signer := range signers {
			keys = append(keys, signer.Public())
		}
		last, err := revision.Verify(there, revision.Want{Kind: revision.KindAudit, Stack: stack, Keys: keys})
		if err == nil && last.Order == s.Order && last.Content == s.Content {
			return nil
		}
	}
	head, err := revision.Sign(ctx, s, signers...)
	if err != nil {
		return err
	}
	if err := anchor.Append(ctx, n, head); err != nil {
		return fmt.Errorf("write the anchor of the audit log: %w", err)
	}
	return nil
}

// auditHead is the number and hash of the latest entry, 0 if there is none.
func (tx *Tx) auditHead() (seq uint64, hash revision.Hash, err error) {
	var text string
	if err := tx.Get(Row(&seq, &text), "SELECT seq, hash FROM audit_head WHERE id = 1"); err != nil || seq == 0 {
		return 0, hash, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(hash) {
		return 0, hash, fmt.Errorf("the hash of audit entry %d is %.80q", seq, text)
	}
	return seq, revision.Hash(raw), nil
}
