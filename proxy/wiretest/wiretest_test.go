package wiretest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/proxy/proxytest"
	"gatehouse/proxy/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hosts are those that the cases run for: what they ask of a gateway holds in every mode, whether it streams a body
// (disabled) or reads it first (detect).
var hosts = []string{"stream.example", "held.example"}

// gateway is a real gateway in front of a recorder.
type gateway struct {
	*proxytest.Gateway
	server   *wiretest.Server
	recorder *wiretest.Recorder
	seen     []*wiretest.Request // by the upstream, whole and cut off
}

func start(t *testing.T) *gateway {
	t.Helper()
	recorder, err := wiretest.NewRecorder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorder.Close)
	var applications strings.Builder
	for host, mode := range map[string]string{hosts[0]: "disabled", hosts[1]: "detect", "other.example": "disabled"} {
		fmt.Fprintf(&applications, `  - hosts: [%s]
    mode: %s
    upstream: recorder
    routes:
      - path: /
      - { path: /ws, traffic: [auto, websocket] }
      - { path: /ws-only, traffic: [websocket] }
      - { path: /small, body: { max_bytes: 1KiB } }
`, host, mode)
	}
	g := &gateway{recorder: recorder}
	g.Gateway = proxytest.Start(t, `
listeners:
  - { name: plain, address: "127.0.0.1:0", trusted_hops: 0 }
  - { name: elb, address: "127.0.0.1:0", trusted_hops: 1, trusted_proxies: [127.0.0.2/32] }
  - { name: two, address: "127.0.0.1:0", trusted_hops: 2, trusted_proxies: [127.0.0.2/32] }
  - { name: nlb, address: "127.0.0.1:0", proxy_protocol: required, trusted_proxies: [127.0.0.2/32] }
  - { name: nlb-elb, address: "127.0.0.1:0", proxy_protocol: required, trusted_hops: 1, trusted_proxies: [127.0.0.2/32] }
  - { name: h2c, address: "127.0.0.1:0", trusted_hops: 0, h2c: true }
upstreams:
  - { name: recorder, url: "http://`+recorder.Addr()+`", allow_loopback: true }
applications:
`+applications.String())
	g.server = &wiretest.Server{
		Recorder: recorder, Host: hosts[0],
		Dial: func(listener string) (net.Conn, error) { return net.Dial("tcp", g.address(listener)) },
	}
	return g
}

func (g *gateway) address(listener string) string {
	if listener == "" {
		listener = "plain"
	}
	return g.Addr(listener).String()
}

// run runs one case and reports what is wrong.
func (g *gateway) run(t *testing.T, c *wiretest.Case) *wiretest.Outcome {
	t.Helper()
	out, wrong := g.server.Run(c)
	g.seen = append(g.seen, out.Upstream...)
	for _, w := range wrong {
		t.Errorf("%s: %s\n    sent %.300q", c.Place, w, c.Send)
	}
	for _, reply := range out.Replies {
		if reply.Status >= 400 && reply.Header.Get("X-Gatehouse-Incident") == "" {
			t.Errorf("%s: the refusal has no incident: %v", c.Place, reply.Header)
		}
	}
	return out
}

// TestCases runs the cases of testdata.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := wiretest.Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 300 {
		t.Errorf("there are %d cases, want at least 300", len(cases))
	}
	g := start(t)
	for _, c := range cases {
		name := strings.TrimSuffix(filepath.Base(strings.SplitN(c.Place, ":", 2)[0]), ".yaml") + "/" + c.Name
		t.Run(name, func(t *testing.T) {
			if !c.ManyHosts() {
				g.run(t, c)
				return
			}
			for _, host := range hosts {
				g.run(t, c.For(host))
			}
		})
	}
	g.checkLog(t)
}

// access is what a line of the access log says about a request.
type access struct {
	Record         string `json:"record"`
	RequestID      string `json:"request_id"`
	Client         string `json:"client"`
	ClientPort     int    `json:"client_port"`
	Method         string `json:"method"`
	Host           string `json:"host"`
	Path           string `json:"path"`
	BytesIn        int    `json:"bytes_in"`
	UpstreamStatus int    `json:"upstream_status"`
}

func (g *gateway) accessLog(t *testing.T) []access {
	t.Helper()
	var list []access
	for line := range bytes.Lines([]byte(g.Records())) {
		var a access
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if a.Record == "access" {
			list = append(list, a)
		}
	}
	return list
}

// checkLog holds what the upstream saw against the access log: every request there is one that the gateway logged, with
// the same name, method, path and body, once; and none that the upstream answered as the gateway says is missing. One
// that was cut off is of a request that the gateway logged as not answered by the upstream: nothing is sent twice.
func (g *gateway) checkLog(t *testing.T) {
	t.Helper()
	if len(g.seen) == 0 {
		t.Fatal("nothing reached the upstream")
	}
	var logged map[string]bool // by line; the value says whether the upstream answered
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		logged = map[string]bool{}
		for _, a := range g.accessLog(t) {
			logged[logLine(a.RequestID, a.Method, a.Path, a.BytesIn)] = a.UpstreamStatus != 0
		}
		if !slices.ContainsFunc(g.seen, func(r *wiretest.Request) bool {
			_, ok := logged[seenLine(r)]
			return !ok && !(r.Cut && cutLogged(r, logged))
		}) || time.Now().After(deadline) {
			break
		}
	}
	for _, r := range g.seen {
		if r.Cut && !cutLogged(r, logged) {
			t.Errorf("the upstream saw a part of a request that the gateway did not log, or logged as answered: %.200q", r.Raw)
		}
		if r.Problem != "" || r.Cut {
			continue
		}
		if _, ok := logged[seenLine(r)]; !ok {
			t.Errorf("the upstream saw a request that the gateway did not log: %s: %.200q", seenLine(r), r.Raw)
		}
		delete(logged, seenLine(r)) // a second one like it is not in the log
	}
	for line, answered := range logged {
		if answered {
			t.Errorf("the gateway logged a reply to a request that the upstream did not see: %s", line)
		}
	}
	t.Logf("%d requests at the upstream", len(g.seen))
}

// cutLogged reports whether the log has a request that the upstream did not answer, of which r can be the beginning.
func cutLogged(r *wiretest.Request, logged map[string]bool) bool {
	begin := strings.TrimSuffix(logLine(strings.Join(r.Values("X-Request-Id"), ","), r.Method, r.Target, 0), "0")
	for line, answered := range logged {
		if !answered && strings.HasPrefix(line, begin) {
			return true
		}
	}
	return false
}

func seenLine(r *wiretest.Request) string {
	return logLine(strings.Join(r.Values("X-Request-Id"), ","), r.Method, r.Target, len(r.Body))
}

// logLine is what the log and the upstream must agree on. The log cuts long methods.
func logLine(id, method, target string, body int) string {
	return fmt.Sprintf("%s %.40s %s %d", id, method, pathOf(target), body)
}

// pathOf is the path of a target as it is forwarded.
func pathOf(target string) string {
	if i := strings.Index(target, "://"); i > 0 && target[0] != '/' {
		if target = strings.TrimLeft(target[i+3:], "abcdefghijklmnopqrstuvwxyz.0123456789:"); target == "" || target[0] != '/' {
			target = "/" + target
		}
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}
