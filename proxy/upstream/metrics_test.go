package upstream

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestStatusLabels shows the label that a status gets: its own if it is one of HTTP's.
func TestStatusLabels(t *testing.T) {
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for status, label := range map[int]string{0: "_other", 99: "_other", 100: "100", 404: "404", 599: "599", 600: "_other", 999: "_other"} {
		before := testutil.ToFloat64(m.requests.WithLabelValues("test", label))
		m.answered("test", status, nil, 0)
		if after := testutil.ToFloat64(m.requests.WithLabelValues("test", label)); after != before+1 {
			t.Errorf("status %d is not counted as %s", status, label)
		}
	}
}
