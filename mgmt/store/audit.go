package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// Entry is one entry of the audit log: who did what to what.
type Entry struct {
	Seq    int64           `json:"seq"`
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`  // user:NAME, token:NAME, gateway:NAME, manager
	Action string          `json:"action"` // such as change.save, revision.publish, user.login
	Object string          `json:"object"` // such as applications/shop, groups/edge
	Detail json.RawMessage `json:"detail"` // an object; never a secret
	Hash   string          `json:"hash"`   // covers all of the above and the hash of the entry before
}

// hash is the hash of an entry after the one whose hash is before.
func (e *Entry) hash(before string) string {
	h := sha256.New()
	for _, field := range []string{
		before, strconv.FormatInt(e.Seq, 10), strconv.FormatInt(e.At.UnixMicro(), 10), e.Actor, e.Action, e.Object, string(e.Detail),
	} {
		fmt.Fprintf(h, "%d:%s\n", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Audit appends to the audit log, in the transaction of what it tells. detail is written as JSON, nil as {}.
func (tx *Tx) Audit(actor, action, object string, detail any) error {
	e := Entry{At: tx.now, Actor: actor, Action: action, Object: object, Detail: json.RawMessage("{}")}
	if detail != nil {
		var err error
		if e.Detail, err = json.Marshal(detail); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	// The row is locked first: in PostgreSQL, too, entries are appended one after the other.
	if _, err := tx.Exec("UPDATE audit_head SET seq = seq + 1 WHERE id = 1"); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	var before string
	if err := tx.Get(Row(&e.Seq, &before), "SELECT seq, hash FROM audit_head WHERE id = 1"); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	e.Hash = e.hash(before)
	if _, err := tx.Exec("INSERT INTO audit (seq, at, actor, action, object, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		e.Seq, e.At, e.Actor, e.Action, e.Object, string(e.Detail), e.Hash); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	_, err := tx.Exec("UPDATE audit_head SET hash = $1 WHERE id = 1", e.Hash)
	return err
}

// AuditLog gives the entries with a number above after, in order, at most most of them.
func (tx *Tx) AuditLog(after int64, most int) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var entries []Entry
		err := tx.Query(func(scan func(...any) error) error {
			var e Entry
			var detail string
			if err := scan(&e.Seq, &e.At, &e.Actor, &e.Action, &e.Object, &detail, &e.Hash); err != nil {
				return err
			}
			e.Detail = json.RawMessage(detail)
			entries = append(entries, e)
			return nil
		}, "SELECT seq, at, actor, action, object, detail, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2", after, most)
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(Entry{}, err)
		}
	}
}
