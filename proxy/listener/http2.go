package listener

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/net/http2/hpack"
)

// Frame types, flags and error codes of HTTP/2 (RFC 9113, sections 6 and 7) that are looked at here.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRSTStream    = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	codeNo           = 0x0
	codeProtocol     = 0x1
	codeInternal     = 0x2
	codeStreamClosed = 0x5
	codeCancel       = 0x8

	codeEnhanceYourCalm = 0xb
)

// Bounds of one encoded header list.
const (
	http2BlockBytes  = 2 * http2HeaderBytes
	http2BlockFrames = 128
)

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// http2Conn is the byte stream of an HTTP/2 connection (after TLS) as net/http's server sees it. The server resets or
// answers malformed requests on its own, out of sight of handlers and without saying on which connection. So every
// header list is read here first: a malformed one is reported and replaced by a request that the listener's handler
// answers, all others are encoded anew. What the server still resets or ends because of the client is seen in the
// frames that it writes.
type http2Conn struct {
	net.Conn // *conn or *tls.Conn
	info     *ConnInfo
	hooks    Hooks
	tls      *tls.ConnectionState // for Request.TLS; nil in clear

	// The input: only the server's reading goroutine uses it.
	r        *bufio.Reader
	started  bool   // the preface has come
	ready    []byte // bytes for the server, before all else
	rest     int    // bytes of the current frame that go to the server as they are
	dead     bool   // the connection ends: what still comes is dropped
	head     [9]byte
	frame    []byte // backs ready
	newestID uint32 // of the client's streams
	block    headerBlock
	encoded  bytes.Buffer
	encoder  *hpack.Encoder

	out    frameWatch // only the server's writing goroutine uses it
	floods floodWatch

	mu      sync.Mutex // guards all below
	streams map[uint32]*http2Stream
	ended   bool // the end of the connection was reported
}

// http2Stream is a request on its way. The connection's mu guards its fields.
type http2Stream struct {
	id        uint32
	refusal   *http2Refusal // of a request that was refused already
	left      int64         // bytes that the body still has to have by its content-length, -1 if there is none
	ended     bool          // by the client
	handling  bool          // a handler has taken it
	finished  bool          // the handler has returned
	late      bool          // more came after the client's end
	resets    bool          // the server is going to reset the stream
	malformed string        // what is wrong with the body or the trailer
	told      bool          // the handler knows of it
	reset     string        // the kind of the reset that the handler may still learn the reason of
}

// http2Refusal is what a refused request is answered with.
type http2Refusal struct {
	status int
	reply  []byte // in HTTP/1.1
	resets bool   // the stream is reset after the reply
}

func newHTTP2Conn(c net.Conn, info *ConnInfo, hooks Hooks) *http2Conn {
	h := &http2Conn{Conn: c, info: info, hooks: hooks, r: bufio.NewReader(c), streams: map[uint32]*http2Stream{}}
	if t, ok := c.(*tls.Conn); ok {
		state := t.ConnectionState()
		h.tls = &state
	}
	h.block.init()
	h.encoder = hpack.NewEncoder(&h.encoded)
	h.out.conn = h
	return h
}

// Read gives the client's frames to the server.
func (c *http2Conn) Read(p []byte) (int, error) {
	for {
		switch {
		case len(c.ready) > 0:
			n := copy(p, c.ready)
			c.ready = c.ready[n:]
			return n, nil
		case c.dead:
			if _, err := c.r.Discard(max(1, c.r.Buffered())); err != nil {
				return 0, err
			}
		case c.rest > 0:
			n, err := c.r.Read(p[:min(len(p), c.rest)])
			c.rest -= n
			return n, err
		default:
			if err := c.next(); err != nil {
				return 0, err
			}
		}
	}
}

// Write sends the server's frames to the client.
func (c *http2Conn) Write(p []byte) (int, error) { return c.Conn.Write(c.out.watch(p)) }

// frameHeader is the header of a frame (RFC 9113, section 4.1).
type frameHeader struct {
	length      int
	kind, flags byte
	stream      uint32
}

