package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBench measures a policy with a rule of its own that runs for every request, and finds it.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shop.pem"), []byte(selfSigned(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(`
listeners: [{ name: https, address: "192.0.2.1:443", protocol: https, proxy_protocol: required }]
certificates: [{ name: shop, secret: "file:shop.pem" }]
upstreams: [{ name: shop, url: "https://shop.internal", tls: { verify_name: shop.internal }, health: { path: /healthz } }]
applications: [{ name: shop, hosts: ["*.shop.example.com"], mode: block, upstream: shop, policy: dear }]
policies:
  - name: dear
    crs: { version: "4.25.0", paranoia: 1 }
    rate_limits: [{ name: all, key: [client], limit: 1/1m }]
    seclang: |
      SecRule &ARGS "@ge 0" "id:10001,phase:2,pass,nolog"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runCommand(t, "", "bench", "-config", path, "-for", "300ms", "-o", "json", "-rate", "100000", "-zones", "2", "-top", "400")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var report benchReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if report.Requests < 20 || report.Distinct < 1000 || report.Statuses[200] != report.Requests {
		t.Errorf("%d requests, %d distinct, statuses %v", report.Requests, report.Distinct, report.Statuses)
	}
	if report.CPU <= 0 || report.Inspection <= 0 || report.Patterns <= 0 || report.PerVCPU <= 0 {
		t.Errorf("nothing was measured: %+v", report)
	}
	if report.Instances < report.Needed*2 || report.Needed < 1 {
		t.Errorf("%d instances in two zones, %d needed", report.Instances, report.Needed)
	}
	found := false
	for i, d := range report.Dearest {
		if i > 0 && d.CPU > report.Dearest[i-1].CPU {
			t.Error("the dearest rules are not in order")
		}
		found = found || d.Rule == 10001 && d.Runs == 1 && strings.Contains(d.Place, ":")
	}
	if !found {
		t.Errorf("rule 10001 is not among %v", report.Dearest)
	}
}

// TestBenchOfOwnRequests measures requests that were written by hand.
func TestBenchOfOwnRequests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("gatehouse.yaml", "applications: [{ name: shop, hosts: [shop.example.com], mode: block, upstream: \"http://shop.internal\" }]\n")
	requests := filepath.Join(dir, "requests")
	if err := os.Mkdir(requests, 0o700); err != nil {
		t.Fatal(err)
	}
	write("requests/clean.http", "GET /search?q=teapot HTTP/1.1\nHost: shop.example.com\nUser-Agent: test\nAccept: */*\n")
	write("requests/post.http", "POST /contact HTTP/1.1\nHost: shop.example.com\nUser-Agent: test\nAccept: */*\nContent-Type: application/x-www-form-urlencoded\n\na=hello\n")
	write("requests/head.http", "HEAD / HTTP/1.1\nHost: shop.example.com\nUser-Agent: test\nAccept: */*\n")
	write("requests/attack.http", "GET /?q=<script>alert(1)</script> HTTP/1.1\nHost: shop.example.com\nUser-Agent: test\nAccept: */*\n")
	write("requests/lost.http", "GET / HTTP/1.1\nHost: other.example.com\n")
	code, stdout, stderr := runCommand(t, "", "bench", "-config", path, "-requests", requests, "-for", "200ms")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{"5 of them distinct", " 200: ", " 403: ", " 421: ", "us a request", "instances of 2 vCPU", "name your own"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in:\n%s", want, stdout)
		}
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"bench"}, exitUsage, "-config PATH is required"},
		{[]string{"bench", "-config", path, "-load", "60"}, exitUsage, "the load 60 is not above 0 and at most 1"},
		{[]string{"bench", "-config", path, "-for", "1ms"}, exitUsage, "too short"},
		{[]string{"bench", "-config", path, "requests"}, exitUsage, "-requests"},
		{[]string{"bench", "-config", path, "-requests", dir + "/none"}, exitFailed, "no such file"},
		{[]string{"bench", "-config", path, "-requests", write("empty.http", "\n")}, exitFailed, "there is no request in it"},
	} {
		if code, _, stderr := runCommand(t, "", tt.args...); code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit %d, %q", tt.args, code, stderr)
		}
	}
}
