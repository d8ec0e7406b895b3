package engine

import (
	"bytes"

	"gatehouse/bench/mix"
	"gatehouse/rules"
	"gatehouse/rules/parity"
)

// Request is what is judged.
type Request struct {
	rules.Request
	Body []byte
}

// source makes texts that patterns are slow on, too.
type source struct{ mix.Source }

func newSource(seed uint64) source { return source{mix.NewSource(seed)} }

// reply is that of all requests.
var reply = &rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{
	{Name: "Content-Type", Value: "text/html; charset=utf-8"},
	{Name: "Content-Length", Value: "2048"},
	{Name: "Cache-Control", Value: "no-store"},
	{Name: "Date", Value: "Fri, 15 Jan 2027 12:00:00 GMT"},
	{Name: "Server", Value: "shop"},
	{Name: "X-Content-Type-Options", Value: "nosniff"},
}}

// Judge runs the phases that a gateway runs when replies are not inspected.
func (r *Request) Judge(set rules.RuleSet) (*rules.Result, error) {
	tx := set.Begin(&r.Request)
	err := r.phases(tx)
	return tx.Close(), err
}

func (r *Request) phases(tx rules.Transaction) error {
	if i, err := tx.RequestHeaders(); i != nil || err != nil {
		return err
	}
	var body rules.Body
	if len(r.Body) > 0 {
		body = rules.Body{Reader: bytes.NewReader(r.Body), Length: int64(len(r.Body))}
	}
	if i, err := tx.RequestBody(body); i != nil || err != nil {
		return err
	}
	_, err := tx.ResponseHeaders(reply)
	return err
}

// Size is about how many bytes the request has on the wire.
func (r *Request) Size() int {
	n := len(r.Method) + len(r.Target) + len(r.Body) + 14
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value) + 4
	}
	return n
}

// judged are those of a mix as a gateway shows them to its engine.
func judged(from []mix.Request) []Request {
	out := make([]Request, len(from))
	for i, r := range from {
		headers := make([]rules.Header, len(r.Headers))
		for k, h := range r.Headers {
			headers[k] = rules.Header{Name: h.Name, Value: h.Value}
		}
		out[i] = Request{Request: parity.NewRequest(r.Method, r.Target, headers...), Body: r.Body}
	}
	return out
}
