package http1

import (
	"bytes"
	"errors"
	"net/http"
	"net/textproto"
	"strings"
)

// Lines finds the end of a head in a growing buffer, line by line: what can never become a head is found at once, and
// not when the sender has been waited for. Its zero value is ready.
type Lines struct {
	Count int // complete lines, the first one included and the empty one at the end not

	line    int // offset of the current line
	scanned int // offset up to which there is no unseen line break
}

var errBareLF = errors.New("a line of the head ends in a bare LF")

// Scan looks at buffered, which begins with the head and has grown since the last call. It gives the length of the
// head's lines, without the empty one at their end, and whether the head is complete.
func (l *Lines) Scan(buffered []byte) (n int, complete bool, err error) {
	for {
		i := bytes.IndexByte(buffered[l.scanned:], '\n')
		if i < 0 {
			l.scanned = len(buffered)
			return 0, false, nil
		}
		end := l.scanned + i
		switch {
		case end == l.line || buffered[end-1] != '\r':
			return 0, false, errBareLF
		case end-1 == l.line:
			return l.line, true, nil
		}
		l.Count++
		l.line, l.scanned = end+1, end+1
	}
}

// CutLine cuts the first line off s, in which each line ends in CRLF.
func CutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	return s[:i-1], s[i+1:]
}

// ParseField reads a field line: name, colon, value (RFC 9112, section 5). The name is given in canonical spelling.
func ParseField(line string) (name, value string, err error) {
	name, value, ref := parseField(line)
	if ref != nil {
		return "", "", ref
	}
	return name, value, nil
}

func parseField(line string) (name, value string, ref *refusal) {
	i := 0
	for i < len(line) && classes[line[i]]&inToken != 0 {
		i++
	}
	switch {
	case i < len(line) && line[i] == ':' && i > 0:
	case i == 0 && line != "" && (line[0] == ' ' || line[0] == '\t'):
		return "", "", bad("a field is folded over lines (obs-fold)")
	case i == 0:
		return "", "", bad("a field without a name")
	case i == len(line):
		return "", "", bad("a field line without a colon")
	case line[i] == ' ' || line[i] == '\t':
		return "", "", bad("white space in a field name or before its colon")
	default:
		return "", "", bad("a byte in a field name that no name can hold")
	}
	value = line[i+1:]
	if !only(value, inValue) {
		return "", "", bad("a control byte in the value of " + quoteName(line[:i]))
	}
	return textproto.CanonicalMIMEHeaderKey(line[:i]), trim(value), nil
}

// Fields is a header in the making. The first values of all fields are parts of one array.
type Fields struct {
	Header http.Header
	values []string
}

// NewFields has room for n fields.
func NewFields(n int) Fields {
	return Fields{Header: make(http.Header, n), values: make([]string, n)}
}

// Add adds a field, whose name is in canonical spelling. No more are added than there is room for.
func (f *Fields) Add(name, value string) {
	if old := f.Header[name]; old != nil {
		f.Header[name] = append(old, value)
		return
	}
	f.values[0] = value
	f.Header[name] = f.values[:1:1]
	f.values = f.values[1:]
}
