package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotency-Replayed"
	maxKey       = 200
)

// repeatable is a request that may be sent again.
type repeatable struct {
	store.Request
	header http.Header // of the answer
}

type repeatableKey struct{}

// remember notes the key of a POST, and what it asks for.
func (a *API) remember(w http.ResponseWriter, route *Route, r *http.Request, body []byte) (*http.Request, error) {
	key, p := r.Header.Get(keyHeader), auth.From(r.Context())
	if key == "" || route.Method != http.MethodPost || p == nil {
		return r, nil
	}
	if len(key) > maxKey {
		return nil, problem.Field("header."+keyHeader, nil, "has more than %d characters", maxKey)
	}
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body)} {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	again := &repeatable{store.Request{Actor: string(p.Kind) + ":" + p.ID, Key: key, Hash: hex.EncodeToString(h.Sum(nil))}, w.Header()}
	return r.WithContext(context.WithValue(r.Context(), repeatableKey{}, again)), nil
}

// bodyProblem is an error of reading a body.
func bodyProblem(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	p := problem.New(problem.Malformed, "the body did not arrive whole")
	p.Cause = err
	return p
}

// Write runs what a request does to the database in one transaction. A POST with an Idempotency-Key that was done before gets the reply of
// the first time.
func Write[O any](ctx context.Context, db *store.DB, do func(*store.Tx) (*O, error)) (*O, error) {
	again, _ := ctx.Value(repeatableKey{}).(*repeatable)
	var out *O
	err := db.Write(ctx, func(tx *store.Tx) (err error) {
		if again == nil {
			out, err = do(tx)
			return err
		}
		out, err = writeOnce(tx, again, do)
		return err
	})
	if errors.Is(err, store.ErrOtherRequest) {
		return nil, problem.Field("header."+keyHeader, nil, "the key was used for another request in the last 24 h: take a new one for each request")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Keeper is a reply with a secret: Kept is what is kept of it for whoever sends the request again.
type Keeper[O any] interface{ Kept() *O }

func writeOnce[O any](tx *store.Tx, again *repeatable, do func(*store.Tx) (*O, error)) (*O, error) {
	var out *O
	kept, before, err := tx.Idempotent(again.Request, func() (_ []byte, err error) {
		if out, err = do(tx); err != nil {
			return nil, err
		}
		keep := out
		if k, ok := any(out).(Keeper[O]); ok {
			keep = k.Kept()
		}
		return json.Marshal(keep)
	})
	if err != nil || !before {
		return out, err
	}
	again.header.Set(replayHeader, "true")
	if err := json.Unmarshal(kept, &out); err != nil {
		return nil, fmt.Errorf("read the reply that was kept: %w", err)
	}
	return out, nil
}
