package store

import (
	"errors"
	"fmt"
	"time"
)

// KeepReplies is how long a repeated request gets the reply of the first.
const KeepReplies = 24 * time.Hour

// Request is one that may be sent again: by whom, under which key, and a hash of what it asks for.
type Request struct{ Actor, Key, Hash string }

// ErrOtherRequest says that the key was used for something else.
var ErrOtherRequest = errors.New("the key was used for another request")

// Idempotent runs do once for each actor and key, in the transaction that also keeps its reply: asked again with the same hash, it gives
// that reply and runs nothing. Who asks while the first is still at it waits for it. An error of do is not kept.
func (tx *Tx) Idempotent(r Request, do func() (reply []byte, err error)) (reply []byte, again bool, err error) {
	if _, err := tx.Exec("DELETE FROM idempotency WHERE at <= $1", tx.now.Add(-KeepReplies)); err != nil {
		return nil, false, fmt.Errorf("idempotency: %w", err)
	}
	n, err := tx.Exec("INSERT INTO idempotency (actor, key, request, reply, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (actor, key) DO NOTHING",
		r.Actor, r.Key, r.Hash, []byte{}, tx.now)
	if err != nil {
		return nil, false, fmt.Errorf("idempotency: %w", err)
	}
	if n == 0 {
		var hash string
		if err := tx.Get(Row(&hash, &reply), "SELECT request, reply FROM idempotency WHERE actor = $1 AND key = $2", r.Actor, r.Key); err != nil {
			return nil, false, fmt.Errorf("idempotency: %w", err)
		}
		if hash != r.Hash {
			return nil, false, ErrOtherRequest
		}
		return reply, true, nil
	}
	if reply, err = do(); err != nil {
		return nil, false, err
	}
	if _, err := tx.Exec("UPDATE idempotency SET reply = $1 WHERE actor = $2 AND key = $3", reply, r.Actor, r.Key); err != nil {
		return nil, false, fmt.Errorf("idempotency: %w", err)
	}
	return reply, false, nil
}
