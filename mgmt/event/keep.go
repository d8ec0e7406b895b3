package event

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/store"
)

// Of MaxSize, records are dropped beyond full, and until there is room: the rest is for what a database keeps beside them.
const (
	full = 0.85
	room = 0.80
)

// tidyEvery is how often what is too old is looked for.
const tidyEvery = time.Minute

// Tidy drops what is too old, and in PostgreSQL what is too much, now and then until ctx ends. may says whether this manager is the one
// to do it.
func (s *Service) Tidy(ctx context.Context, may func(context.Context) bool) {
	for {
		if may(ctx) {
			if err := s.tidy(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("drop old events; it is tried again", zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tidyEvery):
		}
	}
}

func (s *Service) tidy(ctx context.Context) error {
	oldest := dayOf(s.db.Now().Add(-s.keep))
	drop := s.dropBlocks
	if s.db.Kind() == "postgres" {
		drop = s.dropDays
	}
	if err := drop(ctx, oldest); err != nil {
		return err
	}
	if err := s.dropCounts(ctx); err != nil {
		return err
	}
	return s.rollUp(ctx)
}

// makeRoom drops the events that came first, if SQLite's file is nearly as large as it may be. Only the writer calls it.
func (s *Service) makeRoom(ctx context.Context) {
	if s.db.Kind() == "postgres" {
		return
	}
	used, err := s.Used(ctx)
	for limit := full; err == nil && float64(used) > limit*float64(s.most); limit = room {
		var n int64
		if n, err = s.dropFirst(ctx, "", droppedSize); n == 0 {
			break
		}
		if err == nil {
			used, err = s.Used(ctx)
		}
	}
	if err != nil {
		s.log.Warn("make room for events", zap.Error(err))
	}
}

// Used is what events take on the disk, in bytes.
func (s *Service) Used(ctx context.Context) (bytes int64, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		if s.db.Kind() == "postgres" {
			return tx.Get(store.Row(&bytes), `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
				WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`)
		}
		var pages, free, size int64
		for _, p := range []struct {
			name string
			to   *int64
		}{{"page_count", &pages}, {"freelist_count", &free}, {"page_size", &size}} {
			if err := tx.Get(store.Row(p.to), "PRAGMA "+p.name); err != nil {
				return err
			}
		}
		bytes = (pages - free) * size
		return nil
	})
	if err == nil {
		s.metrics.bytes.Set(float64(bytes))
	}
	return bytes, err
}

// dropBlocks drops the blocks of days before oldest, some at a time, so that storing goes on meanwhile.
func (s *Service) dropBlocks(ctx context.Context, oldest int64) error {
	for {
		n, err := s.dropFirst(ctx, "WHERE day < "+strconv.FormatInt(oldest, 10), droppedAge)
		if err != nil || n == 0 {
			return err
		}
	}
}

// dropFirst drops some of the blocks that came first, and says how many.
func (s *Service) dropFirst(ctx context.Context, where, cause string) (blocks int64, err error) {
	const some, enough = 64, 1000 // blocks, events
	events := int64(0)
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		blocks, events = 0, 0
		var list [][3]int64
		err := tx.Query(func(scan func(...any) error) error {
			var b [3]int64
			err := scan(&b[0], &b[1], &b[2])
			list = append(list, b)
			return err
		}, "SELECT id, day, events FROM blocks "+where+" ORDER BY id LIMIT "+strconv.Itoa(some))
		for _, b := range list {
			if err != nil || events >= enough {
				break
			}
			err = dropBlock(tx, b[0], b[1], b[2])
			blocks++
			events += b[2]
		}
		return err
	})
	if err == nil {
		s.metrics.dropped.WithLabelValues(cause).Add(float64(events))
	}
	return blocks, err
}

// dropBlock drops a block and its n events. The events of a block have few rules, and follow each other in time: each rule is dropped
// with one look.
func dropBlock(tx *store.Tx, id, d, n int64) error {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	rules := map[string]bool{}
	err := tx.Query(func(scan func(...any) error) error {
		var at int64
		var text string
		if err := scan(&at, &text); err != nil {
			return err
		}
		first, last = min(first, at), max(last, at)
		for name := range strings.FieldsSeq(text) {
			rules[name] = true
		}
		return nil
	}, "SELECT at, rules FROM events WHERE id >= $1 AND id < $2", id, id+n)
	if err != nil {
		return err
	}
	for name := range rules {
		rule, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM event_rules WHERE rule = $1 AND at >= $2 AND at <= $3 AND event >= $4 AND event < $5 AND day = $6", rule, first, last, id, id+n, d)
		if err != nil {
			return err
		}
	}
	if _, err := tx.Exec("DELETE FROM events WHERE id >= $1 AND id < $2", id, id+n); err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM blocks WHERE id = $1 AND day = $2", id, d)
	return err
}

