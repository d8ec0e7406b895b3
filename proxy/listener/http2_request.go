package listener

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy/http1"
)

// markField carries the identifier of a stream, and whether its request is a stand-in, from the connection to the
// handler, which net/http does not tell. Clients cannot set it: what they send by this name is left out.
const (
	markField     = "gatehouse-stream"
	markHeader    = "Gatehouse-Stream" // the same as net/http writes it
	markedRefused = " refused"
)

// mark is the field that leads the handler to s.
func (s *http2Stream) mark() hpack.HeaderField {
	value := strconv.FormatUint(uint64(s.id), 10)
	if s.refusal != nil {
		value += markedRefused
	}
	return hpack.HeaderField{Name: markField, Value: value, Sensitive: true} // sensitive: not kept in the table
}

// takeMark takes the mark off a request.
func takeMark(r *http.Request) (id uint32, refused bool) {
	value, refused := strings.CutSuffix(strings.Join(r.Header[markHeader], ""), markedRefused)
	delete(r.Header, markHeader)
	n, err := strconv.ParseUint(value, 10, 31)
	return uint32(n), refused || err != nil // every request has a mark; one without is none of ours to serve
}

// standIn is what the server gets instead of a malformed request.
func standIn(method string) []hpack.HeaderField {
	if method != http.MethodHead { // whose reply has no body
		method = http.MethodGet
	}
	return []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}}
}

// requestHead is what a header list says of the request, and what is wrong with it.
type requestHead struct {
	method, scheme, path, authority string
	host                            string   // the first Host field
	hosts                           int      // how many there are
	length                          *int64   // the content-length
	expect, trailer                 []string // the values of these fields

	wrong string   // the first thing wrong with a field
	seen  []string // of the fields that may come once
}

// readRequestHead checks the fields one by one (RFC 9113, sections 8.2 and 8.3).
func readRequestHead(fields []hpack.HeaderField) *requestHead {
	r := &requestHead{seen: make([]string, 0, 5)}
	regular := false
	for _, f := range fields {
		var wrong string
		if f.IsPseudo() {
			if wrong = r.pseudo(f); wrong == "" && regular {
				wrong = "a pseudo-header field comes after others"
			}
		} else {
			regular = true
			wrong = r.field(f)
		}
		if wrong == "" && !http1.IsValue(f.Value) {
			wrong = "invalid value of field " + quote(f.Name)
		}
		if r.wrong == "" {
			r.wrong = wrong
		}
	}
	return r
}

// pseudo takes a pseudo-header field.
func (r *requestHead) pseudo(f hpack.HeaderField) (wrong string) {
	if slices.Contains(r.seen, f.Name) {
		return "repeated pseudo-header field " + quote(f.Name)
	}
	switch f.Name {
	case ":method":
		r.method = f.Value
	case ":scheme":
		r.scheme = f.Value
	case ":path":
		r.path = f.Value
	case ":authority":
		r.authority = f.Value
	default:
		return "pseudo-header field " + quote(f.Name) + " is not one of a request"
	}
	r.seen = append(r.seen, f.Name)
	return ""
}

// field takes a field that is none.
func (r *requestHead) field(f hpack.HeaderField) (wrong string) {
	if wrong := nameProblem(f.Name); wrong != "" {
		return wrong
	}
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return "field " + quote(f.Name) + " is one of HTTP/1.1"
	case "te":
		if slices.Contains(r.seen, f.Name) || f.Value != "trailers" && f.Value != "" {
			return `field "te" may only be "trailers" in HTTP/2`
		}
		r.seen = append(r.seen, f.Name)
	case "host":
		if r.hosts++; r.hosts == 1 {
			r.host = f.Value
		}
	case "content-length":
		length, ok := http1.ParseLength(f.Value)
		if !ok {
			return "content-length is no number"
		}
		if r.length != nil {
			return "several content-lengths"
		}
		r.length = &length
	case "expect":
		r.expect = append(r.expect, f.Value)
	case "trailer":
		r.trailer = append(r.trailer, f.Value)
	}
	return ""
}

