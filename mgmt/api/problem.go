package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// statuses has the status of each kind of problem.
var statuses = map[problem.Kind]int{
	problem.Malformed: http.StatusBadRequest, problem.SignedOut: http.StatusUnauthorized, problem.Forbidden: http.StatusForbidden,
	problem.NotFound: http.StatusNotFound, problem.Conflict: http.StatusConflict, problem.Stale: http.StatusPreconditionFailed,
	problem.TooLarge: http.StatusRequestEntityTooLarge, problem.Invalid: http.StatusUnprocessableEntity,
	problem.Unconditional: http.StatusPreconditionRequired, problem.TooMany: http.StatusTooManyRequests,
	problem.Unavailable: http.StatusServiceUnavailable,
}

// Problem is the body of every answer with a status of 400 and more (RFC 9457, application/problem+json).
type Problem struct {
	Type   string  `json:"type,omitempty" doc:"a word for programs to act upon; most problems have none"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty" doc:"what is wrong, and what would be right"`
	Errors []Fault `json:"errors,omitempty" doc:"each thing that is wrong"`

	retryAfter int // seconds
}

// Fault is one thing that is wrong, and where.
type Fault struct {
	Location string `json:"location,omitempty" example:"body.routes[0].path"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty"`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus is what huma asks for.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is what huma asks for.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders is what huma asks for.
func (p *Problem) GetHeaders() http.Header {
	if p.retryAfter == 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(p.retryAfter)}}
}

// reply is a problem as it is sent.
func reply(p *problem.Problem) *Problem {
	status := statuses[p.Kind]
	out := &Problem{
		Type: p.Code, Title: http.StatusText(status), Status: status, Detail: p.Message,
		retryAfter: int(math.Ceil(p.RetryAfter.Seconds())),
	}
	for _, place := range p.Places {
		out.Errors = append(out.Errors, Fault{place.Location, place.Message, shown(place.Location, place.Value)})
	}
	return out
}

// failure is an error as it is sent: problems as they are, and of all others only that there was one.
func (a *API) failure(route *Route, err error) *Problem {
	var p *problem.Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p) && statuses[p.Kind] != 0:
		if p.Cause != nil {
			a.log.Info("refused", zap.String("problem", p.Message), zap.Error(p.Cause))
		}
		return reply(p)
	case errors.As(err, &tooLarge):
		return reply(problem.New(problem.TooLarge, "the body has more than %d bytes", tooLarge.Limit))
	case errors.Is(err, store.ErrNotFound):
		return reply(problem.New(problem.NotFound, "there is no such thing"))
	}
	id := "none"
	if route != nil {
		id = route.ID
	}
	a.log.Error("a request failed", zap.String("route", id), zap.Error(err))
	return &Problem{
		Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
		Detail: "the manager could not do this; its log says why",
	}
}

// write sends a problem outside of huma.
func write(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone needs no answer
}

// problems has huma, whose functions for that are global, write its own errors as ours.
var problems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := &Problem{Title: http.StatusText(status), Status: status, Detail: message}
		for _, err := range errs {
			if err == nil {
				continue
			}
			var d huma.ErrorDetailer
			if errors.As(err, &d) {
				e := d.ErrorDetail()
				p.Errors = append(p.Errors, Fault{e.Location, e.Message, shown(e.Location, e.Value)})
				continue
			}
			p.Errors = append(p.Errors, Fault{Message: err.Error()})
		}
		if n := len(p.Errors); n > 0 && message == "validation failed" {
			p.Detail = fmt.Sprintf("%s: %s", p.Errors[0].Location, p.Errors[0].Message)
			if n > 1 {
				p.Detail += fmt.Sprintf(" (and %d more)", n-1)
			}
		}
		return p
	}
	huma.NewErrorWithContext = func(_ huma.Context, status int, message string, errs ...error) huma.StatusError {
		return huma.NewError(status, message, errs...)
	}
})

// secretField are names of fields whose values are never shown.
var secretField = regexp.MustCompile(`(?i)(password|secret|token|code|key|authorization|cookie|credential)`)

const maxShown = 200

// shown is a value as an answer may carry it: short, no document, and no secret.
func shown(location string, value any) any {
	if value == nil || secretField.MatchString(location) {
		return nil
	}
	switch reflect.ValueOf(value).Kind() {
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Struct, reflect.Pointer:
		return nil
	case reflect.String:
		if s := fmt.Sprint(value); len(s) > maxShown {
			return s[:maxShown] + "..."
		}
	}
	return value
}
