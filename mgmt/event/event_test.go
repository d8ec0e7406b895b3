package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/event"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/incident"
)

const keep = 30 * 24 * time.Hour

// bench is a service with a clock that tests move.
type bench struct {
	t       testing.TB
	ahead   atomic.Int64
	options event.Options
	*event.Service
}

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func (b *bench) open() {
	b.t.Helper()
	s, err := event.Open(context.Background(), b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Service = s
}

// reopen is a restart.
func (b *bench) reopen() {
	b.t.Helper()
	b.close()
	b.open()
}

func (b *bench) close() {
	if err := b.Close(); err != nil {
		b.t.Error(err)
	}
}

// each runs a test on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bench)) {
	run := func(b *bench) {
		b.options.Logger, b.options.Now, b.options.Keep = zaptest.NewLogger(b.t), b.now, keep
		b.options.MaxSize = 1 << 30
		b.open()
		b.t.Cleanup(b.close)
		test(b.t.(*testing.T), b)
	}
	t.Run("sqlite", func(t *testing.T) {
		run(&bench{t: t, options: event.Options{File: filepath.Join(t.TempDir(), "events.db")}})
	})
	t.Run("postgres", func(t *testing.T) {
		run(&bench{t: t, options: event.Options{URL: storetest.PostgresOptions(t).URL}})
	})
}

var gateway = event.Gateway{Name: "gw-1", Group: "edge"}

// record is an event as gateways write it.
func record(at time.Time, n int, change ...func(map[string]any)) json.RawMessage {
	e := map[string]any{
		"record": "event", "time": at.UTC().Format("2006-01-02T15:04:05.000000Z"), "incident": incidentOf(at, n), "verdict": "block", "reason": "crs_score",
		"client": "203.0.113.7", "application": "shop", "host": "shop.example.com", "path": "/login", "method": "POST", "status": 403,
		"rules": []map[string]any{{"id": 942100, "message": "SQL injection"}, {"id": 949110}},
	}
	for _, c := range change {
		c(e)
	}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return data
}

func incidentOf(at time.Time, n int) string {
	return incident.ID{Time: at, Gateway: uint16(n >> 18 & 1023), Sequence: uint32(n)}.String() //nolint:gosec // cut as an ID cuts it
}

func with(field string, value any) func(map[string]any) {
	return func(e map[string]any) { e[field] = value }
}

// packer compresses as gateways do.
var packer = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err)
	}
	return w
})

func pack(t testing.TB, b fleetapi.Batch) []byte {
	t.Helper()
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return packer().EncodeAll(data, nil)
}

func (b *bench) take(batch fleetapi.Batch) {
	b.t.Helper()
	r, err := b.Take(context.Background(), gateway, pack(b.t, batch))
	if err != nil || r.Stored != batch.Sequence {
		b.t.Fatalf("%+v, %v", r, err)
	}
}

