package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"gatehouse/proxy/buffer"
)

const (
	// maxInformational bounds how many 1xx replies may come before the final one.
	maxInformational = 16
	// inMemory is the longest body that is sent before the reply is looked for. Longer ones, and those that may have to
	// wait for the client, are sent beside it.
	inMemory = 64 << 10
	// afterBreak is how long a reply is waited for once the upstream stopped taking the request: an early refusal.
	afterBreak = time.Second
	// uploadGrace is how long the end of an upload is waited for when the reply ended before it, in order to keep the
	// connection.
	uploadGrace = 50 * time.Millisecond
)

// afterwards says what becomes of the connection after an exchange.
type afterwards int

const (
	keepAfter afterwards = iota
	closeAfter
)

// progress is what is known of a request that failed.
type progress struct {
	sent    bool // a byte of it was given to the network
	replied bool // a byte of a reply was read
}

// exchange is one request and its reply on an HTTP/1.1 connection.
type exchange struct {
	conn      *http1Conn
	ctx       context.Context
	req       *Request
	body      *requestBody // nil without one
	firstByte time.Duration
	close     afterwards
	progress  progress

	stopWatch func() bool

	mu       sync.Mutex // guards the following, and the read deadline until the head of the reply is here
	headDone bool
	upload   chan struct{} // closed when the upload has ended; nil if there was none beside the reply
	failure  error         // of the upload; valid once it has ended
}

// run sends the request and reads the head of the reply. If it fails the connection is closed and the upload has
// ended. Otherwise the body of the reply owns the connection.
func (x *exchange) run() (*http.Response, error) {
	c := x.conn
	before := c.raw.written.Load()
	x.stopWatch = context.AfterFunc(x.ctx, func() { _ = c.raw.Close() })
	resp, err := x.exchange()
	x.progress.sent = c.raw.written.Load() > before
	if err != nil {
		if failure := x.failed(); failure != nil && !x.progress.replied {
			err = failure // it came first, and the missing reply follows from it
		}
		x.stopWatch()
		c.close()
		x.endUpload()
		return nil, err
	}
	return resp, nil
}

func (x *exchange) exchange() (*http.Response, error) {
	if err := x.writeHead(); err != nil {
		return nil, err
	}
	var writeErr error
	if x.body != nil && !x.body.inMemory(x.req.HTTP.ContentLength) {
		x.upload = make(chan struct{})
		if writeErr = x.conn.bw.Flush(); writeErr == nil {
			go x.runUpload()
		} else {
			x.failure = writeErr
			close(x.upload)
		}
	} else {
		writeErr = x.writeBody()
	}
	if writeErr != nil {
		var body bodyError
		if errors.As(writeErr, &body) {
			return nil, writeErr
		}
		_ = x.conn.conn.SetReadDeadline(time.Now().Add(afterBreak))
	} else if x.upload == nil {
		_ = x.conn.conn.SetReadDeadline(time.Now().Add(x.firstByte))
	}
	resp, err := x.readReply()
	if err != nil {
		if writeErr != nil {
			err = writeErr
		}
		return nil, err
	}
	if writeErr != nil {
		resp.Close = true // half a request is on the connection
	}
	return x.reply(resp)
}

// ownHeader reports whether a header field is the connection's or the framing's, which are written here.
func ownHeader(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Proxy-Connection", "Expect":
		return true
	default:
		return false
	}
}

// isUpgrade reports whether a request asks for another protocol.
func isUpgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// writeHead writes the request line and the header: method, target, host and values as they are, framing our own.
func (x *exchange) writeHead() error {
	r, w := x.req.HTTP, x.conn.bw
	line := func(name, value string) {
		_, _ = w.WriteString(name)
		_, _ = w.WriteString(": ")
		_, _ = w.WriteString(value)
		_, _ = w.WriteString("\r\n")
	}
	_, _ = w.WriteString(r.Method)
	_ = w.WriteByte(' ')
	_, _ = w.WriteString(x.req.Target)
	_, _ = w.WriteString(" HTTP/1.1\r\n")
	line("Host", r.Host)
	upgrade := isUpgrade(r)
	for name, values := range r.Header {
		if ownHeader(name) || (name == "Upgrade" && !upgrade) {
			continue
		}
		for _, v := range values {
			line(name, v)
		}
	}
	switch {
	case upgrade:
		line("Connection", "Upgrade")
	case x.close == closeAfter:
		line("Connection", "close")
	}
	switch {
	case x.body == nil:
		if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
			line("Content-Length", "0")
		}
	case r.ContentLength >= 0:
		line("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	default:
		line("Transfer-Encoding", "chunked")
		for name := range r.Trailer {
			line("Trailer", name)
		}
	}
	_, err := w.WriteString("\r\n")
	return err
}

// runUpload sends the body while the reply is awaited, and starts the clock for the first byte when it is sent.
func (x *exchange) runUpload() {
	err := x.writeBody()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failure = err
	defer close(x.upload)
	var body bodyError
	switch {
	case errors.As(err, &body):
		_ = x.conn.raw.Close() // the upstream must see that the body is not whole
	case x.headDone:
	case err != nil:
		_ = x.conn.conn.SetReadDeadline(time.Now().Add(afterBreak))
	default:
		_ = x.conn.conn.SetReadDeadline(time.Now().Add(x.firstByte))
	}
}

