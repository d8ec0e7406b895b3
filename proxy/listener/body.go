package listener

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"gatehouse/proxy/http1"
)

// ErrBodyIdle is the error of a request body's Read when the client sent no byte for the listener's body_idle.
var ErrBodyIdle = http1.ErrBodyIdle

// ErrBodyMalformed is the error of a request body's Read when body or trailer are malformed.
var ErrBodyMalformed = http1.ErrMalformedBody

// SetBodyIdle changes how long the client may stall while it sends the body of r; 0 means for ever, as bidirectional
// streams need. r.Body must still be the one that the listener set; without a body, there is nothing to do.
func SetBodyIdle(r *http.Request, d time.Duration) {
	if b, ok := r.Body.(interface{ SetIdle(time.Duration) }); ok {
		b.SetIdle(d)
	}
}

// MalformedBody says how the body or the trailer of r broke the rules of HTTP/2, empty if they did not so far. Then
// the caller records it: no hook is called for it.
func MalformedBody(r *http.Request) string {
	if b, ok := r.Body.(*http2Body); ok && b.stream != nil {
		return b.conn.bodyProblem(b.stream, true)
	}
	return ""
}

// http2Body bounds the time between two bytes of a request body on HTTP/2. A stream's read deadline breaks the body
// for good, also when nobody reads, so it is only set once a Read has waited too long.
type http2Body struct {
	io.ReadCloser
	controller *http.ResponseController
	conn       *http2Conn
	stream     *http2Stream // nil if the client has reset it
	watch      watch
}

func newHTTP2Body(body io.ReadCloser, w http.ResponseWriter, idle time.Duration) *http2Body {
	b := &http2Body{ReadCloser: body, controller: http.NewResponseController(w)}
	b.watch.limit = idle
	b.watch.expire = func() { b.controller.SetReadDeadline(time.Now()) }
	return b
}

// SetIdle is for SetBodyIdle.
func (b *http2Body) SetIdle(d time.Duration) { b.watch.setLimit(d) }

// Read reads from the body; it returns ErrBodyIdle when the client stalls, and ErrBodyMalformed.
func (b *http2Body) Read(p []byte) (int, error) {
	b.watch.begin()
	n, err := b.ReadCloser.Read(p)
	idle := b.watch.end()
	switch {
	case err == nil:
	case idle:
		return n, ErrBodyIdle
	case err != io.EOF && b.stream != nil:
		if problem := b.conn.bodyProblem(b.stream, false); problem != "" {
			return n, fmt.Errorf("%w: %s", ErrBodyMalformed, problem)
		}
	}
	return n, err
}

func (b *http2Body) finish() { b.watch.finish() }

// watch calls expire when an operation takes longer than limit. Operations do not overlap.
type watch struct {
	expire func()

	mu      sync.Mutex // guards all below
	limit   time.Duration
	timer   *time.Timer
	running bool
	expired bool
	done    bool
}

func (w *watch) setLimit(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = d
	if w.running && w.timer != nil {
		w.timer.Stop()
		if d > 0 {
			w.timer.Reset(d)
		}
	}
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running = !w.done; !w.running || w.limit <= 0 {
		return
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(w.limit, w.fire)
	} else {
		w.timer.Reset(w.limit)
	}
}

// end reports whether the limit was ever exceeded.
func (w *watch) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	if w.timer != nil {
		w.timer.Stop()
	}
	return w.expired
}

func (w *watch) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running && !w.done {
		w.expired = true
		w.expire()
	}
}
