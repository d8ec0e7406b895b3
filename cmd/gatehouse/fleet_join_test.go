package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/managed"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/crs"
)

// edgeConfiguration is a whole configuration with a group edge; the upstream answers with text.
func edgeConfiguration(t *testing.T, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	t.Cleanup(s.Close)
	return fmt.Sprintf(`
admin: { address: "127.0.0.1:0" }
logs: { access: none, events: none }
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" } }]
upstreams: [{ name: shop, url: %q, allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, policy: default, upstream: shop }]
groups: [{ name: edge, listeners: [http], applications: ["*"], rollout: { stages: [all] } }]
`, s.URL)
}

// into sends a request that has to succeed, and reads the answer.
func (c *operator) into(method, path string, body, to any) {
	c.t.Helper()
	status, answer, _ := c.do(method, path, "", body)
	if status >= http.StatusBadRequest {
		c.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if err := json.Unmarshal([]byte(answer), to); err != nil {
		c.t.Fatal(err)
	}
}

// joinToken makes a join token of the group edge, in a file.
func (c *operator) joinToken(uses int) string {
	c.t.Helper()
	var made struct{ Text string }
	c.into(http.MethodPost, "/join-tokens", map[string]any{"group": "edge", "uses": uses}, &made)
	file := filepath.Join(c.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(made.Text+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file
}

// gatewaySeen is what the API says of a gateway.
type gatewaySeen struct {
	Name, Group, Status string
	Report              struct {
		Serving struct {
			Revision struct{ Epoch, Number uint64 }
			Source   string
		}
	}
}

func (c *operator) gateways() []gatewaySeen {
	c.t.Helper()
	var list struct{ Items []gatewaySeen }
	c.into(http.MethodGet, "/gateways", nil, &list)
	return list.Items
}

// joinGateway starts a gateway that joins with a token. It is started again by another call with the same state.
func joinGateway(t *testing.T, m *aManager, token, state string) (*managed.Gateway, func()) {
	t.Helper()
	g, err := managed.New(managed.Options{
		StateDir: state, Logger: fleetLogger(t), Version: "test", Managers: []string{"https://" + m.gateways}, Join: managed.JoinToken, TokenFile: token,
		Times:  managed.Times{Backoff: 50 * time.Millisecond, MaxBackoff: 200 * time.Millisecond, Least: 10 * time.Millisecond},
		Config: config.Options{CRSVersions: crs.Versions()},
		Proxy:  proxy.Options{Shared: proxytest.Compiled(t), DrainIdle: time.Millisecond, WatchInterval: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !strings.Contains(err.Error(), "revoked") {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return g, stop
}

// TestJoinPublishReport lets gateways join a manager, publishes to them, sees what they report, and revokes one.
func TestJoinPublishReport(t *testing.T) {
	m, stop := startManager(t, managerSettings(t, ""))
	defer stop()
	c := setUp(t, m)
	c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": edgeConfiguration(t, "one")})
	publish := map[string]any{"groups": []string{"edge"}}
	c.want(http.MethodPost, "/publish", "", publish)

	token, state := c.joinToken(3), filepath.Join(t.TempDir(), "state")
	first, _ := joinGateway(t, m, token, state)
	second, _ := joinGateway(t, m, token, filepath.Join(t.TempDir(), "state"))
	serve(t, []*managed.Gateway{first, second}, "one")
	want := func(what string, ok func([]gatewaySeen) bool) []gatewaySeen {
		t.Helper()
		var seen []gatewaySeen
		proxytest.Eventually(t, what, func() bool {
			seen = c.gateways()
			return ok(seen)
		})
		return seen
	}
	want("both report revision 1", func(list []gatewaySeen) bool {
		return len(list) == 2 && list[0].Report.Serving.Revision.Number == 1 && list[1].Report.Serving.Revision.Number == 1 && list[0].Status == "serving"
	})

	c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": edgeConfiguration(t, "two")})
	start := time.Now()
	c.want(http.MethodPost, "/publish", "", publish)
	published := time.Since(start)
	serve(t, []*managed.Gateway{first, second}, "two")
	t.Logf("published in %v, served after %v", published, time.Since(start))
	want("both report revision 2", func(list []gatewaySeen) bool {
		return list[0].Report.Serving.Revision.Number == 2 && list[1].Report.Serving.Revision.Number == 2
	})

	// A new authority: the gateways are told, and go on.
	var trust struct {
		Serial uint64
		Hash   string
	}
	c.into(http.MethodPost, "/trust/authority", nil, &trust)
	proxytest.Eventually(t, "the gateway trusts the new authority", func() bool {
		kept, err := os.ReadFile(filepath.Join(state, "trust.json"))
		return err == nil && trust.Serial == 2 && strings.Contains(string(kept), trust.Hash)
	})
	third, _ := joinGateway(t, m, token, filepath.Join(t.TempDir(), "state")) // its token names the bundle before
	serve(t, []*managed.Gateway{third}, "two")
	list := want("all three report revision 2", func(list []gatewaySeen) bool {
		return len(list) == 3 && list[2].Report.Serving.Revision.Number == 2
	})

	status, answer, _ := c.do(http.MethodDelete, "/gateways/"+list[0].Name, "", nil)
	if status != http.StatusOK || !strings.Contains(answer, `"status":"revoked"`) {
		t.Fatalf("revoke: %d %s", status, answer)
	}
	if left := c.gateways(); len(left) != 2 || left[0].Name != list[1].Name {
		t.Errorf("after one was revoked there are %+v", left)
	}
}