// writeBody sends the body as it comes and flushes.
func (x *exchange) writeBody() error {
	if x.body == nil {
		return x.conn.bw.Flush()
	}
	through := buffer.Borrow()
	defer through.Return()
	length := x.req.HTTP.ContentLength
	chunked := length < 0
	var sent int64
	for {
		n, err := x.body.Read(through[:])
		if n > 0 {
			sent += int64(n)
			if !chunked && sent > length {
				return bodyError{ErrBodyLength}
			}
			if werr := x.writePart(through[:n], chunked); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bodyError{err}
		}
	}
	w := x.conn.bw
	if !chunked {
		if sent != length {
			return bodyError{fmt.Errorf("%w: %d of %d bytes", ErrBodyLength, sent, length)}
		}
		return w.Flush()
	}
	_, _ = w.WriteString("0\r\n")
	for name, values := range x.req.HTTP.Trailer {
		for _, v := range values {
			if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return bodyError{fmt.Errorf("trailer %q cannot be sent", name)}
			}
			_, _ = w.WriteString(name + ": " + v + "\r\n")
		}
	}
	_, _ = w.WriteString("\r\n")
	return w.Flush()
}

// writePart sends what was read at once: the upstream sees a stream as the client sends it.
func (x *exchange) writePart(p []byte, chunked bool) error {
	w := x.conn.bw
	if chunked {
		_, _ = w.WriteString(strconv.FormatInt(int64(len(p)), 16))
		_, _ = w.WriteString("\r\n")
	}
	_, _ = w.Write(p)
	if chunked {
		_, _ = w.WriteString("\r\n")
	}
	return w.Flush()
}

// readReply reads the final reply's head and drops the informational ones before it.
func (x *exchange) readReply() (*http.Response, error) {
	for range maxInformational {
		if _, err := x.conn.br.Peek(1); err != nil {
			return nil, err
		}
		x.progress.replied = true
		head, lines, err := readHead(x.conn.br)
		if err != nil {
			return nil, err
		}
		resp := &http.Response{Request: x.req.HTTP}
		switch err := parseHead(head, lines, x.req.HTTP.Method, resp); {
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols && !isUpgrade(x.req.HTTP):
			return nil, errors.New("the upstream switched protocols unasked")
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d informational replies", maxInformational)
}

// reply hands the connection over to the body of the reply.
func (x *exchange) reply(resp *http.Response) (*http.Response, error) {
	x.mu.Lock()
	x.headDone = true
	err := x.conn.conn.SetReadDeadline(time.Time{})
	x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = x.conn.conn.SetWriteDeadline(time.Time{})
		resp.Body = &tunnel{x: x}
		return resp, nil
	}
	b := &replyBody{x: x, close: resp.Close || x.close == closeAfter}
	resp.Body = b
	if !b.content.begin(x.conn.br, x.req.HTTP.Method, resp) && x.upload == nil {
		b.finish(true)
		resp.Body = http.NoBody
	}
	return resp, nil
}

// endUpload makes an upload end and waits for it. The connection is closed or the upload is over.
func (x *exchange) endUpload() {
	if x.upload == nil {
		return
	}
	select {
	case <-x.upload:
		return
	default:
	}
	_ = x.body.interrupt()
	<-x.upload
}

// replyBody is the body of a reply. At its end the connection goes back to the pool.
type replyBody struct {
	x       *exchange
	content content
	close   bool // the connection cannot be kept
	once    sync.Once
}

func (b *replyBody) Read(p []byte) (int, error) {
	n, err := b.content.Read(p)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF: // exactly the end, not an error that wraps it
		b.finish(true)
		return n, err
	default:
		b.finish(false)
		var body bodyError
		if failure := b.x.failed(); errors.As(failure, &body) { // the connection was closed because of it
			err = failure
		}
		return n, b.x.conn.ep.u.bodyError(b.x.ctx, b.x.conn.ep, err)
	}
}

// Close ends the exchange. A connection whose reply was not read to its end is closed.
func (b *replyBody) Close() error {
	b.finish(false)
	return nil
}

func (b *replyBody) finish(whole bool) {
	b.once.Do(func() {
		x, c := b.x, b.x.conn
		if whole && x.upload != nil {
			select {
			case <-x.upload:
			case <-time.After(uploadGrace):
				whole = false
			}
		}
		undisturbed := x.stopWatch()
		if whole && undisturbed && !b.close && x.failed() == nil && c.br.Buffered() == 0 {
			_ = c.conn.SetWriteDeadline(time.Time{})
			c.ep.keep(c)
		} else {
			c.close()
		}
		x.endUpload()
		x.finished()
	})
}

// failed gives the error of an upload that has ended.
func (x *exchange) failed() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failure
}

// finished is called once, when the exchange needs neither the connection nor the request's body any more.
func (x *exchange) finished() {
	if x.body != nil {
		_ = x.body.finalClose()
	}
	if x.req.done != nil {
		x.req.done()
	}
}

// tunnel is what remains of a connection after 101: an io.ReadWriteCloser.
type tunnel struct {
	x    *exchange
	once sync.Once
}

func (t *tunnel) Read(p []byte) (int, error)  { return t.x.conn.br.Read(p) }
func (t *tunnel) Write(p []byte) (int, error) { return t.x.conn.conn.Write(p) }

// SetWriteDeadline bounds how long the upstream may leave written bytes unread.
func (t *tunnel) SetWriteDeadline(at time.Time) error { return t.x.conn.conn.SetWriteDeadline(at) }

// CloseWrite tells the upstream that nothing more comes.
func (t *tunnel) CloseWrite() error {
	type half interface{ CloseWrite() error }
	if c, ok := t.x.conn.conn.(half); ok {
		return c.CloseWrite()
	}
	if c, ok := t.x.conn.raw.Conn.(half); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close ends both directions.
func (t *tunnel) Close() error {
	t.once.Do(func() {
		t.x.stopWatch()
		t.x.conn.close()
		t.x.finished()
	})
	return nil
}
