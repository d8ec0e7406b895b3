package parity

import (
	"slices"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/rulestest"
)

// Exchange is a request with what the upstream answers.
type Exchange struct {
	// Name says where it comes from.
	Name    string
	Request rules.Request // Detect is set by the mode
	// Body is nil if the request has none.
	Body []byte
	// Truncated says that the body went on.
	Truncated bool
	// Response is nil if the phases of the reply do not run.
	Response     *rules.Response
	ResponseBody []byte
	// HeadersOnly says that phase 4 does not run, as for most replies.
	HeadersOnly bool
}

// clone is a copy that can be changed without changing x.
func (x *Exchange) clone() *Exchange {
	c := *x
	c.Request.Headers = slices.Clone(x.Request.Headers)
	c.Body = slices.Clone(x.Body)
	c.ResponseBody = slices.Clone(x.ResponseBody)
	if x.Response != nil {
		r := *x.Response
		r.Headers = slices.Clone(r.Headers)
		c.Response = &r
	}
	return &c
}

// Run judges the exchange in a mode. A panic is an error of the outcome.
func (x *Exchange) Run(set rules.RuleSet, mode rulestest.Mode) Outcome {
	whole := compare.Exchange{Request: x.Request, Body: &compare.Body{Truncated: x.Truncated}, Response: x.Response}
	whole.Request.Detect = mode == rulestest.ModeDetect
	if len(x.Body) > 0 {
		whole.Body.Data, whole.Body.Length = x.Body, int64(len(x.Body))
	}
	if x.Truncated {
		whole.Body.Length = -1
	}
	if x.Response != nil && !x.HeadersOnly {
		whole.ResponseBody = &compare.Body{}
		if len(x.ResponseBody) > 0 {
			whole.ResponseBody.Data, whole.ResponseBody.Length = x.ResponseBody, int64(len(x.ResponseBody))
		}
	}
	return whole.Run(set)
}
