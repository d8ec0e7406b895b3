package managed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/crs"
	"gatehouse/rules/fleetapi"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// testTimes are the protocol's, shortened.
var testTimes = Times{
	Wait: 2 * time.Second, Least: time.Millisecond, Backoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
	Bucket: 100 * time.Millisecond, Report: 200 * time.Millisecond, Second: 50 * time.Millisecond, Ping: 500 * time.Millisecond, PingAnswer: 500 * time.Millisecond,
	Events: 20 * time.Millisecond,
}

// upstreamOf is an upstream that says its name.
func upstreamOf(t testing.TB, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return s.URL
}

// configFor is the configuration of a revision that forwards to an upstream.
func configFor(upstream string) map[string][]byte {
	return map[string][]byte{config.BundleMain: fmt.Appendf(nil, `version: 1
admin: { address: "127.0.0.1:0" }
logs: { access: none, events: none }
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" } }]
upstreams: [{ name: shop, url: "%s", allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, policy: default, upstream: shop }]
`, upstream)}
}

// running is a gateway of a test.
type running struct {
	*Gateway
	t    testing.TB
	end  context.CancelFunc
	done chan error
}

func optionsFor(t testing.TB, m *manager) Options {
	o := Options{
		StateDir: filepath.Join(t.TempDir(), "state"), Logger: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)).WithOptions(zap.AddStacktrace(zap.FatalLevel)),
		Version: "test", Times: testTimes, Config: config.Options{CRSVersions: crs.Versions()},
		Proxy: proxy.Options{Shared: proxytest.Compiled(t), DrainIdle: time.Millisecond, WatchInterval: time.Hour},
	}
	if m != nil {
		o.Managers, o.Join, o.TokenFile = []string{"https://" + m.address()}, JoinToken, m.tokenFile(t)
	}
	return o
}

// run runs a gateway until the test ends, or stop.
func run(t testing.TB, o Options) *running {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Gateway: g, t: t, end: cancel, done: make(chan error, 1)}
	go func() { r.done <- g.Run(ctx) }()
	t.Cleanup(func() { r.stop() })
	return r
}

// stop ends the gateway as SIGTERM does.
func (r *running) stop() {
	r.t.Helper()
	if r.end == nil {
		return
	}
	r.end()
	r.end = nil
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("the gateway ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("the gateway does not end")
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it never came to this: %s", what)
}

// number is that of the revision that is served, 0 for none.
func (r *running) number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.serving.statement().Order.Number
}

func (r *running) serves(number uint64) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("revision %d is served", number), func() bool { return r.number() == number })
}

// get asks the gateway as a client.
func (r *running) get() string {
	r.t.Helper()
	response, err := http.Get("http://" + r.Server().Addr("").String() + "/")
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

// admin asks the admin listener.
func (r *running) admin(path string) string {
	r.t.Helper()
	response, err := http.Get("http://" + r.Server().AdminAddr().String() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// TestJoinAndServe: a gateway that has a token alone joins, serves, follows, and starts again from its disk without the manager.
func TestJoinAndServe(t *testing.T) {
	m := newManager(t)
	first, second := upstreamOf(t, "first"), upstreamOf(t, "second")
	m.publish(1, 0, configFor(first))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	if got := g.get(); got != "first" {
		t.Errorf("it serves %q", got)
	}
	m.publish(42, 0, configFor(second))
	g.serves(42)
	if got := g.get(); got != "second" {
		t.Errorf("it serves %q", got)
	}
	page := g.admin("/metrics")
	for _, line := range []string{`gatehouse_revision_info{group="edge",revision="edge/42"} 1`, "gatehouse_manager_reachable 1"} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("/metrics does not say %s", line)
		}
	}
	for _, name := range []string{"gatehouse_policy_age_seconds", "gatehouse_head_age_seconds"} { // signed in whole seconds, just now
		_, after, _ := strings.Cut(page, "\n"+name+" ")
		text, _, _ := strings.Cut(after, "\n")
		if age, err := strconv.ParseFloat(text, 64); err != nil || age < 0 || age > 20 {
			t.Errorf("%s is %q", name, text)
		}
	}
	eventually(t, "the report says so", func() bool {
		r := m.report()
		return r != nil && r.Serving.Revision.Number == 42 && r.Ready && r.Restartable && r.Serving.Source == "manager" && len(r.Windows) > 0 && r.Memory > 0 && r.CPU > 0
	})
	var windows int64
	eventually(t, "the report counts requests by revision", func() bool {
		windows = 0
		byRevision := map[uint64]int64{}
		for _, w := range m.report().Windows {
			windows += w.Requests
			byRevision[w.Revision.Number] += w.Requests
		}
		return byRevision[1] == 1 && byRevision[42] == 1
	})
	var status proxy.Status
	if err := json.Unmarshal([]byte(g.admin("/status")), &status); err != nil {
		t.Fatal(err)
	}
	if s := status.Managed; s == nil || s.Gateway != "gw-1" || s.Group != "edge" || s.Number != 42 || !s.Reachable || !s.Restartable || s.HeadTime.IsZero() || s.Refused != nil || status.Revision != "edge/42" {
		t.Errorf("/status: %+v", status.Managed)
	}
	g.stop()
	m.stop() // the manager is away
	again := run(t, o)
	again.serves(42)
	if got := again.get(); got != "second" {
		t.Errorf("from disk it serves %q", got)
	}
	if s := again.Status(); s.Source != "disk" || s.Reachable || s.Manager == "" {
		t.Errorf("/status: %+v", s)
	}
	address := strings.TrimPrefix(o.Managers[0], "https://")
	m.start(address)
	m.publish(43, 0, configFor(first))
	again.serves(43)
}

// TestTrustIsHeldAgainstTheToken: whoever answers, the bundle must be the one of the token.
func TestTrustIsHeldAgainstTheToken(t *testing.T) {
	m, other := newManager(t), newManager(t)
	other.mu.Lock()
	for _, text := range other.trust {
		other.trust[m.token.Trust] = text // it gives its own bundle for the hash
	}
	other.mu.Unlock()
	o := optionsFor(t, m)
	o.Managers = []string{"https://" + other.address()}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = g.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "is not the manager that this gateway was told to trust") {
		t.Errorf("%v", err)
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	if other.calls[fleetapi.PathJoin] != 0 {
		t.Error("the token was shown to it")
	}
}

// TestTokenRefused: a token that the manager refuses ends the gateway with its words.
func TestTokenRefused(t *testing.T) {
	m := newManager(t)
	o := optionsFor(t, m)
	m.token.Secret[0]++
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the token is unknown, used up or expired") {
		t.Errorf("%v", err)
	}
}

var zapNop = zap.NewNop()
