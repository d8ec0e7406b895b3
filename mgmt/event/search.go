package event

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/incident"
)

// Filter says which events are meant. Those fit that fit every field that is set, in one of its values.
type Filter struct {
	Incident     string
	Applications []string
	Verdicts     []string
	Reasons      []string
	Rules        []int
	Clients      []netip.Prefix
	Hosts        []string
	Path         string // exactly; with * at its end, what begins so
	Gateways     []string
	Groups       []string
	Since, Until time.Time // from and before

	// Only are the applications of which who asks may see events; nil is all of them.
	Only []string
}

// Place is where an event stands in the order of time.
type Place struct {
	At time.Time
	ID int64
}

// Found is an event.
type Found struct {
	Place
	Application string
	// Record is what the gateway recorded, with the fields gateway and group.
	Record json.RawMessage
}

// Order is how events are listed.
type Order int

// The orders.
const (
	Newest  Order = iota // by time, the newest first
	Oldest               // by time, the oldest first
	Arrival              // as they were stored, the first one first
)

// searchTimeout is how long a search may take.
const searchTimeout = 20 * time.Second

// Search gives at most limit events behind a place, which is nil at the beginning.
func (s *Service) Search(ctx context.Context, f Filter, order Order, after *Place, limit int) ([]Found, error) {
	q := f.query()
	q.behind(order, after)
	var list []Found
	err := s.bounded(ctx, func(tx *store.Tx) error {
		list = nil
		at, err := q.run(tx, order, limit)
		if err == nil {
			list, err = s.records(tx, at)
		}
		return err
	})
	return list, err
}

// Get gives the event of an incident, the newest if there is more than one. only are the applications that are looked at, as in Filter.
func (s *Service) Get(ctx context.Context, id incident.ID, only []string) (Found, error) {
	list, err := s.Search(ctx, Filter{Incident: id.String(), Only: only}, Newest, nil, 1)
	if err == nil && len(list) == 0 {
		err = problem.New(problem.NotFound, "there is no event of incident %s, which is from %s: it was not sent in full, has not arrived yet, or was dropped by age or size", id, id.Time.Format(time.RFC3339))
	}
	if err != nil {
		return Found{}, err
	}
	return list[0], nil
}

// Follow waits for events that fit behind the number after, at most for the time given or until stop is closed. next is the number behind
// which to go on.
func (s *Service) Follow(ctx context.Context, f Filter, after int64, wait time.Duration, stop <-chan struct{}) (list []Found, next int64, err error) {
	const most = 500
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		wake := s.Wake()
		last, err := s.Last(ctx)
		if err != nil {
			return nil, after, err
		}
		if last > after {
			list, err = s.Search(ctx, f, Arrival, &Place{ID: after}, most)
			switch {
			case err != nil:
				return nil, after, err
			case len(list) == most:
				return list, list[most-1].ID, nil
			case len(list) > 0:
				return list, max(last, list[len(list)-1].ID), nil
			}
			after = last
		}
		select {
		case <-wake:
		case <-deadline.C:
			return nil, after, nil
		case <-stop:
			return nil, after, nil
		case <-ctx.Done():
			return nil, after, ctx.Err()
		}
	}
}

// bounded runs a search for a limited time.
func (s *Service) bounded(ctx context.Context, do func(*store.Tx) error) error {
	inner, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	err := s.db.Read(inner, do)
	if err != nil && inner.Err() != nil && ctx.Err() == nil {
		p := problem.New(problem.Unavailable, "the search takes longer than %v: give since and until, or an application, a client or a rule", searchTimeout)
		p.Cause = err
		return p
	}
	return err
}

// query is a search as SQL.
type query struct {
	from  string
	where []string
	args  []any
	never bool // nothing can fit
}

// arg adds an argument and gives its name.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

func (q *query) and(condition string) { q.where = append(q.where, condition) }

// among asks for one of the values. Only for a single one an index is used: for several, the rows would have to be sorted.
func among(q *query, column string, values []string) {
	switch len(values) {
	case 0:
	case 1:
		q.and(column + " = " + q.arg(values[0]))
	default:
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = q.arg(v)
		}
		q.and(column + " || '' IN (" + strings.Join(names, ", ") + ")")
	}
}

// query makes the conditions. The events are e.
func (f *Filter) query() *query {
	q := &query{from: "events e"}
	if f.Only != nil {
		q.never = len(f.Only) == 0
		among(q, "e.application", f.Only)
	}
	if f.Incident != "" {
		q.and("e.incident = " + q.arg(f.Incident))
	}
	among(q, "e.application", f.Applications)
	for _, c := range []struct {
		column string
		values []string
	}{{"e.verdict", f.Verdicts}, {"e.reason", f.Reasons}, {"e.host", f.Hosts}, {"e.gateway", f.Gateways}, {"e.grp", f.Groups}} {
		among(q, c.column, c.values)
	}
	f.rules(q)
	f.clients(q)
	f.path(q)
	f.times(q)
	return q
}

// rules starts from one rule's index; of several, each event is looked at.
func (f *Filter) rules(q *query) {
	switch len(f.Rules) {
	case 0:
	case 1:
		q.from = "event_rules r CROSS JOIN events e"
		q.and("r.rule = " + q.arg(f.Rules[0]))
		q.and("e.id = r.event")
		q.and("e.day = r.day")
	default:
		var any []string
		for _, rule := range f.Rules {
			any = append(any, "' ' || e.rules || ' ' LIKE "+q.arg("% "+strconv.Itoa(rule)+" %"))
		}
		q.and("(" + strings.Join(any, " OR ") + ")")
	}
}

