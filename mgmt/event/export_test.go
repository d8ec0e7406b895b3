package event

import (
	"context"

	"gatehouse/mgmt/store"
)

// Rows are how many blocks, events and rules of events there are.
func (s *Service) Rows(ctx context.Context) (rows [3]int64, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Get(store.Row(&rows[0], &rows[1], &rows[2]), "SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM events), (SELECT count(*) FROM event_rules)")
	})
	return rows, err
}

// TidyOnce tidies once.
func (s *Service) TidyOnce(ctx context.Context) error { return s.tidy(ctx) }
