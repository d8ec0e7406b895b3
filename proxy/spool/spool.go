// Package spool keeps a managed gateway's events until the manager has stored them: on disk, bounded, sent at least once.
//
// Invariants: traffic never waits for it; every event is counted, whether its record is kept or not; what is lost of records is counted
// by cause; what is on disk goes at most once, and only when the manager has said that it has it.
//
// Events are gathered in memory for a second, then written as one file: the batch as it will be sent, with its number in its name. A
// process that is killed loses that second.
//
// Each process has a name of its own for what it writes (the spool), and numbers it from 1. The manager tells by both what it has already.
package spool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/zap"

	"gatehouse/proxy/event"
	"gatehouse/rules/fleetapi"
)

// Options say where the spool is and how much it takes.
type Options struct {
	// Dir is a private directory, made if it is missing. Nothing else is kept there.
	Dir    string
	Logger *zap.Logger
	// MaxBytes bounds the files, 256 MiB if 0. A quarter of it is for counts alone.
	MaxBytes int64
	// MemoryBytes bounds the records that wait to be written, 4 MiB if 0.
	MemoryBytes int
	// Every is how often what was gathered is written, a second if 0. It is less often while the manager is away.
	Every time.Duration
	// Full is how many records a second of one rule and application are kept until Limit says otherwise, 10 if 0.
	Full int
	Now  func() time.Time // nil is time.Now
}

// Why records were dropped.
const (
	DropMemory  = "memory_full" // the disk is slower than they come
	DropSpool   = "spool_full"  // the manager has not taken what is there
	DropWrite   = "write_error" // the disk does not take them
	DropRefused = "refused"     // the manager cannot read the batch that they are in
	DropDamaged = "damaged"     // the file with them cannot be read
)

// Drops are all causes.
func Drops() []string { return []string{DropMemory, DropSpool, DropWrite, DropRefused, DropDamaged} }

// What is not said.
const (
	defaultMax    = 256 << 20
	defaultMemory = 4 << 20
	defaultEvery  = time.Second
	defaultFull   = 10
)

// Bounds of one batch, well below what the manager takes.
const (
	cutBytes  = 1 << 20
	cutCounts = 20_000
)

// Spool is safe for concurrent use.
type Spool struct {
	o   Options
	log *zap.Logger
	dir *files

	mu      sync.Mutex // guards what follows; taken before that of dir
	lines   []byte     // records that wait to be written
	events  int        // how many
	counts  map[key]*tally
	full    int
	second  int64 // of kept
	kept    map[kind]int
	dropped map[string]int64

	cut     chan struct{} // holds one: there is enough for a batch
	stop    chan struct{}
	writing sync.WaitGroup
	encoder *zstd.Encoder // the writer's alone
}

// key is what events are counted by.
type key struct {
	minute                       int64 // unix
	application, verdict, reason string
	rule                         int
}

type tally struct{ events, sampled int64 }

// kind is what is bounded in a second.
type kind struct {
	application string
	rule        int
}

// Open reads what is there from before, and begins to write.
func Open(o Options) (*Spool, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMax
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = defaultMemory
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Full <= 0 {
		o.Full = defaultFull
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	dir, err := openFiles(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("the spool of events: %w", err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	s := &Spool{
		o: o, log: o.Logger.Named("spool"), dir: dir, counts: map[key]*tally{}, full: o.Full, kept: map[kind]int{}, dropped: map[string]int64{},
		cut: make(chan struct{}, 1), stop: make(chan struct{}), encoder: encoder,
	}
	for _, cause := range Drops() {
		s.dropped[cause] = 0
	}
	s.writing.Go(s.write)
	return s, nil
}

// Close writes what waits. Events that come later are lost. What is on disk can still be sent.
func (s *Spool) Close() {
	close(s.stop)
	s.writing.Wait()
}

// Limit sets how many records a second of one rule and application are kept.
func (s *Spool) Limit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 {
		s.full = n
	}
}

// Count counts an event, and says whether its record is to be put. It keeps nothing of e.
func (s *Spool) Count(e *event.Event) bool {
	rule := 0
	if len(e.Rules) > 0 {
		rule = e.Rules[0].Rule
	}
	now := s.o.Now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now != s.second {
		s.second = now
		clear(s.kept)
	}
	of := kind{e.Application, rule}
	s.kept[of]++
	t := s.tally(key{e.Time.Unix() / 60 * 60, e.Application, string(e.Verdict), string(e.Reason), rule})
	t.events++
	if s.kept[of] > s.full {
		t.sampled++
		return false
	}
	return true
}

// tally gives the count of a key. The caller holds mu.
func (s *Spool) tally(k key) *tally {
	t := s.counts[k]
	if t == nil {
		t = &tally{}
		s.counts[k] = t
		if len(s.counts) >= cutCounts {
			s.cutSoon()
		}
	}
	return t
}

// Put takes the record of an event that was counted, as a line. It keeps nothing of line.
func (s *Spool) Put(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines)+len(line) > s.o.MemoryBytes {
		s.dropped[DropMemory]++
		return
	}
	s.lines = append(s.lines, line...)
	s.events++
	if len(s.lines) >= cutBytes {
		s.cutSoon()
	}
}

func (s *Spool) cutSoon() {
	select {
	case s.cut <- struct{}{}:
	default:
	}
}

// State is how it is with the spool: bytes that wait to be sent, and records that were dropped since the process began.
func (s *Spool) State() fleetapi.Spool {
	waiting := s.dir.bytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	const ofCount = 64 // about
	out := fleetapi.Spool{Waiting: waiting + int64(len(s.lines)+len(s.counts)*ofCount), Dropped: make(map[string]int64, len(s.dropped))}
	for cause, n := range s.dropped {
		out.Dropped[cause] = n
	}
	return out
}

func (s *Spool) drop(cause string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped[cause] += int64(n)
}

// Waiting gives a channel that is closed when there is another batch.
func (s *Spool) Waiting() <-chan struct{} { return s.dir.waiting() }

// Batch is one that waits to be sent.
type Batch struct {
	Sequence int64
	// Body is a fleetapi.Batch, compressed.
	Body []byte

	file file
}

// Next gives the first batch that waits, or nil. It stays there until Done or Refused.
func (s *Spool) Next() *Batch {
	for {
		f, ok := s.dir.first()
		if !ok {
			return nil
		}
		body, err := s.dir.read(f)
		if err == nil {
			return &Batch{Sequence: f.sequence, Body: body, file: f}
		}
		s.log.Error("a batch of events cannot be read, and is lost", zap.String("file", f.name()), zap.Int("events", f.events), zap.Error(err))
		s.drop(DropDamaged, f.events)
		s.forget(f)
	}
}

// Done forgets a batch that the manager has stored.
func (s *Spool) Done(b *Batch) { s.forget(b.file) }

// Refused forgets a batch that the manager will never take.
func (s *Spool) Refused(b *Batch) {
	s.drop(DropRefused, b.file.events)
	s.forget(b.file)
}

func (s *Spool) forget(f file) {
	if err := s.dir.remove(f); err != nil {
		s.log.Warn("a batch of events that was sent cannot be removed; it is sent again after a restart", zap.String("file", f.name()), zap.Error(err))
	}
}

// errFull says that there is no room for a batch.
var errFull = errors.New("the spool is full")