func (b *bench) search(f event.Filter) []event.Found {
	b.t.Helper()
	list, err := b.Search(context.Background(), f, event.Newest, nil, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) total() (events, sampled int64) {
	b.t.Helper()
	list, err := b.Counts(context.Background(), event.Filter{}, 0, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range list {
		events += c.Events
		sampled += c.Sampled
	}
	return events, sampled
}

func countOf(at time.Time, events, sampled int64) fleetapi.Count {
	return fleetapi.Count{Minute: at.Truncate(time.Minute), Application: "shop", Verdict: "block", Reason: "crs_score", Rule: 942100, Events: events, Sampled: sampled}
}

// TestStored shows that a batch is stored once, whole, and is there after a restart.
func TestStored(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		at := b.now()
		batch := fleetapi.Batch{
			Spool: "a", Sequence: 1, Events: []json.RawMessage{record(at, 1), record(at, 2, with("path", "/cart"), with("client", "not an address"))},
			Counts: []fleetapi.Count{countOf(at, 5, 3), countOf(at, 1, 0)},
		}
		wake := b.Wake()
		b.take(batch)
		select {
		case <-wake:
		case <-time.After(10 * time.Second):
			t.Error("nobody was woken")
		}
		b.take(batch) // the receipt was lost
		b.reopen()
		b.take(batch)
		older := batch
		older.Sequence = 0
		if _, err := b.Take(t.Context(), gateway, pack(t, older)); kindOf(err) != problem.Invalid {
			t.Errorf("a batch without a number: %v", err)
		}
		if list := b.search(event.Filter{}); len(list) != 2 {
			t.Fatalf("%d events were stored, not 2", len(list))
		}
		if events, sampled := b.total(); events != 6 || sampled != 3 {
			t.Errorf("%d events and %d sampled were counted, not 6 and 3", events, sampled)
		}
		id, _ := incident.Parse(incidentOf(at, 2))
		found, err := b.Get(t.Context(), id, nil)
		if err != nil {
			t.Fatal(err)
		}
		var e map[string]any
		if err := json.Unmarshal(found.Record, &e); err != nil || e["path"] != "/cart" || e["gateway"] != "gw-1" || e["group"] != "edge" || e["method"] != "POST" {
			t.Errorf("%s, %v", found.Record, err)
		}
		// The same number is another batch if it is of another spool or another gateway.
		batch.Spool, batch.Events = "b", []json.RawMessage{record(at, 3)}
		b.take(batch)
		batch.Events = []json.RawMessage{record(at, 4)}
		if _, err := b.Take(t.Context(), event.Gateway{Name: "gw-2", Group: "edge"}, pack(t, batch)); err != nil {
			t.Fatal(err)
		}
		if list := b.search(event.Filter{}); len(list) != 4 {
			t.Errorf("%d events, not 4", len(list))
		}
		if events, _ := b.total(); events != 18 {
			t.Errorf("%d events were counted, not 18", events)
		}
	})
}

func kindOf(err error) problem.Kind {
	var p *problem.Problem
	if errors.As(err, &p) {
		return p.Kind
	}
	return 0
}

