package http1

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// MaxHead is the longest head of a request in bytes, from the request line to the empty line.
const MaxHead = 64 << 10

// scanner finds the end of a head in a growing buffer, line by line: what can never become a head is refused at once
// and not when the client has waited for its timeout.
type scanner struct {
	begun bool // the empty line that may come first is over
	Lines
}

// scan looks at buffered, which begins with the head, has grown since the last call and never holds more than MaxHead. It gives the length of the
// head's lines, without the empty one at their end, and whether the head is complete. skip is 2 if an empty line
// came before (RFC 9112, section 2.2): those bytes are to be taken away, and the result is counted without them.
func (s *scanner) scan(buffered []byte) (n int, complete bool, skip int, ref *refusal) {
	if !s.begun {
		if len(buffered) == 0 || buffered[0] == '\r' && len(buffered) == 1 {
			return 0, false, 0, nil
		}
		if buffered[0] == '\r' && buffered[1] == '\n' {
			skip = 2
			buffered = buffered[2:]
		}
		s.begun = true
	}
	if len(buffered) > 0 && classes[buffered[0]]&inToken == 0 {
		return 0, false, skip, bad("the request does not begin with a method")
	}
	n, complete, err := s.Scan(buffered)
	switch {
	case err != nil:
		return 0, false, skip, bad(err.Error())
	case !complete && len(buffered) >= MaxHead:
		return 0, false, skip, &refusal{http.StatusRequestHeaderFieldsTooLarge, "the header is longer than 64 KiB"}
	}
	return n, complete, skip, nil
}

// message is what a head says about the connection and the body.
type message struct {
	length    int64 // of the body, -1 if it is chunked
	close     bool  // the client wants the connection closed
	continues bool  // Expect: 100-continue
	upgrade   bool
	hosts     int
}

// parseHead reads the lines of a head, each with its CRLF, into r. All strings of r are parts of s.
func parseHead(s string, lines int, r *http.Request) (message, *refusal) {
	var m message
	line, s := CutLine(s)
	if ref := parseRequestLine(line, r); ref != nil {
		return m, ref
	}
	fields := NewFields(lines - 1)
	r.Header = fields.Header
	for s != "" {
		line, s = CutLine(s)
		name, value, ref := parseField(line)
		if ref != nil {
			return m, ref
		}
		if name == "Host" {
			if m.hosts++; m.hosts > 1 {
				return m, bad("more than one Host")
			}
			r.Host = value
			continue
		}
		fields.Add(name, value)
	}
	if ref := parseHost(r, m.hosts); ref != nil {
		return m, ref
	}
	if ref := m.framing(r); ref != nil {
		return m, ref
	}
	return m, m.rest(r)
}

// quoteName makes a field name fit for a detail.
func quoteName(name string) string {
	if len(name) > 40 {
		name = name[:40] + "..."
	}
	return strconv.Quote(name)
}

// framing finds how the body ends (RFC 9112, section 6). Of two ways to read it, none is taken.
func (m *message) framing(r *http.Request) *refusal {
	lengths, codings := r.Header["Content-Length"], r.Header["Transfer-Encoding"]
	switch {
	case codings == nil && lengths == nil:
		return nil
	case len(lengths) > 1:
		return bad("more than one Content-Length")
	case len(codings) > 1:
		return bad("more than one Transfer-Encoding")
	case codings != nil && lengths != nil:
		return bad("Content-Length beside Transfer-Encoding")
	case codings != nil:
		return m.chunked(r, codings[0])
	}
	n, ok := ParseLength(lengths[0])
	if !ok {
		return bad("Content-Length is no number of bytes")
	}
	m.length, r.ContentLength = n, n
	return nil
}

// chunked takes the one transfer coding that there is. Names of codings are case-insensitive (RFC 9112, section 7).
func (m *message) chunked(r *http.Request, coding string) *refusal {
	if r.ProtoMinor == 0 {
		return bad("Transfer-Encoding in HTTP/1.0")
	}
	if !EqualFold(coding, "chunked") {
		return bad("Transfer-Encoding is not exactly chunked")
	}
	delete(r.Header, "Transfer-Encoding")
	m.length, r.ContentLength, r.TransferEncoding = -1, -1, chunkedOnly
	return declareTrailer(r)
}

// chunkedOnly is shared by all requests; its capacity is its length.
var chunkedOnly = []string{"chunked"}

// ParseLength reads a Content-Length: 1*DIGIT, of which 18 are taken.
func ParseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// rest looks at the fields that are the connection's.
func (m *message) rest(r *http.Request) *refusal {
	m.close = r.ProtoMinor == 0 || HasToken(r.Header["Connection"], "close")
	m.upgrade = r.Header["Upgrade"] != nil
	switch expect := r.Header["Expect"]; {
	case expect == nil:
	case !KnownExpectation(expect):
		return &refusal{http.StatusExpectationFailed, UnknownExpectation}
	case r.ProtoMinor > 0: // of HTTP/1.0 it is ignored (RFC 9110, section 10.1.1)
		m.continues = m.length != 0
	}
	return nil
}

// UnknownExpectation says why a request is refused that is no KnownExpectation.
const UnknownExpectation = "Expect: only 100-continue is known"

// KnownExpectation reports whether the values of a request's Expect fields are one 100-continue (RFC 9110, section 10.1.1).
func KnownExpectation(values []string) bool {
	return len(values) == 1 && EqualFold(values[0], "100-continue")
}

// declareTrailer takes the names of the Trailer field into r.Trailer.
func declareTrailer(r *http.Request) *refusal {
	for _, value := range r.Header["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = trim(name); name == "" {
				continue
			}
			if ref := checkTrailerName(name); ref != nil {
				return ref
			}
			if r.Trailer == nil {
				r.Trailer = http.Header{}
			}
			r.Trailer[textproto.CanonicalMIMEHeaderKey(name)] = nil
		}
	}
	delete(r.Header, "Trailer")
	return nil
}

// CheckTrailerNames says what is wrong with the value of a Trailer field: names of fields (RFC 9110, section 6.6.2).
func CheckTrailerNames(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		if name = trim(name); name == "" {
			continue
		}
		if ref := checkTrailerName(name); ref != nil {
			return ref
		}
	}
	return nil
}

func checkTrailerName(name string) *refusal {
	switch {
	case !IsToken(name):
		return bad("Trailer names what is no field")
	case !TrailerAllowed(name):
		return bad("Trailer names " + quoteName(name) + ", which may not come after a body")
	}
	return nil
}
