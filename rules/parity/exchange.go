package parity

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"

	"gatehouse/rules"
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
func (x *Exchange) Run(set rules.RuleSet, mode rulestest.Mode) (o Outcome) {
	defer func() {
		if r := recover(); r != nil {
			o = Outcome{Err: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	request := x.Request
	request.Detect = mode == rulestest.ModeDetect
	tx := set.Begin(&request)
	seen, err := x.phases(tx)
	return outcomeOf(tx.Close(), seen, err)
}

// phases runs the phases up to the first that interrupts or fails.
func (x *Exchange) phases(tx rules.Transaction) (*rules.Interruption, error) {
	if i, err := tx.RequestHeaders(); i != nil || err != nil {
		return i, err
	}
	body := rules.Body{Truncated: x.Truncated}
	if len(x.Body) > 0 {
		body.Reader, body.Length = bytes.NewReader(x.Body), int64(len(x.Body))
	}
	if x.Truncated {
		body.Length = -1
	}
	if i, err := tx.RequestBody(body); i != nil || err != nil {
		return i, err
	}
	if x.Response == nil {
		return nil, nil
	}
	if i, err := tx.ResponseHeaders(x.Response); i != nil || err != nil {
		return i, err
	}
	var reply rules.Body
	if len(x.ResponseBody) > 0 {
		reply = rules.Body{Reader: bytes.NewReader(x.ResponseBody), Length: int64(len(x.ResponseBody))}
	}
	return tx.ResponseBody(reply)
}
