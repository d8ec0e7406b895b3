package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/proxytest"
	"gatehouse/proxy/spool"
	"gatehouse/rules/crs"
)

// row is one row of a table in a page, by the names of its columns.
type row map[string]string

// tables gives the rows of all tables in a page whose first column has this name.
func tables(t *testing.T, page, first string) []row {
	t.Helper()
	var rows []row
	var columns []string
	for _, line := range strings.Split(readPage(t, filepath.Join(docsDir, page)), "\n") {
		if !strings.HasPrefix(line, "|") {
			columns = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case columns == nil:
			columns = cells
		case columns[0] != first || strings.HasPrefix(cells[0], "---"):
		case len(cells) != len(columns):
			t.Errorf("%s: %q has %d columns, not %d", page, line, len(cells), len(columns))
		default:
			r := row{}
			for i, c := range cells {
				r[columns[i]] = c
			}
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table that begins with %q", page, first)
	}
	return rows
}

var code = regexp.MustCompile("`([^`]+)`")

// words gives what stands in backquotes in a cell.
func words(cell string) []string {
	var list []string
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return list
}

// bodies are requests with a body of each kind: its content type, and the body.
var bodies = map[string][2]string{
	"none": {}, "form": {"application/x-www-form-urlencoded", "a=b"}, "json": {"application/json", "{}"},
	"multipart": {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"},
	"ndjson":    {"application/x-ndjson", "{}\n"}, "xml": {"application/xml", "<a/>"}, "text": {"text/plain", "hello"},
	"binary": {"application/octet-stream", "hello"}, "grpc": {"application/grpc", ""}, "unknown": {"application/x-made-up", "hello"},
}

// TestTrafficTable compares the table of traffic in configuration.md with what becomes of requests.
func TestTrafficTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range tables(t, "configuration.md", "traffic") {
		traffic := words(r["traffic"])[0]
		seen[traffic] = true
		t.Run(traffic, func(t *testing.T) {
			loaded, err := config.Options{CRSVersions: crs.Versions()}.LoadBytes("t.yaml", fmt.Appendf(nil, `
applications:
  - { hosts: [shop.example.com], mode: block, upstream: "http://shop.internal", routes: [{ path: /, traffic: [%s] }] }
`, traffic))
			if err != nil {
				t.Fatal(err)
			}
			limits := loaded.Config.Applications[0].Routes[0].Body
			got := "none"
			if limits.MaxBytes > 0 {
				got = fmt.Sprintf("`%v` / `%v`", limits.MaxBytes, limits.InspectBytes)
			}
			if want := r["`max_bytes` / `inspect_bytes` unless set"]; got != want {
				t.Errorf("limits: the code has %s, the page %s", got, want)
			}
			for _, cause := range words(r["not inspected, by cause"]) {
				if !slices.Contains(inspect.Causes, cause) {
					t.Errorf("%s is no cause of uninspected traffic", cause)
				}
			}
			inspector, err := proxy.NewInspector(loaded, zap.NewNop(), proxytest.Compiled(t))
			if err != nil {
				t.Fatal(err)
			}
			defer inspector.Close()
			taken := words(r["bodies"])
			for kind := range bodies {
				method := "POST"
				if traffic == "websocket" {
					method = "GET"
				}
				reason := judge(t, inspector, traffic, method, kind)
				if want := slices.Contains(taken, kind); (reason != event.ContentType) != want {
					t.Errorf("a body of kind %s: the page says taken: %v, the code's reason is %q", kind, want, reason)
				}
			}
			named := words(r["methods"])
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE", "CONNECT"} {
				kind := "none"
				if traffic == "grpc" {
					kind = "grpc"
				}
				reason := judge(t, inspector, traffic, method, kind)
				refused := slices.Contains([]event.Reason{event.MethodRefused, event.MethodNoRoute, event.UpgradeRefused, event.CRSScore}, reason)
				want := slices.Contains(named, method)
				if strings.HasPrefix(r["methods"], "all but") {
					want = !want
				}
				if refused == want {
					t.Errorf("method %s: the page says taken: %v, the code's reason is %q", method, want, reason)
				}
			}
		})
	}
	for _, traffic := range []config.Traffic{config.TrafficAuto, config.TrafficAPI, config.TrafficWebSocket, config.TrafficGRPC} {
		if !seen[string(traffic)] {
			t.Errorf("the page does not have traffic %s", traffic)
		}
	}
}

