package managed

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/rules/fleetapi"
)

// eventStore is as much of a manager as stores batches once.
type eventStore struct {
	t      testing.TB
	mu     sync.Mutex // guards what follows
	stored map[string]int64
	events map[string]int // by incident
	counts int64
	calls  int
	// before is asked first, and after when a batch was stored: an answer of theirs is sent instead of the receipt.
	before, after func() *fleetapi.Problem
}

func (s *eventStore) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.before != nil {
		if p := s.before(); p != nil {
			refuseWith(w, p)
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	z, _ := zstd.NewReader(nil)
	defer z.Close()
	if err == nil {
		body, err = z.DecodeAll(body, nil)
	}
	var b fleetapi.Batch
	if err == nil {
		err = json.Unmarshal(body, &b)
	}
	if err != nil {
		s.t.Errorf("a batch cannot be read: %v", err)
		return
	}
	if b.Sequence > s.stored[b.Spool] {
		s.stored[b.Spool] = b.Sequence
		for _, raw := range b.Events {
			var e struct{ Record, Incident, Application string }
			if err := json.Unmarshal(raw, &e); err != nil || e.Record != "event" || e.Application != "shop" {
				s.t.Errorf("%s: %v", raw, err)
			}
			s.events[e.Incident]++
		}
		for _, c := range b.Counts {
			s.counts += c.Events
		}
	}
	if s.after != nil {
		if p := s.after(); p != nil {
			refuseWith(w, p)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(fleetapi.Receipt{Stored: s.stored[b.Spool]})
}

func (s *eventStore) set(before, after func() *fleetapi.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

func (s *eventStore) has(events int, counts int64) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.events) == events && s.counts == counts
	}
}

// withEvents has the manager take events.
func (m *manager) withEvents() *eventStore {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = &eventStore{t: m.t, stored: map[string]int64{}, events: map[string]int{}}
	return m.events
}

// attack sends n requests that are refused.
func (r *running) attack(n int) {
	r.t.Helper()
	for range n {
		response, err := http.Get("http://" + r.Server().Addr("").String() + "/?id=1%27%20OR%201=1--%20&x=%3Cscript%3E")
		if err != nil {
			r.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			r.t.Fatalf("an attack is answered with %d", response.StatusCode)
		}
	}
}

func answerWith(status int) func() *fleetapi.Problem {
	return func() *fleetapi.Problem { return &fleetapi.Problem{Title: "no", Status: status, Detail: "0"} }
}

// TestEvents: what is refused is told to the manager once, whatever happens on the way: it is away, restarts, breaks off, is busy; and
// the gateway restarts.
func TestEvents(t *testing.T) {
	m := newManager(t)
	store := m.withEvents()
	m.publish(1, 0, configFor(upstreamOf(t, "shop")))
	m.say(func(s *fleetapi.State) { s.FullEvents = 1000 })
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	g.attack(3)
	eventually(t, "three events are stored", store.has(3, 3))

	store.set(nil, answerWith(http.StatusInternalServerError)) // it stores, and does not come to say so
	g.attack(2)
	eventually(t, "two more are stored", store.has(5, 5))
	store.set(answerWith(http.StatusTooManyRequests), nil)
	g.attack(1)
	before := m.callsOf(fleetapi.PathEvents)
	eventually(t, "a busy manager is asked again", func() bool { return m.callsOf(fleetapi.PathEvents) > before+3 })
	if s := g.Status(); !s.Reachable {
		t.Errorf("a manager that is busy with events counts as away: %s", s.ManagerError)
	}
	g.stop()
	again := run(t, o)
	again.serves(1)
	again.attack(1)
	store.set(nil, nil)
	eventually(t, "what waited is stored", store.has(7, 7))

	m.stop()
	again.attack(4)
	eventually(t, "they wait on disk", func() bool { return again.Status().Events.Waiting > 0 && files(t, o.StateDir) > 0 })
	again.stop()
	m.start(m.address())
	third := run(t, o)
	third.serves(1)
	eventually(t, "they are stored after all", store.has(11, 11))
	third.attack(1)
	third.stop()
	if !store.has(12, 12)() {
		t.Error("the last event was not sent at the end")
	}
	for incident, n := range store.events {
		if n != 1 {
			t.Errorf("%s was stored %d times", incident, n)
		}
	}
	if n := files(t, o.StateDir); n != 0 {
		t.Errorf("%d batches are left", n)
	}
}

func files(t *testing.T, state string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(state, spoolName))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func (m *manager) callsOf(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[path]
}

// TestEventsRefused: a batch that the manager will never take is not sent for ever, and its loss is told; one that it does not take now is.
func TestEventsRefused(t *testing.T) {
	m := newManager(t)
	store := m.withEvents()
	m.publish(1, 0, configFor(upstreamOf(t, "shop")))
	g := run(t, optionsFor(t, m))
	g.serves(1)
	lost := 0
	for _, status := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity} {
		store.set(answerWith(status), nil)
		g.attack(1)
		lost++
		eventually(t, fmt.Sprintf("the report tells of the loss after %d", status), func() bool {
			r := m.report()
			return r != nil && r.Spool.Dropped["refused"] == int64(lost) && r.Spool.Waiting == 0
		})
	}
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized} {
		before := m.callsOf(fleetapi.PathEvents)
		store.set(answerWith(status), nil)
		g.attack(1)
		eventually(t, "it is sent again", func() bool { return m.callsOf(fleetapi.PathEvents) > before+3 })
	}
	store.set(nil, nil)
	eventually(t, "what was not lost is stored", store.has(3, 3))
}

// TestEventsHoldUpNothing: traffic is served while the manager takes no events at all.
func TestEventsHoldUpNothing(t *testing.T) {
	m := newManager(t)
	store := m.withEvents()
	m.publish(1, 0, configFor(upstreamOf(t, "shop")))
	m.say(func(s *fleetapi.State) { s.FullEvents = 5 })
	g := run(t, optionsFor(t, m))
	g.serves(1)
	eventually(t, "the state is known", func() bool { return g.Gateway.state.Load() != nil && g.Gateway.state.Load().FullEvents == 5 })
	store.mu.Lock() // a request for events hangs
	start := time.Now()
	g.attack(200)
	took := time.Since(start)
	store.mu.Unlock()
	if took > 10*time.Second {
		t.Errorf("200 requests took %v", took)
	}
	eventually(t, "all are counted", func() bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		return store.counts == 200
	})
	seconds := int(took/time.Second) + 2
	if n := len(store.events); n < 5 || n > 5*seconds {
		t.Errorf("%d records were sent in %d seconds, 5 a second shall be", n, seconds)
	}
}
