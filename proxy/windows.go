package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/rules/fleetapi"
)

// Window is what the requests of one application came to under one revision since the process started. It is what
// fleetapi.Window is, with the revision's name.
type Window struct {
	Revision    string
	Application string
	Requests    int64
	Blocked     int64
	Detected    int64
	Own5xx      int64
	Upstream5xx int64
	Added       []int64 // by fleetapi.LatencyBounds: the time that inspection took
}

// window counts. Most requests add to one number alone, that of their latency; how many there were is the sum of those.
type window struct {
	revision, application string

	blocked, detected, own, upstream atomic.Int64
	added                            []atomic.Int64
}

// count counts a finished request. It does not allocate or wait.
func (w *window) count(a *event.Access) {
	w.added[latencyBucket(a.Inspection)].Add(1)
	switch a.Verdict {
	case event.Block:
		w.blocked.Add(1)
		return
	case event.Detect:
		w.detected.Add(1)
	}
	if a.Status < 500 || a.Status > 599 {
		return
	}
	if a.AnsweredBy == "upstream" || a.Reason == event.UpstreamDown || a.Reason == event.UpstreamError || a.Reason == event.UpstreamTimeout {
		w.upstream.Add(1)
	} else {
		w.own.Add(1)
	}
}

// latencyBucket is the index of the first bound that is not below d, or that behind the last.
func latencyBucket(d time.Duration) int {
	us := d.Microseconds()
	for i, bound := range fleetapi.LatencyBounds {
		if us <= bound {
			return i
		}
	}
	return len(fleetapi.LatencyBounds)
}

func (w *window) read() Window {
	out := Window{
		Revision: w.revision, Application: w.application,
		Blocked: w.blocked.Load(), Detected: w.detected.Load(), Own5xx: w.own.Load(), Upstream5xx: w.upstream.Load(),
		Added: make([]int64, len(w.added)),
	}
	for i := range w.added {
		out.Added[i] = w.added[i].Load()
		out.Requests += out.Added[i]
	}
	return out
}

// windows are the counts of the latest revisions that were served.
type windows struct {
	mu   sync.Mutex // guards list
	list []*window  // in the order in which their revisions were first served
}

// keptRevisions is how many revisions' counts are kept: the one that is served, and those before it until they were compared.
const keptRevisions = 4

// of is the window of an application under a revision. Served again, a revision's counts go on.
func (ws *windows) of(revision, application string) *window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.list {
		if w.revision == revision && w.application == application {
			return w
		}
	}
	w := &window{revision: revision, application: application, added: make([]atomic.Int64, len(fleetapi.LatencyBounds)+1)}
	ws.list = append(ws.list, w)
	return w
}

// prune forgets all revisions but the latest ones and the one that is served.
func (ws *windows) prune(served string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	revisions := []string{served}
	for _, w := range slices.Backward(ws.list) {
		if !slices.Contains(revisions, w.revision) && len(revisions) < keptRevisions {
			revisions = append(revisions, w.revision)
		}
	}
	ws.list = slices.DeleteFunc(ws.list, func(w *window) bool { return !slices.Contains(revisions, w.revision) })
}

// Windows are the counts of the latest revisions, by application. They only rise.
func (s *Server) Windows() []Window {
	s.windows.mu.Lock()
	list := slices.Clone(s.windows.list)
	s.windows.mu.Unlock()
	out := make([]Window, 0, len(list))
	for _, w := range list {
		out = append(out, w.read())
	}
	return out
}
