package managed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/incident"
)

// realManager is a whole one, with an account that asks its API.
type realManager struct {
	t        *testing.T
	settings mgmt.Settings
	url      string
	gateways string
	cookie   string
}

func startRealManager(t *testing.T, settings string) *realManager {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manager.yaml")
	text := "data: state\napi: { address: \"127.0.0.1:0\" }\nadmin: { address: \"127.0.0.1:0\" }\ngateways: { address: \"127.0.0.1:0\" }\n" + settings
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &realManager{t: t}
	var err error
	if m.settings, err = mgmt.LoadSettings(file); err != nil {
		t.Fatal(err)
	}
	s, err := mgmt.New(t.Context(), mgmt.Options{Settings: m.settings, Logger: zap.NewNop(), Version: "test", Prove: func(*config.Loaded) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	m.url, m.gateways = "http://"+s.APIAddr().String(), s.GatewaysAddr().String()
	link, err := mgmt.SetupLink(t.Context(), m.settings, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	m.ask(http.MethodPost, "/setup", map[string]any{"token": link, "name": "ann", "password": "correct horse battery"}, nil)
	return m
}

// ask sends a request that has to succeed.
func (m *realManager) ask(method, path string, in, out any) {
	m.t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		m.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.url+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Origin": {m.url}, "Cookie": {m.cookie}}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %d %s", method, path, reply.StatusCode, answer)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(answer, out)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	for _, c := range reply.Cookies() {
		m.cookie = c.Name + "=" + c.Value
	}
}

// publish changes something, publishes it, and gives the time until the manager knows that all gateways serve it.
func (m *realManager) publish(number int, gateways []*running) time.Duration {
	m.t.Helper()
	configuration := fmt.Sprintf(`
admin: { address: "127.0.0.1:0" }
logs: { access: none, events: none }
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" } }]
upstreams: [{ name: shop, url: "http://192.0.2.1" }]
applications: [{ name: shop, hosts: ["*"], mode: block, policy: default, upstream: shop, replies: { contact: "number %d" } }]
groups: [{ name: edge, listeners: [http], applications: ["*"], rollout: { stages: [all] } }]
`, number)
	m.ask(http.MethodPost, "/import", map[string]any{"owner": "ui", "configuration": configuration}, nil)
	start := time.Now()
	m.ask(http.MethodPost, "/publish", map[string]any{"groups": []string{"edge"}}, nil)
	if len(gateways) == 0 {
		return 0
	}
	for _, g := range gateways {
		g.serves(uint64(number)) //nolint:gosec // small
	}
	eventually(m.t, fmt.Sprintf("all gateways report revision %d", number), func() bool {
		var list struct {
			Items []struct {
				Report struct {
					Serving struct{ Revision struct{ Number int } }
				}
			}
		}
		m.ask(http.MethodGet, "/gateways", nil, &list)
		for _, g := range list.Items {
			if g.Report.Serving.Revision.Number != number {
				return false
			}
		}
		return len(list.Items) == len(gateways)
	})
	return time.Since(start)
}

// flood makes events on a gateway until stop is closed, as many a second, and gives how many. They are of two applications and five
// rules, as in an attack.
func flood(g *running, perSecond int, stop <-chan struct{}) (made int64) {
	source := incident.NewSource(g.Status().Gateway)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for {
		select {
		case <-stop:
			return made
		case now := <-tick.C:
			for due := int64(now.Sub(start).Seconds() * float64(perSecond)); made < due; made++ {
				e := &event.Event{
					Time: now, Verdict: event.Block, Reason: event.CRSScore, Application: []string{"shop", "blog"}[made%2],
					Rules: []rules.Match{{Rule: 942100 + int(made%5)*10}},
				}
				if !g.spool.Count(e) {
					continue
				}
				g.spool.Put(fmt.Appendf(nil, `{"record":"event","time":%q,"incident":%q,"verdict":"block","reason":"crs_score","client":"203.0.113.%d","application":%q,"host":"shop.example.com","path":"/item/%d","rules":[{"id":%d,"message":"SQL Injection Attack Detected via libinjection","data":"Matched Data: s&1 found within ARGS:q: 1' OR 1=1-- %d"},{"id":949110}]}`+"\n",
					now.UTC().Format(time.RFC3339Nano), source.Next(now), made%250, e.Application, made, e.Rules[0].Rule, made))
			}
		}
	}
}

// TestFlood: while gateways send the events of an attack, revisions reach them as fast as before, what is counted is exact, and what is
// stored stays within its size. EVENTS_FLOOD is for how long twenty gateways have 20,000 of them a second (make events-flood); unless
// it is set, three have 1,500 for two seconds.
func TestFlood(t *testing.T) {
	gateways, perSecond, lasting, rounds := 3, 500, 2*time.Second, 2
	long := os.Getenv("EVENTS_FLOOD")
	if long != "" {
		var err error
		if lasting, err = time.ParseDuration(long); err != nil {
			t.Fatal(err)
		}
		gateways, perSecond, rounds = 20, 1000, 7
	}
	const most = 64 << 20 // of max_size below
	m := startRealManager(t, "events: { max_size: 64MiB }\n")
	m.publish(1, nil)
	var token struct{ Text string }
	m.ask(http.MethodPost, "/join-tokens", map[string]any{"group": "edge", "uses": gateways}, &token)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token.Text), 0o600); err != nil {
		t.Fatal(err)
	}
	var list []*running
	for range gateways {
		o := optionsFor(t, nil)
		o.Managers, o.Join, o.TokenFile, o.Times = []string{"https://" + m.gateways}, JoinToken, file, Times{Backoff: 50 * time.Millisecond, Least: 10 * time.Millisecond}
		o.Logger = zap.NewNop()
		list = append(list, run(t, o))
	}
	for _, g := range list {
		g.serves(1)
	}
	number := 1
	measure := func() time.Duration {
		var took []time.Duration
		for range rounds {
			number++
			took = append(took, m.publish(number, list))
		}
		slices.Sort(took)
		t.Logf("from publishing to the last acknowledgement: %v", took)
		return took[len(took)/2]
	}
	idle := measure()

	stop := make(chan struct{})
	var flooding sync.WaitGroup
	made := make([]int64, gateways)
	start := time.Now()
	for i, g := range list {
		flooding.Go(func() { made[i] = flood(g, perSecond, stop) })
	}
	time.Sleep(min(lasting/2, 5*time.Second)) // the first batches are being stored
	flooded := measure()
	time.Sleep(time.Until(start.Add(lasting)))
	close(stop)
	flooding.Wait()
	took := time.Since(start)
	var total, dropped, sampled int64
	for i, g := range list {
		total += made[i]
		for _, n := range g.spool.State().Dropped {
			dropped += n
		}
	}
	counted := func() int64 {
		var counts struct {
			Items []struct{ Events, Sampled int64 }
		}
		m.ask(http.MethodGet, "/events/counts", nil, &counts)
		sampled = counts.Items[0].Sampled
		return counts.Items[0].Events
	}
	eventually(t, "all are counted", func() bool { return counted() >= total })
	drained := time.Since(start) - took
	for _, g := range list {
		eventually(t, "all was sent", func() bool { return g.spool.State().Waiting == 0 })
	}
	var storage struct{ Events, Bytes int64 }
	m.ask(http.MethodGet, "/events/storage", nil, &storage)
	var onDisk int64
	for _, name := range []string{"events.db", "events.db-wal"} {
		info, err := os.Stat(filepath.Join(m.settings.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		onDisk += info.Size()
	}
	if n := counted(); n != total {
		t.Fatalf("%d were counted of %d", n, total)
	}
	t.Logf("%d gateways, %.0f events a second for %v: %d events, all counted; %d records sent, %d of them still stored, in %d KiB; %d dropped; the last was stored %v after the end",
		gateways, float64(total)/took.Seconds(), took.Round(time.Millisecond), total, total-sampled, storage.Events, onDisk>>10, dropped, drained.Round(time.Millisecond))
	t.Logf("published and acknowledged: %v idle, %v in the flood", idle, flooded)
	if onDisk > most {
		t.Errorf("the events take %d bytes, more than %d", onDisk, most)
	}
	if dropped != 0 || sampled == 0 {
		t.Errorf("%d records were dropped, %d sampled", dropped, sampled)
	}
	const noise = 300 * time.Millisecond
	if flooded > 2*idle+noise {
		t.Errorf("in the flood a revision takes %v, and %v without", flooded, idle)
	}
	var found struct{ Items []map[string]any }
	m.ask(http.MethodGet, "/events?limit=1&application=blog&path="+url.QueryEscape("/item/*"), nil, &found)
	if len(found.Items) != 1 {
		t.Error("no event is found")
	}
}
