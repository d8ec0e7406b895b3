package proxy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy/proxytest"
)

// TestSample runs every request on the reference engine, too: clients notice nothing, the engines agree, and stopping the
// gateway leaves nothing behind (TestMain looks for goroutines).
func TestSample(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	spool := filepath.Join(t.TempDir(), "spool")
	g := proxytest.Start(t, application(upstream.URL, "block", ""), proxytest.Options{NoClose: true, Change: func(o *proxyOptions) {
		o.Sample, o.Spool = 1, spool
	}})
	for i := range 4 {
		if status, body := exchange(t, g.URL, get(fmt.Sprintf("/?page=%d", i))); status != 200 {
			t.Errorf("status %d: %s", status, body)
		}
		if status, body := exchange(t, g.URL, post("/", "application/json", fmt.Sprintf(`{"id":%d,"q":"1' OR '1'='1"}`, i))); status != 403 {
			t.Errorf("status %d: %s", status, body)
		}
	}
	proxytest.Eventually(t, "the requests are counted", func() bool {
		_, page := g.Admin("/metrics")
		return strings.Contains(page, "gatehouse_program_evaluations_total{result=\"clean\"} 4\n") &&
			strings.Contains(page, "gatehouse_program_evaluations_total{result=\"match\"} 4\n")
	})
	_, page := g.Admin("/metrics")
	if n := metric(t, page, "gatehouse_program_disagreements_total"); n != 0 {
		t.Errorf("%v disagreements", n)
	}
	if err := g.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(spool)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(spool)
	if err != nil || len(entries) > 0 || info.Mode().Perm() != 0o700 {
		t.Errorf("spool %v: %v %v", info.Mode(), entries, err)
	}
}