func (f *Filter) clients(q *query) {
	var any []string
	for _, p := range f.Clients {
		first, last := bounds(p)
		if bytes.Equal(first, last) {
			any = append(any, "e.client = "+q.arg(first))
			continue
		}
		any = append(any, "(e.client >= "+q.arg(first)+" AND e.client <= "+q.arg(last)+")")
	}
	if len(any) > 0 {
		q.and("(" + strings.Join(any, " OR ") + ")")
	}
}

// bounds are the first and the last address of a prefix, as keys.
func bounds(p netip.Prefix) (first, last []byte) {
	const mapped, all = 96, 128
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += mapped
	}
	a := p.Masked().Addr().As16()
	b := a
	for i := bits; i < all; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return a[:], b[:]
}

func (f *Filter) path(q *query) {
	start, more := strings.CutSuffix(f.Path, "*")
	switch {
	case f.Path == "":
	case more:
		escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(start)
		q.and("e.path LIKE " + q.arg(escaped+"%") + ` ESCAPE '\'`)
		q.and("substr(e.path, 1, " + strconv.Itoa(len([]rune(start))) + ") = " + q.arg(start)) // SQLite's LIKE knows no case
	default:
		path := clean(f.Path, longPath)
		q.and("e.path_key = " + q.arg(pathKey(path)))
		q.and("e.path = " + q.arg(path))
	}
}

// times names the day too, by which whole tables are left out.
func (f *Filter) times(q *query) {
	if !f.Since.IsZero() {
		q.and("e.at >= " + q.arg(f.Since))
		q.and("e.day >= " + q.arg(dayOf(f.Since)))
	}
	if !f.Until.IsZero() {
		q.and("e.at < " + q.arg(f.Until))
		q.and("e.day <= " + q.arg(dayOf(f.Until)))
	}
}

// behind leaves out what was given before.
func (q *query) behind(order Order, after *Place) {
	if after == nil {
		return
	}
	at, id := "e.at", "e.id"
	if strings.HasPrefix(q.from, "event_rules") {
		at, id = "r.at", "r.event"
	}
	switch order {
	case Arrival:
		q.and("e.id > " + q.arg(after.ID))
	case Oldest:
		q.and("(" + at + ", " + id + ") > (" + q.arg(after.At) + ", " + q.arg(after.ID) + ")")
	default:
		q.and("(" + at + ", " + id + ") < (" + q.arg(after.At) + ", " + q.arg(after.ID) + ")")
	}
}

// spot is where an event's record is.
type spot struct {
	Place
	day, block  int64
	application string
}

func (q *query) run(tx *store.Tx, order Order, limit int) ([]spot, error) {
	if q.never {
		return nil, nil
	}
	by := "e.at DESC, e.id DESC"
	if strings.HasPrefix(q.from, "event_rules") {
		by = "r.at DESC, r.event DESC"
	}
	switch order {
	case Oldest:
		by = strings.ReplaceAll(by, " DESC", "")
	case Arrival:
		by = "e.id"
	}
	var list []spot
	err := tx.Query(func(scan func(...any) error) error {
		var p spot
		err := scan(&p.At, &p.ID, &p.day, &p.block, &p.application)
		list = append(list, p)
		return err
	}, "SELECT e.at, e.id, e.day, e.block, e.application FROM "+q.from+q.conditions()+" ORDER BY "+by+" LIMIT "+strconv.Itoa(limit), q.args...)
	return list, err
}

func (q *query) conditions() string {
	if len(q.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(q.where, " AND ")
}

// records reads the records of events out of their blocks.
func (s *Service) records(tx *store.Tx, spots []spot) ([]Found, error) {
	out := make([]Found, len(spots))
	byBlock := map[int64][]int{}
	for i, p := range spots {
		out[i] = Found{Place: p.Place, Application: p.application}
		byBlock[p.block] = append(byBlock[p.block], i)
	}
	for block, list := range byBlock {
		lines, err := s.lines(tx, block, spots[list[0]].day)
		if err != nil {
			return nil, err
		}
		for _, i := range list {
			n := int(spots[i].ID - block)
			if n >= len(lines) {
				return nil, errors.New("a block of events has fewer records than events")
			}
			out[i].Record = lines[n]
		}
	}
	return out, nil
}

func (s *Service) lines(tx *store.Tx, block, day int64) ([]json.RawMessage, error) {
	var data []byte
	if err := tx.Get(store.Row(&data), "SELECT data FROM blocks WHERE id = $1 AND day = $2", block, day); err != nil {
		return nil, err
	}
	text, err := s.decoder.DecodeAll(data, nil)
	if err != nil {
		return nil, err
	}
	var lines []json.RawMessage
	for line := range bytes.Lines(text) {
		lines = append(lines, slices.Clip(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return lines, nil
}

// Last is the number of the event that was stored last, 0 if there is none.
func (s *Service) Last(ctx context.Context) (id int64, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		return tx.Get(store.Row(&id), "SELECT next - 1 FROM numbers WHERE id = 1")
	})
	return id, err
}
