package proxy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
)

// TestProver: a configuration that a gateway would refuse is refused with its place, and one with the same rules is proven in a small part
// of the time that the first one took.
func TestProver(t *testing.T) {
	p := proxy.NewProver()
	load := func(text string) *config.Loaded {
		t.Helper()
		loaded, err := config.LoadBytes("gatehouse.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return loaded
	}
	const app = "applications: [{ name: shop, hosts: [shop.example.com], upstream: 'http://shop.internal' %}]\n"
	prove := func(more string) (time.Duration, error) {
		start := time.Now()
		err := p.Prove(load(strings.Replace(app, "%", more, 1)))
		return time.Since(start), err
	}
	cold, err := prove("")
	if err != nil {
		t.Fatal(err)
	}
	warm, err := prove(", mode: block, routes: [{ path: /api }]")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cold %v, warm %v", cold, warm)
	if warm > cold/2 {
		t.Errorf("with the same rules it took %v, after %v", warm, cold)
	}
	err = p.Prove(load(strings.Replace(app, "%", "", 1) + `policies: [{ name: default, seclang: 'SecAction "id:1,phase:2,pass,nolog,setvar:tx.inbound_anomaly_score_pl1=+99"' }]` + "\n"))
	var problems config.Problems
	if !errors.As(err, &problems) || problems[0].Path != "applications[0]" || !strings.Contains(problems[0].Message, "self-test") {
		t.Errorf("a rule that refuses everything: %v", err)
	}
}
