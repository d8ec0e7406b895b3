package http1

import (
	"errors"
	"io"
	"sync"
)

// smallBuffer is what connections have, and MaxHead the most to which the buffer grows.
const smallBuffer = 4 << 10

var errBufferFull = errors.New("the buffer is full")

var smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}

// reader is a buffered reader whose buffer grows while something is read that must be looked at as a whole.
type reader struct {
	src   io.Reader
	small *[smallBuffer]byte
	buf   []byte
	r, w  int // buf[r:w] is what was read and not used
}

func newReader(src io.Reader) *reader {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	return &reader{src: src, small: small, buf: small[:]}
}

// release gives the buffer away; the reader is not used afterwards.
func (b *reader) release() {
	if b.small != nil {
		smallBuffers.Put(b.small)
	}
	b.small, b.buf, b.r, b.w = nil, nil, 0, 0
}

func (b *reader) buffered() int { return b.w - b.r }

func (b *reader) rest() []byte { return b.buf[b.r:b.w] }

// more reads once and appends to what is buffered. Slices of the buffer are void afterwards.
func (b *reader) more() error {
	if b.r == b.w {
		b.r, b.w = 0, 0
		if len(b.buf) > smallBuffer { // the long head is over
			b.buf = b.small[:]
		}
	}
	if b.w == len(b.buf) {
		switch {
		case b.r > 0:
			b.w = copy(b.buf, b.buf[b.r:b.w])
			b.r = 0
		case len(b.buf) >= MaxHead:
			return errBufferFull
		default:
			grown := make([]byte, 2*len(b.buf))
			b.w = copy(grown, b.buf[:b.w])
			b.buf = grown
		}
	}
	for range 100 {
		n, err := b.src.Read(b.buf[b.w:])
		b.w += n
		if n > 0 {
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// Read gives buffered bytes first. A read into a long p goes past the buffer.
func (b *reader) Read(p []byte) (int, error) {
	if b.r == b.w {
		if len(p) >= smallBuffer/2 {
			return b.src.Read(p)
		}
		if err := b.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	return n, nil
}
