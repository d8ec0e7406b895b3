package event

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// busyAfter is what a gateway is told to wait when there is more than can be written.
const busyAfter = 2 * time.Second

// Take stores a batch, and says so when it is on the disk. body is what a gateway sends: a fleetapi.Batch, compressed. An error of kind
// Malformed, Invalid or TooLarge means that the batch will never be taken; after others it may be sent again.
func (s *Service) Take(ctx context.Context, from Gateway, body []byte) (fleetapi.Receipt, error) {
	if len(body) > fleetapi.MaxBatch {
		s.metrics.batches.WithLabelValues(batchRefused).Inc()
		return fleetapi.Receipt{}, problem.New(problem.TooLarge, "a batch has at most %d bytes", fleetapi.MaxBatch)
	}
	p, err := s.prepare(ctx, from, body)
	if err != nil {
		return fleetapi.Receipt{}, err
	}
	select {
	case s.queue <- p:
	default:
		return fleetapi.Receipt{}, s.busy()
	}
	select {
	case err := <-p.done:
		if err != nil {
			return fleetapi.Receipt{}, err
		}
	case <-ctx.Done(): // it may be stored: then it is a duplicate the next time
		return fleetapi.Receipt{}, ctx.Err()
	}
	s.count(p)
	return fleetapi.Receipt{Stored: p.sequence}, nil
}

// prepare reads a batch, as one of few at a time.
func (s *Service) prepare(ctx context.Context, from Gateway, body []byte) (*prepared, error) {
	patience := time.NewTimer(busyAfter)
	defer patience.Stop()
	select {
	case s.reading <- struct{}{}:
	case <-patience.C:
		return nil, s.busy()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.reading }()
	p, err := s.read(from, body)
	if err != nil {
		s.metrics.batches.WithLabelValues(batchRefused).Inc()
	}
	return p, err
}

func (s *Service) busy() error {
	s.metrics.batches.WithLabelValues(batchBusy).Inc()
	p := problem.New(problem.TooMany, "there are more events than can be stored; send the batch again later")
	p.RetryAfter = busyAfter
	return p
}

func (s *Service) count(p *prepared) {
	if p.duplicate {
		s.metrics.batches.WithLabelValues(batchDuplicate).Inc()
		return
	}
	s.metrics.batches.WithLabelValues(batchStored).Inc()
	for _, b := range p.blocks {
		s.metrics.events.WithLabelValues(eventStored).Add(float64(len(b.rows)))
	}
	s.metrics.events.WithLabelValues(eventRefused).Add(float64(p.refused))
	s.metrics.events.WithLabelValues(eventLate).Add(float64(p.late))
}

// write stores batches until Close, those that wait in one transaction: the disk is waited for once for all of them.
func (s *Service) write() {
	for {
		select {
		case <-s.stop:
			return
		case p := <-s.queue:
			s.writeAll(append([]*prepared{p}, s.waiting()...))
		}
	}
}

// waiting are the batches that wait, as many as go into one transaction.
func (s *Service) waiting() []*prepared {
	const most = 32
	var list []*prepared
	for len(list) < most {
		select {
		case p := <-s.queue:
			list = append(list, p)
		default:
			return list
		}
	}
	return list
}

// writeTimeout is how long one transaction may take.
const writeTimeout = 30 * time.Second

// writeAll stores batches. If they cannot be stored together, each is tried alone: one must not hold up the others.
func (s *Service) writeAll(list []*prepared) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	s.makeRoom(ctx)
	together := s.store(ctx, list)
	for _, p := range list {
		err := together
		if err != nil {
			err = s.store(ctx, []*prepared{p})
		}
		if err != nil {
			s.log.Warn("store events", zap.String("gateway", p.from.Name), zap.Error(err))
		}
		p.done <- err
	}
}

func (s *Service) store(ctx context.Context, list []*prepared) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		next, err := take(tx, list)
		if err != nil {
			return err
		}
		w := writer{tx: tx, most: s.parameters()}
		for _, p := range list {
			if p.duplicate, err = seen(tx, p); err != nil {
				return err
			}
			if p.duplicate {
				continue
			}
			for _, b := range p.blocks {
				if err := s.makeDay(tx, b.day); err != nil {
					return err
				}
				w.block(p.from, b, next)
				next += int64(len(b.rows))
			}
			w.counts = append(w.counts, p.counts...)
		}
		if err := w.write(); err != nil {
			return err
		}
		tx.Notify(Topic)
		return nil
	})
	if err != nil {
		clear(s.days) // a table may have been made in vain, or dropped by another manager
		err = fmt.Errorf("store events: %w", err)
	}
	return err
}

