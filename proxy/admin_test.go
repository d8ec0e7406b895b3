package proxy_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"gatehouse/proxy"
	"gatehouse/proxy/proxytest"
)

// TestMetricsPage runs promlint over the real page and looks for every name that dashboards rely on.
func TestMetricsPage(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	exchange(t, g.URL, get("/"))
	exchange(t, g.URL, get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"))
	g.WaitEvents(1)
	_, page := g.Admin("/metrics")
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, name := range []string{
		`gatehouse_requests_total{answered_by="upstream",application="shop",code="200",route="/"} 1`,
		`gatehouse_requests_total{answered_by="gateway",application="shop",code="403",route="/"} 1`,
		`gatehouse_request_duration_seconds_count{application="shop",route="/"} 2`,
		`gatehouse_upstream_duration_seconds_count{upstream="origin"} 1`,
		`gatehouse_inspection_duration_seconds_count{application="shop",phase="1"} 2`,
		`gatehouse_inspection_duration_seconds_count{application="shop",phase="2"} 2`,
		`gatehouse_verdicts_total{application="shop",reason="",verdict="pass"} 1`,
		`gatehouse_verdicts_total{application="shop",reason="crs_score",verdict="block"} 1`,
		`gatehouse_rule_matches_total{rule="941100"} 1`,
		`gatehouse_program_evaluations_total{result="clean"} 1`,
		`gatehouse_program_evaluations_total{result="match"} 1`,
		`gatehouse_program_evaluations_total{result="reference"} 0`,
		`gatehouse_program_evaluations_total{result="error"} 0`,
		"gatehouse_program_disagreements_total 0",
		`gatehouse_uninspected_bytes_total{application="shop",cause="response"} 3`,
		`gatehouse_uninspected_requests_total{application="shop",cause="response"} 1`,
		"gatehouse_inflight_bytes 0",
		`gatehouse_shed_total{lane="inspection"} 0`,
		`gatehouse_upstream_requests_total{code="200",upstream="origin"} 1`,
		`gatehouse_upstream_connections{state="idle",upstream="origin"} 1`,
		`gatehouse_revision_info{group="",revision="sha256:`,
		`gatehouse_revision_apply_total{result="applied"} 1`,
		"gatehouse_policy_age_seconds ",
	} {
		if !strings.Contains(page, "\n"+name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	if t.Failed() {
		for line := range strings.SplitSeq(page, "\n") {
			if strings.HasPrefix(line, "gatehouse_") && !strings.Contains(line, "_bucket") && !strings.HasSuffix(line, " 0") {
				t.Log(line)
			}
		}
	}
}

func TestStatusPage(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	code, page := g.Admin("/status")
	var status proxy.Status
	if err := json.Unmarshal([]byte(page), &status); err != nil || code != 200 {
		t.Fatalf("%d %v", code, err)
	}
	if !status.Ready || status.Draining || len(status.Applications) != 1 || status.Applications[0].Rules < 500 || len(status.Upstreams) != 1 || status.Listeners[0].Name != "http" {
		t.Errorf("%+v", status)
	}
	if c := status.Applications[0].Coverage; c.Engine != proxy.EngineProgram || c.Compiled != c.Rules || c.Reference != 0 || len(c.OnReference) > 0 {
		t.Errorf("coverage %+v", c)
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 200, "/nonsense": 404} {
		if code, _ := g.Admin(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}

// TestLocalPagesByName: a page in a browser on this host, whose site's name was made to resolve to 127.0.0.1, reads
// neither /status nor profiles.
func TestLocalPagesByName(t *testing.T) {
	g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "disabled", ""))
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:7391": 200, "[::1]": 200, "[::1]:7391": 200, "localhost": 200, "LocalHost:7391": 200,
		"evil.example": 403, "evil.example:7391": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
	} {
		for _, path := range []string{"/status", "/debug/pprof/", "/debug/pprof/heap"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.AdminURL(path), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s by %s: %d, want %d", path, host, response.StatusCode, want)
			}
		}
	}
	for _, path := range []string{"/metrics", "/livez", "/readyz"} { // these any peer may read, by any name
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.AdminURL(path), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "gateway-7.pods.example"
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}

// TestStatusNamesReferenceRules shows which rule makes the reference engine judge an application, and where it stands.
func TestStatusNamesReferenceRules(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", "    policy: own\n")+"policies:\n  - name: own\n    seclang_file: own.conf\n",
		proxytest.Options{Files: map[string]string{"own.conf": "# ours\nSecRule &JSON \"@eq 3\" \"id:10001,phase:2,pass,nolog\"\n"}})
	c := g.Status().Applications[0].Coverage
	if c.Engine != proxy.EngineReference || c.Reference != 1 || c.Compiled != c.Rules-1 || len(c.OnReference) != 1 {
		t.Fatalf("coverage %+v", c)
	}
	if r := c.OnReference[0]; filepath.Base(r.File) != "own.conf" || r.Line != 2 || r.Rule != 10001 || r.Reason == "" {
		t.Errorf("%+v", r)
	}
	if status, _ := exchange(t, g.URL, get("/?q=%3Cscript%3Ealert(1)%3C/script%3E")); status != 403 {
		t.Errorf("status %d", status)
	}
	_, page := g.Admin("/metrics")
	if n := metric(t, page, `gatehouse_program_evaluations_total{result="reference"}`); n != 1 {
		t.Errorf("%v requests counted, want 1", n)
	}
}

// TestOneClientWarning shows that /status notices when every request seems to come from one of our own proxies.
func TestOneClientWarning(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, `listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 1 }
`+application(upstream.URL, "disabled", ""))
	for range 1100 {
		exchange(t, g.URL, get("/"))
	}
	if _, page := g.Admin("/status"); !strings.Contains(page, "check trusted_hops") {
		t.Errorf("no warning in %s", page)
	}
}
