package proxy_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/crs"
)

// TestApplicationsShareTheirPolicy shows that an application more, with a policy that others have, takes little memory.
func TestApplicationsShareTheirPolicy(t *testing.T) {
	heap := func(applications int) uint64 {
		var text strings.Builder
		text.WriteString("upstreams: [{ name: shop, url: \"http://192.0.2.1\" }]\npolicies: [{ name: p, crs: { version: \"4.25.0\" } }]\napplications:\n")
		for i := range applications {
			fmt.Fprintf(&text, "  - { name: app%d, hosts: [app%d.example.com], mode: block, policy: p, upstream: shop }\n", i, i)
		}
		loaded, err := config.Options{CRSVersions: crs.Versions()}.LoadBytes("gatehouse.yaml", []byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		inspector, err := proxy.NewInspector(loaded, zap.NewNop(), proxytest.Compiled(t))
		if err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		for range 2 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		if err := inspector.Close(); err != nil {
			t.Fatal(err)
		}
		return m.HeapAlloc
	}
	const few, many = 10, 210
	heap(few)
	before, after := heap(few), heap(many)
	each := (int64(after) - int64(before)) / (many - few)
	t.Logf("%d KiB for each application", each>>10)
	if each > 100<<10 {
		t.Errorf("an application takes %d KiB, want at most 100", each>>10)
	}
}
