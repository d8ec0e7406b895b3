package fleet

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/store"
)

// Times of counting who is away.
const (
	awayEvery   = time.Minute
	awayLease   = "away"
	awayHoldFor = 3 * awayEvery
	// DefaultRetireAfter is for how long a gateway may be away while a manager is up, before it is retired.
	DefaultRetireAfter = 7 * 24 * time.Hour
)

// retire counts for how long gateways are away, and retires those that were for too long, while this manager has the lease. Only time
// that a manager was up for counts: each round adds one interval, whatever the clock says.
func (s *Service) retire(ctx context.Context) {
	tick := time.NewTicker(awayEvery)
	defer tick.Stop()
	var lease store.Lease
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if lease.Token != 0 {
				_ = s.o.DB.Release(last, lease) // it ends by itself otherwise
			}
			return
		case <-tick.C:
		}
		var err error
		if lease, err = s.o.DB.Acquire(ctx, awayLease, s.o.Holder, awayHoldFor); err == nil {
			err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
				if err := tx.Fence(lease); err != nil {
					return err
				}
				if err := s.turnAuthority(tx); err != nil {
					return err
				}
				return s.countAway(tx, awayEvery)
			})
		}
		if err != nil && !errors.Is(err, store.ErrLeaseLost) && ctx.Err() == nil {
			s.log.Warn("count who is away; it is tried again", zap.Error(err))
		}
	}
}

// countAway adds an interval to those that were not heard of, and retires who was away for too long.
func (s *Service) countAway(tx *store.Tx, interval time.Duration) error {
	_, err := tx.Exec("UPDATE gateway_status SET away = away + $1 WHERE seen < $2 AND name IN (SELECT name FROM gateways WHERE ended = '')",
		interval.Microseconds(), tx.Now().Add(-Silent))
	if err != nil {
		return err
	}
	var gone []Gateway
	err = tx.Query(func(scan func(...any) error) error {
		var g Gateway
		err := scan(&g.Name, &g.Group, &g.Instance)
		gone = append(gone, g)
		return err
	}, "SELECT g.name, g.grp, g.instance FROM gateways g JOIN gateway_status s ON s.name = g.name WHERE g.ended = '' AND s.away >= $1 ORDER BY g.name",
		s.o.RetireAfter.Microseconds())
	for _, g := range gone {
		if err != nil {
			return err
		}
		g.Ended, g.EndedAt = Retired, tx.Now()
		if err = s.end(tx, g); err == nil {
			err = tx.Audit("manager", "gateway.retire", "gateways/"+g.Name, map[string]string{"group": g.Group, "instance": g.Instance})
		}
		s.log.Info("a gateway was away for long and is retired", zap.String("gateway", g.Name), zap.String("group", g.Group), zap.String("instance", g.Instance))
	}
	return err
}
