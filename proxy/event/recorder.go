package event

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/config"
)

// The causes for which records are dropped.
const (
	DropQueueFull  = "queue_full"  // the sink is slower than the records come
	DropWriteError = "write_error" // the sink refused them, as on a full disk
	DropShutdown   = "shutdown"    // they still waited when the time to stop was over
)

// Options are what a Recorder needs.
type Options struct {
	Access, Events config.Sink
	Stdout         io.Writer // what a sink to stdout writes to; written by one goroutine at a time
	// Console, if set, gets every event as a readable line besides what Events says.
	Console io.Writer
	Color   Color // of the console
	Logger  *zap.Logger
	// Forward, if set, gets events besides what Events says.
	Forward Forward
	// Masker masks every record before it is queued. Nil means the built-in names.
	Masker *Masker
	// Dropped counts records that were lost, by record (access, event) and cause. It must not block.
	Dropped func(record, cause string, n int)
	// QueueBytes is what may wait for one sink, 4 MiB if 0. A quarter of it is for events alone.
	QueueBytes int
	// LogEvery is the least time between two messages about dropped records, a minute if 0.
	LogEvery time.Duration
}

// Forward takes events to somewhere else. It must not block.
type Forward interface {
	// Count is told of every event, before it is masked: it keeps nothing of what a client sent. It says whether the record is wanted too.
	Count(e *Event) bool
	// Put takes the record as a line, and keeps nothing of it.
	Put(line []byte)
}

// Recorder masks records, turns them into lines and writes these to their sinks. It never holds up a request: what a
// sink does not take is dropped, counted by cause and said in the log. It is safe for concurrent use.
type Recorder struct {
	opts  Options
	sinks atomic.Pointer[sinks]
	lines sync.Pool // *[]byte

	update sync.Mutex // one Update, Reopen or Close at a time

	drops  sync.Mutex // guards lost and lastError
	lost   map[drop]int
	last   error
	signal chan struct{} // holds one: there are drops to report
	stop   chan struct{}
	ended  chan struct{}
}

type drop struct{ record, cause string }

// sinks are the queues in use; nil ones discard. Access and events may share one.
type sinks struct {
	access, events, console *queue
	accessTo, eventsTo      config.Sink
}