// TestRefused shows batches that are refused as a whole, and change nothing, and events that are left out of a batch that is taken.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		at := b.now()
		good := fleetapi.Batch{Spool: "a", Sequence: 1, Events: []json.RawMessage{record(at, 1)}}
		change := func(c func(*fleetapi.Batch)) []byte {
			x := good
			c(&x)
			return pack(t, x)
		}
		bomb := pack(t, fleetapi.Batch{Spool: "a", Sequence: 1, Events: []json.RawMessage{json.RawMessage(`"` + strings.Repeat("a", fleetapi.MaxEvents) + `"`)}})
		w, _ := zstd.NewWriter(nil)
		for name, c := range map[string]struct {
			body []byte
			kind problem.Kind
		}{
			"nothing":           {nil, problem.Malformed},
			"not compressed":    {[]byte(`{"spool":"a","sequence":1}`), problem.Malformed},
			"not JSON":          {w.EncodeAll([]byte("hello"), nil), problem.Malformed},
			"cut":               {pack(t, good)[:40], problem.Malformed},
			"a bomb":            {bomb, problem.Malformed},
			"too large":         {make([]byte, fleetapi.MaxBatch+1), problem.TooLarge},
			"no spool":          {change(func(x *fleetapi.Batch) { x.Spool = "" }), problem.Invalid},
			"long spool":        {change(func(x *fleetapi.Batch) { x.Spool = strings.Repeat("x", 65) }), problem.Invalid},
			"a NUL in spool":    {change(func(x *fleetapi.Batch) { x.Spool = "a\x00" }), problem.Invalid},
			"negative sequence": {change(func(x *fleetapi.Batch) { x.Sequence = -1 }), problem.Invalid},
			"negative count":    {change(func(x *fleetapi.Batch) { x.Counts = []fleetapi.Count{countOf(at, -1, 0)} }), problem.Invalid},
			"more than all":     {change(func(x *fleetapi.Batch) { x.Counts = []fleetapi.Count{countOf(at, 1, 2)} }), problem.Invalid},
			"absurd count":      {change(func(x *fleetapi.Batch) { x.Counts = []fleetapi.Count{countOf(at, 1<<60, 0)} }), problem.Invalid},
			"too many counts":   {change(func(x *fleetapi.Batch) { x.Counts = make([]fleetapi.Count, 100_001) }), problem.Invalid},
		} {
			if _, err := b.Take(t.Context(), gateway, c.body); kindOf(err) != c.kind {
				t.Errorf("%s: %v", name, err)
			}
		}
		if events, _ := b.total(); events != 0 || len(b.search(event.Filter{})) != 0 {
			t.Error("what was refused has changed something")
		}
		good.Events = []json.RawMessage{
			record(at, 1),
			[]byte(`7`), []byte(`{}`), []byte(`null`),
			record(at, 2, with("record", "access")),
			record(at, 3, with("incident", "GH-1")),
			record(at, 3, with("incident", strings.ToLower(incidentOf(at, 3)))),
			record(at, 4, with("time", "yesterday")),
			record(at, 5, with("gateway", "another")),
			record(at, 5, with("Group", "another")),
			record(at, 6, with("detail", strings.Repeat("x", 64<<10))),
			record(at.Add(-keep-time.Hour), 7),
			record(at, 8, with("application", "a\x00b"), with("path", "/\x00"), with("client", "")),
			record(at.Add(24*365*time.Hour), 9, with("application", "ahead")),
			[]byte("{\n\"record\":\"event\",\"time\":\"" + at.Format(time.RFC3339) + "\",\"incident\":\"" + incidentOf(at, 10) + "\",\n\"application\":\"lines\"\n}"),
		}
		b.take(good)
		list := b.search(event.Filter{})
		if len(list) != 4 {
			t.Fatalf("%d events were stored, not 4", len(list))
		}
		for _, f := range list {
			if f.At.After(b.now()) {
				t.Errorf("%s is of the future", f.Record)
			}
			if !json.Valid(f.Record) || strings.Contains(string(f.Record), "\n") {
				t.Errorf("%q", f.Record)
			}
		}
	})
}

