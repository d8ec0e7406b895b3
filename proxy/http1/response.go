package http1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// framing says how the end of a reply's body is told.
type framing int

const (
	undecided  framing = iota
	noBody             // none is sent: HEAD, 1xx, 204, 304
	byLength           // Content-Length
	byChunks           // Transfer-Encoding: chunked
	untilClose         // HTTP/1.0 without a length
)

// shortReply is how many bytes of a body of unknown length are held back, in case that is all.
const shortReply = 2 << 10

// output is what a reply is written through. Connections have one only while they write a reply.
type output struct {
	*bufio.Writer
	held  []byte   // of the body, while the framing is undecided
	names []string // of the header
}

var outputs = sync.Pool{New: func() any { return &output{Writer: bufio.NewWriterSize(nil, 16<<10)} }}

// response is the http.ResponseWriter of one request. It also has what http.ResponseController calls.
type response struct {
	conn    *Conn
	request *http.Request
	body    *Body // nil without one
	header  http.Header
	message message

	out      *output // nil until something is written
	status   int     // of the final reply, 0 until WriteHeader
	framing  framing
	declared int64 // Content-Length of the handler's, -1 without
	written  int64 // bytes of the body
	closes   bool  // the reply is the last on the connection
	broken   bool  // the connection cannot be written any more
	done     atomic.Bool

	// continuing guards the first byte of the reply against a body that is read by another goroutine: 100 Continue comes
	// before the final status or not at all.
	continuing sync.Mutex
	continued  bool
}

// lookTime is how long SentAhead waits for bytes that may be on their way.
const lookTime = time.Millisecond

var errDone = errors.New("http1: the handler has returned")

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// sendContinue tells a client that waits for it to send its body. Bytes that have come already make it needless.
func (w *response) sendContinue() {
	if !w.message.continues {
		return
	}
	w.continuing.Lock()
	defer w.continuing.Unlock()
	if !w.continued && w.status == 0 && w.conn.in.buffered() == 0 {
		_, _ = w.conn.out.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")) // a broken connection shows at the next read
	}
	w.continued = true
}

// WriteHeader implements http.ResponseWriter. Statuses below 200, but for 101, are sent at once and are not the reply.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic("http1: status " + strconv.Itoa(status))
	}
	if w.done.Load() || w.conn.hijacked || w.status != 0 {
		return
	}
	w.continuing.Lock()
	defer w.continuing.Unlock()
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.inform(status)
		return
	}
	w.status = status
	w.writeStatus(status)
	w.writeFields()
}

// inform sends an informational reply. Clients of HTTP/1.0 know none (RFC 9110, section 15.2).
func (w *response) inform(status int) {
	if w.request.ProtoMinor == 0 {
		return
	}
	if status == http.StatusContinue {
		w.continued = true
	}
	w.writeStatus(status)
	w.writeFields()
	_, _ = w.out.WriteString("\r\n")
	_ = w.flush() // an error comes again
}

func (w *response) writeStatus(status int) {
	if w.out == nil {
		w.out = outputs.Get().(*output)
		w.out.Reset(&w.conn.out)
	}
	out := w.out
	_, _ = out.WriteString(w.request.Proto)
	_ = out.WriteByte(' ')
	_, _ = out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(status), 10))
	_ = out.WriteByte(' ')
	_, _ = out.WriteString(http.StatusText(status))
	_, _ = out.WriteString("\r\n")
}