func parseFrameHeader(b *[9]byte) frameHeader {
	return frameHeader{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

func (h frameHeader) has(flag byte) bool { return h.flags&flag != 0 }

func (h frameHeader) append(b []byte) []byte {
	b = append(b, byte(h.length>>16), byte(h.length>>8), byte(h.length), h.kind, h.flags)
	return binary.BigEndian.AppendUint32(b, h.stream)
}

// next reads up to the next bytes for the server.
func (c *http2Conn) next() error {
	if !c.started {
		return c.readPreface()
	}
	if _, err := io.ReadFull(c.r, c.head[:]); err != nil {
		return err
	}
	h := parseFrameHeader(&c.head)
	if detail := c.floods.see(h, h.kind == frameRSTStream && c.isLive(h.stream)); detail != "" {
		c.flood(detail)
		return nil
	}
	continues := h.kind == frameContinuation && c.block.open
	switch {
	case c.block.open && (!continues || h.stream != c.block.header.stream):
		c.end(http.StatusBadRequest, codeProtocol, "a header list is not continued by the next frame")
		return nil
	case (h.kind == frameHeaders || continues) && h.length <= http2FrameBytes:
		return c.readFragment(h)
	case h.kind == frameSettings && !h.has(flagAck) && h.length <= http2FrameBytes:
		return c.readSettings(h)
	case h.kind == frameData:
		if err := c.countData(h); err != nil {
			return err
		}
	case h.kind == frameRSTStream:
		c.forget(h.stream)
	}
	c.ready, c.rest = c.head[:], h.length
	return nil
}

// readPreface reads what every client begins with (RFC 9113, section 3.4).
func (c *http2Conn) readPreface() error {
	c.frame = append(c.frame[:0], http2Preface...)
	if n, err := io.ReadFull(c.r, c.frame); err != nil {
		if n > 0 && http2Preface[:n] != string(c.frame[:n]) {
			c.report("conn_PROTOCOL_ERROR", http.StatusBadRequest, "the connection does not begin with the preface of HTTP/2")
		}
		return err
	}
	if string(c.frame) != http2Preface {
		c.report("conn_PROTOCOL_ERROR", http.StatusBadRequest, "the connection does not begin with the preface of HTTP/2")
		return errors.New("no preface of HTTP/2")
	}
	c.started, c.ready = true, c.frame
	return nil
}

// readFragment reads a HEADERS or CONTINUATION frame, and passes on the request if that completes its header list.
func (c *http2Conn) readFragment(h frameHeader) error {
	b := &c.block
	if h.kind == frameHeaders {
		b.begin(h)
	}
	if b.frames++; b.frames > http2BlockFrames || len(b.encoded)+h.length > http2BlockBytes {
		c.end(http.StatusRequestHeaderFieldsTooLarge, codeProtocol, "the encoded header list is larger than 192 KiB or has more than 128 frames")
		return nil
	}
	at := len(b.encoded)
	b.encoded = slices.Grow(b.encoded, h.length)[:at+h.length]
	if _, err := io.ReadFull(c.r, b.encoded[at:]); err != nil {
		return err
	}
	if h.kind == frameHeaders && !b.strip() {
		c.end(http.StatusBadRequest, codeProtocol, "a HEADERS frame is too short for its padding or priority")
		return nil
	}
	if b.open = !h.has(flagEndHeaders); b.open {
		return nil
	}
	if err := b.decode(); err != nil {
		c.end(http.StatusBadRequest, codeCompression, "a header list does not decode")
		return nil
	}
	defer b.release()
	if h.stream%2 == 1 && h.stream > c.newestID {
		c.newestID = h.stream
		c.request(h.stream)
	} else {
		c.trailer(h.stream)
	}
	return nil
}

// request passes on the request in the block, or a stand-in if it is refused.
func (c *http2Conn) request(id uint32) {
	b := &c.block
	s := &http2Stream{id: id, left: -1, ended: b.header.has(flagEndStream)}
	r := readRequestHead(b.fields)
	status, detail := 0, ""
	switch {
	case b.tooLarge:
		status, detail = http.StatusRequestHeaderFieldsTooLarge, "the header list is larger than 64 KiB"
	default:
		status, detail = r.problem(s.ended)
	}
	fields := b.fields
	if status != 0 {
		c.floods.failed.Add(1)
		s.resets = status == http.StatusBadRequest && r.method != http.MethodHead // whose reply ends the stream by itself
		s.refusal = &http2Refusal{status: status, reply: c.hooks.refused(c.info, status, detail), resets: s.resets}
		fields = standIn(r.method)
	} else {
		fields = r.settleHost(fields)
		if r.length != nil {
			s.left = *r.length
		}
	}
	c.mu.Lock()
	c.streams[id] = s
	c.mu.Unlock()
	c.pass(append(fields, s.mark()))
}

// trailer passes on a header list that begins no request. A malformed trailer is passed on as one for which the server
// resets the stream. Where no trailer may come, the identifier of the stream alone is the fault that the server finds.
func (c *http2Conn) trailer(id uint32) {
	b := &c.block
	var fields []hpack.HeaderField
	c.mu.Lock()
	if s := c.streams[id]; s != nil && s.ended {
		s.late, s.resets = true, true
	} else if s != nil {
		problem := trailerProblem(b.fields)
		switch {
		case b.tooLarge:
			problem = "the trailer is larger than 64 KiB"
		case !b.header.has(flagEndStream):
			problem = "the trailer does not end the stream"
		}
		if fields = b.fields; problem != "" {
			s.spoil(problem)
			s.resets = true
			fields = []hpack.HeaderField{{Name: ":malformed"}}
		}
		c.clientEnds(s)
	}
	c.mu.Unlock()
	c.pass(fields)
}

// pass encodes a header list for the server.
func (c *http2Conn) pass(fields []hpack.HeaderField) {
	b := &c.block
	c.encoded.Reset()
	c.encoded.Write(b.priority)
	for _, f := range fields {
		_ = c.encoder.WriteField(f) // a buffer takes all
	}
	h := frameHeader{kind: frameHeaders, flags: b.header.flags & (flagEndStream | flagPriority), stream: b.header.stream}
	c.frame = c.frame[:0]
	for first := true; first || c.encoded.Len() > 0; first = false {
		part := c.encoded.Next(http2FrameBytes)
		if h.length = len(part); c.encoded.Len() == 0 {
			h.flags |= flagEndHeaders
		}
		c.frame = append(h.append(c.frame), part...)
		h.kind, h.flags = frameContinuation, 0
	}
	c.ready = c.frame
}

// countData counts a DATA frame's part of the body.
func (c *http2Conn) countData(h frameHeader) error {
	n := h.length
	if h.has(flagPadded) {
		if n == 0 {
			return nil // the server's to refuse
		}
		padding, err := c.r.Peek(1)
		if err != nil {
			return err
		}
		if n -= 1 + int(padding[0]); n < 0 {
			return nil // the server's to refuse
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[h.stream]
	if s == nil {
		return nil
	}
	if s.ended {
		s.late, s.resets = true, true
		return nil
	}
	if s.left >= 0 {
		if s.left -= int64(n); s.left < 0 {
			s.spoil("the body is longer than its content-length")
			s.resets = true
		}
	}
	if h.has(flagEndStream) {
		c.clientEnds(s)
	}
	return nil
}

// spoil notes the first thing that is wrong with the body.
func (s *http2Stream) spoil(problem string) {
	if s.malformed == "" {
		s.malformed = problem
	}
}

// clientEnds notes that the client has sent all of s. c.mu is held.
func (c *http2Conn) clientEnds(s *http2Stream) {
	s.ended = true
	if s.left > 0 {
		s.spoil("the body is shorter than its content-length")
	}
	c.settle(s)
}

// settle lets go of a stream that both sides have ended, unless a reset is still to come. If the client has not ended
// it, one comes. c.mu is held.
func (c *http2Conn) settle(s *http2Stream) {
	if s.ended && s.finished && !s.resets {
		delete(c.streams, s.id)
	}
}

// forget lets go of a stream that was reset.
func (c *http2Conn) forget(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, id)
}

// end reports a connection that cannot go on, and lets the server end it by a frame with the same fault.
func (c *http2Conn) end(status int, code uint32, detail string) {
	c.report("conn_"+codeName(code), status, detail)
	c.dead = true
	// A CONTINUATION of nothing is a PROTOCOL_ERROR.
	fault, payload := frameHeader{kind: frameContinuation, flags: flagEndHeaders, stream: 1}, []byte(nil)
	if code == codeCompression {
		payload = []byte{0x80} // the field with the index 0, which does not exist
		fault.kind, fault.length = frameHeaders, len(payload)
	}
	c.ready = append(fault.append(c.frame[:0]), payload...)
	c.frame = c.ready
}

// report reports a connection that ends because of the client, once.
func (c *http2Conn) report(kind string, status int, detail string) {
	c.mu.Lock()
	reported := c.ended
	c.ended = true
	c.mu.Unlock()
	if !reported {
		c.hooks.http2Error(c.info, HTTP2Error{Kind: kind, Status: status, Detail: detail})
	}
}