// judge sends one request offline and gives the reason for which it is refused, empty if it is not.
func judge(t *testing.T, inspector *proxy.Inspector, traffic, method, kind string) event.Reason {
	t.Helper()
	var raw strings.Builder
	target := "/"
	if method == "CONNECT" {
		target = "shop.example.com:80"
	}
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: docs\r\nAccept: */*\r\n", method, target)
	if traffic == "websocket" {
		raw.WriteString("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
	}
	body := bodies[kind]
	if body[0] != "" {
		fmt.Fprintf(&raw, "Content-Type: %s\r\n", body[0])
	}
	if traffic == "websocket" {
		body[1] = ""
	}
	if body[1] != "" || method == "POST" {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(body[1]))
	}
	fmt.Fprintf(&raw, "\r\n%s", body[1])
	address, err := parseClient("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	report, err := inspector.Inspect([]byte(raw.String()), address)
	if err != nil {
		t.Fatalf("%s, kind %s: %v", method, kind, err)
	}
	return report.Access.Reason
}

// TestMetricsPage compares metrics.md with the metrics of a gateway in which everything has happened that makes one
// appear.
func TestMetricsPage(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer upstream.Close()
	g := proxytest.Start(t, fmt.Sprintf(`
listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 0 }
  - { name: https, address: "127.0.0.1:0", protocol: https, trusted_hops: 0 }
certificates: [{ name: shop, secret: "file:shop.pem" }]
upstreams: [{ name: shop, url: %q, allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, upstream: shop }]
`, upstream.URL), proxytest.Options{
		Files: map[string]string{"shop.pem": selfSigned(t)},
		Change: func(o *proxy.Options) {
			o.Stdout = failing{}
			o.Managed = func() *proxy.ManagedStatus {
				return &proxy.ManagedStatus{Events: &proxy.SpoolStatus{Dropped: map[string]int64{spool.DropSpool: 1}}}
			}
		},
	})
	for _, path := range []string{"/", "/?q=%3Cscript%3Ealert(1)%3C/script%3E"} {
		reply, err := http.Get(g.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
	}
	malformed, err := net.Dial("tcp", g.Addr("http").String())
	if err != nil {
		t.Fatal(err)
	}
	defer malformed.Close()
	if _, err := io.WriteString(malformed, "not HTTP\r\n\r\n"); err != nil {
		t.Fatal(err)
	}

	want := map[string][]string{}
	for _, r := range tables(t, "metrics.md", "metric") {
		want[words(r["metric"])[0]] = slices.Sorted(slices.Values(words(r["labels"])))
	}
	var got map[string][]string
	proxytest.Eventually(t, "all metrics", func() bool {
		_, page := g.Admin("/metrics")
		got = metricsOf(page)
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got, cmp.Transformer("labels", func(l []string) string { return strings.Join(l, " ") })); diff != "" {
		t.Errorf("docs/metrics.md and /metrics differ (-page +gateway):\n%s", diff)
	}

	causes := map[string]bool{}
	for _, r := range tables(t, "metrics.md", "cause") {
		causes[words(r["cause"])[0]] = true
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(inspect.Causes)), slices.Sorted(maps.Keys(causes))); diff != "" {
		t.Errorf("causes (-code +page):\n%s", diff)
	}
}

var sample = regexp.MustCompile(`(?m)^(gatehouse_[a-z0-9_]+)(?:\{(.*)\})? [^ ]+$`)

// metricsOf gives the gateway's own metrics of a page and the names of their labels.
func metricsOf(page string) map[string][]string {
	metrics := map[string][]string{}
	for _, m := range sample.FindAllStringSubmatch(page, -1) {
		name := m[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); strings.Contains(page, "# TYPE "+base+" histogram") {
				name = base
			}
		}
		labels := []string{}
		for _, l := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		metrics[name] = slices.Sorted(slices.Values(labels))
	}
	return metrics
}

// failing takes no record.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// selfSigned makes a certificate and its key as one PEM text.
func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&out, b); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// TestReasonsPage compares the reasons in event-fields.md with the closed list of the code.
func TestReasonsPage(t *testing.T) {
	var want, got []string
	for _, r := range event.Reasons() {
		want = append(want, string(r))
	}
	for _, r := range tables(t, "event-fields.md", "reason") {
		got = append(got, words(r["reason"])[0])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-code +page):\n%s", diff)
	}
}
