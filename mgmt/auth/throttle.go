package auth

import (
	"context"
	"errors"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// Attempts that are free, and how the time between those that follow grows: 1 s, 2 s, 4 s, to longestPause. An address may stand for
// many people behind one NAT. Attempts are forgotten after forgetAfter without one.
const (
	freeByAccount = 5
	freeByAddress = 50
	longestPause  = 5 * time.Minute
	forgetAfter   = 15 * time.Minute
)

// attempt counts a try to sign in before it is looked at, so that tries at once count too, or says that it is too early for another.
// Names that nobody has are counted like all others.
func attempt(tx *store.Tx, name, address string) error {
	if _, err := tx.Exec("DELETE FROM login_attempts WHERE last < $1", tx.Now().Add(-forgetAfter)); err != nil {
		return err
	}
	for _, k := range []struct {
		key  string
		free int
	}{{accountKey(name), freeByAccount}, {"address:" + address, freeByAddress}} {
		var count int
		var last time.Time
		err := tx.Get(store.Row(&count, &last), "SELECT count, last FROM login_attempts WHERE key = $1", k.key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if wait := last.Add(pause(count - k.free)).Sub(tx.Now()); count > 0 && wait > 0 {
			p := problem.New(problem.TooMany, "too many attempts to sign in; wait")
			p.RetryAfter = wait
			return p
		}
		if _, err := tx.Exec("INSERT INTO login_attempts (key, count, last) VALUES ($1, 1, $2) ON CONFLICT (key) DO UPDATE SET count = login_attempts.count + 1, last = excluded.last",
			k.key, tx.Now()); err != nil {
			return err
		}
	}
	return nil
}

// Attempt counts a try of somebody with a session to prove again who they are, with a password or a code.
func (s *Service) Attempt(ctx context.Context, p *Principal, client Client) error {
	return s.db.Write(ctx, func(tx *store.Tx) error { return attempt(tx, p.Name, client.Address) })
}

// accountKey is a hash: what somebody typed as a name may be a password.
func accountKey(name string) string { return "account:" + hashSecret(name) }

// pause is the time between the attempts that are beyond the free ones.
func pause(beyond int) time.Duration {
	switch {
	case beyond < 0:
		return 0
	case beyond > 8:
		return longestPause
	}
	return min(time.Second<<beyond, longestPause)
}

// succeeded forgets the attempts on an account. Those of the address are kept: whoever has one account must not use it to try others.
func succeeded(tx *store.Tx, name string) error {
	_, err := tx.Exec("DELETE FROM login_attempts WHERE key = $1", accountKey(name))
	return err
}
