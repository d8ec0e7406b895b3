package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lease is the right to do one kind of background work for a while. Its token is higher than that of everybody who had it before.
type Lease struct {
	Name   string
	Holder string
	Token  int64
	Until  time.Time
}

// ErrLeaseLost says that somebody else has the lease now.
var ErrLeaseLost = errors.New("the lease is somebody else's")

// Acquire takes or prolongs a lease, or gives ErrLeaseLost while another holder has it.
func (db *DB) Acquire(ctx context.Context, name, holder string, hold time.Duration) (Lease, error) {
	l := Lease{Name: name, Holder: holder}
	err := db.Write(ctx, func(tx *Tx) error {
		l.Until = tx.now.Add(hold)
		var by string
		var until time.Time
		err := tx.Get(Row(&by, &l.Token, &until), "SELECT holder, token, until FROM leases WHERE name = $1", name)
		switch {
		case errors.Is(err, ErrNotFound):
			l.Token = 1
			_, err = tx.Exec("INSERT INTO leases (name, holder, token, until) VALUES ($1, $2, $3, $4)", name, holder, l.Token, l.Until)
			return err
		case err != nil:
			return err
		case by == holder && until.After(tx.now):
		case until.After(tx.now):
			return ErrLeaseLost
		default:
			l.Token++
		}
		_, err = tx.Exec("UPDATE leases SET holder = $1, token = $2, until = $3 WHERE name = $4", holder, l.Token, l.Until, name)
		return err
	})
	if err != nil {
		return Lease{}, fmt.Errorf("lease %s: %w", name, err)
	}
	return l, nil
}

// Fence gives ErrLeaseLost unless the lease is still the holder's: background work calls it in every transaction that it writes.
func (tx *Tx) Fence(l Lease) error {
	var token int64
	err := tx.Get(Row(&token), "SELECT token FROM leases WHERE name = $1", l.Name)
	if err == nil && token != l.Token {
		err = ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("lease %s: %w", l.Name, err)
	}
	return nil
}

// Release gives a lease back before its time, so that another holder need not wait for its end.
func (db *DB) Release(ctx context.Context, l Lease) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec("UPDATE leases SET until = 0 WHERE name = $1 AND token = $2", l.Name, l.Token)
		return err
	})
}
