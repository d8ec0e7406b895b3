package event

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// CountFields are what counts may be told apart by.
var CountFields = []string{"application", "verdict", "reason", "rule"}

// Count is how many events there were.
type Count struct {
	// Time is the beginning of the step, zero without steps.
	Time        time.Time `json:"time,omitzero" doc:"beginning of the step"`
	Application *string   `json:"application,omitempty"`
	Verdict     *string   `json:"verdict,omitempty"`
	Reason      *string   `json:"reason,omitempty"`
	Rule        *int64    `json:"rule,omitempty" doc:"the first that matched, 0 if none did"`
	Events      int64     `json:"events" doc:"exactly"`
	Sampled     int64     `json:"sampled" doc:"of them, those that gateways have counted only: their records are not stored"`
}

// Counts are exact numbers of events from since to until, by steps of time (none if step is 0) and by fields. Those that are older than two
// days are kept by the hour.
func (s *Service) Counts(ctx context.Context, f Filter, step time.Duration, by []string) ([]Count, error) {
	q := &query{}
	if f.Only != nil {
		q.never = len(f.Only) == 0
		among(q, "application", f.Only)
	}
	among(q, "application", f.Applications)
	among(q, "verdict", f.Verdicts)
	among(q, "reason", f.Reasons)
	if len(f.Rules) > 0 {
		names := make([]string, len(f.Rules))
		for i, rule := range f.Rules {
			names[i] = q.arg(rule)
		}
		q.and("rule IN (" + strings.Join(names, ", ") + ")")
	}
	if !f.Since.IsZero() {
		q.and("minute >= " + q.arg(f.Since.Truncate(time.Minute)))
	}
	if !f.Until.IsZero() {
		q.and("minute < " + q.arg(f.Until))
	}
	if q.never {
		return nil, nil
	}
	start := "CAST(0 AS BIGINT)"
	if step > 0 {
		start = fmt.Sprintf("(minute / %d) * %d", step.Microseconds(), step.Microseconds())
	}
	columns := []string{start + " AS start"}
	groups := []string{"1"}
	for i, field := range CountFields {
		switch {
		case slices.Contains(by, field):
			columns = append(columns, field)
			groups = append(groups, fmt.Sprint(i+2))
		case field == "rule":
			columns = append(columns, "CAST(0 AS BIGINT)")
		default:
			columns = append(columns, "''")
		}
	}
	const most = 20_000
	var list []Count
	text := "SELECT " + strings.Join(columns, ", ") + ", CAST(sum(events) AS BIGINT), CAST(sum(sampled) AS BIGINT) FROM counts" + q.conditions() +
		" GROUP BY " + strings.Join(groups, ", ") + fmt.Sprintf(" ORDER BY 1, 6 DESC LIMIT %d", most+1)
	err := s.bounded(ctx, func(tx *store.Tx) error {
		list = nil
		return tx.Query(func(scan func(...any) error) error {
			c, err := scanCount(scan, by)
			list = append(list, c)
			return err
		}, text, q.args...)
	})
	if err == nil && len(list) > most {
		return nil, problem.New(problem.Invalid, "there are more than %d numbers: ask for a longer step, a shorter time or fewer fields", most)
	}
	return list, err
}

func scanCount(scan func(...any) error, by []string) (c Count, err error) {
	var application, verdict, reason string
	var rule int64
	err = scan(&c.Time, &application, &verdict, &reason, &rule, &c.Events, &c.Sampled)
	for _, field := range by {
		switch field {
		case "application":
			c.Application = &application
		case "verdict":
			c.Verdict = &verdict
		case "reason":
			c.Reason = &reason
		case "rule":
			c.Rule = &rule
		}
	}
	return c, err
}

// TopFields are what stored events may be ranked by.
var TopFields = []string{"application", "client", "gateway", "host", "path", "reason", "rule", "verdict"}

// Top is a value and how many of the stored events have it.
type Top struct {
	Value  string    `json:"value"`
	Events int64     `json:"events" doc:"whose records are stored: of a flood, the gateways send a sample"`
	Last   time.Time `json:"last" doc:"when the newest of them was"`
}

// Top ranks the events that fit by the values of a field, those with most events first.
func (s *Service) Top(ctx context.Context, f Filter, by string, limit int) ([]Top, error) {
	q := f.query()
	if q.never {
		return nil, nil
	}
	column := "e." + by
	if by == "rule" {
		column = "e.rules"
	}
	sums := map[string]*Top{}
	err := s.bounded(ctx, func(tx *store.Tx) error {
		clear(sums)
		return tx.Query(func(scan func(...any) error) error {
			var value []byte
			var t Top
			if err := scan(&value, &t.Events, &t.Last); err != nil {
				return err
			}
			for _, name := range topValues(by, value) {
				add(sums, name, t)
			}
			return nil
		}, "SELECT "+column+", count(*), max(e.at) FROM "+q.from+q.conditions()+" GROUP BY 1", q.args...)
	})
	list := make([]Top, 0, len(sums))
	for _, t := range sums {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b Top) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), strings.Compare(a.Value, b.Value))
	})
	return list[:min(len(list), limit)], err
}

// topValues are what a column's value is told as.
func topValues(by string, value []byte) []string {
	switch by {
	case "client":
		addr, ok := netip.AddrFromSlice(value)
		if !ok {
			return []string{""}
		}
		return []string{addr.Unmap().String()}
	case "rule":
		return strings.Fields(string(value))
	}
	return []string{string(value)}
}

func add(sums map[string]*Top, value string, t Top) {
	sum := sums[value]
	if sum == nil {
		sum = &Top{Value: value}
		sums[value] = sum
	}
	sum.Events += t.Events
	if t.Last.After(sum.Last) {
		sum.Last = t.Last
	}
}

// Storage is what is stored.
type Storage struct {
	Bytes   int64     `json:"bytes" doc:"on the disk"`
	MaxSize int64     `json:"max_size" doc:"events.max_size of the manager's settings, in bytes"`
	Keep    string    `json:"keep" doc:"events.keep"`
	Events  int64     `json:"events" doc:"about: the numbers given to events that are still there"`
	Oldest  time.Time `json:"oldest,omitzero"`
	Newest  time.Time `json:"newest,omitzero"`
}

// Storage says what is stored.
func (s *Service) Storage(ctx context.Context) (Storage, error) {
	out := Storage{MaxSize: s.most, Keep: s.keep.String()}
	var err error
	if out.Bytes, err = s.Used(ctx); err != nil {
		return out, err
	}
	return out, s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Get(store.Row(&out.Oldest, &out.Newest, &out.Events),
			`SELECT coalesce((SELECT min(at) FROM events), 0), coalesce((SELECT max(at) FROM events), 0),
			coalesce((SELECT max(id) FROM events) - (SELECT min(id) FROM events) + 1, 0)`)
	})
}
