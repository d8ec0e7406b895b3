package event_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/mgmt/event"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/incident"
)

// TestScale finds events among many: EVENTS says how many, on the database that EVENTS_IN names. make events-scale has it be ten million.
func TestScale(t *testing.T) {
	events, long := 5_000, false
	if text := os.Getenv("EVENTS"); text != "" {
		var err error
		if events, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		long = true
	}
	b := &bench{t: t, options: event.Options{File: filepath.Join(t.TempDir(), "events.db"), Keep: keep, MaxSize: 64 << 30}}
	if os.Getenv("EVENTS_IN") == "postgres" {
		b.options.URL = storetest.PostgresOptions(t).URL
	}
	b.options.Now = b.now
	b.open()
	defer b.close()
	now := b.now()
	at := func(i int) time.Time {
		return now.Add(-time.Duration(events-i) * 2 * 24 * time.Hour / time.Duration(events))
	} // two days of them
	start := time.Now()
	fill(t, b, events, at)
	filled := time.Since(start)
	used, err := b.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events are stored after %v, %.0f a second, in %.2f GiB, %d bytes each", events, filled.Round(time.Millisecond), float64(events)/filled.Seconds(), float64(used)/(1<<30), used/int64(events))

	most := time.Second
	look := func(what string, f event.Filter, want int) {
		t.Helper()
		start := time.Now()
		list, err := b.Search(t.Context(), f, event.Newest, nil, 100)
		took := time.Since(start)
		t.Logf("%-28s %4d found in %v", what, len(list), took.Round(100*time.Microsecond))
		if err != nil || len(list) < want {
			t.Errorf("%s: %d found, at least %d are there: %v", what, len(list), want, err)
		}
		if took > most {
			t.Errorf("%s takes %v, more than %v", what, took, most)
		}
	}
	for _, i := range []int{0, events / 3, events - 1} {
		id, _ := incident.Parse(incidentOf(at(i), i))
		look("incident "+id.String(), event.Filter{Incident: id.String()}, 1)
	}
	client := netip.PrefixFrom(netip.AddrFrom4(clientOf(events/2)), 32)
	look("the latest", event.Filter{}, 100)
	look("one client", event.Filter{Clients: []netip.Prefix{client}}, 1)
	look("an application", event.Filter{Applications: []string{"app7"}}, 100)
	look("a rule that is rare", event.Filter{Rules: []int{930000 + events/200}}, 1)
	look("a rule that is in each", event.Filter{Rules: []int{949110}}, 100)
	look("a path", event.Filter{Path: "/item/" + strconv.Itoa(events/10)}, 1)
	look("an hour, application, reason", event.Filter{Applications: []string{"app3"}, Reasons: []string{"rule"}, Since: at(events - events/48), Until: at(events - events/96)}, min(100, events/96/10-2))
	start = time.Now()
	top, err := b.Top(t.Context(), event.Filter{Since: now.Add(-15 * time.Minute)}, "client", 10)
	t.Logf("clients of the last quarter of an hour, ranked in %v", time.Since(start).Round(time.Millisecond))
	if err != nil || len(top) == 0 {
		t.Error(top, err)
	}
	if total, _ := b.total(); total != int64(events) {
		t.Errorf("%d events were counted, not %d", total, events)
	}
	if long {
		return
	}
	if rows, err := b.Rows(t.Context()); err != nil || rows[1] != int64(events) {
		t.Errorf("%v, %v", rows, err)
	}
}

func clientOf(i int) [4]byte {
	n := uint32(i/20) * 2654435761 //nolint:gosec // spread
	return [4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// fill stores events, as several gateways do at once.
func fill(t *testing.T, b *bench, events int, at func(int) time.Time) {
	const batch, gateways = 500, 4
	var next atomic.Int64
	var sending sync.WaitGroup
	for g := range gateways {
		sending.Go(func() {
			from := event.Gateway{Name: fmt.Sprintf("gw-%d", g), Group: "edge"}
			for {
				n := next.Add(1)
				first := int(n-1) * batch
				if first >= events {
					return
				}
				last := min(first+batch, events)
				body := fleetapi.Batch{Spool: "s" + strconv.FormatInt(n, 10), Sequence: 1, Counts: []fleetapi.Count{countOf(at(first), int64(last-first), 0)}}
				for i := first; i < last; i++ {
					body.Events = append(body.Events, longRecord(at(i), i))
				}
				if _, err := b.Take(context.Background(), from, pack(t, body)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
}

// longRecord is as long as those of gateways are, without its rules' tags.
func longRecord(at time.Time, i int) json.RawMessage {
	c := clientOf(i)
	return fmt.Appendf(nil, `{"record":"event","time":"%s","incident":"%s","verdict":"block","reason":"%s","detail":"the anomaly score reached the threshold","request_id":"%016x","client":"%d.%d.%d.%d","client_port":%d,"listener":"http","application":"app%d","route":"/","policy":"default","mode":"block","method":"POST","host":"app%d.example.com","path":"/item/%d","query":"q=1%%27+OR+1%%3D1--","protocol":"HTTP/2.0","content_type":"application/x-www-form-urlencoded","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36","status":403,"answered_by":"gateway","revision":"edge/42","scores":{"inbound":10,"inbound_threshold":5,"outbound":0,"outbound_threshold":4,"detection":0},"rules":[{"id":%d,"phase":2,"message":"SQL Injection Attack Detected via libinjection","data":"Matched Data: s&1 found within ARGS:q: 1' OR 1=1--","severity":"CRITICAL","targets":[{"variable":"ARGS:q","target":"query:q","value":"1' OR 1=1-- %d"}]},{"id":949110,"phase":2,"message":"Inbound Anomaly Score Exceeded (Total Score: 10)","disruptive":true}]}`,
		at.UTC().Format("2006-01-02T15:04:05.000000Z"), incidentOf(at, i), []string{"crs_score", "rule"}[i%2], uint64(i+1)*0x9E3779B97F4A7C15, //nolint:gosec // spread
		c[0], c[1], c[2], c[3], 1024+i%60000, i%10, i%10, i/5, 930000+i/100, i)
}