// TestSearch holds each filter, in every order, and page by page, against looking at all events.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		now := b.now().Truncate(time.Microsecond)
		var all []json.RawMessage
		var times []time.Time
		for i := range 300 {
			at := now.Add(-time.Duration(i) * 15 * time.Minute) // three days
			times = append(times, at)
			all = append(all, record(at, i,
				with("application", []string{"shop", "blog", "api"}[i%3]), with("verdict", []string{"block", "detect"}[i%2]),
				with("reason", []string{"crs_score", "rule", "rate_limit", "action"}[i%4]),
				with("client", []string{"203.0.113.7", "203.0.113.200", "198.51.100.1", "2001:db8::1", "2001:db8:1::1", "::ffff:192.0.2.1"}[i%6]),
				with("host", []string{"a.example", "b.example"}[i%2]), with("path", []string{"/login", "/Login", "/log%in_", "/", "/login/x"}[i%5]),
				with("rules", []map[string]any{{"id": 942100 + i%7}, {"id": 949110}, {"id": 949110}}),
			))
		}
		for i := range 3 { // from both gateways, in several batches
			from := event.Gateway{Name: fmt.Sprintf("gw-%d", i%2), Group: []string{"edge", "core"}[i%2]}
			if _, err := b.Take(t.Context(), from, pack(t, fleetapi.Batch{Spool: "s", Sequence: int64(i + 1), Events: all[i*100 : (i+1)*100]})); err != nil {
				t.Fatal(err)
			}
		}
		prefix := netip.MustParsePrefix
		for name, c := range map[string]struct {
			filter event.Filter
			fits   func(i int) bool
		}{
			"all":                {event.Filter{}, func(int) bool { return true }},
			"incident":           {event.Filter{Incident: incidentOf(times[77], 77)}, func(i int) bool { return i == 77 }},
			"application":        {event.Filter{Applications: []string{"blog"}}, func(i int) bool { return i%3 == 1 }},
			"applications":       {event.Filter{Applications: []string{"blog", "api"}}, func(i int) bool { return i%3 > 0 }},
			"only":               {event.Filter{Only: []string{"shop", "api"}, Applications: []string{"shop", "blog"}}, func(i int) bool { return i%3 == 0 }},
			"only none":          {event.Filter{Only: []string{}}, func(int) bool { return false }},
			"verdict":            {event.Filter{Verdicts: []string{"detect"}}, func(i int) bool { return i%2 == 1 }},
			"reasons":            {event.Filter{Reasons: []string{"rule", "action"}}, func(i int) bool { return i%2 == 1 }},
			"rule":               {event.Filter{Rules: []int{942103}}, func(i int) bool { return i%7 == 3 }},
			"rule and more":      {event.Filter{Rules: []int{949110}, Applications: []string{"api"}, Since: times[200]}, func(i int) bool { return i%3 == 2 && i <= 200 }},
			"rules":              {event.Filter{Rules: []int{942103, 942104}}, func(i int) bool { return i%7 == 3 || i%7 == 4 }},
			"part of a rule":     {event.Filter{Rules: []int{94210, 2103}}, func(int) bool { return false }},
			"client":             {event.Filter{Clients: []netip.Prefix{prefix("203.0.113.7/32")}}, func(i int) bool { return i%6 == 0 }},
			"prefix":             {event.Filter{Clients: []netip.Prefix{prefix("203.0.113.0/25")}}, func(i int) bool { return i%6 == 0 }},
			"prefix of IPv6":     {event.Filter{Clients: []netip.Prefix{prefix("2001:db8::/48")}}, func(i int) bool { return i%6 == 3 }},
			"mapped":             {event.Filter{Clients: []netip.Prefix{prefix("192.0.2.0/24")}}, func(i int) bool { return i%6 == 5 }},
			"prefixes":           {event.Filter{Clients: []netip.Prefix{prefix("203.0.113.128/25"), prefix("2001:db8::/32")}}, func(i int) bool { return i%6 == 1 || i%6 == 3 || i%6 == 4 }},
			"host":               {event.Filter{Hosts: []string{"b.example"}}, func(i int) bool { return i%2 == 1 }},
			"path":               {event.Filter{Path: "/login"}, func(i int) bool { return i%5 == 0 }},
			"beginning of path":  {event.Filter{Path: "/login*"}, func(i int) bool { return i%5 == 0 || i%5 == 4 }},
			"odd path":           {event.Filter{Path: "/log%in_*"}, func(i int) bool { return i%5 == 2 }},
			"gateway":            {event.Filter{Gateways: []string{"gw-1"}}, func(i int) bool { return i/100 == 1 }},
			"group":              {event.Filter{Groups: []string{"edge"}}, func(i int) bool { return i/100 != 1 }},
			"since":              {event.Filter{Since: times[120]}, func(i int) bool { return i <= 120 }},
			"until":              {event.Filter{Until: times[120]}, func(i int) bool { return i > 120 }},
			"everything at once": {event.Filter{Applications: []string{"shop"}, Verdicts: []string{"block"}, Reasons: []string{"crs_score"}, Rules: []int{949110}, Clients: []netip.Prefix{prefix("203.0.113.0/24")}, Hosts: []string{"a.example"}, Path: "/login", Since: times[250], Until: times[0]}, func(i int) bool { return i%60 == 0 && i > 0 && i <= 250 }},
		} {
			t.Run(name, func(t *testing.T) {
				var want []string
				for i := range all {
					if c.fits(i) {
						want = append(want, incidentOf(times[i], i))
					}
				}
				for order, reversed := range map[event.Order]bool{event.Newest: false, event.Oldest: true, event.Arrival: false} {
					got := b.pages(c.filter, order)
					if reversed {
						slices.Reverse(got)
					}
					if !slices.Equal(got, want) {
						t.Errorf("order %d: got %d events, want %d: %v %v", order, len(got), len(want), got, want)
					}
				}
			})
		}
	})
}