// writeFields writes the handler's fields in the order of their names, but for those that frame the reply, which come
// with the decision about it.
func (w *response) writeFields() {
	names := w.out.names[:0]
	for name := range w.header {
		switch name {
		case "Connection", "Content-Length", "Transfer-Encoding":
		default:
			if !strings.HasPrefix(name, http.TrailerPrefix) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		w.writeField(name, w.header[name])
	}
	clear(names)
	w.out.names = names
}

// writeField writes one line for each value. What would end the line or the name is not written.
func (w *response) writeField(name string, values []string) {
	if len(values) == 0 || !IsToken(name) {
		return
	}
	for _, value := range values {
		_, _ = w.out.WriteString(name)
		_, _ = w.out.WriteString(": ")
		if !only(value, inValue) {
			value = strings.Map(func(r rune) rune {
				if r < ' ' && r != '\t' || r == 0x7f {
					return ' '
				}
				return r
			}, value)
		}
		_, _ = w.out.WriteString(trim(value))
		_, _ = w.out.WriteString("\r\n")
	}
}

// frame decides how the body is framed, now that a part of it, or with last all of it, is known, and ends the head.
func (w *response) frame(last bool) {
	head := w.request.Method == http.MethodHead
	w.declared = -1
	if values := w.header["Content-Length"]; len(values) == 1 {
		if n, ok := ParseLength(values[0]); ok {
			w.declared = n
		}
	}
	length := w.declared
	if length < 0 && last && !w.hasTrailer() && (!head || w.written > 0) {
		length = w.written
	}
	switch {
	case !bodyAllowed(w.status):
		w.framing = noBody
		if w.status != http.StatusNotModified {
			w.declared = -1
		}
		length = w.declared
	case head:
		w.framing = noBody
	case length >= 0:
		w.framing = byLength
	case w.request.ProtoMinor > 0:
		w.framing = byChunks
	default:
		w.framing = untilClose
	}
	w.closes = w.closesAfter()
	out := w.out
	if length >= 0 {
		_, _ = out.WriteString("Content-Length: ")
		_, _ = out.Write(strconv.AppendInt(out.AvailableBuffer(), length, 10))
		_, _ = out.WriteString("\r\n")
	}
	if w.framing == byChunks {
		_, _ = out.WriteString("Transfer-Encoding: chunked\r\n")
	}
	switch {
	case w.status != http.StatusSwitchingProtocols && w.closes:
		_, _ = out.WriteString("Connection: close\r\n")
	default:
		w.writeField("Connection", w.header["Connection"])
	}
	if _, set := w.header["Date"]; !set {
		_, _ = out.WriteString("Date: ")
		_, _ = out.WriteString(date())
		_, _ = out.WriteString("\r\n")
	}
	_, _ = out.WriteString("\r\n")
}

// closesAfter reports whether the reply is the last on the connection.
func (w *response) closesAfter() bool {
	m := &w.message
	switch {
	case m.close, m.upgrade, w.framing == untilClose, w.request.Method == http.MethodConnect, HasToken(w.header["Connection"], "close"):
		return true
	case w.body == nil || w.body.ended.Load():
		return false
	}
	// What is left of the body must come, and must not be long. A body that waits for 100 Continue may never come.
	if m.continues && !w.wasContinued() {
		return true
	}
	if !w.body.mu.TryLock() { // it is being read, by another goroutine
		return false
	}
	defer w.body.mu.Unlock()
	return w.body.err != nil || w.body.tooLong()
}

func (w *response) wasContinued() bool {
	w.continuing.Lock()
	defer w.continuing.Unlock()
	return w.continued
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	switch {
	case w.conn.hijacked:
		return 0, http.ErrHijacked
	case w.done.Load():
		return 0, errDone
	case w.status == 0:
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.framing == undecided && w.header["Content-Length"] != nil {
		w.frame(false)
	}
	if w.declared >= 0 && w.written+int64(len(p)) > w.declared {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.request.Method == http.MethodHead {
		return len(p), nil
	}
	if w.framing == undecided {
		if len(w.out.held)+len(p) <= shortReply {
			w.out.held = append(w.out.held, p...)
			return len(p), nil
		}
		w.begin()
	}
	return w.writeBody(p)
}

// begin decides about the framing before the body has ended, and writes what was held back.
func (w *response) begin() {
	if w.framing != undecided {
		return
	}
	w.frame(false)
	if len(w.out.held) > 0 {
		_, _ = w.writeBody(w.out.held) // an error comes again
	}
}

// writeBody writes a part of the body in its framing.
func (w *response) writeBody(p []byte) (int, error) {
	out := w.out
	if w.framing != byChunks {
		return out.Write(p)
	}
	_, _ = out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(len(p)), 16))
	_, _ = out.WriteString("\r\n")
	if n, err := out.Write(p); err != nil {
		return n, err
	}
	_, err := out.WriteString("\r\n")
	return len(p), err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what was written so far.
func (w *response) FlushError() error {
	switch {
	case w.conn.hijacked:
		return http.ErrHijacked
	case w.done.Load():
		return errDone
	case w.status == 0:
		w.WriteHeader(http.StatusOK)
	}
	w.begin()
	return w.flush()
}

func (w *response) flush() error {
	err := w.out.Flush()
	w.broken = w.broken || err != nil
	return err
}

// finish ends the reply once the handler has returned, and reports whether the connection can be kept.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.framing == undecided {
		w.frame(true)
		if len(w.out.held) > 0 && w.framing != noBody {
			_, _ = w.writeBody(w.out.held) // the flush gives the error again
		}
	}
	if w.framing == byChunks {
		_, _ = w.out.WriteString("0\r\n")
		w.writeTrailer()
		_, _ = w.out.WriteString("\r\n")
	}
	err := w.flush()
	w.release()
	cut := w.framing == byLength && w.declared >= 0 && w.written < w.declared
	return err == nil && !w.closes && !cut
}

