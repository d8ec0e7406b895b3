// Package reply writes what a client sees when the gateway answers itself: a page for people, problem+json (RFC 9457)
// for programs, a status for gRPC.
//
// Invariant: a reply tells the client its incident ID and what kind of thing happened, never which rule or limit of
// inspection it was. It is never cached and never empty where a body is allowed.
package reply

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/proxy/event"
)

// IncidentHeader carries the incident ID.
const IncidentHeader = "X-Gatehouse-Incident"

// Format is the form of a reply.
type Format int

// The formats.
const (
	Negotiated  Format = iota // gRPC by content type, else by Accept
	HTML                      // a page
	ProblemJSON               // application/problem+json
	GRPC                      // status 200 with grpc-status
	GRPCWeb                   // the same for gRPC-Web
)

// Reply is what is to be said.
type Reply struct {
	Status   int // of HTTP; what is not between 200 and 599 is 403
	Reason   event.Reason
	Outbound bool // the reply of the upstream was refused, not the request
	Incident string
	Contact  string // of the operator: an e-mail address, mailto:, http(s): URL or plain text
	Time     time.Time
	Host     string
	// Template is the operator's own page, nil for ours.
	Template *Template
	// Detail is a further sentence that is safe for clients.
	Detail     string
	RetryAfter time.Duration
	Allow      []string // methods, for 405
	Force      Format
	// Close asks for the end of the connection after the reply.
	Close bool
}

// Write answers r. Headers that are set already stay, except those that describe another body.
func Write(w http.ResponseWriter, r *http.Request, p Reply) {
	p = p.normal()
	format := p.Force
	if format == Negotiated {
		if format = grpcFormat(r.Header.Get("Content-Type")); format == Negotiated {
			format = Negotiate(r.Header.Values("Accept"))
			w.Header().Add("Vary", "Accept")
		}
	}
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Range", "Content-Language", "Transfer-Encoding", "Trailer", "Etag", "Last-Modified", "Expires", "Accept-Ranges", "Set-Cookie"} {
		h.Del(name)
	}
	status, body := p.render(format, h.Set)
	if p.Close {
		h.Set("Connection", "close")
	}
	if !bodyAllowed(status) {
		w.WriteHeader(status)
		return
	}
	if format != GRPC && format != GRPCWeb {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead && len(body) > 0 {
		w.Write(body) // the client may be gone: there is no one left to tell
	}
}

// RawHTTP1 gives a whole HTTP/1.1 reply for a connection whose request could not be read, so that neither its format nor
// its method is known. It is a page, as people have no other way to see the incident ID, unless p.Force says otherwise.
// The connection is to be closed after it.
func RawHTTP1(p Reply) []byte {
	p = p.normal()
	if p.Force == Negotiated {
		p.Force = HTML
	}
	h := make(http.Header)
	status, body := p.render(p.Force, h.Set)
	h.Set("Date", p.Time.Format(http.TimeFormat))
	h.Set("Connection", "close")
	if bodyAllowed(status) {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	} else {
		body = nil
	}
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + statusText(status) + "\r\n")
	_ = h.Write(&b) // a buffer takes all; replaces line breaks in values
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// normal fills in what a reply cannot do without.
func (p Reply) normal() Reply {
	if p.Status < 200 || p.Status > 599 {
		p.Status = http.StatusForbidden
	}
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	p.Time = p.Time.UTC()
	return p
}

// render sets the headers of a reply in this format and gives its status and body.
func (p *Reply) render(format Format, set func(name, value string)) (int, []byte) {
	set("Cache-Control", "no-store")
	set("X-Content-Type-Options", "nosniff")
	if p.Incident != "" {
		set(IncidentHeader, p.Incident)
	}
	if p.RetryAfter > 0 {
		set("Retry-After", strconv.FormatInt(int64(math.Ceil(p.RetryAfter.Seconds())), 10))
	}
	if len(p.Allow) > 0 {
		set("Allow", strings.Join(p.Allow, ", "))
	}
	switch format {
	case GRPC, GRPCWeb:
		set("Content-Type", "application/grpc")
		if format == GRPCWeb {
			set("Content-Type", "application/grpc-web+proto")
		}
		set("Grpc-Status", strconv.Itoa(grpcStatus(p.Status)))
		set("Grpc-Message", grpcMessage(p))
		return http.StatusOK, nil
	case HTML:
		set("Content-Type", "text/html; charset=utf-8")
		set("Referrer-Policy", "no-referrer")
		if p.Template != nil {
			if body, err := p.Template.execute(p.view()); err == nil {
				set("Content-Security-Policy", templatePolicy)
				return p.Status, body
			}
		}
		set("Content-Security-Policy", pagePolicy)
		return p.Status, appendPage(nil, p.view())
	}
	set("Content-Type", "application/problem+json")
	set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	return p.Status, problem(p)
}

// bodyAllowed says whether a reply with this status has a body.
func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Refused"
}