// pages gives the incidents of all events that fit, page by page.
func (b *bench) pages(f event.Filter, order event.Order) (ids []string) {
	b.t.Helper()
	var after *event.Place
	for {
		list, err := b.Search(context.Background(), f, order, after, 7)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, found := range list {
			var e struct{ Incident string }
			if err := json.Unmarshal(found.Record, &e); err != nil {
				b.t.Fatal(err)
			}
			ids = append(ids, e.Incident)
		}
		if len(list) < 7 {
			return ids
		}
		after = &list[6].Place
	}
}

// TestCounts shows counts by step and field, and that they are the same once minutes have become hours.
func TestCounts(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		now := b.now().Truncate(time.Hour)
		var counts []fleetapi.Count
		for i := range 180 { // three hours
			c := countOf(now.Add(-time.Duration(i+1)*time.Minute), int64(i), int64(i/2))
			c.Application = []string{"shop", "blog"}[i%2]
			counts = append(counts, c)
		}
		b.take(fleetapi.Batch{Spool: "s", Sequence: 1, Counts: counts})
		look := func() [][]event.Count {
			var out [][]event.Count
			for _, q := range []struct {
				f    event.Filter
				step time.Duration
				by   []string
			}{
				{step: time.Hour},
				{by: []string{"application"}},
				{step: 24 * time.Hour, by: []string{"application", "rule", "verdict", "reason"}},
				{f: event.Filter{Applications: []string{"blog"}, Since: now.Add(-2 * time.Hour)}, step: time.Hour},
				{f: event.Filter{Only: []string{"shop"}, Rules: []int{942100}}, step: time.Hour},
			} {
				list, err := b.Counts(t.Context(), q.f, q.step, q.by)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, list)
			}
			return out
		}
		before := look()
		if got := before[0]; len(got) != 3 || got[2].Events != 59*60/2 || !got[2].Time.Equal(now.Add(-time.Hour)) {
			t.Errorf("by the hour: %+v", got)
		}
		if got := before[1]; len(got) != 2 || *got[0].Application != "blog" || got[0].Events != 8100 || got[1].Events != 8010 {
			t.Errorf("by application: %+v", got)
		}
		if none, err := b.Counts(t.Context(), event.Filter{Only: []string{}}, 0, nil); err != nil || len(none) != 0 {
			t.Errorf("whoever may see no application sees %v, %v", none, err)
		}
		b.ahead.Store(int64(4 * 24 * time.Hour))
		b.tidy()
		minutes, err := b.Counts(t.Context(), event.Filter{}, time.Minute, nil)
		if err != nil || len(minutes) != 3 {
			t.Errorf("%d minutes are left, not 3 hours: %v", len(minutes), err)
		}
		after := look()
		if a, b := mustJSON(t, before), mustJSON(t, after); a != b {
			t.Errorf("rolled up:\n%s\nbefore:\n%s", b, a)
		}
		b.ahead.Store(int64(keep + 24*time.Hour))
		b.tidy()
		if events, _ := b.total(); events != 0 {
			t.Errorf("%d events are counted after all that time", events)
		}
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// tidy tidies once.
func (b *bench) tidy() {
	b.t.Helper()
	if err := b.TidyOnce(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// TestTop ranks events.
func TestTop(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		at := b.now()
		b.take(fleetapi.Batch{Spool: "s", Sequence: 1, Events: []json.RawMessage{
			record(at, 1), record(at, 2), record(at, 3, with("client", "2001:db8::1"), with("rules", []map[string]any{{"id": 941100}, {"id": 949110}})),
		}})
		for by, want := range map[string]string{
			"client": "203.0.113.7=2 2001:db8::1=1", "rule": "949110=3 942100=2 941100=1", "application": "shop=3", "gateway": "gw-1=3",
			"host": "shop.example.com=3", "path": "/login=3", "reason": "crs_score=3", "verdict": "block=3",
		} {
			list, err := b.Top(t.Context(), event.Filter{}, by, 10)
			var got []string
			for _, x := range list {
				got = append(got, fmt.Sprintf("%s=%d", x.Value, x.Events))
				if d := x.Last.Sub(at).Abs(); d > time.Millisecond {
					t.Errorf("%s: the last is %v away", by, d)
				}
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s: %v, %v", by, got, err)
			}
		}
		if list, err := b.Top(t.Context(), event.Filter{Rules: []int{942100}}, "client", 1); err != nil || len(list) != 1 || list[0].Events != 2 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// TestAge shows that events that are too old are dropped, with all that they are found by.
func TestAge(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		old, young := b.now().Add(-keep+2*24*time.Hour), b.now()
		b.take(fleetapi.Batch{Spool: "s", Sequence: 1, Events: []json.RawMessage{record(old, 1), record(young, 2), record(old, 3)}})
		b.ahead.Store(int64(4 * 24 * time.Hour))
		b.tidy()
		list := b.search(event.Filter{Rules: []int{942100}})
		if len(list) != 1 || !strings.Contains(string(list[0].Record), incidentOf(young, 2)) {
			t.Errorf("%d events are left: %s", len(list), mustJSON(t, list))
		}
		left, err := b.Rows(t.Context())
		if err != nil || left != [3]int64{1, 1, 2} {
			t.Errorf("blocks, events and rules that are left: %v, %v", left, err)
		}
		b.take(fleetapi.Batch{Spool: "s", Sequence: 2, Events: []json.RawMessage{record(b.now(), 4)}})
	})
}

// TestSize shows that the file stays within its size, and that the newest events are there.
func TestSize(t *testing.T) {
	const most = 4 << 20
	file := filepath.Join(t.TempDir(), "events.db")
	b := &bench{t: t, options: event.Options{File: file, Keep: keep, MaxSize: most}}
	b.options.Now = b.now
	b.open()
	defer b.close()
	noise := func(n int) string { // which zstd cannot make smaller by much
		var s strings.Builder
		for i := range 40 {
			fmt.Fprintf(&s, "%x", (n*40+i+1)*0x9E3779B97F4A7C1)
		}
		return s.String()
	}
	n, stored := 0, int64(0)
	for sequence := int64(1); sequence <= 25; sequence++ {
		batch := fleetapi.Batch{Spool: "s", Sequence: sequence, Counts: []fleetapi.Count{countOf(b.now(), 400, 0)}}
		for range 400 {
			n++
			batch.Events = append(batch.Events, record(b.now(), n, with("detail", noise(n))))
		}
		b.take(batch)
		info, err := os.Stat(file)
		if err != nil || info.Size() > most {
			t.Fatalf("after %d events the file has %d bytes, more than %d: %v", n, info.Size(), most, err)
		}
		stored = info.Size()
	}
	if stored < most/2 {
		t.Errorf("only %d bytes of %d are used", stored, most)
	}
	if events, _ := b.total(); events != int64(n) {
		t.Errorf("%d events were counted, not %d", events, n)
	}
	if list := b.search(event.Filter{}); len(list) != 1000 || !strings.Contains(string(list[0].Record), incidentOf(list[0].At, n)) {
		t.Errorf("%d events, the newest is %s", len(list), list[0].Record)
	}
	if rows, err := b.Rows(t.Context()); err != nil || rows[1] >= int64(n) || rows[2] != 2*rows[1] {
		t.Errorf("%v, %v", rows, err)
	}
}

// TestDayTooLarge shows that PostgreSQL's tables stay within their size, whatever one day brings.
func TestDayTooLarge(t *testing.T) {
	b := &bench{t: t, options: event.Options{URL: storetest.PostgresOptions(t).URL, Keep: keep, MaxSize: 1 << 20}}
	b.options.Now = b.now
	b.open()
	defer b.close()
	yesterday := b.now().Add(-24 * time.Hour)
	for sequence, at := range []time.Time{yesterday, b.now()} {
		batch := fleetapi.Batch{Spool: "s", Sequence: int64(sequence + 1)}
		for i := range 1000 {
			batch.Events = append(batch.Events, record(at, i))
		}
		b.take(batch)
	}
	b.tidy()
	used, err := b.Used(t.Context())
	if err != nil || used > 1<<20 {
		t.Errorf("%d bytes, %v", used, err)
	}
	if left := b.search(event.Filter{Until: yesterday.Add(time.Hour)}); len(left) != 0 {
		t.Errorf("%d events of the first day are left", len(left))
	}
	b.take(fleetapi.Batch{Spool: "s", Sequence: 3, Events: []json.RawMessage{record(b.now(), 5000)}})
	if list := b.search(event.Filter{Incident: incidentOf(b.now(), 5000)}); len(list) > 1 {
		t.Errorf("%d events", len(list))
	}
}

// TestTwoManagers shows that who follows with one manager sees what another stores.
func TestTwoManagers(t *testing.T) {
	b := &bench{t: t, options: event.Options{URL: storetest.PostgresOptions(t).URL, Keep: keep, MaxSize: 1 << 30}}
	b.options.Now = b.now
	b.open()
	defer b.close()
	other, err := event.Open(t.Context(), b.options)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	last, err := other.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		b.take(fleetapi.Batch{Spool: "s", Sequence: 1, Events: []json.RawMessage{record(b.now(), 1)}})
	}()
	start := time.Now()
	list, next, err := other.Follow(t.Context(), event.Filter{}, last, 20*time.Second, nil)
	if err != nil || len(list) != 1 || next != last+1 {
		t.Errorf("%d events, next is %d: %v", len(list), next, err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	stop := make(chan struct{})
	close(stop)
	if list, next, err := other.Follow(t.Context(), event.Filter{}, next, 20*time.Second, stop); err != nil || len(list) != 0 || next != last+1 {
		t.Errorf("a manager that stops: %d events, %d, %v", len(list), next, err)
	}
}

// TestManySend shows that nothing is lost or counted twice when gateways send at once, each batch more than once, to two managers.
func TestManySend(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		managers := []*event.Service{b.Service}
		if b.options.URL != "" {
			second, err := event.Open(t.Context(), b.options)
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			managers = append(managers, second)
		}
		const gateways, batches, events = 6, 8, 5
		at := b.now()
		var sending sync.WaitGroup
		for g := range gateways {
			sending.Go(func() {
				from := event.Gateway{Name: fmt.Sprintf("gw-%d", g), Group: "edge"}
				for i := range batches {
					batch := fleetapi.Batch{Spool: "s", Sequence: int64(i + 1), Counts: []fleetapi.Count{countOf(at, 7, 2), countOf(at.Add(-time.Minute), 1, 1)}}
					for e := range events {
						batch.Events = append(batch.Events, record(at, (g*batches+i)*events+e))
					}
					body := pack(t, batch)
					for again := range 3 {
						if _, err := managers[(g+i+again)%len(managers)].Take(context.Background(), from, body); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		sending.Wait()
		if events, sampled := b.total(); events != 8*gateways*batches || sampled != 3*gateways*batches {
			t.Errorf("%d events and %d sampled were counted", events, sampled)
		}
		seen := map[string]bool{}
		for _, id := range b.pages(event.Filter{}, event.Arrival) {
			seen[id] = true
		}
		if rows, err := b.Rows(t.Context()); err != nil || rows[1] != gateways*batches*events || len(seen) != gateways*batches*events {
			t.Errorf("%v, %v, %d incidents", rows, err, len(seen))
		}
	})
}
