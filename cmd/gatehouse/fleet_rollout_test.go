package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/mgmt"
	"gatehouse/proxy/managed"
	"gatehouse/proxy/proxytest"
)

// trialGround is a manager with a fleet that has traffic, and an operator at the command line.
type trialGround struct {
	t     *testing.T
	m     *aManager
	c     *operator
	token string // file

	stages string // of the group

	shop  *httptest.Server
	other *httptest.Server // an upstream that only fails
	out   atomic.Bool      // the shop is out
}

// newTrialGround starts a manager and publishes a first revision of the group edge.
func newTrialGround(t *testing.T) *trialGround {
	t.Helper()
	m, stop := startManagerWith(t, mgmt.Options{Settings: managerSettings(t, ""), ReportEvery: 500 * time.Millisecond})
	t.Cleanup(stop)
	f := &trialGround{t: t, m: m, c: setUp(t, m), stages: "[1, all]"}
	f.shop = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if f.out.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "shop")
	}))
	t.Cleanup(f.shop.Close)
	f.other = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(f.other.Close)
	var made struct{ Text string }
	f.c.into(http.MethodPost, "/tokens", map[string]any{"name": "cli", "grants": map[string]any{"roles": map[string]string{"*": "publisher"}}}, &made)
	f.token = tokenFile(t, made.Text)
	f.save(f.configuration(""))
	f.run(exitOK, "publish", "-group", "edge", "-wait")
	return f
}

// configuration is the whole configuration, with keys of the policy.
func (f *trialGround) configuration(policy string) string {
	return fmt.Sprintf(`
admin: { address: "127.0.0.1:0" }
logs: { access: none, events: none }
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" }%s }]
upstreams: [{ name: shop, url: %q, allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, policy: default, upstream: shop }]
groups: [{ name: edge, listeners: [http], applications: ["*"], rollout: { stages: %s, soak: 1s } }]
`, policy, f.shop.URL, f.stages)
}

func (f *trialGround) save(configuration string) {
	f.t.Helper()
	f.c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": configuration})
}

// run runs a command of the command line, and gives what it says.
func (f *trialGround) run(exit int, args ...string) string {
	f.t.Helper()
	var out bytes.Buffer
	c := &cli{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
	if got := c.main(f.t.Context(), append(args, "-api", f.m.url, "-token-file", f.token)); got != exit {
		f.t.Fatalf("%v: exit %d, not %d\n%s", args, got, exit, out.String())
	}
	return out.String()
}

func (f *trialGround) has(text string, wants ...string) {
	f.t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			f.t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// visit sends each address some requests a second until the test ends.
func (f *trialGround) visit(addresses func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	var visitors sync.WaitGroup
	f.t.Cleanup(func() { cancel(); visitors.Wait() })
	visitors.Go(func() {
		client := &http.Client{Timeout: 2 * time.Second}
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, address := range addresses() {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
				if err != nil {
					continue
				}
				r.Header.Set("X-Text", strings.Repeat("words and 123 ", 100))
				if reply, err := client.Do(r); err == nil { // gateways are killed in some tests
					_ = reply.Body.Close()
				}
			}
		}
	})
}

// blockAll makes a policy that is right, and blocks everything.
const blockAll = `, rules: [{ name: everything, when: { path: "/**" }, then: block, stage: enforce }]`

// TestRollout brings revisions to gateways that have traffic, from the command line: a good one to all, in stages; one that blocks everything,
// and one with a wrong upstream, to one gateway and back; and none back because the upstream is out for all.
func TestRollout(t *testing.T) {
	f := newTrialGround(t)
	token := f.c.joinToken(3)
	var gateways []*managed.Gateway
	for range 3 {
		g, _ := joinGateway(t, f.m, token, filepath.Join(t.TempDir(), "state"))
		gateways = append(gateways, g)
	}
	serve(t, gateways, "shop")
	f.visit(func() (list []string) {
		for _, g := range gateways {
			list = append(list, g.Server().Addr("").String())
		}
		return list
	})
	proxytest.Eventually(t, "all report", func() bool { return strings.Contains(f.run(exitOK, "status"), "serve edge/1 on 3") })

	f.save(f.configuration(`, rules: [{ name: office, when: { path: "/admin/**" }, then: block, stage: enforce }]`))
	good := f.run(exitOK, "publish", "-group", "edge", "-wait")
	f.has(good, "revision edge/2 published", "edge/2 running, stage 1 of 2 (1)", "edge/2 running, stage 2 of 2 (all)", "edge/2 done")
	f.has(f.run(exitOK, "status"), "edge: 3 gateways: 3 serving", "for all: edge/2; published last: edge/2", "rollout: edge/2 done")

	f.save(f.configuration(blockAll))
	bad := f.run(exitFailed, "publish", "-group", "edge", "-wait")
	f.has(bad, "edge/3 halted; application shop: 100 % of the requests are blocked, and 0 % were or would have been on the gateways without it; edge/4 brings back")
	f.has(f.run(exitOK, "rollout", "status", "edge/3", "-o", "json"), `"cause": "blocked"`, `"gateways": 1`)

	f.save(strings.Replace(f.configuration(""), f.shop.URL, f.other.URL, 1))
	bad = f.run(exitFailed, "publish", "-group", "edge", "-wait")
	f.has(bad, "edge/5 halted", "5xx by the upstream, and 0 %")

	f.save(f.configuration(`, rules: [{ name: staff, when: { path: "/staff/**" }, then: block, stage: enforce }]`))
	f.out.Store(true)
	f.has(f.run(exitOK, "publish", "-group", "edge", "-wait"), "edge/7 done")
	f.out.Store(false)

	f.has(f.run(exitOK, "rollout", "rollback", "edge/2", "-wait"), "revision edge/8 published with the content of edge/2", "pending again", "edge/8 done")
	f.has(f.run(exitOK, "rollout", "list", "-group", "edge"), "edge/8 done", "edge/3 halted", "edge/1 done")
	f.run(exitFailed, "rollout", "pause", "edge")

	f.save(strings.Replace(f.configuration(`, rules: [{ name: slow, when: { path: "/slow/**" }, then: block, stage: enforce }]`), "soak: 1s", "soak: 1h", 1))
	f.run(exitOK, "publish", "-group", "edge")
	proxytest.Eventually(t, "the first stage", func() bool {
		return strings.Contains(f.run(exitOK, "rollout", "status", "edge"), "stage 1 of 2 (1): 1 of 1 gateway")
	})
	f.has(f.run(exitFailed, "rollout", "status", "-wait", "-timeout", "1s", "edge"), "is not over yet; it goes on")
	f.has(f.run(exitOK, "rollout", "pause", "edge"), "edge/9 paused", "paused by token:cli")
	f.has(f.run(exitOK, "rollout", "resume", "edge/9"), "edge/9 running")
	f.has(f.run(exitOK, "rollout", "advance", "edge"), "advanced by token:cli")
	proxytest.Eventually(t, "the last stage", func() bool { return strings.Contains(f.run(exitOK, "rollout", "status", "edge"), "stage 2 of 2 (all)") })
	f.has(f.run(exitOK, "rollout", "abort", "edge"), "edge/9 aborted", "edge/10 brings back")
	proxytest.Eventually(t, "all go back", func() bool { return strings.Contains(f.run(exitOK, "status"), "serve edge/10 on 3") })
}
