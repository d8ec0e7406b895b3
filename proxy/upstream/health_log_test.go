package upstream

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/proxy/config"
)

// TestFailedChecksAreLoggedOnce shows that an address that nobody listens on is warned of once for each state that it comes
// to, not for each check, and that the text names the upstream.
func TestFailedChecksAreLoggedOnce(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	c := testConfig("http://" + addr)
	c.Health = config.Health{Path: "/up", Interval: config.Duration(5 * time.Millisecond), Healthy: 1, Unhealthy: 3}
	acquire(t, newRegistry(t, Options{Logger: zap.New(core)}), c, nil)
	eventually(t, "it has failed six times", func() bool {
		return logs.FilterMessage("address left alone for longer").Len() >= 4
	})
	var warnings []string
	for _, entry := range logs.FilterLevelExact(zap.WarnLevel).All() {
		text, _ := entry.ContextMap()["error"].(string)
		warnings = append(warnings, entry.Message+": "+text)
	}
	if len(warnings) != 2 {
		t.Errorf("warnings: %q", warnings)
	}
	for _, w := range warnings {
		if strings.Contains(w, "upstream :") {
			t.Errorf("%q does not name the upstream", w)
		}
	}
}