// nameProblem says what is wrong with the name of a field.
func nameProblem(name string) string {
	switch {
	case !http1.IsToken(name):
		return "invalid field name " + quote(name)
	case strings.ToLower(name) != name:
		return "field name " + quote(name) + " has upper-case letters"
	}
	return ""
}

// problem says why the request is refused, and with which status; 0 if it is not. What is asked of its parts is what
// package http1 asks of them. ended says that there is no body.
func (r *requestHead) problem(ended bool) (status int, detail string) {
	switch detail = cmp.Or(r.wrong, r.lineProblem(), r.hostProblem(), r.bodyProblem(ended)); {
	case detail != "":
		return http.StatusBadRequest, detail
	case r.expect != nil && !http1.KnownExpectation(r.expect):
		return http.StatusExpectationFailed, http1.UnknownExpectation
	}
	return 0, ""
}

// lineProblem looks at what is the request line in HTTP/1.1.
func (r *requestHead) lineProblem() string {
	target := r.path
	switch {
	case r.method == "":
		return "no :method"
	case !http1.IsToken(r.method):
		return ":method is no method"
	case r.method == http.MethodConnect:
		if slices.Contains(r.seen, ":path") || slices.Contains(r.seen, ":scheme") || r.authority == "" {
			return "CONNECT has :authority, and neither :scheme nor :path"
		}
		target = r.authority
	case r.scheme != "http" && r.scheme != "https":
		return ":scheme is neither http nor https"
	case r.path == "":
		return "no :path"
	case r.path[0] != '/' && r.path != "*":
		return "invalid :path: it is neither a path nor *" // a URL has its parts in fields of their own
	}
	if err := http1.CheckTarget(r.method, target); err != nil {
		return "invalid :path: " + err.Error()
	}
	return ""
}

// hostProblem looks at :authority and Host.
func (r *requestHead) hostProblem() string {
	if r.authority == "" && r.host == "" {
		return "neither :authority nor Host"
	}
	if err := http1.CheckHost(r.authority, r.host, r.hosts); err != nil {
		return "invalid :authority or Host: " + err.Error()
	}
	return ""
}

// bodyProblem looks at what is said of the body.
func (r *requestHead) bodyProblem(ended bool) string {
	if ended && r.length != nil && *r.length > 0 {
		return "the body is shorter than its content-length"
	}
	if ended || r.length != nil { // no trailer can be meant: in HTTP/1.1 only chunked bodies have one
		return ""
	}
	for _, value := range r.trailer {
		if err := http1.CheckTrailerNames(value); err != nil {
			return err.Error()
		}
	}
	return ""
}

// settleHost leaves the host in :authority alone: handlers get no Host field, as of HTTP/1.1.
func (r *requestHead) settleHost(fields []hpack.HeaderField) []hpack.HeaderField {
	if r.hosts == 0 {
		return fields
	}
	fields = slices.DeleteFunc(fields, func(f hpack.HeaderField) bool { return f.Name == "host" || f.Name == ":authority" })
	return slices.Insert(fields, 0, hpack.HeaderField{Name: ":authority", Value: cmp.Or(r.authority, r.host)})
}

// trailerProblem says what makes a trailer malformed, empty if nothing does.
func trailerProblem(fields []hpack.HeaderField) string {
	for _, f := range fields {
		wrong := nameProblem(f.Name)
		switch {
		case f.IsPseudo():
			return "the trailer has a pseudo-header field"
		case wrong != "":
			return "the trailer: " + wrong
		case !http1.IsValue(f.Value):
			return "the trailer: invalid value of field " + quote(f.Name)
		case !http1.TrailerAllowed(f.Name):
			return "the trailer holds " + quote(f.Name) + ", which may not come after a body"
		}
	}
	return ""
}

// quote shows a name that a client has sent.
func quote(name string) string { return fmt.Sprintf("%.40q", name) }
