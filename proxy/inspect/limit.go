package inspect

import (
	"io"
	"net/http"
	"strings"

	"gatehouse/proxy/event"
	"gatehouse/proxy/limit"
)

// limited counts the request against the rate limits of a stage.
func (i *Inspection) limited(evaluate func(*limit.Limiter, limit.Request) limit.Decision) *Refusal {
	if i.opts.Limits == nil {
		return nil
	}
	_, query, _ := strings.Cut(i.request.Target, "?")
	d := evaluate(i.opts.Limits, limit.Request{
		Time: i.request.Time, Client: i.opts.Client, Method: i.request.Method, Path: i.request.Path, Host: i.request.Host,
		Header: i.header, RawQuery: query, Body: i.limitBody,
	})
	if d.Outcome != limit.Exceeded {
		return nil
	}
	r := i.refuse(event.RateLimit, http.StatusTooManyRequests, d.Detail)
	if r != nil {
		r.RetryAfter = d.RetryAfter
	}
	return r
}

// limitBody gives what limits may look at of the body.
func (i *Inspection) limitBody() (kind string, data []byte) {
	if i.body == nil || i.body.undecoded {
		return i.opts.Kind.String(), nil
	}
	data, err := io.ReadAll(io.LimitReader(i.body.inspected().Reader, limit.MaxBody+1))
	if err != nil { // the spill file: phase 2 meets the same error and reports it
		return i.opts.Kind.String(), nil
	}
	return i.opts.Kind.String(), data
}
