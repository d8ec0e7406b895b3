package action

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/limit"
	"gatehouse/rules/fleetapi"
)

// Remembered is how long Samples remember.
const Remembered = 15 * time.Minute

const (
	minutes    = int64(Remembered / time.Minute)
	perMinute  = 512 // samples: 7,680 in all tell a tenth to within 0.4 % of the requests
	maxPath    = 512 // bytes of a path that are kept
	maxHeaders = 64
)

// Samples remember the requests of the last 15 minutes: how many, exactly, and of each minute 512, chosen evenly. Of headers they keep
// hashes alone. They take at most 10 MiB, and may be used concurrently.
type Samples struct {
	seed  maphash.Seed
	now   atomic.Pointer[minute]
	mu    sync.Mutex // guards older, and the change of now
	older []*minute  // oldest first, without now
}

type minute struct {
	number int64 // Unix time in minutes
	total  atomic.Int64
	mu     sync.Mutex // guards kept
	kept   []sample
}

// sample is one request.
type sample struct {
	client      clientip.Client
	application string
	path        string // folded
	headers     []uint64
	rules       []int // that matched
	outcome     Outcome
}

// Outcome is what became of a request in its inspection.
type Outcome int

// The outcomes.
const (
	Passed   Outcome = iota
	Detected         // mode block would have refused it
	Blocked          // by rules or limits of the application
)

// NewSamples makes samples of nothing.
func NewSamples() *Samples { return &Samples{seed: maphash.MakeSeed()} }

// Add counts a request. matched gives the rules that matched it; it is called only if the request is kept, and may be nil.
func (s *Samples) Add(r *Request, outcome Outcome, matched func() []int) {
	m := s.minute(r.Time.Unix() / 60)
	n := m.total.Add(1)
	at := n - 1
	if n > perMinute {
		if at = rand.Int64N(n); at >= perMinute { //nolint:gosec // a choice that nobody gains by foreseeing
			return
		}
	}
	x := sample{client: r.Client, application: r.Application, path: s.path(r.Path), headers: s.headers(r), outcome: outcome}
	if matched != nil {
		x.rules = matched()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) < perMinute {
		m.kept = append(m.kept, x)
	} else {
		m.kept[at] = x
	}
}

// minute gives the present minute. A clock that goes back stays in the one that was.
func (s *Samples) minute(number int64) *minute {
	if m := s.now.Load(); m != nil && m.number >= number {
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.now.Load()
	if m != nil && m.number >= number {
		return m
	}
	if m != nil {
		s.older = append(s.older, m)
	}
	s.older = slices.DeleteFunc(s.older, func(m *minute) bool { return m.number <= number-minutes })
	m = &minute{number: number}
	s.now.Store(m)
	return m
}

func (s *Samples) path(path string) string {
	path = limit.FoldPath(path)
	return string([]byte(path[:min(len(path), maxPath)])) // not the whole request with it
}

func (s *Samples) headers(r *Request) []uint64 {
	out := make([]uint64, 0, min(len(r.Header)+1, maxHeaders))
	add := func(name, value string) {
		if len(out) < maxHeaders {
			out = append(out, s.header(name, value))
		}
	}
	add("Host", r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			add(name, v)
		}
	}
	return out
}

func (s *Samples) header(name, value string) uint64 {
	return maphash.Comparable(s.seed, [2]string{name, value})
}

// Answer says which share of the last 15 minutes' requests an action would have treated otherwise: those of its application, or all.
func (s *Samples) Answer(a *fleetapi.Action, now time.Time) (requests, hit int64, err error) {
	e, err := compile(a)
	if err != nil {
		return 0, 0, err
	}
	header := s.header(e.header, a.Value)
	var all, hits float64
	for _, m := range s.minutes(now.Unix()/60 - minutes) {
		m.mu.Lock()
		total, kept := m.total.Load(), m.kept
		for i := range kept {
			if !e.of(kept[i].application) {
				continue
			}
			weight := float64(total) / float64(len(kept))
			all += weight
			if e.wouldHit(&kept[i], header) {
				hits += weight
			}
		}
		m.mu.Unlock()
	}
	const half = 0.5
	return int64(all + half), int64(hits + half), nil
}

// minutes are those after a minute.
func (s *Samples) minutes(after int64) []*minute {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.older)
	if m := s.now.Load(); m != nil {
		list = append(list, m)
	}
	return slices.DeleteFunc(list, func(m *minute) bool { return m.number <= after })
}

// wouldHit says whether an action would have changed what became of a request. A limit counts with all that it takes, as if it were
// exceeded.
func (e *entry) wouldHit(x *sample, header uint64) bool {
	switch e.Kind {
	case fleetapi.ActionMode:
		return e.Mode == "detect" && x.outcome == Blocked || e.Mode == "block" && x.outcome == Detected
	case fleetapi.ActionDisable:
		return slices.Contains(x.rules, e.Rule)
	}
	if len(e.clients) > 0 && !e.hasClient(x.client) {
		return false
	}
	return (e.path == nil || e.path.Match(x.path)) && (e.header == "" || slices.Contains(x.headers, header))
}

func (e *entry) hasClient(c clientip.Client) bool {
	if c.Shared {
		return false
	}
	addr := c.Addr.Addr().Unmap()
	for _, p := range e.clients {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
