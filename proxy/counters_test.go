package proxy

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestCountersFindEachCounterOnce counts by many goroutines: no count is lost, and no counter is made twice.
func TestCountersFindEachCounterOnce(t *testing.T) {
	const keys, goroutines, each = 20, 8, 500
	var made atomic.Int64
	var c counters[int]
	c.make = func(int) prometheus.Counter {
		made.Add(1)
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "x"})
	}
	var wait sync.WaitGroup
	for range goroutines {
		wait.Go(func() {
			for i := range each {
				c.of(i % keys).Inc()
			}
		})
	}
	wait.Wait()
	if n := made.Load(); n != keys {
		t.Errorf("%d counters were made, want %d", n, keys)
	}
	for key := range keys {
		if n := testutil.ToFloat64(c.of(key)); n != goroutines*each/keys {
			t.Errorf("key %d: counted %v, want %d", key, n, goroutines*each/keys)
		}
	}
}

// TestStatusesOfUpstreamsAreFew shows that what is no status of HTTP makes no series of its own.
func TestStatusesOfUpstreamsAreFew(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 600, 999, 12345} {
		if label := statusLabel(knownStatus(status)); label != other {
			t.Errorf("status %d is labelled %q, want %q", status, label, other)
		}
	}
	if label := statusLabel(knownStatus(418)); label != "418" {
		t.Errorf("status 418 is labelled %q", label)
	}
}
