package limit

import (
	"math"
	"math/bits"
	"time"

	"gatehouse/proxy/config"
)

// bucket is what all buckets of one limit have in common: the generic cell rate algorithm (ITU-T I.371), which is a
// token bucket that is kept as one moment, the one at which it will be full again. Times are in nanoseconds.
type bucket struct {
	interval int64 // in which one request comes back
	depth    int64 // in which an empty bucket fills up: burst times interval
}

// longest bounds intervals and depths (36 years), so that their sums do not overflow.
const longest = 1 << 60

// newBucket makes the bucket of a limit. The interval is rounded up: never more than the limit comes through.
func newBucket(rate config.Rate, burst int) bucket {
	count := int64(max(rate.Count, 1))
	interval := int64(max(rate.Per, 1))
	interval = min((interval-1)/count+1, longest)
	hi, depth := bits.Mul64(uint64(interval), uint64(max(burst, 1)))
	if hi != 0 || depth > longest {
		depth = longest
	}
	return bucket{interval: interval, depth: int64(depth)}
}

// take takes a request at now out of the bucket that will be full at full. It gives the bucket's new moment, or how long
// to wait until there is room for one.
func (b bucket) take(now, full int64) (newFull, wait int64) {
	newFull = max(now, full) + b.interval
	return newFull, max(0, newFull-now-b.depth)
}

// seconds rounds up to whole seconds, at least one: what Retry-After can say.
func seconds(d time.Duration) int {
	s := int64(d+time.Second-1) / int64(time.Second)
	return int(min(max(1, s), math.MaxInt32))
}
