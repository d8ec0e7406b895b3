package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// requestBody is the body of a request over all its attempts: it knows whether a byte was asked for, after which no
// other attempt may be made, and it is closed once.
type requestBody struct {
	body    io.ReadCloser
	touched atomic.Bool
	once    sync.Once
	err     error
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.touched.Store(true)
	return b.body.Read(p)
}

// Close is for net/http: a body that was not read stays open for the next attempt.
func (b *requestBody) Close() error {
	if !b.touched.Load() {
		return nil
	}
	return b.finalClose()
}

func (b *requestBody) finalClose() error {
	b.once.Do(func() { b.err = b.body.Close() })
	return b.err
}

// interrupt makes a Read that is under way return.
func (b *requestBody) interrupt() error { return b.finalClose() }

// inMemory reports whether the body is short and need not be waited for.
func (b *requestBody) inMemory(length int64) bool {
	m, ok := b.body.(interface{ Len() int })
	return ok && length >= 0 && length <= inMemory && int64(m.Len()) == length
}

// ClientBody wraps the body of a request of an http.Server for RoundTrip. Close makes a Read that is under way return,
// by a read deadline on the client's connection; after a body that was read to its end Close does nothing, and the
// connection to the client stays usable. A caller that passes on a body which still arrives turns full
// duplex on, without which an HTTP/1.1 server waits for the rest of the body before it writes a reply.
func ClientBody(w http.ResponseWriter, body io.ReadCloser) io.ReadCloser {
	if body == nil || body == http.NoBody {
		return http.NoBody
	}
	return &clientBody{control: http.NewResponseController(w), body: body}
}

type clientBody struct {
	control *http.ResponseController
	body    io.ReadCloser
	ended   atomic.Bool
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

func (b *clientBody) Close() error {
	if b.ended.Load() {
		return nil
	}
	return b.control.SetReadDeadline(time.Unix(1, 0)) // the server closes the body itself after its handler
}

// peekBody finds out whether a body of unknown length is empty, for methods that seldom have one: such a request is
// forwarded without a body rather than with an empty chunked one.
func peekBody(body io.ReadCloser) (io.ReadCloser, error) {
	var first [1]byte
	for {
		n, err := body.Read(first[:])
		switch {
		case n > 0:
			return &peeked{ReadCloser: body, first: first[0], err: err}, nil
		case errors.Is(err, io.EOF):
			return nil, body.Close()
		case err != nil:
			return nil, errors.Join(bodyError{err}, body.Close())
		}
	}
}

// peeked is a body of which the first byte was read.
type peeked struct {
	io.ReadCloser
	first byte
	err   error // came with the first byte
	given bool
}

func (b *peeked) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !b.given {
		b.given = true
		p[0] = b.first
		return 1, b.err
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.ReadCloser.Read(p)
}
