package upstream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse/proxy/config"
)

func TestReloadKeepsWhatDidNotChange(t *testing.T) {
	var conns sync.Map
	s := serve(t, "", func(_ http.ResponseWriter, r *http.Request) { conns.Store(r.RemoteAddr, true) })
	r := newRegistry(t, Options{})
	c := testConfig(s.URL)
	u := acquire(t, r, c, nil)
	mustGet(t, u)
	for range 10 {
		again := acquire(t, r, testConfig(s.URL), nil)
		r.Release(u)
		if again != u {
			t.Fatal("the same settings gave another upstream")
		}
		if _, a := mustGet(t, again); !a.Reused {
			t.Error("the connection was not kept")
		}
	}
	c.Timeouts.Connect = config.Duration(time.Second)
	other := acquire(t, r, c, nil)
	if other == u {
		t.Fatal("other settings gave the same upstream")
	}
	r.Release(u)
	if s := u.Status().Addresses[0]; s.Idle+s.Active != 0 {
		t.Errorf("the retired upstream keeps connections: %+v", s)
	}
	mustGet(t, u) // a request that still holds the old one
	if s := u.Status().Addresses[0]; s.Idle+s.Active != 0 {
		t.Errorf("the retired upstream keeps connections: %+v", s)
	}
	if s := r.Status(); len(s) != 1 || s[0].Retired {
		t.Errorf("status: %+v", s)
	}
	n := 0
	conns.Range(func(any, any) bool { n++; return true })
	if n != 2 {
		t.Errorf("%d connections, want one and one of the late request", n)
	}
}

func TestChangedCAFileMakesAnotherUpstream(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	c := testConfig("https://127.0.0.1:1")
	c.TLS.CAFile = a.file
	r := newRegistry(t, Options{})
	u := acquire(t, r, c, nil)
	pem, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	if acquire(t, r, c, nil) == u {
		t.Error("a changed CA file was not noticed")
	}
}

func TestReloadsUnderLoad(t *testing.T) {
	s := serve(t, "", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	r := newRegistry(t, Options{})
	var current atomic.Pointer[Upstream]
	current.Store(acquire(t, r, testConfig(s.URL), nil))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := get(current.Load()); err != nil {
					t.Error(err)
				}
				sent.Add(1)
			}
		})
	}
	for i := range 100 {
		c := testConfig(s.URL)
		c.Timeouts.Idle = config.Duration(time.Duration(10+i/2) * time.Second) // every other one changes
		old := current.Swap(acquire(t, r, c, nil))
		r.Release(old)
		before := sent.Load()
		eventually(t, "requests go on", func() bool { return sent.Load() > before })
	}
	close(stop)
	wg.Wait()
	if s := r.Status(); len(s) != 1 {
		t.Errorf("%d upstreams remain, want 1", len(s))
	}
}

func TestCloseEndsWhatIsInFlight(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	r := newRegistry(t, Options{})
	u := acquire(t, r, testConfig(s.URL), nil)
	resp, _, err := u.RoundTrip(newRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the reply outlives the registry")
	}
	_ = resp.Body.Close()
	_, _, err = get(u)
	wantKind(t, err, Unreachable, http.StatusBadGateway)
	if _, err := r.Acquire(testConfig(s.URL), nil); err == nil {
		t.Error("a closed registry gives upstreams")
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.WriteHeader(503)
		}
	})
	r := newRegistry(t, Options{Metrics: reg})
	u := acquire(t, r, testConfig(s.URL), nil)
	mustGet(t, u)
	resp, _, err := u.RoundTrip(newRequest("POST", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP gatehouse_upstream_connections Open connections, by upstream and state (idle, active).
# TYPE gatehouse_upstream_connections gauge
gatehouse_upstream_connections{state="active",upstream="test"} 0
gatehouse_upstream_connections{state="idle",upstream="test"} 1
# HELP gatehouse_upstream_requests_total Requests forwarded, by upstream and status code or kind of error.
# TYPE gatehouse_upstream_requests_total counter
gatehouse_upstream_requests_total{code="200",upstream="test"} 1
gatehouse_upstream_requests_total{code="503",upstream="test"} 1
`
	_ = resp.Body.Close()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "gatehouse_upstream_connections", "gatehouse_upstream_requests_total"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	if n := testutil.CollectAndCount(r.metrics.duration); n != 1 {
		t.Errorf("%d duration series, want 1", n)
	}
	r.Release(u)
	if n := testutil.CollectAndCount(r.metrics.requests); n != 0 {
		t.Errorf("%d series remain of an upstream that is gone", n)
	}
}

func TestOldConnectionsTakeNoNewRequest(t *testing.T) {
	s := serve(t, "", func(http.ResponseWriter, *http.Request) {})
	u := newUpstream(t, testConfig(s.URL))
	mustGet(t, u)
	if _, a := mustGet(t, u); !a.Reused {
		t.Fatal("the connection is not reused")
	}
	ep := (*u.endpoints.Load())[0]
	ep.mu.Lock()
	c := ep.groups[""].idle[0]
	if age := time.Until(c.expires); age < maxAge-time.Minute || age > maxAge+ageJitter {
		t.Errorf("the connection is good for %s", age)
	}
	c.expires = time.Now()
	ep.mu.Unlock()
	if _, a := mustGet(t, u); a.Reused {
		t.Error("an old connection is reused")
	}
}
