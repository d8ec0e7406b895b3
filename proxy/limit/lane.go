package limit

import (
	"sync/atomic"
	"time"
)

// Lane lets a few requests at a time do what takes much memory or processor time, while some more wait for a bounded
// time. A nil Lane lets all through. It may be used concurrently.
type Lane struct {
	places  chan struct{}
	queue   int64
	wait    time.Duration
	waiting atomic.Int64
}

// NewLane makes a lane with a number of places, and of requests that may wait up to wait for one.
func NewLane(places, queue int, wait time.Duration) *Lane {
	return &Lane{places: make(chan struct{}, places), queue: int64(queue), wait: wait}
}

// Enter takes a place, which Leave gives back. It reports false, with no place taken, if too many wait already, if none
// became free in time, or if gone was closed.
func (l *Lane) Enter(gone <-chan struct{}) bool {
	if l == nil {
		return true
	}
	select {
	case l.places <- struct{}{}:
		return true
	default:
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > l.queue {
		return false
	}
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	select {
	case l.places <- struct{}{}:
		return true
	case <-timer.C:
	case <-gone:
	}
	return false
}

// Leave gives back the place that Enter took.
func (l *Lane) Leave() {
	if l != nil {
		<-l.places
	}
}
