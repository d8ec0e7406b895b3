package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
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

// exchange is one request and its reply on an HTTP/1.1 connection, in one piece.
type exchange struct {
	conn      *http1Conn
	ctx       context.Context
	req       *Request
	body      *requestBody // nil without one
	firstByte time.Duration
	close     afterwards
	counted   *Upstream // that the request counts at, and at conn.ep; nil for a check
	progress  progress
	sent      time.Time // when all was, if there is no upload

	resp     http.Response
	delivery replyBody

	mu       sync.Mutex  // guards the following, and the read deadline until the head of the reply is here
	unwatch  func() bool // ends the watch; nil before it begins
	over     bool        // the watch has ended, or must not begin any more
	headDone bool
	upload   chan struct{} // closed when the upload has ended; nil if there was none beside the reply
	failure  error         // of the upload; valid once it has ended
}

// run sends the request and reads the head of the reply. If it fails the connection is closed and the upload has
// ended. Otherwise the body of the reply owns the connection.
func (x *exchange) run() (*http.Response, error) {
	c := x.conn
	c.raw.exchange = x
	before := c.raw.written.Load()
	resp, err := x.exchange()
	x.progress.sent = c.raw.written.Load() > before
	if err != nil {
		if failure := x.failed(); failure != nil && !x.progress.replied {
			err = failure // it came first, and the missing reply follows from it
		}
		x.end()
		c.close()
		x.endUpload()
		return nil, err
	}
	return resp, nil
}

func (x *exchange) exchange() (*http.Response, error) {
	if err := x.ctx.Err(); err != nil {
		return nil, err
	}
	writeErr := x.send()
	switch {
	case writeErr != nil:
		var body bodyError
		if errors.As(writeErr, &body) {
			return nil, writeErr
		}
		x.watch()
		_ = x.conn.raw.SetReadDeadline(time.Now().Add(afterBreak))
	case x.upload == nil:
		x.sent = time.Now()
		if x.unwatch != nil {
			_ = x.conn.raw.SetReadDeadline(x.sent.Add(x.firstByte))
		}
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
		x.resp = http.Response{Request: x.req.HTTP}
		resp := &x.resp
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
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.watch()
	}
	x.mu.Lock()
	x.headDone = true
	var err error
	if x.unwatch != nil {
		err = x.conn.raw.SetReadDeadline(time.Time{})
	}
	x.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = x.conn.raw.SetWriteDeadline(time.Time{})
		resp.Body = &tunnel{x: x}
		return resp, nil
	}
	b := &x.delivery
	b.x, b.close, resp.Body = x, resp.Close || x.close == closeAfter, b
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
		whole = whole && x.uploadEnds()
		undisturbed := x.end()
		if whole && undisturbed && !b.close && x.failed() == nil && c.br.Buffered() == 0 {
			c.raw.exchange = nil
			c.ep.keep(c)
		} else {
			c.close()
		}
		x.endUpload()
		x.finished()
	})
}

// uploadEnds waits a moment for the end of an upload, and reports whether it came.
func (x *exchange) uploadEnds() bool {
	if x.upload == nil {
		return true
	}
	select {
	case <-x.upload:
		return true
	default:
	}
	select {
	case <-x.upload:
		return true
	case <-time.After(uploadGrace):
		return false
	}
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
	if x.counted != nil {
		x.conn.ep.release()
		x.counted.leave()
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
		t.x.end()
		t.x.conn.close()
		t.x.finished()
	})
	return nil
}
