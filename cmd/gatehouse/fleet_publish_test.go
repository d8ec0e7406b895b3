package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt"
	"gatehouse/proxy/managed"
)

// operator is somebody who has signed in.
type operator struct {
	t      *testing.T
	url    string
	cookie string
}

// setUp makes the first account of a manager by its one-time link, and signs in.
func setUp(t *testing.T, m *aManager) *operator {
	t.Helper()
	link, err := mgmt.SetupLink(t.Context(), m.settings, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &operator{t: t, url: m.url}
	status, _, header := c.do(http.MethodPost, "/setup", "", map[string]any{"token": link, "name": "ann", "password": "correct horse battery"})
	if status != http.StatusNoContent {
		t.Fatalf("setup: %d", status)
	}
	c.cookie, _, _ = strings.Cut(header.Get("Set-Cookie"), ";")
	return c
}

// do sends a request. If condition is not empty it is If-Match, or * for something new.
func (c *operator) do(method, path, condition string, body any) (int, string, http.Header) {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", c.url)
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	switch condition {
	case "":
	case "*":
		r.Header.Set("If-None-Match", "*")
	default:
		r.Header.Set("If-Match", condition)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(reply.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply.StatusCode, string(answer), reply.Header
}

// want sends a request that has to succeed, and gives the ETag.
func (c *operator) want(method, path, condition string, body any) string {
	c.t.Helper()
	status, answer, header := c.do(method, path, condition, body)
	if status >= http.StatusBadRequest {
		c.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return header.Get("ETag")
}

// TestChangePublishServe changes an upstream through the API, publishes, and asks the gateway that takes its revisions from the bucket;
// then it breaks things, and nothing changes but a clear message.
func TestChangePublishServe(t *testing.T) {
	m, stop := startManager(t, managerSettings(t, t.TempDir()))
	defer stop()
	upstream := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	c := setUp(t, m)
	c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": fmt.Sprintf(`
admin: { address: "127.0.0.1:0" }
logs: { access: none, events: none }
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" } }]
upstreams: [{ name: shop, url: %q, allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, policy: default, upstream: shop }]
groups: [{ name: edge, listeners: [http], applications: ["*"] }]
`, upstream("one"))})
	publish := map[string]any{"groups": []string{"edge"}}
	c.want(http.MethodPost, "/publish", "", publish)
	g := bootFromBucket(t, m)
	serve(t, []*managed.Gateway{g}, "one")

	tag := c.want(http.MethodGet, "/upstreams/shop", "", nil)
	tag = c.want(http.MethodPut, "/upstreams/shop", tag, map[string]any{"url": upstream("two"), "allow_loopback": true})
	start := time.Now()
	c.want(http.MethodPost, "/publish", "", publish)
	published := time.Since(start)
	serve(t, []*managed.Gateway{g}, "two")
	t.Logf("published in %v, served after %v", published, time.Since(start))

	application, policy := c.want(http.MethodGet, "/applications/shop", "", nil), c.want(http.MethodGet, "/policies/default", "", nil)
	for _, bad := range []struct {
		method, path, condition string
		body                    any
		status                  int
		want                    string
	}{
		{http.MethodPut, "/upstreams/shop", tag, map[string]any{"url": "ftp://x"}, http.StatusUnprocessableEntity, "ftp://x"},
		{http.MethodPut, "/upstreams/shop", `"1"`, map[string]any{"url": "http://127.0.0.1:1", "allow_loopback": true}, http.StatusPreconditionFailed, ""},
		{http.MethodPatch, "/applications/shop", application, map[string]any{"upstream": "none"}, http.StatusUnprocessableEntity, "none"},
		{
			http.MethodPatch, "/policies/default", policy,
			map[string]any{"seclang": `SecAction "id:9,phase:2,pass,nolog,setvar:tx.inbound_anomaly_score_pl1=+100"`},
			http.StatusUnprocessableEntity, "self-test",
		},
		{http.MethodPost, "/publish", "", publish, http.StatusConflict, "nothing to publish"},
	} {
		status, answer, _ := c.do(bad.method, bad.path, bad.condition, bad.body)
		if status != bad.status || !strings.Contains(answer, bad.want) {
			t.Errorf("%s %s: %d %s", bad.method, bad.path, status, answer)
		}
	}
	time.Sleep(300 * time.Millisecond) // a gateway looks every 100 ms
	if got := servedBy(g); got != "two" {
		t.Errorf("after what was refused it serves %q", got)
	}
}
