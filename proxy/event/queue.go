package event

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// putResult is what became of a line.
type putResult int

const (
	queued putResult = iota
	full
	closed
)

// queue takes lines from requests and writes them in batches from one goroutine. A line that does not fit is refused
// at once: a slow or blocked output never holds up a request.
type queue struct {
	out     output
	limit   int           // bytes that wait
	gather  time.Duration // how long lines that are not urgent wait for others
	written func(batch []byte, n int, err error)

	mu     sync.Mutex // guards buf and closed
	buf    []byte
	closed bool

	wake    chan struct{} // holds one: lines wait
	urgent  chan struct{} // holds one: a line waits that is to be written now
	request chan request
	stop    chan struct{} // closed by close
	done    chan struct{} // closed when the goroutine has ended
	err     error         // of closing the output; set before done
}

// request asks the goroutine for something; the answer is sent on reply, which holds one.
type request struct {
	action action
	reply  chan error
}

type action int

const (
	flush action = iota
	reopen
)

// newQueue starts the goroutine. Lines that are not urgent wait up to gather for others. written is told about each batch: n bytes of it were written.
func newQueue(out output, limit int, gather time.Duration, written func(batch []byte, n int, err error)) *queue {
	q := &queue{
		out: out, limit: limit, gather: gather, written: written,
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), request: make(chan request), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go q.run()
	return q
}

// put appends a line. Only a part of the queue is open to lines that are not urgent: a flood of access records does not
// push out events.
func (q *queue) put(line []byte, urgent bool) putResult {
	limit := q.limit
	if !urgent {
		limit -= limit / 4
	}
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return closed
	case len(q.buf)+len(line) > limit:
		q.mu.Unlock()
		return full
	}
	q.buf = append(q.buf, line...)
	q.mu.Unlock()
	signal := q.wake
	if urgent {
		signal = q.urgent
	}
	select {
	case signal <- struct{}{}:
	default:
	}
	return queued
}

// gatherTime is how long an access record waits for others to be written with it: to wake the goroutine and to write for
// each would cost a request more than the record itself.
const gatherTime = 5 * time.Millisecond

func (q *queue) run() {
	defer close(q.done)
	var spare []byte
	wake := q.wake
	gathered := time.NewTimer(q.gather)
	defer gathered.Stop()
	for {
		select {
		case <-wake:
			gathered.Reset(q.gather)
			wake = nil // until what was gathered is written
		case <-gathered.C:
			spare = q.drain(spare)
			wake = q.wake
		case <-q.urgent:
			spare = q.drain(spare)
		case r := <-q.request:
			spare = q.drain(spare)
			switch r.action {
			case reopen:
				r.reply <- q.out.reopen()
			default:
				r.reply <- nil
			}
		case <-q.stop:
			q.drain(spare)
			q.err = q.out.close()
			return
		}
	}
}

// drain writes what waits and gives the buffer back for reuse.
func (q *queue) drain(spare []byte) []byte {
	q.mu.Lock()
	batch := q.buf
	q.buf = spare[:0]
	q.mu.Unlock()
	if len(batch) > 0 {
		n, err := q.out.write(batch)
		q.written(batch, min(max(n, 0), len(batch)), err)
	}
	const worthKeeping = 1 << 20
	if cap(batch) > worthKeeping {
		return nil
	}
	return batch
}

// ask sends a request to the goroutine and waits for the answer, until ctx ends.
func (q *queue) ask(ctx context.Context, a action) error {
	r := request{action: a, reply: make(chan error, 1)}
	select {
	case q.request <- r:
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close writes what waits and ends the goroutine; it is called once. If the output is still blocked when ctx ends, the
// lines that wait are given back, and the goroutine ends as soon as its write returns.
func (q *queue) close(ctx context.Context) (left []byte, err error) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	close(q.stop)
	select {
	case <-q.done:
		return nil, q.err
	case <-ctx.Done():
	}
	q.mu.Lock()
	left, q.buf = q.buf, nil
	q.mu.Unlock()
	return left, ctx.Err()
}

// count says how many lines of each record are in batch.
func count(batch []byte) (access, events int) {
	for line := range bytes.Lines(batch) {
		if bytes.HasPrefix(line, []byte(`{"record":"`+recordAccess+`"`)) {
			access++
		} else {
			events++
		}
	}
	return access, events
}
