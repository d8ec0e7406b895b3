package store

import (
	"encoding/hex"
	"fmt"
	"iter"

	"gatehouse/rules/revision"
)

// AuditResult is what the verification of an audit log has seen.
type AuditResult struct {
	Entries int64 `json:"entries"`
	// Head is the hash of the last entry.
	Head string `json:"head"`
	// Anchored is the number of the last entry that a signed head of the anchor covers, 0 without an anchor. What comes later was
	// verified only against itself.
	Anchored int64 `json:"anchored"`
	Heads    int   `json:"heads"` // in the anchor
}

// VerifyAudit holds the entries of an audit log, from the first on, against their own hashes and against the signed heads of an anchor,
// if there are any. Its error says what does not fit and from where on: an entry that was edited, left out or put in, a log that was
// cut, and one that was written anew with hashes that are right.
func VerifyAudit(entries iter.Seq2[Entry, error], heads [][]byte, stack string, keys []revision.PublicKey) (AuditResult, error) {
	anchored, err := anchoredHeads(heads, stack, keys)
	result := AuditResult{Heads: len(heads)}
	if err != nil {
		return result, err
	}
	for e, err := range entries {
		if err != nil {
			return result, err
		}
		if e.Seq != result.Entries+1 {
			return result, fmt.Errorf("audit entry %d follows on %d: entries were taken out or put in", e.Seq, result.Entries)
		}
		if got := e.hash(result.Head); got != e.Hash {
			return result, fmt.Errorf("audit entry %d (%s, %s, %s) was edited, or the one before: its hash is %s, and it says %s", e.Seq, e.Actor, e.Action, e.Object, got, e.Hash)
		}
		result.Entries, result.Head = e.Seq, e.Hash
		for len(anchored) > 0 && anchored[0].seq == e.Seq {
			if want := anchored[0].hash; want != e.Hash {
				return result, fmt.Errorf("the audit log was written anew between entry %d and %d: the anchor has hash %s for entry %d, and the log %s", result.Anchored+1, e.Seq, want, e.Seq, e.Hash)
			}
			result.Anchored, anchored = e.Seq, anchored[1:]
		}
	}
	if len(anchored) > 0 {
		last := anchored[len(anchored)-1].seq
		return result, fmt.Errorf("the audit log was cut: it ends with entry %d, and the anchor has a head of entry %d", result.Entries, last)
	}
	return result, nil
}

// anchoredHead is what the anchor says of one entry.
type anchoredHead struct {
	seq  int64
	hash string
}

// anchoredHeads verifies the heads of an anchor. Their numbers rise.
func anchoredHeads(heads [][]byte, stack string, keys []revision.PublicKey) (out []anchoredHead, err error) {
	for i, data := range heads {
		s, err := revision.Verify(data, revision.Want{Kind: revision.KindAudit, Stack: stack, Keys: keys})
		if err != nil {
			return nil, fmt.Errorf("head %d of the anchor: %w", i+1, err)
		}
		h := anchoredHead{int64(s.Order.Number), hex.EncodeToString(s.Content[:])} //nolint:gosec // a number of the database's
		if n := len(out); n > 0 {
			switch before := out[n-1]; {
			case h.seq < before.seq:
				return nil, fmt.Errorf("head %d of the anchor is of audit entry %d, and the one before of %d: the log went back in between", i+1, h.seq, before.seq)
			case h.seq == before.seq && h.hash != before.hash:
				return nil, fmt.Errorf("the anchor has two heads of audit entry %d: there were two logs", h.seq)
			}
		}
		out = append(out, h)
	}
	return out, nil
}

// AuditAll gives all entries of the log, in order.
func (tx *Tx) AuditAll() iter.Seq2[Entry, error] { return tx.AuditFrom(0) }

// AuditFrom gives all entries with a number above after, in order.
func (tx *Tx) AuditFrom(after int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		const page = 1000
		for {
			n := 0
			for e, err := range tx.AuditLog(after, page) {
				if !yield(e, err) || err != nil {
					return
				}
				after = e.Seq
				n++
			}
			if n < page {
				return
			}
		}
	}
}
