package listener

import (
	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy/http1"
)

// headerBlock is a header list that comes in one or more frames.
type headerBlock struct {
	header  frameHeader // of the HEADERS frame
	open    bool        // CONTINUATION frames must follow
	frames  int
	encoded []byte
	// priority is the deprecated field of the HEADERS frame, if it has one.
	priority []byte

	decoder *hpack.Decoder
	fields  []hpack.HeaderField
	// tooLarge says that the list is over the limits; fields then holds its beginning.
	tooLarge bool
	size     int // as RFC 9113 counts it, section 6.5.2
	size1    int // as a header in HTTP/1.1
}

func (b *headerBlock) init() {
	b.decoder = hpack.NewDecoder(4096, b.add) // 4096 is what every peer may assume
}

// begin starts a list.
func (b *headerBlock) begin(h frameHeader) {
	b.header, b.frames, b.encoded, b.priority = h, 0, b.encoded[:0], b.priority[:0]
	b.fields, b.tooLarge, b.size = b.fields[:0], false, 0
	b.size1 = len("  HTTP/1.1\r\nHost: \r\n\r\n")
}

// strip takes padding and priority off the payload of the HEADERS frame; false if it is too short.
func (b *headerBlock) strip() bool {
	p, padding := b.encoded, 0
	if b.header.has(flagPadded) {
		if len(p) == 0 {
			return false
		}
		padding, p = int(p[0]), p[1:]
	}
	if b.header.has(flagPriority) {
		if len(p) < 5 {
			return false
		}
		b.priority = append(b.priority, p[:5]...)
		p = p[5:]
	}
	if padding > len(p) {
		return false
	}
	b.encoded = b.encoded[:copy(b.encoded, p[:len(p)-padding])]
	return true
}

// decode decodes the list. After an error the connection cannot go on.
func (b *headerBlock) decode() error {
	b.decoder.SetEmitEnabled(true)
	if _, err := b.decoder.Write(b.encoded); err != nil {
		return err
	}
	return b.decoder.Close()
}

// add takes a decoded field.
func (b *headerBlock) add(f hpack.HeaderField) {
	b.size += int(f.Size())
	if b.size1 += len(f.Value); !f.IsPseudo() {
		b.size1 += len(f.Name) + len(": \r\n")
	}
	if b.size > http2HeaderBytes || b.size1 > http1.MaxHead {
		b.tooLarge = true
		b.decoder.SetEmitEnabled(false)
		return
	}
	if f.Name != markField { // it is ours to set
		b.fields = append(b.fields, f)
	}
}

// release lets go of the fields, and of buffers that only a large list needs.
func (b *headerBlock) release() {
	clear(b.fields)
	if cap(b.encoded) > http2FrameBytes {
		b.encoded = nil
	}
	if cap(b.fields) > 256 {
		b.fields = nil
	}
}
