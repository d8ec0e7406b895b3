package upstream

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

func TestRoundRobin(t *testing.T) {
	port, hits := sameServers(t, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	c := testConfig("http://127.0.0.2:"+port, "http://127.0.0.3:"+port, "http://127.0.0.4:"+port)
	c.Balance = config.RoundRobin
	u := newUpstream(t, c)
	for range 30 {
		mustGet(t, u)
	}
	for i, h := range hits {
		if h.Load() != 10 {
			t.Errorf("address %d: %d requests, want 10", i, h.Load())
		}
	}
}

func TestLeastConnections(t *testing.T) {
	hold := make(chan struct{})
	var busy, quick atomic.Int64
	slow := serve(t, "", func(w http.ResponseWriter, _ *http.Request) { busy.Add(1); <-hold })
	fast := serve(t, "", func(w http.ResponseWriter, _ *http.Request) { quick.Add(1) })
	u := newUpstream(t, testConfig(slow.URL, fast.URL))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(hold)
	for busy.Load() == 0 {
		before := quick.Load()
		wg.Go(func() { _, _, _ = get(u) })
		eventually(t, "a request arrives", func() bool { return busy.Load() > 0 || quick.Load() > before })
	}
	eventually(t, "only the slow one is in flight", func() bool { return u.active.Load() == 1 })
	before := quick.Load()
	for range 20 {
		mustGet(t, u)
	}
	if busy.Load() != 1 || quick.Load() != before+20 {
		t.Errorf("got %d requests at the busy address, %d at the idle one; want 1, %d", busy.Load(), quick.Load(), before+20)
	}
}

func TestTiesRotate(t *testing.T) {
	port, hits := sameServers(t, "127.0.0.2", "127.0.0.3")
	u := newUpstream(t, testConfig("http://127.0.0.2:"+port, "http://127.0.0.3:"+port))
	for range 20 {
		mustGet(t, u)
	}
	if hits[0].Load() != 10 || hits[1].Load() != 10 {
		t.Errorf("got %d and %d, want 10 each", hits[0].Load(), hits[1].Load())
	}
}

func TestDialFailureGoesToAnotherAddress(t *testing.T) {
	port, hits := sameServers(t, "127.0.0.3")
	u := newUpstream(t, testConfig("http://127.0.0.2:"+port, "http://127.0.0.3:"+port))
	retries := 0
	for range 10 {
		resp, a, err := u.RoundTrip(newRequest("POST", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		retries += a.Retries
	}
	if hits[0].Load() != 10 || retries != ejectAfter {
		t.Errorf("got %d requests and %d retries, want 10 and %d: the address is ejected", hits[0].Load(), retries, ejectAfter)
	}
	s := u.Status().Addresses[0]
	if s.State != Ejected || s.LastError == "" || s.Until.IsZero() {
		t.Errorf("status: %+v", s)
	}
	back := serve(t, net.JoinHostPort("127.0.0.2", port), func(http.ResponseWriter, *http.Request) {})
	eventually(t, "the address is back", func() bool {
		mustGet(t, u)
		return u.Status().Addresses[0].State == Healthy
	})
	back.Close()
}

func TestAllAddressesEjectedAreTriedAllTheSame(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	addr := l.Addr().String()
	_ = l.Close()
	u := newUpstream(t, testConfig("http://"+addr))
	for range 5 {
		_, a, err := get(u)
		e := wantKind(t, err, Unreachable, http.StatusBadGateway)
		if e.Step != StepConnect || a.Retries != 0 || !a.Address.IsValid() {
			t.Fatalf("got %v, %+v", e, a)
		}
	}
	if s := u.Status().Addresses[0].State; s != Ejected {
		t.Errorf("got %s", s)
	}
	serve(t, addr, func(http.ResponseWriter, *http.Request) {})
	mustGet(t, u) // at once, without waiting for the ejection to end
	if s := u.Status().Addresses[0].State; s != Healthy {
		t.Errorf("got %s", s)
	}
}

func TestEjectionGrows(t *testing.T) {
	var h health
	now := time.Now()
	var got []time.Duration
	for range 9 {
		got = append(got, h.failed(now, io.EOF))
	}
	want := []time.Duration{0, 1, 2, 4, 8, 16, 30, 30, 30}
	for i := range want {
		if got[i] != want[i]*time.Second {
			t.Fatalf("got %v, want %v seconds", got, want)
		}
	}
	later := now.Add(31 * time.Second)
	if h.usable(now) || !h.usable(later) {
		t.Fatal("the ejection does not end")
	}
	h.chosen(later)
	if h.usable(later) {
		t.Fatal("more than one request tries the address")
	}
	if !h.connected(later) || !h.usable(later) {
		t.Fatal("a connection does not bring the address back")
	}
}

func TestActiveHealth(t *testing.T) {
	var status atomic.Int64
	status.Store(204)
	var paths sync.Map
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/up?x" {
			paths.Store(r.Host, true)
			w.WriteHeader(int(status.Load()))
		}
	}
	a := serve(t, "", handler)
	var others atomic.Int64
	b := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "/up?x" {
			others.Add(1)
		}
	})
	c := testConfig(a.URL, b.URL)
	c.Health = config.Health{Path: "/up?x", Interval: config.Duration(10 * time.Millisecond), Healthy: 2, Unhealthy: 3}
	u := newUpstream(t, c)
	state := func() State { return u.Status().Addresses[0].State }
	eventually(t, "it is checked", func() bool { n := 0; paths.Range(func(any, any) bool { n++; return true }); return n == 1 })
	if state() != Healthy {
		t.Fatalf("got %s", state())
	}
	status.Store(500)
	eventually(t, "it is unhealthy", func() bool { return state() == Unhealthy })
	before := others.Load()
	for range 10 {
		mustGet(t, u)
	}
	if others.Load() != before+10 {
		t.Errorf("%d of 10 requests went to the healthy address", others.Load()-before)
	}
	status.Store(301)
	eventually(t, "it is healthy", func() bool { return state() == Healthy })
	if e := u.Status().Addresses[0].LastError; e != "/up?x answered 500" {
		t.Errorf("last error: %q", e)
	}
}
