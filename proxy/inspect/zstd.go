package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Numbers of the zstd format (RFC 8878, section 3.1) and the largest window on the web (RFC 9659).
const (
	zstdMaxWindow   = 8 << 20
	zstdMagic       = 0xfd2fb528
	zstdSkippable   = 0x184d2a50 // the last four bits are free
	zstdBlockRLE    = 1
	zstdBlockUnused = 3
)

// openZstd opens one frame, or lenient any number of them.
func openZstd(in byteReader, lenient bool) (*zstd.Decoder, error) {
	frames := &zstdFrames{in: in, many: lenient}
	return zstd.NewReader(frames, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdMaxWindow), zstd.WithDecoderMaxMemory(64<<20))
}

// zstdFrames passes zstd frames on as they are and checks what they are made of: no dictionary, no window above
// zstdMaxWindow, and unless many is set one frame that is not skippable, with nothing behind it.
type zstdFrames struct {
	in      byteReader
	many    bool
	any     bool   // there was a frame
	open    bool   // a frame has begun
	last    bool   // its last block has begun
	sum     int64  // bytes of its checksum
	pending []byte // headers that are read but not passed on
	left    int64  // bytes that go through
	err     error
}

// Read passes bytes on. Its first error stays; io.EOF is the end behind a whole frame.
func (f *zstdFrames) Read(p []byte) (int, error) {
	for f.err == nil && len(p) > 0 {
		if len(f.pending) > 0 {
			n := copy(p, f.pending)
			f.pending = f.pending[n:]
			return n, nil
		}
		if f.left == 0 {
			f.err = f.next()
			continue
		}
		n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
		f.left -= int64(n)
		if err != nil {
			f.err = cutShort(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, f.err
}

// cutShort makes an end, where none may be, an error that no decoder takes for one.
func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("the frame is cut short")
	}
	return err
}

// take reads n bytes of a header.
func (f *zstdFrames) take(n int) ([]byte, error) {
	at := len(f.pending)
	f.pending = append(f.pending, make([]byte, n)...)
	_, err := io.ReadFull(f.in, f.pending[at:])
	return f.pending[at:], cutShort(err)
}

// next goes on to the next part: of the frame, or a frame.
func (f *zstdFrames) next() error {
	f.pending = nil
	switch {
	case !f.open:
		return f.frame()
	case !f.last:
		return f.block()
	}
	f.open, f.left = false, f.sum
	return nil
}

// frame reads the header of a frame.
func (f *zstdFrames) frame() error {
	if _, err := f.in.Peek(1); f.any && err == io.EOF {
		return io.EOF
	} else if err != nil {
		return cutShort(err)
	}
	if f.any && !f.many {
		return errTrailing
	}
	f.any = true
	magic, err := f.take(4)
	if err != nil {
		return err
	}
	switch n := binary.LittleEndian.Uint32(magic); {
	case n&^0xf == zstdSkippable && f.many:
		size, err := f.take(4)
		f.left = int64(binary.LittleEndian.Uint32(size))
		return err
	case n&^0xf == zstdSkippable:
		return errors.New("it begins with a skippable frame")
	case n != zstdMagic:
		return errors.New("it is not a zstd frame")
	}
	f.open, f.last = true, false
	return f.descriptor()
}

// descriptor reads the rest of a frame's header.
func (f *zstdFrames) descriptor() error {
	d, err := f.take(1)
	if err != nil {
		return err
	}
	flags := d[0]
	if flags&3 != 0 {
		return errors.New("the frame needs a dictionary")
	}
	f.sum = int64(flags>>2&1) * 4
	single := flags&(1<<5) != 0
	if !single {
		if _, err := f.take(1); err != nil { // the decoder checks the window
			return err
		}
	}
	size := [8]byte{}
	n := 1 << (flags >> 6)
	if n == 1 && !single {
		n = 0
	}
	field, err := f.take(n)
	if err != nil {
		return err
	}
	copy(size[:], field)
	if content := binary.LittleEndian.Uint64(size[:]); single && content > zstdMaxWindow { // it is the window
		return fmt.Errorf("the frame needs a window of more than %d bytes", zstdMaxWindow)
	}
	return nil
}

// block reads the header of a block.
func (f *zstdFrames) block() error {
	head, err := f.take(3)
	if err != nil {
		return err
	}
	n := int64(head[0]) | int64(head[1])<<8 | int64(head[2])<<16
	f.last, f.left = n&1 != 0, n>>3
	switch n >> 1 & 3 {
	case zstdBlockRLE:
		f.left = 1
	case zstdBlockUnused:
		return errors.New("the frame has a block of an unknown type")
	}
	return nil
}
