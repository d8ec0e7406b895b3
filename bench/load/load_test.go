package load

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"gatehouse/bench/mix"
)

func TestLatencyOf(t *testing.T) {
	var times []time.Duration
	for i := 1000; i > 0; i-- {
		times = append(times, time.Duration(i)*time.Microsecond)
	}
	if got, want := latencyOf(times), (Latency{500, 900, 990, 999}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := latencyOf(times[:1]), (Latency{1, 1, 1, 1}); got != want {
		t.Errorf("of one: %v, want %v", got, want)
	}
	if got := latencyOf(nil); got != (Latency{}) {
		t.Errorf("of none: %v", got)
	}
}

func TestParseWrk(t *testing.T) {
	got, err := parseWrk("Running 2s test\n  1 threads\nRESULT 12345 2001234 17 1 100 200 300 400\n")
	want := Saturation{Requests: 12345, Seconds: 2.001234, Refused: 17, Failed: 1, Latency: Latency{100, 200, 300, 400}}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "RESULT 1 2"} {
		if got, err := parseWrk(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func TestSaturationCheck(t *testing.T) {
	benign, attacked := mix.Mix{Count: 1000}, mix.Mix{Count: 1000, AttackPercent: 10}
	for _, c := range []struct {
		name     string
		s        Saturation
		m        mix.Mix
		inspects bool
		want     string // part of what is wrong
	}{
		{"all pass", Saturation{Requests: 5000}, benign, true, ""},
		{"one is refused", Saturation{Requests: 5000, Refused: 1}, benign, true, "1 benign"},
		{"one is refused by a server that does not inspect", Saturation{Requests: 5000, Refused: 1}, attacked, false, "1 benign"},
		{"one failed", Saturation{Requests: 5000, Failed: 1}, benign, true, "failed"},
		{"attacks are refused", Saturation{Requests: 5000, Refused: 500}, attacked, true, ""},
		{"those under way are not counted", Saturation{Requests: 5000, Refused: 479}, attacked, true, ""},
		{"attacks pass", Saturation{Requests: 5000, Refused: 450}, attacked, true, "500 are attacks"},
		{"more than attacks are refused", Saturation{Requests: 5000, Refused: 550}, attacked, true, "500 are attacks"},
		{"attacks pass a server that does not inspect", Saturation{Requests: 5000}, attacked, false, ""},
	} {
		got := c.s.Check(c.m, c.inspects, 32)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// shop serves requests until the end of the test.
func shop(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func requests(t *testing.T) []mix.Request {
	t.Helper()
	m, err := mix.Find("attacks50")
	if err != nil {
		t.Fatal(err)
	}
	m.Count = 200
	return m.Requests(1)
}

// TestJudge shows that each reply is held against its own request.
func TestJudge(t *testing.T) {
	all := requests(t)
	attacks := map[string]bool{}
	for _, r := range all {
		for _, h := range r.Headers {
			if h.Name == "X-Request-Id" && r.Attack {
				attacks[h.Value] = true
			}
		}
	}
	right := func(w http.ResponseWriter, r *http.Request) bool {
		attack := attacks[r.Header.Get("X-Request-Id")]
		if attack {
			w.WriteHeader(http.StatusForbidden)
		}
		return attack
	}
	for _, c := range []struct {
		name     string
		inspects bool
		handler  http.HandlerFunc
		wrong    bool
		says     string
	}{
		{"as it should be", true, func(w http.ResponseWriter, r *http.Request) { right(w, r) }, false, ""},
		{"everything passes", false, func(http.ResponseWriter, *http.Request) {}, false, ""},
		{"attacks pass", true, func(http.ResponseWriter, *http.Request) {}, true, "an attack got 200"},
		{"all is refused", true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, true, "a benign request got 403"},
		{"as many are refused, but others", true, func(w http.ResponseWriter, r *http.Request) {
			if !attacks[r.Header.Get("X-Request-Id")] {
				w.WriteHeader(http.StatusForbidden)
			}
		}, true, ""},
		{"replies are missing", true, func(w http.ResponseWriter, r *http.Request) {
			if !right(w, r) {
				panic(http.ErrAbortHandler)
			}
		}, true, "no reply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewVegeta(shop(t, c.handler), all, false)
			for name, s := range map[string]Steady{
				"check":    v.Check(len(all), 4, 20*time.Second, c.inspects),
				"rate":     v.Rate(1000, 300*time.Millisecond, c.inspects, 0),
				"saturate": v.Saturate(4, 300*time.Millisecond, c.inspects, 0),
			} {
				if (s.Wrong > 0) != c.wrong || s.Requests < 100 {
					t.Errorf("%s: %+v", name, s)
				}
				if c.says != "" && !strings.Contains(strings.Join(s.Errors, "\n"), c.says) {
					t.Errorf("%s: told %q, want %q", name, s.Errors, c.says)
				}
				if c.wrong && (len(s.Errors) == 0 || len(s.Errors) > 3) {
					t.Errorf("%s: told %q", name, s.Errors)
				}
			}
		})
	}
}

// TestHTTP2 shows that requests go over the version of HTTP that was asked for.
func TestHTTP2(t *testing.T) {
	for _, want := range []int{1, 2} {
		var other atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != want {
				other.Add(1)
			}
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		s := NewVegeta(server.URL, requests(t), want == 2).Check(50, 4, 20*time.Second, false)
		if s.Requests != 50 || s.Wrong > 0 || other.Load() > 0 {
			t.Errorf("HTTP/%d: %d requests, %d of them over another version, %q", want, s.Requests, other.Load(), s.Errors)
		}
	}
}

// TestRateDoesNotWait shows that a server that stands still for a while is sent as many requests as ever, and that the
// time they wait for it counts for all of them: a driver that waits for replies would see one slow request.
func TestRateDoesNotWait(t *testing.T) {
	const stall, total, rate = 500 * time.Millisecond, time.Second, 200
	var once, waiting, most atomic.Int64
	url := shop(t, func(http.ResponseWriter, *http.Request) {
		now, n := time.Now().UnixNano(), waiting.Add(1)
		defer waiting.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		once.CompareAndSwap(0, now)
		if left := stall - time.Duration(now-once.Load()); left > 0 {
			time.Sleep(left)
		}
	})
	s := NewVegeta(url, requests(t), false).Rate(rate, total, false, 0)
	if least := rate * 9 / 10; s.Requests < least {
		t.Errorf("%d requests, want %d", s.Requests, least)
	}
	if s.Wrong > 0 {
		t.Errorf("%d wrong: %q", s.Wrong, s.Errors)
	}
	if most.Load() < rate/4 {
		t.Errorf("%d requests at once, want half a second's", most.Load())
	}
	// Half of the requests come while it stands still, and wait 250 ms in the middle.
	if p90 := 300e3; s.Benign.P90 < p90 {
		t.Errorf("90th percentile %.0f us, want %.0f at least", s.Benign.P90, p90)
	}
}

// TestLate shows that the time for which a request was not sent although it was due is part of its latency, but for what a
// timer may take.
func TestLate(t *testing.T) {
	const rate, interval, took = 100, 10 * time.Millisecond, 500 * time.Microsecond
	all := requests(t)[:4]
	v := NewVegeta("http://127.0.0.1", all, false)
	began := time.Now()
	late := []time.Duration{0, time.Millisecond, 42 * time.Millisecond, 1002 * time.Millisecond}
	results := make(chan *vegeta.Result, len(late))
	for i, d := range late {
		results <- &vegeta.Result{
			Seq: uint64(i), URL: v.targets[i].URL, Code: http.StatusOK, Latency: took,
			Timestamp: began.Add(time.Duration(i)*interval + d),
		}
	}
	close(results)
	s := v.collect(results, false, lateness(rate))
	var got []time.Duration
	for _, l := range []float64{s.Benign.P50, s.Benign.P999, s.Attacks.P50, s.Attacks.P999} {
		got = append(got, time.Duration(l*1000))
	}
	if s.Late != 1_002_000 {
		t.Errorf("late by %v us", s.Late)
	}
	want := map[bool][]time.Duration{}
	for i, d := range late {
		want[all[i].Attack] = append(want[all[i].Attack], took+max(0, d-2*time.Millisecond))
	}
	expected := []time.Duration{want[false][0], want[false][1], want[true][0], want[true][1]}
	if !slices.Equal(got, expected) {
		t.Errorf("latencies %v, want %v", got, expected)
	}
}
