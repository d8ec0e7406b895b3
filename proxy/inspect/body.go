package inspect

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"

	"gatehouse/proxy/buffer"
	"gatehouse/rules"
)

// errTooLarge says that a body went beyond max_bytes.
var errTooLarge = errors.New("the body is longer than max_bytes")

// body is a request body on its way: what was read so far, what of it is inspected, and what goes upstream.
type body struct {
	client    io.Reader    // at most max_bytes long
	closer    io.Closer    // of the client's own body, may be nil
	length    int64        // as announced, -1 if not
	raw       spool        // what was read, as received
	decoded   *spool       // the same decoded, if it was encoded
	limit     int64        // bytes that are inspected, decoded
	consumed  int64        // bytes of raw that the inspected bytes came from
	truncated bool         // it goes on beyond limit
	complete  bool         // raw holds all of it
	received  atomic.Int64 // bytes that the client sent so far
	ended     atomic.Bool  // the client has sent all of it
	reply     bool         // it is the body of a reply, which may be encoded in more ways
	undecoded bool         // it could not be decoded: nothing of it was inspected
}

// maxReader fails with errTooLarge once more than left bytes were read.
type maxReader struct {
	r    io.Reader
	left int64
	read *atomic.Int64
	end  *atomic.Bool
}

func (m *maxReader) Read(p []byte) (int, error) {
	if m.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > m.left+1 {
		p = p[:m.left+1]
	}
	n, err := m.r.Read(p)
	m.left -= int64(n)
	m.read.Add(int64(n))
	if m.left < 0 {
		return n - 1, errTooLarge
	}
	if err == io.EOF {
		m.end.Store(true)
	}
	return n, err
}

// newBody prepares to read a body of length bytes (-1 if unknown), at most maximum of them.
func newBody(dir *SpillDir, client io.Reader, length, maximum int64) *body {
	b := &body{length: length, raw: spool{dir: dir}, complete: length == 0}
	b.client = &maxReader{client, maximum, &b.received, &b.ended}
	b.closer, _ = client.(io.Closer)
	return b
}

// read takes in as much of the body as is inspected: limit decoded bytes, and one more to know whether it goes on.
func (b *body) read(encodings []string, limit int64) error {
	b.limit = limit
	target := &b.raw
	var from io.Reader = b.client
	if len(encodings) > 0 {
		d, err := newDecoder(io.TeeReader(b.client, &b.raw), encodings, b.reply)
		if err != nil {
			return err
		}
		defer d.Close()
		b.decoded = &spool{dir: b.raw.dir}
		target, from = b.decoded, d
		defer func() { b.consumed = d.source.n }()
	}
	through := buffer.Borrow()
	defer through.Return()
	n, err := io.CopyBuffer(target, io.LimitReader(from, limit+1), through[:])
	if err != nil {
		return err
	}
	b.truncated = n > limit
	b.consumed = min(n, limit)
	b.complete = !b.truncated
	return nil
}

// inspected is what the rules see.
func (b *body) inspected() rules.Body {
	s := &b.raw
	if b.decoded != nil {
		s = b.decoded
	}
	length := b.length
	if b.complete {
		length = b.raw.size
	}
	return rules.Body{Reader: s.reader(b.limit), Truncated: b.truncated, Length: length}
}

// over says whether the body, decoded, is longer than n bytes.
func (b *body) over(n int64) bool {
	s := &b.raw
	if b.decoded != nil {
		s = b.decoded
	}
	return s.size > n
}

// forwardRaw gives up on decoding: the body goes on as it was received, and the rules see none of it.
func (b *body) forwardRaw() {
	b.undecoded, b.truncated, b.complete, b.consumed = true, true, false, 0
	b.limit = 0
}

// forward is what goes upstream: the bytes as received, and how many (-1 if that is not known). A body that was read to
// its end has a length.
func (b *body) forward() (io.ReadCloser, int64) {
	if b.complete {
		if b.raw.size == 0 {
			return nil, 0
		}
		return whole{b.raw.reader(b.raw.size)}, b.raw.size
	}
	return &rest{io.MultiReader(b.raw.reader(b.raw.size), bytes.NewReader(b.raw.unsaved), b.client), b.closer}, b.length
}

// whole is a body that has been taken in: there is nothing to wait for. Len is the number of bytes left.
type whole struct{ lenReader }

func (whole) Close() error { return nil }

// lenReader is a reader that knows how many bytes are left.
type lenReader interface {
	io.Reader
	Len() int
}

// rest is a body that still arrives. Close makes a Read that waits for the client return.
type rest struct {
	io.Reader
	client io.Closer
}

func (r *rest) Close() error {
	if r.client == nil {
		return nil
	}
	return r.client.Close()
}

// Close frees the body's memory and file.
func (b *body) Close() error {
	err := b.raw.Close()
	if b.decoded != nil {
		err = errors.Join(err, b.decoded.Close())
	}
	return err
}
