package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"gatehouse/rules/revision"
)

// Depot is the depot of revisions within the transaction: what is published in it is there with everything else that the
// transaction does, or not at all. What it writes also goes to the outbox, if there is a bucket.
func (tx *Tx) Depot() Depot { return Depot{tx} }

// Depot is a revision.Depot in the database.
type Depot struct{ tx *Tx }

// Groups are those that have a head.
func (d Depot) Groups() (groups []string, err error) {
	err = d.tx.Query(func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		groups = append(groups, strings.TrimSuffix(name, headSuffix))
		return err
	}, "SELECT name FROM depot WHERE name LIKE $1 ORDER BY name", "%"+headSuffix)
	return groups, err
}

const headSuffix = "/head.json"

// HeadsTopic is notified when a head of the depot has moved or was signed anew.
const HeadsTopic = "heads"

// Get implements revision.Depot.
func (d Depot) Get(_ context.Context, name string, most int64) (data []byte, tag string, err error) {
	err = d.tx.Get(Row(&data, &tag), "SELECT data, tag FROM depot WHERE name = $1", name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, "", fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	case err != nil:
		return nil, "", err
	case int64(len(data)) > most:
		return nil, "", fmt.Errorf("%s has %d bytes, more than %d", name, len(data), most)
	}
	return data, tag, nil
}

// Create implements revision.Depot.
func (d Depot) Create(_ context.Context, name string, data []byte) error {
	n, err := d.tx.Exec("INSERT INTO depot (name, tag, data, at) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING",
		name, revision.HashOf(data).String(), data, d.tx.now)
	if err == nil && n == 0 {
		return revision.ErrChanged
	}
	if err != nil {
		return err
	}
	return d.send(name, false)
}

// Replace implements revision.Depot.
func (d Depot) Replace(ctx context.Context, name, tag string, data []byte) error {
	if tag == "" {
		if err := d.Create(ctx, name, data); err != nil {
			return err
		}
		return nil
	}
	n, err := d.tx.Exec("UPDATE depot SET tag = $1, data = $2, at = $3 WHERE name = $4 AND tag = $5",
		revision.HashOf(data).String(), data, d.tx.now, name, tag)
	if err == nil && n == 0 {
		return revision.ErrChanged
	}
	if err != nil {
		return err
	}
	return d.send(name, true)
}

// OutboxTopic wakes whoever carries the outbox to the bucket.
const OutboxTopic = "outbox"

// send tells of a head that moved, and has an object written to the bucket, if there is one.
func (d Depot) send(name string, head bool) error {
	if head = head || strings.HasSuffix(name, headSuffix); head {
		d.tx.Notify(HeadsTopic)
	}
	bucket, err := d.tx.Meta(metaBucket)
	if errors.Is(err, ErrNotFound) || err == nil && bucket == "" {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := d.tx.Exec("INSERT INTO outbox (id, name, head, at) VALUES ($1, $2, $3, $4)", NewID("out", d.tx.now), name, head, d.tx.now); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	d.tx.Notify(OutboxTopic)
	return nil
}