// New opens the sinks and starts their goroutines, which Close ends.
func New(o Options) (*Recorder, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Masker == nil {
		o.Masker = NewMasker()
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 4 << 20
	}
	if o.LogEvery <= 0 {
		o.LogEvery = time.Minute
	}
	r := &Recorder{
		opts: o, lost: make(map[drop]int),
		signal: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	r.lines.New = func() any { b := make([]byte, 0, 2048); return &b }
	first := &sinks{}
	if o.Console != nil {
		first.console = r.queue(stream{o.Console})
	}
	r.sinks.Store(first)
	go r.report()
	if err := r.Update(context.Background(), o.Access, o.Events); err != nil {
		return nil, errors.Join(err, r.Close(context.Background()))
	}
	return r, nil
}

// Access records a request. a is not kept.
func (r *Recorder) Access(a *Access) {
	if r.sinks.Load().access == nil {
		return
	}
	line := r.lines.Get().(*[]byte)
	shown := r.opts.Masker.Access(*a)
	*line = appendAccess((*line)[:0], &shown)
	r.put(*line, recordAccess, func(s *sinks) *queue { return s.access })
	r.lines.Put(line)
}

// Event records an event. e is not kept.
func (r *Recorder) Event(e *Event) {
	now := r.sinks.Load()
	forward := r.opts.Forward != nil && r.opts.Forward.Count(e)
	if now.events == nil && now.console == nil && !forward {
		return
	}
	shown := r.opts.Masker.Event(e)
	line := r.lines.Get().(*[]byte)
	if now.events != nil || forward {
		*line = appendEvent((*line)[:0], shown)
	}
	if now.events != nil {
		r.put(*line, recordEvent, func(s *sinks) *queue { return s.events })
	}
	if forward {
		r.opts.Forward.Put(*line)
	}
	if now.console != nil {
		*line = appendReadable((*line)[:0], shown, r.opts.Color)
		r.put(*line, recordEvent, func(s *sinks) *queue { return s.console })
	}
	r.lines.Put(line)
}

// put queues a line. A queue that Update has just retired is followed by the next one.
func (r *Recorder) put(line []byte, record string, pick func(*sinks) *queue) {
	for {
		now := r.sinks.Load()
		q := pick(now)
		if q == nil {
			return
		}
		switch q.put(line, record == recordEvent) {
		case queued:
			return
		case full:
			r.dropped(record, DropQueueFull, 1, nil)
			return
		case closed:
			if r.sinks.Load() == now {
				r.dropped(record, DropShutdown, 1, nil)
				return
			}
		}
	}
}

// Update changes the sinks. What cannot be opened is an error, and nothing is changed. Lines that wait for a sink that
// is no longer used are still written, for at most five seconds or until ctx ends.
func (r *Recorder) Update(ctx context.Context, access, events config.Sink) error {
	r.update.Lock()
	defer r.update.Unlock()
	select {
	case <-r.ended:
		return errors.New("the recorder is closed")
	default:
	}
	old := r.sinks.Load()
	next := &sinks{console: old.console, accessTo: access, eventsTo: events}
	var opened []*queue
	use := func(key string, to config.Sink) (*queue, error) {
		switch {
		case destinationOf(to) == toNone:
			return nil, nil
		case old.access != nil && old.accessTo == to:
			return old.access, nil
		case old.events != nil && old.eventsTo == to:
			return old.events, nil
		}
		q, err := r.open(to)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		opened = append(opened, q)
		return q, nil
	}
	var err error
	if next.access, err = use("logs.access", access); err != nil {
		return err
	}
	switch {
	case events.To == access.To && events != access && destinationOf(events) == toFile:
		err = fmt.Errorf("logs.events: %s is also logs.access: give both the same max_size and keep", events.To)
	case events == access || events.To == "stdout" && access.To == "stdout":
		next.events = next.access
	default:
		next.events, err = use("logs.events", events)
	}
	if err != nil {
		for _, q := range opened {
			_, closing := q.close(ctx)
			err = errors.Join(err, closing)
		}
		return err
	}
	r.sinks.Store(next)
	ctx, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	if err := r.retire(ctx, old, next); err != nil {
		r.opts.Logger.Warn("a former sink could not be closed", zap.Error(err))
	}
	return nil
}

// retireTimeout bounds how long Update waits for a sink that is no longer used.
const retireTimeout = 5 * time.Second

// retire closes the queues of old that next does not use.
func (r *Recorder) retire(ctx context.Context, old, next *sinks) error {
	var errs []error
	for _, q := range distinct(old) {
		if q == next.access || q == next.events || q == next.console {
			continue
		}
		left, err := q.close(ctx)
		access, events := count(left)
		r.dropped(recordAccess, DropShutdown, access, err)
		r.dropped(recordEvent, DropShutdown, events, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

type destination int

const (
	toNone destination = iota
	toStdout
	toFile
)

func destinationOf(s config.Sink) destination {
	switch s.To {
	case "", "none":
		return toNone
	case "stdout":
		return toStdout
	}
	return toFile
}

func (r *Recorder) open(s config.Sink) (*queue, error) {
	if destinationOf(s) == toStdout {
		if r.opts.Stdout == nil {
			return nil, errors.New("there is no stdout here; name a file or none")
		}
		return r.queue(stream{r.opts.Stdout}), nil
	}
	f, err := openFile(s.To, int64(s.MaxSize), s.Keep)
	if err != nil {
		return nil, err
	}
	return r.queue(f), nil
}

func (r *Recorder) queue(out output) *queue {
	return newQueue(out, r.opts.QueueBytes, gatherTime, func(batch []byte, n int, err error) {
		if err == nil {
			return
		}
		access, events := count(batch[n:])
		r.dropped(recordAccess, DropWriteError, access, err)
		r.dropped(recordEvent, DropWriteError, events, err)
		if n == len(batch) { // all is written, but rotation failed
			r.dropped("", "", 0, err)
		}
	})
}

// Reopen opens the files again, after something else has renamed them.
func (r *Recorder) Reopen(ctx context.Context) error { return r.each(ctx, reopen) }

// Flush waits until what was recorded before is written, or ctx ends.
func (r *Recorder) Flush(ctx context.Context) error { return r.each(ctx, flush) }

func (r *Recorder) each(ctx context.Context, a action) error {
	r.update.Lock()
	defer r.update.Unlock()
	var errs []error
	for _, q := range distinct(r.sinks.Load()) {
		errs = append(errs, q.ask(ctx, a))
	}
	return errors.Join(errs...)
}

func distinct(s *sinks) []*queue {
	var list []*queue
	for _, q := range []*queue{s.access, s.events, s.console} {
		if q != nil && (len(list) == 0 || list[len(list)-1] != q) {
			list = append(list, q)
		}
	}
	return list
}

// Close writes what waits and ends the goroutines. If a sink is still blocked when ctx ends, what waits for it is
// dropped and counted, and the error is ctx's. Records that come later are counted as dropped. Close may be called again.
func (r *Recorder) Close(ctx context.Context) error {
	r.update.Lock()
	defer r.update.Unlock()
	select {
	case <-r.ended:
		return nil
	default:
	}
	err := r.retire(ctx, r.sinks.Load(), &sinks{})
	close(r.stop)
	<-r.ended
	return err
}

// dropped counts lost records; an err without any is only reported.
func (r *Recorder) dropped(record, cause string, n int, err error) {
	if n == 0 && (err == nil || record != "") {
		return
	}
	if n > 0 && r.opts.Dropped != nil {
		r.opts.Dropped(record, cause, n)
	}
	r.drops.Lock()
	if n > 0 {
		r.lost[drop{record, cause}] += n
	}
	if err != nil {
		r.last = err
	}
	r.drops.Unlock()
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// report says in the log what was dropped, at most once in LogEvery and once at the end.
func (r *Recorder) report() {
	defer close(r.ended)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-r.stop:
			r.sayDropped()
			return
		case <-pause.C:
		}
		select {
		case <-r.stop:
			r.sayDropped()
			return
		case <-r.signal:
			r.sayDropped()
			pause.Reset(r.opts.LogEvery)
		}
	}
}

func (r *Recorder) sayDropped() {
	r.drops.Lock()
	lost, last := r.lost, r.last
	r.lost, r.last = make(map[drop]int), nil
	r.drops.Unlock()
	if len(lost) == 0 && last == nil {
		return
	}
	fields := make([]zap.Field, 0, len(lost)+1)
	for d, n := range lost {
		fields = append(fields, zap.Int(d.record+"_"+d.cause, n))
	}
	if last != nil {
		fields = append(fields, zap.NamedError("last_error", last))
	}
	r.opts.Logger.Warn("records were dropped or could not be written as configured", fields...)
}
