package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// Kind says what kept a request from being answered by its upstream. The list is closed.
type Kind string

// The kinds of errors.
const (
	Timeout     Kind = "timeout"     // connecting or waiting for the first byte took too long: 504
	Unreachable Kind = "unreachable" // no address, or none could be reached: 502
	Broken      Kind = "broken"      // the upstream broke off, or its reply is not valid HTTP: 502
	Refused     Kind = "refused"     // every address is one that must never be an upstream: 502
	ClientGone  Kind = "client_gone" // the request's context was cancelled: nobody waits for a reply
	BodyFailed  Kind = "body_failed" // reading the request's body failed; Unwrap gives the reader's error
	Invalid     Kind = "invalid"     // the request cannot be written without changing it: 400
)

// Step is how far a request had come when it failed.
type Step string

// The steps, in order.
const (
	StepPrepare Step = "prepare"
	StepResolve Step = "resolve"
	StepConnect Step = "connect"
	StepTLS     Step = "tls"
	StepWrite   Step = "write"
	StepReply   Step = "reply" // waiting for the reply, reading its head or its body
)

// Error is the error of RoundTrip and of the body of a reply.
type Error struct {
	Kind     Kind
	Step     Step
	Upstream string
	Address  netip.AddrPort // zero if none was chosen
	Err      error
}

func (e *Error) Error() string {
	if e.Address.IsValid() {
		return fmt.Sprintf("upstream %s: %s %s: %v", e.Upstream, e.Step, e.Address, e.Err)
	}
	return fmt.Sprintf("upstream %s: %s: %v", e.Upstream, e.Step, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status is the status that a client is told: 504, 502 or 400. It is 0 for ClientGone and BodyFailed, where the caller
// knows what is right.
func (e *Error) Status() int {
	switch e.Kind {
	case Timeout:
		return http.StatusGatewayTimeout
	case Unreachable, Broken, Refused:
		return http.StatusBadGateway
	case Invalid:
		return http.StatusBadRequest
	default:
		return 0
	}
}

// Causes that Unwrap can lead to.
var (
	ErrNoAddress      = errors.New("no address is known")
	ErrClosed         = errors.New("the upstream is closed")
	ErrHeaderTooLarge = fmt.Errorf("the reply's header exceeds %d bytes", maxReplyHeader)
	ErrBodyLength     = errors.New("the request's body is not as long as its Content-Length")
)

// bodyError marks an error of the request's own body.
type bodyError struct{ err error }

func (e bodyError) Error() string { return "read the request's body: " + e.err.Error() }
func (e bodyError) Unwrap() error { return e.err }

// classify makes the typed error of a failure at a step.
func classify(ctx context.Context, step Step, err error) *Error {
	e := &Error{Step: step, Err: err}
	var typed *Error
	var netErr net.Error
	var body bodyError
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.Kind, e.Err = Timeout, context.Cause(ctx)
	case ctx.Err() != nil:
		e.Kind, e.Err = ClientGone, context.Cause(ctx)
	case errors.As(err, &body):
		e.Kind, e.Err = BodyFailed, body.err
	case errors.As(err, &netErr) && netErr.Timeout():
		e.Kind = Timeout
	case step == StepConnect || step == StepTLS || step == StepResolve:
		e.Kind = Unreachable
	default:
		e.Kind = Broken
	}
	return e
}
