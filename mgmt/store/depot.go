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
func (tx *Tx) Depot() revision.Depot { return depot{tx} }

type depot struct{ tx *Tx }

func (d depot) Get(_ context.Context, name string, most int64) (data []byte, tag string, err error) {
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

func (d depot) Create(_ context.Context, name string, data []byte) error {
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

func (d depot) Replace(ctx context.Context, name, tag string, data []byte) error {
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

// send has an object written to the bucket, if there is one.
func (d depot) send(name string, head bool) error {
	bucket, err := d.tx.Meta(metaBucket)
	if errors.Is(err, ErrNotFound) || err == nil && bucket == "" {
		return nil
	}
	if err != nil {
		return err
	}
	head = head || strings.HasSuffix(name, "/head.json")
	if _, err := d.tx.Exec("INSERT INTO outbox (id, name, head, at) VALUES ($1, $2, $3, $4)", NewID("out", d.tx.now), name, head, d.tx.now); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	d.tx.Notify(OutboxTopic)
	return nil
}