// release ends the use of the writer.
func (w *response) release() {
	w.done.Store(true)
	if out := w.out; out != nil {
		w.out = nil
		out.Reset(nil)
		out.held = out.held[:0]
		outputs.Put(out)
	}
}

// abort ends a reply that its handler has given up. What there is of it is sent, so that the client sees a status and a
// cut body and does not take the connection for one that was closed before its request. A body that ends with the
// connection is ended by a reset, without TLS's word of farewell. Without a body a reply would look whole: it is dropped.
func (w *response) abort() {
	if w.status != 0 {
		w.begin()
		if w.framing != noBody {
			_ = w.flush() // the connection is closed either way
		}
	}
	if w.framing == untilClose {
		c := w.conn.conn
		if t, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = t.NetConn()
		}
		if t, ok := c.(interface{ SetLinger(int) error }); ok {
			_ = t.SetLinger(0)
		}
		c.Close()
	}
	w.release()
}

// hasTrailer reports whether the handler has given trailer fields so far, or says that it will.
func (w *response) hasTrailer() bool {
	if w.header["Trailer"] != nil {
		return true
	}
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// writeTrailer writes the fields that Trailer has named, and those with http.TrailerPrefix.
func (w *response) writeTrailer() {
	for _, value := range w.header["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			name = http.CanonicalHeaderKey(trim(name))
			w.writeTrailerField(name, w.header[name])
		}
	}
	for name, values := range w.header {
		if plain, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.writeTrailerField(http.CanonicalHeaderKey(plain), values)
		}
	}
}

func (w *response) writeTrailerField(name string, values []string) {
	if httpguts.ValidTrailerHeader(name) {
		w.writeField(name, values)
	}
}

// SetReadDeadline is for http.ResponseController: it bounds, and with a time in the past ends, a Read of the body.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.body == nil {
		return nil
	}
	if w.done.Load() || w.conn.hijacked {
		return errDone
	}
	return w.body.setDeadline(t)
}

// SetWriteDeadline is for http.ResponseController. Each write sets the bound of a stalled client anew.
func (w *response) SetWriteDeadline(t time.Time) error {
	if w.done.Load() || w.conn.hijacked {
		return errDone
	}
	return w.conn.out.setDeadline(t)
}

// EnableFullDuplex is for http.ResponseController: body and reply never wait for each other.
func (w *response) EnableFullDuplex() error { return nil }

// SentAhead reports whether the client has sent bytes behind the request, as far as they have come. A client that asks
// to change the protocol must not (RFC 6455, section 4.1): it cannot know yet what they would mean. It reads once, for a
// millisecond at most; nobody may be reading the request's body meanwhile.
func (w *response) SentAhead() bool {
	resume := w.conn.watch.pause()
	defer resume()
	if w.conn.in.buffered() == 0 {
		_ = w.conn.setReadDeadline(time.Now().Add(lookTime))
		_ = w.conn.in.more() // an end, too, shows itself at the next read
	}
	return w.conn.in.buffered() > 0
}

// Hijack hands the connection over, with the bytes that were read ahead.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.conn
	switch {
	case c.hijacked:
		return nil, nil, http.ErrHijacked
	case w.done.Load():
		return nil, nil, errDone
	}
	c.watch.disarm()
	if w.body != nil {
		w.body.finish()
	}
	if w.status != 0 {
		w.begin()
		if err := w.flush(); err != nil {
			return nil, nil, err
		}
	}
	w.release()
	c.hijacked = true
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	return c.conn, bufio.NewReadWriter(bufio.NewReader(c.in), bufio.NewWriter(c.conn)), nil
}
