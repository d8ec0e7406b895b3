package managed

import (
	"bytes"
	"sync"
	"time"

	"gatehouse/rules/revision"
)

// source is where a revision came from.
type source string

const (
	fromManager source = "manager"
	fromBucket  source = "bucket"
	fromDisk    source = "disk"
)

// offer is a head that somebody wants to be served. Nothing of it is verified.
type offer struct {
	source source
	head   []byte
	depot  revision.Depot
	trial  time.Duration // how long the revision is on trial, 0 for not at all
}

// offers is the latest offer of each source that was not looked at yet.
type offers struct {
	mu      sync.Mutex // guards what follows
	waiting []offer
	latest  map[source]offer
	wake    chan struct{}
}

func newOffers() offers { return offers{latest: map[source]offer{}, wake: make(chan struct{}, 1)} }

// put offers something. An offer of the same source that still waits gives way.
func (o *offers) put(x offer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest[x.source] = x
	o.replace(x)
}

// said reports whether that is the latest head of a source, which was looked at or waits for it.
func (o *offers) said(s source, head []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Equal(o.latest[s].head, head)
}

// add offers something behind what is offered already.
func (o *offers) add(x offer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, x)
	o.signal()
}

// replace puts an offer among those that wait. The caller holds mu.
func (o *offers) replace(x offer) {
	for i := range o.waiting {
		if o.waiting[i].source == x.source {
			o.waiting[i] = x
			return
		}
	}
	o.waiting = append(o.waiting, x)
	o.signal()
}

func (o *offers) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take is an offer to look at.
func (o *offers) take() (offer, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return offer{}, false
	}
	x := o.waiting[0]
	o.waiting = o.waiting[1:]
	return x, true
}

// again has the latest offer of every source looked at once more; that of the disk only as long as nothing is served.
func (o *offers) again(disk bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, x := range o.latest {
		if disk || x.source != fromDisk {
			o.replace(x)
		}
	}
}
