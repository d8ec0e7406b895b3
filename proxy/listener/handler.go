package listener

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"time"

	"gatehouse/proxy/http1"
)

// ServeHTTP is what net/http's server calls for each request of HTTP/2 that it could parse.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.handlers.Add(1)
	defer l.handled()
	l.serveHTTP2(w, r, FromContext(r.Context()))
}

// handled counts a handler that has ended.
func (l *Listener) handled() {
	l.handlers.Add(-1)
	l.wake()
}

// serveHTTP2 refuses what a handler must not see, bounds how long the client may stall, and calls the handler.
func (l *Listener) serveHTTP2(w http.ResponseWriter, r *http.Request, info *ConnInfo) {
	if l.isDraining() {
		w.Header().Set("Connection", "close") // net/http sends GOAWAY for it
	}
	out := newHTTP2Writer(w, info.bodyIdle)
	defer out.finish()
	stream, refused := info.http2.begin(r)
	defer info.http2.finish(stream)
	if stream == nil && !refused { // reset before its turn came: nobody waits for a reply
		panic(http.ErrAbortHandler)
	}
	r.TLS = info.http2.tls
	if refused {
		answerRefused(out, stream)
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		body := newHTTP2Body(r.Body, w, info.bodyIdle)
		body.conn, body.stream = info.http2, stream
		defer body.finish()
		r.Body = body
	}
	l.set.handler.ServeHTTP(out, r)
}

// answerRefused answers a request that was refused on its way to the handler. The stream of a malformed one is reset
// after the reply, with PROTOCOL_ERROR (RFC 9113, section 8.1.1).
func answerRefused(w *http2Writer, s *http2Stream) {
	if s == nil { // reset by the client
		panic(http.ErrAbortHandler)
	}
	reply := s.refusal.reply
	if len(reply) == 0 {
		reply = http1.PlainReply(s.refusal.status)
	}
	writeReply(w, s.refusal.status, reply)
	if s.refusal.resets {
		w.Flush()
		panic(http.ErrAbortHandler)
	}
}

// writeReply sends a reply that is written in HTTP/1.1 on a stream.
func writeReply(w http.ResponseWriter, status int, reply []byte) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(reply)), nil)
	if err != nil {
		w.WriteHeader(status)
		return
	}
	defer response.Body.Close()
	for name, values := range response.Header {
		if name != "Connection" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // the client may be gone; there is nobody else to tell
}

// http2Writer bounds how long a client of HTTP/2 may leave written bytes unread: it may close its window, and the
// connection's own timeout does not see that.
type http2Writer struct {
	http.ResponseWriter
	controller *http.ResponseController
	idle       time.Duration
	watch      watch
}

func newHTTP2Writer(w http.ResponseWriter, idle time.Duration) *http2Writer {
	out := &http2Writer{ResponseWriter: w, controller: http.NewResponseController(w), idle: idle}
	out.watch.limit = idle
	out.watch.expire = func() { out.controller.SetWriteDeadline(time.Now()) }
	return out
}

// Write writes p in pieces, each of which the client must take in time.
func (w *http2Writer) Write(p []byte) (int, error) {
	const piece = 64 << 10
	written := 0
	for {
		w.watch.begin()
		n, err := w.ResponseWriter.Write(p[written:min(written+piece, len(p))])
		w.watch.end()
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// Flush implements http.Flusher.
func (w *http2Writer) Flush() { _ = w.FlushError() }

// FlushError is used by http.ResponseController.
func (w *http2Writer) FlushError() error {
	w.watch.begin()
	defer w.watch.end()
	return w.controller.Flush()
}

// Unwrap is used by http.ResponseController.
func (w *http2Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish bounds the writing of what is still buffered.
func (w *http2Writer) finish() {
	w.watch.finish()
	if w.idle > 0 {
		w.controller.SetWriteDeadline(time.Now().Add(w.idle))
	}
}
