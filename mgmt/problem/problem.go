// Package problem is the one type of error that the manager's packages give for operators to read: its message is shown as it is, and
// holds no secret. Whatever else is an error of the manager itself, which is logged and not shown.
package problem

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what is wrong, and so which status the API answers with.
type Kind int

// The kinds.
const (
	Malformed     Kind = iota + 1 // 400: it cannot be read
	SignedOut                     // 401: who asks is not known
	Forbidden                     // 403: who asks may not
	NotFound                      // 404
	Conflict                      // 409: it does not fit what is there
	Stale                         // 412: somebody has changed it since it was read
	TooLarge                      // 413
	Invalid                       // 422: it can be read, and is wrong
	Unconditional                 // 428: If-Match is missing
	TooMany                       // 429: later
	Unavailable                   // 503: what it needs is away
)

// Problem is an error with its places.
type Problem struct {
	Kind    Kind
	Message string // what is wrong and what would be right
	Places  []Place
	// Code is a word that programs act upon, such as totp_required; most have none.
	Code string
	// RetryAfter is set with TooMany and Unavailable.
	RetryAfter time.Duration
	Cause      error // for the log; never shown
}

// Place is where in the request something is wrong.
type Place struct {
	Location string // such as body.routes[0].path, path.name, query.limit
	Message  string
	Value    any // what is there; nil to leave it out, as with secrets
}

// New makes a problem.
func New(kind Kind, format string, args ...any) *Problem {
	return &Problem{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// At adds a place.
func (p *Problem) At(location, message string, value any) *Problem {
	p.Places = append(p.Places, Place{location, message, value})
	return p
}

// Field is an Invalid with one place.
func Field(location string, value any, format string, args ...any) *Problem {
	message := fmt.Sprintf(format, args...)
	return New(Invalid, "%s: %s", location, message).At(location, message, value)
}

func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Message)
	for _, place := range p.Places {
		if !strings.Contains(p.Message, place.Message) {
			fmt.Fprintf(&b, "; %s: %s", place.Location, place.Message)
		}
	}
	return b.String()
}

func (p *Problem) Unwrap() error { return p.Cause }
