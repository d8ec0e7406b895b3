package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of a request body's Read, beside io.ErrUnexpectedEOF when the connection ended before the body did.
var (
	// ErrBodyIdle says that the client sent no byte for BodyIdle, or that a handler's own deadline has passed.
	ErrBodyIdle = errors.New("the client stopped sending the request body")
	// ErrMalformedBody says that chunks or trailer are malformed.
	ErrMalformedBody = errors.New("malformed request body")
)

// Body is the body of a request. Read and SetIdle may be called by different goroutines, and Read while the handler
// writes its reply; once the handler has returned, Read fails.
type Body struct {
	conn    *Conn
	request *http.Request // gets the trailer
	reply   *response     // sends 100 Continue

	mu      sync.Mutex // held by Read, and by what ends the body; guards the following
	chunked bool
	left    int64 // bytes to come of a body that is not chunked
	chunks  chunks
	err     error // that Read gives from now on

	ended    atomic.Bool  // read to its end
	returned atomic.Bool  // the handler has returned
	idle     atomic.Int64 // how long the client may stall, in nanoseconds; 0 is for ever

	deadlines sync.Mutex // guards the following, and the connection's read deadline while the body is read
	fixed     bool       // the handler has set a deadline, which stays
}

// Read gives what there is of the body's next bytes.
func (b *Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.returned.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.read(p)
	if err != nil {
		b.fail(err)
		err = b.err
	}
	return n, err
}

// fail ends the body with an error, or with io.EOF.
func (b *Body) fail(err error) {
	switch {
	case err == io.EOF:
		b.deadlines.Lock()
		b.ended.Store(true)
		b.deadlines.Unlock()
		b.conn.watch.arm() // from here on nobody else would see that the client goes away
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrBodyIdle
	}
	b.err = err
}

// read gives bytes and then, with the last of them or after it, io.EOF.
func (b *Body) read(p []byte) (int, error) {
	left := &b.left
	if b.chunked {
		if left = &b.chunks.left; *left == 0 {
			if err := b.nextChunk(); err != nil {
				return 0, err
			}
		}
	}
	if int64(len(p)) > *left {
		p = p[:*left]
	}
	if b.conn.in.buffered() == 0 {
		b.prepare()
	}
	n, err := b.conn.in.Read(p)
	*left -= int64(n)
	switch {
	case n > 0 && *left == 0 && !b.chunked:
		return n, io.EOF
	case n > 0: // an error comes again
		return n, nil
	case err == io.EOF:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// more reads once into the buffer.
func (b *Body) more() error {
	b.prepare()
	if err := b.conn.in.more(); err != io.EOF {
		return err
	}
	return io.ErrUnexpectedEOF
}

// prepare comes before every read from the connection: it asks a client that waits for it to go on, and moves the
// deadline.
func (b *Body) prepare() {
	b.reply.sendContinue()
	b.deadlines.Lock()
	defer b.deadlines.Unlock()
	if !b.fixed {
		b.conn.readWithin(time.Duration(b.idle.Load()))
	}
}

// Close does nothing: what is left of the body is dropped when the handler has returned.
func (b *Body) Close() error { return nil }

// SetIdle changes how long the client may stall; 0 is for ever. It takes effect on a Read that is under way.
func (b *Body) SetIdle(d time.Duration) {
	b.idle.Store(int64(d))
	b.deadlines.Lock()
	defer b.deadlines.Unlock()
	if !b.fixed && !b.ended.Load() && !b.returned.Load() {
		b.conn.readWithin(d)
	}
}

// setDeadline sets a deadline of the handler's own, which also ends a Read that is under way.
func (b *Body) setDeadline(t time.Time) error {
	b.deadlines.Lock()
	defer b.deadlines.Unlock()
	if b.ended.Load() { // the connection's deadline is the watch's
		return nil
	}
	b.fixed = true
	return b.conn.setReadDeadline(t)
}

// finish takes the body away from the handler. A Read that another goroutine is in comes back first.
func (b *Body) finish() {
	b.returned.Store(true)
	if !b.mu.TryLock() {
		_ = b.setDeadline(time.Unix(1, 0))
		b.mu.Lock()
	}
	b.mu.Unlock()
}

// Bounds of what is read of a body that its handler left, in order to keep the connection.
const (
	discardBytes = 256 << 10
	discardTime  = 5 * time.Second
)

// discard reads the rest of a body after its handler, and reports whether the connection can be kept.
func (b *Body) discard() bool {
	if b.ended.Load() {
		return true
	}
	if b.err != nil || b.tooLong() {
		return false
	}
	limit := discardTime
	if idle := time.Duration(b.idle.Load()); idle > 0 {
		limit = min(limit, idle)
	}
	_ = b.setDeadline(time.Now().Add(limit))
	buffer := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(buffer)
	for dropped := 0; dropped <= discardBytes; {
		n, err := b.read(buffer[:])
		dropped += n
		if err != nil {
			b.ended.Store(err == io.EOF)
			return err == io.EOF
		}
	}
	return false
}

// tooLong reports whether more is to come than discard takes, as far as that is known.
func (b *Body) tooLong() bool { return !b.chunked && b.left > discardBytes }
