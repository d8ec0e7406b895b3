package engine

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
)

// recorded is what a transaction was given and what it came to.
type recorded struct {
	exchange compare.Exchange
	outcome  compare.Outcome
	result   *rules.Result
}

// recorder is a transaction that keeps what it is given, so that it can be run again.
type recorder struct {
	rules.Transaction
	kept compare.Exchange
	// most bounds the bytes of each body.
	most int
	// done gets the record after Close, unless there is none.
	done func(recorded)
	seen *rules.Interruption
	err  error
	// incomplete says that not all was kept: a body is too large or could not be read, or the program reached a bound,
	// which the reference does not have.
	incomplete bool
	closed     bool
}

func record(tx rules.Transaction, r *rules.Request, most int, done func(recorded)) rules.Transaction {
	t := &recorder{Transaction: tx, kept: compare.Exchange{Request: *r}, most: most, done: done}
	t.kept.Request.Headers = slices.Clone(r.Headers)
	return t
}

func (t *recorder) phase(i *rules.Interruption, err error) (*rules.Interruption, error) {
	if i != nil {
		t.seen = i
	}
	if err != nil {
		t.err = err
		var bound *rules.BoundError
		t.incomplete = t.incomplete || errors.As(err, &bound)
	}
	return i, err
}

func (t *recorder) RequestHeaders() (*rules.Interruption, error) {
	return t.phase(t.Transaction.RequestHeaders())
}

func (t *recorder) RequestBody(b rules.Body) (*rules.Interruption, error) {
	t.kept.Body = t.keep(&b)
	return t.phase(t.Transaction.RequestBody(b))
}

func (t *recorder) ResponseHeaders(r *rules.Response) (*rules.Interruption, error) {
	kept := *r
	kept.Headers = slices.Clone(r.Headers)
	t.kept.Response = &kept
	return t.phase(t.Transaction.ResponseHeaders(r))
}

func (t *recorder) ResponseBody(b rules.Body) (*rules.Interruption, error) {
	t.kept.ResponseBody = t.keep(&b)
	return t.phase(t.Transaction.ResponseBody(b))
}

func (t *recorder) Close() *rules.Result {
	result := t.Transaction.Close()
	if !t.closed && !t.incomplete {
		t.done(recorded{t.kept, compare.OutcomeOf(result, t.seen, t.err), result})
	}
	t.closed = true
	return result
}

// keep copies a body, and gives the transaction another reader of the same bytes.
func (t *recorder) keep(b *rules.Body) *compare.Body {
	kept := &compare.Body{Truncated: b.Truncated, Length: b.Length}
	if b.Reader == nil {
		return kept
	}
	if sized, ok := b.Reader.(interface{ Len() int }); t.incomplete || ok && sized.Len() > t.most {
		t.incomplete = true
		return kept
	}
	data, err := io.ReadAll(io.LimitReader(b.Reader, int64(t.most)+1))
	switch {
	case err != nil:
		t.incomplete, b.Reader = true, io.MultiReader(bytes.NewReader(data), broken{err})
	case len(data) > t.most:
		t.incomplete, b.Reader = true, io.MultiReader(bytes.NewReader(data), b.Reader)
	default:
		kept.Data, b.Reader = data, bytes.NewReader(data)
	}
	return kept
}

// broken is a reader that fails.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
