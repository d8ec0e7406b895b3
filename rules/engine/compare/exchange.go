package compare

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"gatehouse/rules"
)

// Exchange is all that a transaction is given: a request and its reply, as far as they are inspected. It can be run any
// number of times.
type Exchange struct {
	Request rules.Request
	// Body is that of the request. Nil ends the transaction before phase 2.
	Body *Body
	// Response is the head of the reply. Nil ends the transaction before phase 3.
	Response *rules.Response
	// ResponseBody is that of the reply. Nil ends the transaction before phase 4.
	ResponseBody *Body
}

// Body is a rules.Body that can be read again.
type Body struct {
	// Data are the bytes that are inspected. Nil is no body, which is not the same as an empty one.
	Data      []byte
	Truncated bool
	Length    int64
}

func (b *Body) body() rules.Body {
	out := rules.Body{Truncated: b.Truncated, Length: b.Length}
	if b.Data != nil {
		out.Reader = bytes.NewReader(b.Data)
	}
	return out
}

// Run judges the exchange, up to the first phase that interrupts or fails. A panic is an error of the outcome.
func (x *Exchange) Run(set rules.RuleSet) (o Outcome) {
	defer func() {
		if r := recover(); r != nil {
			o = Outcome{Err: fmt.Sprintf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	request := x.Request
	tx := set.Begin(&request)
	seen, err := x.phases(tx)
	return OutcomeOf(tx.Close(), seen, err)
}

func (x *Exchange) phases(tx rules.Transaction) (*rules.Interruption, error) {
	if i, err := tx.RequestHeaders(); i != nil || err != nil || x.Body == nil {
		return i, err
	}
	if i, err := tx.RequestBody(x.Body.body()); i != nil || err != nil || x.Response == nil {
		return i, err
	}
	if i, err := tx.ResponseHeaders(x.Response); i != nil || err != nil || x.ResponseBody == nil {
		return i, err
	}
	return tx.ResponseBody(x.ResponseBody.body())
}
