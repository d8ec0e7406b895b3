package listener

import (
	"bytes"
	"encoding/binary"
	"net/http"
)

// codeCompression is the error code of header lists that do not decode.
const codeCompression = 0x9

// codeNames are the error codes' names (RFC 9113, section 7).
var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func codeName(code uint32) string {
	if int(code) < len(codeNames) {
		return codeNames[code]
	}
	return "UNKNOWN"
}

// frameWatch follows the frames that the server writes and notices those that reset a stream or end the connection.
type frameWatch struct {
	conn    *http2Conn
	head    [9]byte
	n       int // how much of head has come
	header  frameHeader
	left    int     // bytes of the payload still to come
	payload [8]byte // its beginning
	got     int     // how much of payload has come
	rewrite bool    // the frame gets another error code,
	code    uint32  // this,
	codeAt  int     // at this place of the payload
}

// watch looks at p and gives what is to be written instead.
func (w *frameWatch) watch(p []byte) []byte {
	out := p
	for i := 0; i < len(p); {
		if w.n < len(w.head) {
			n := copy(w.head[w.n:], p[i:])
			w.n += n
			i += n
			if w.n < len(w.head) {
				break
			}
			w.header = parseFrameHeader(&w.head)
			w.left, w.got = w.header.length, 0
			w.choose()
		} else {
			n := min(w.left, len(p)-i)
			if w.rewrite {
				if &out[0] == &p[0] {
					out = bytes.Clone(p)
				}
				var code [4]byte
				binary.BigEndian.PutUint32(code[:], w.code)
				for j := range n {
					if at := w.header.length - w.left + j - w.codeAt; at >= 0 && at < len(code) {
						out[i+j] = code[at]
					}
				}
			}
			w.got += copy(w.payload[min(w.got, len(w.payload)):], p[i:i+n])
			w.left -= n
			i += n
		}
		if w.left == 0 {
			w.n = 0
			w.frame()
		}
	}
	return out
}

// choose decides whether a frame that begins gets another error code: a handler can only reset with INTERNAL_ERROR, and
// the server takes a flood for what it was told instead.
func (w *frameWatch) choose() {
	w.rewrite = true
	switch {
	case w.header.kind == frameRSTStream && w.conn.isRefused(w.header.stream):
		w.code, w.codeAt = codeProtocol, 0
	case w.header.kind == frameGoAway && w.conn.floods.flooded.Load():
		w.code, w.codeAt = codeEnhanceYourCalm, 4
	default:
		w.rewrite = false
	}
}

// frame looks at a whole frame.
func (w *frameWatch) frame() {
	switch {
	case w.header.kind == frameData:
		w.conn.floods.data.Add(1)
	case w.header.kind == frameRSTStream && w.got >= 4:
		w.conn.reset(w.header.stream, binary.BigEndian.Uint32(w.payload[:]))
	case w.header.kind == frameGoAway && w.got >= 8:
		if code := binary.BigEndian.Uint32(w.payload[4:]); code != codeNo && code != codeInternal {
			w.conn.report("conn_"+codeName(code), http.StatusBadRequest, "the connection was ended with "+codeName(code))
		}
	}
}

// isRefused says whether the server resets a stream because its request was refused.
func (c *http2Conn) isRefused(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	return s != nil && s.refusal != nil && s.refusal.resets
}

// reset takes note that the server resets a stream, and reports it if no request's own record tells of it.
func (c *http2Conn) reset(id, code uint32) {
	c.mu.Lock()
	s := c.streams[id]
	delete(c.streams, id)
	fault := HTTP2Error{Kind: "stream_" + codeName(code), Status: http.StatusBadRequest, Detail: "the stream was reset with " + codeName(code)}
	recorded := false
	if s == nil || s.refusal == nil { // a refused request was counted when it came
		switch code {
		case codeNo, codeInternal, codeCancel:
		default:
			c.floods.failed.Add(1)
		}
	}
	switch {
	case code == codeNo, code == codeInternal, code == codeCancel:
		recorded = true // it was a handler of ours that wanted no more
	case s == nil:
		recorded = code == codeStreamClosed // the rest of a body whose request was answered before
	case s.refusal != nil:
		recorded = true
	case s.malformed != "":
		fault.Detail = s.malformed
		if s.handling && !s.finished {
			s.reset = fault.Kind // finish reports it
		}
		recorded = s.told || s.reset != ""
	default:
		recorded = code == codeStreamClosed && !s.late
	}
	c.mu.Unlock()
	if !recorded {
		c.hooks.http2Error(c.info, fault)
	}
}

// begin gives the stream of a request that a handler starts to serve: nil if it was reset in the meantime. It takes
// the mark off the request; refused says that there is no more to do than to answer.
func (c *http2Conn) begin(r *http.Request) (s *http2Stream, refused bool) {
	id, refused := takeMark(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s = c.streams[id]; s != nil {
		s.handling = true
	}
	return s, refused
}

// finish ends what begin began.
func (c *http2Conn) finish(s *http2Stream) {
	if s == nil {
		return
	}
	c.mu.Lock()
	s.finished = true
	if c.streams[s.id] == s && s.refusal == nil {
		c.floods.answered.Add(1)
	}
	c.settle(s)
	unrecorded := s.reset != "" && !s.told
	fault := HTTP2Error{Kind: s.reset, Status: http.StatusBadRequest, Detail: s.malformed}
	c.mu.Unlock()
	if unrecorded {
		c.hooks.http2Error(c.info, fault)
	}
}

// bodyProblem says what is wrong with the body of s, empty if nothing is. told says that the handler records it.
func (c *http2Conn) bodyProblem(s *http2Stream, told bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.told = s.told || told && s.malformed != ""
	return s.malformed
}
