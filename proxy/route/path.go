package route

import (
	"errors"
	"strings"
)

// Path is the path of a request, computed once for routing, rules and forwarding (RFC 3986, sections 3.3 and 5.2.4).
type Path struct {
	// Forward is what the upstream gets: the client's own bytes, unless dot segments had to be resolved.
	Forward string
	// Canonical is decoded, without dot segments and with runs of slashes merged: what routes and rules match.
	Canonical string
	// EncodedSlash says that a segment holds %2F (or %5C), which an upstream may take for a separator.
	EncodedSlash bool

	// literal is decoded and without dot segments, but with its slashes as they were sent. An upstream that does
	// not merge slashes sees this one.
	literal string
}

// Errors of ParsePath: paths that no two servers are sure to read alike.
var (
	ErrNotAbsolute = errors.New("the path does not begin with a slash")
	ErrNUL         = errors.New("the path holds a NUL byte")
	ErrBackslash   = errors.New("the path holds a backslash")
	ErrDotParams   = errors.New("a dot segment carries parameters")
	ErrAboveRoot   = errors.New("dot segments lead above the root")
	ErrEncodedDots = errors.New("an encoded slash hides a dot segment")
)

// ParsePath reads the path of a request target, without its query. Malformed percent escapes stay as they are; of
// HTTP requests, the reader refuses those with a malformed one in the path.
func ParsePath(raw string) (Path, error) {
	if raw == "*" { // OPTIONS *, RFC 9110 section 9.3.7
		return Path{Forward: raw, Canonical: "/", literal: "/"}, nil
	}
	if raw == "" || raw[0] != '/' {
		return Path{}, ErrNotAbsolute
	}
	if isPlain(raw) {
		return Path{Forward: raw, Canonical: raw, literal: raw}, nil
	}
	p := Path{Forward: raw}
	segments := strings.Count(raw, "/")
	kept, decoded := make([]string, 0, segments), make([]string, 0, segments) // as sent, and decoded
	dots := false
	rest := raw[1:]
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		plain := Decode(segment)
		switch {
		case strings.IndexByte(plain, 0) >= 0:
			return Path{}, ErrNUL
		case strings.IndexByte(segment, '\\') >= 0:
			return Path{}, ErrBackslash
		case strings.ContainsAny(plain, `/\`):
			p.EncodedSlash = true
			if hidesDots(plain) {
				return Path{}, ErrEncodedDots
			}
		}
		switch name, _, params := strings.Cut(plain, ";"); {
		case name != "." && name != "..":
			kept, decoded = append(kept, segment), append(decoded, plain)
			continue
		case params:
			return Path{}, ErrDotParams
		case name == "..":
			if len(kept) == 0 {
				return Path{}, ErrAboveRoot
			}
			kept, decoded = kept[:len(kept)-1], decoded[:len(decoded)-1]
		}
		dots = true
		if !more { // a final dot segment leaves its slash
			kept, decoded = append(kept, ""), append(decoded, "")
		}
	}
	p.literal = "/" + strings.Join(decoded, "/")
	if dots {
		p.Forward = "/" + strings.Join(kept, "/")
	}
	p.Canonical = mergeSlashes(p.literal)
	return p, nil
}

// hidesDots says that s, cut at slashes and backslashes, has a dot segment.
func hidesDots(s string) bool {
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, _, _ := strings.Cut(part, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}

// isPlain says that nothing in raw needs decoding, resolving or merging.
func isPlain(raw string) bool {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '%', '\\', 0:
			return false
		case '/':
			if i+1 < len(raw) && (raw[i+1] == '/' || raw[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

// Decode resolves the well-formed percent escapes of s, once (RFC 3986, section 2.1); others stay as they are.
func Decode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi < 16 && lo < 16 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// mergeSlashes turns every run of slashes into one.
func mergeSlashes(s string) string {
	if !strings.Contains(s, "//") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '/' && len(out) > 0 && out[len(out)-1] == '/' {
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}