// parameters is how many a statement shall have. SQLite looks for each among all that come before it, PostgreSQL may be far away.
func (s *Service) parameters() int {
	const few, many = 45, 2000
	if s.db.Kind() == "postgres" {
		return many
	}
	return few
}

// take gives the first of as many numbers as there are events.
func take(tx *store.Tx, list []*prepared) (first int64, err error) {
	n := int64(0)
	for _, p := range list {
		for _, b := range p.blocks {
			n += int64(len(b.rows))
		}
	}
	if _, err := tx.Exec("UPDATE numbers SET next = next + $1 WHERE id = 1", n); err != nil {
		return 0, err
	}
	err = tx.Get(store.Row(&first), "SELECT next FROM numbers WHERE id = 1")
	return first - n, err
}

// seen notes the batch, and says whether it was stored before.
func seen(tx *store.Tx, p *prepared) (bool, error) {
	n, err := tx.Exec(`INSERT INTO spools (gateway, spool, stored, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (gateway, spool) DO UPDATE SET stored = excluded.stored, at = excluded.at WHERE spools.stored < excluded.stored`,
		p.from.Name, p.spool, p.sequence, tx.Now())
	return n == 0, err
}

// makeDay makes the tables of a day, where days have their own.
func (s *Service) makeDay(tx *store.Tx, d int64) error {
	if s.db.Kind() != "postgres" || s.days[d] {
		return nil
	}
	for _, table := range dayTables {
		_, err := tx.Exec(fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s PARTITION OF %s FOR VALUES FROM (%d) TO (%d)", dayTable(table, d), table, d, d+1))
		if err != nil {
			return err
		}
	}
	s.days[d] = true
	return nil
}

// dayTables have the column day.
var dayTables = []string{"blocks", "events", "event_rules"}

func dayTable(table string, d int64) string { return table + "_d" + strconv.FormatInt(d, 10) }

// writer gathers rows, to write many with each statement.
type writer struct {
	tx                    *store.Tx
	most                  int // parameters of a statement
	blocks, events, rules [][]any
	counts                []fleetapi.Count
}

// block adds a block whose first event has the number.
func (w *writer) block(from Gateway, b block, first int64) {
	w.blocks = append(w.blocks, []any{b.day, first, len(b.rows), b.data})
	for i, r := range b.rows {
		id := first + int64(i)
		names := make([]string, len(r.rules))
		for j, rule := range r.rules {
			names[j] = strconv.Itoa(rule)
			w.rules = append(w.rules, []any{b.day, rule, r.at, id})
		}
		w.events = append(w.events, []any{
			b.day, id, r.at, first, r.incident, from.Name, from.Group, r.application, r.verdict, r.reason, r.client, r.host, r.path,
			pathKey(r.path), strings.Join(names, " "),
		})
	}
}

func (w *writer) write() error {
	for _, t := range []struct {
		into     string
		rows     [][]any
		conflict string
	}{
		{"blocks (day, id, events, data)", w.blocks, ""},
		{"events (day, id, at, block, incident, gateway, grp, application, verdict, reason, client, host, path, path_key, rules)", w.events, ""},
		{"event_rules (day, rule, at, event)", w.rules, ""},
		{
			"counts AS c (minute, application, verdict, reason, rule, events, sampled)", w.sums(),
			" ON CONFLICT (minute, application, verdict, reason, rule) DO UPDATE SET events = c.events + excluded.events, sampled = c.sampled + excluded.sampled",
		},
	} {
		if err := w.insert(t.into, t.rows, t.conflict); err != nil {
			return err
		}
	}
	return nil
}

// sums are the counts of all batches, each key once: a statement changes no row twice.
func (w *writer) sums() [][]any {
	slices.SortFunc(w.counts, compareKeys)
	var rows [][]any
	for i := 0; i < len(w.counts); {
		c := w.counts[i]
		for i++; i < len(w.counts) && keyOf(w.counts[i]) == keyOf(c); i++ {
			c.Events += w.counts[i].Events
			c.Sampled += w.counts[i].Sampled
		}
		rows = append(rows, []any{c.Minute, c.Application, c.Verdict, c.Reason, c.Rule, c.Events, c.Sampled})
	}
	return rows
}

// insert writes rows, some with each statement.
func (w *writer) insert(into string, rows [][]any, conflict string) error {
	if len(rows) == 0 {
		return nil
	}
	for chunk := range slices.Chunk(rows, max(1, w.most/len(rows[0]))) {
		var values []string
		var args []any
		for _, row := range chunk {
			values = append(values, "("+store.Placeholders(len(args)+1, len(row))+")")
			args = append(args, row...)
		}
		if _, err := w.tx.Exec("INSERT INTO "+into+" VALUES "+strings.Join(values, ", ")+conflict, args...); err != nil {
			return err
		}
	}
	return nil
}
