package managed

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// backoff is the time between failures: full jitter, so that a herd that failed together does not come back together.
type backoff struct {
	first, most time.Duration
	failures    int
}

// next is how long to wait after one more failure.
func (b *backoff) next() time.Duration {
	most := b.most
	if shift := b.failures; shift < 16 {
		most = min(most, b.first<<shift)
	}
	b.failures++
	return rand.N(most) + time.Millisecond
}

func (b *backoff) reset() { b.failures = 0 }

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jittered is d, a fifth less to a fifth more.
func jittered(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5+1) }

// retryAfter is the time of a Retry-After field, in seconds or as a date (RFC 9110, section 10.2.3); 0 if there is none. It is at
// most ten minutes: a manager that is wrong must not lose its gateways.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 10 * time.Minute
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return min(time.Duration(min(seconds, int(most/time.Second)))*time.Second, most)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), most)
	}
	return 0
}