// dropDays drops the tables of days before oldest, and of the first days until there is room. If one day alone is too much, it goes as a
// whole: what comes next is worth more than what came before.
func (s *Service) dropDays(ctx context.Context, oldest int64) error {
	days, err := s.tabledDays(ctx)
	if err != nil {
		return err
	}
	used, err := s.Used(ctx)
	for limit := full; err == nil && len(days) > 0; days = days[1:] {
		cause := droppedAge
		if days[0] >= oldest {
			if float64(used) <= limit*float64(s.most) {
				return nil
			}
			cause, limit = droppedSize, room
		}
		if err = s.dropDay(ctx, days[0], cause); err == nil {
			used, err = s.Used(ctx)
		}
	}
	return err
}

func (s *Service) dropDay(ctx context.Context, d int64, cause string) error {
	var n int64
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		// The lock of whoever stores: nobody writes into the tables meanwhile.
		if _, err := tx.Exec("UPDATE numbers SET next = next WHERE id = 1"); err != nil {
			return err
		}
		if err := tx.Get(store.Row(&n), "SELECT count(*) FROM "+dayTable("events", d)); err != nil {
			return err
		}
		for _, table := range dayTables {
			if _, err := tx.Exec("DROP TABLE IF EXISTS " + dayTable(table, d)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop day %d: %w", d, err)
	}
	s.metrics.dropped.WithLabelValues(cause).Add(float64(n))
	s.log.Info("a day's events were dropped", zap.Time("day", time.UnixMicro(d*day.Microseconds()).UTC()), zap.Int64("events", n), zap.String("cause", cause))
	return nil
}

// tabledDays are those that have tables, the first one first.
func (s *Service) tabledDays(ctx context.Context) (days []int64, err error) {
	prefix := dayTable("events", 0)
	prefix = prefix[:len(prefix)-1]
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		days = nil
		return tx.Query(func(scan func(...any) error) error {
			var name string
			if err := scan(&name); err != nil {
				return err
			}
			if d, err := strconv.ParseInt(strings.TrimPrefix(name, prefix), 10, 64); err == nil {
				days = append(days, d)
			}
			return nil
		}, "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() AND table_name LIKE 'events\\_d%'")
	})
	slices.Sort(days)
	return days, err
}

// dropCounts drops the counts and the spools that are too old.
func (s *Service) dropCounts(ctx context.Context) error {
	before := s.db.Now().Add(-s.keep)
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec("DELETE FROM counts WHERE minute < $1", before.Add(-time.Hour)); err != nil { // an hour's count is of its first minute
			return err
		}
		_, err := tx.Exec("DELETE FROM spools WHERE at < $1", before)
		return err
	})
}

// rollUpAfter is the age at which counts of minutes become counts of hours.
const rollUpAfter = 2 * day

// rollUp makes counts of hours of those of minutes, an hour in each transaction.
func (s *Service) rollUp(ctx context.Context) error {
	hour := time.Hour.Microseconds()
	before := s.db.Now().Add(-rollUpAfter).Truncate(time.Hour).UnixMicro()
	for {
		first := int64(0)
		err := s.db.Write(ctx, func(tx *store.Tx) error {
			err := tx.Get(store.Row(&first), "SELECT coalesce(min(minute), 0) FROM counts WHERE minute < $1 AND minute % $2 <> 0", before, hour)
			if err != nil || first == 0 {
				return err
			}
			return rollUpHour(tx, first-first%hour)
		})
		if err != nil || first == 0 {
			return err
		}
	}
}

func rollUpHour(tx *store.Tx, start int64) error {
	end := start + time.Hour.Microseconds()
	_, err := tx.Exec(`INSERT INTO counts AS c (minute, application, verdict, reason, rule, events, sampled)
		SELECT CAST($1 AS BIGINT), application, verdict, reason, rule, sum(events), sum(sampled) FROM counts WHERE minute > $1 AND minute < $2
		GROUP BY application, verdict, reason, rule ORDER BY application, verdict, reason, rule
		ON CONFLICT (minute, application, verdict, reason, rule) DO UPDATE SET events = c.events + excluded.events, sampled = c.sampled + excluded.sampled`, start, end)
	if err != nil {
		return err
	}
	_, err = tx.Exec("DELETE FROM counts WHERE minute > $1 AND minute < $2", start, end)
	return err
}
