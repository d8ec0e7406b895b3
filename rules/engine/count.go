package engine

import "gatehouse/rules"

// counted is a transaction that is counted when it is closed.
type counted struct {
	rules.Transaction
	observer Observer // nil once it is counted
	// program says that a program judges it, rather than the reference.
	program bool
	failed  bool
}

// count has a transaction counted, if there is someone who counts.
func (e *Engine) count(tx rules.Transaction, program bool) rules.Transaction {
	if e.options.Observer == nil {
		return tx
	}
	return &counted{Transaction: tx, observer: e.options.Observer, program: program}
}

func (c *counted) phase(i *rules.Interruption, err error) (*rules.Interruption, error) {
	c.failed = c.failed || err != nil
	return i, err
}

func (c *counted) RequestHeaders() (*rules.Interruption, error) {
	return c.phase(c.Transaction.RequestHeaders())
}

func (c *counted) RequestBody(b rules.Body) (*rules.Interruption, error) {
	return c.phase(c.Transaction.RequestBody(b))
}

func (c *counted) ResponseHeaders(r *rules.Response) (*rules.Interruption, error) {
	return c.phase(c.Transaction.ResponseHeaders(r))
}

func (c *counted) ResponseBody(b rules.Body) (*rules.Interruption, error) {
	return c.phase(c.Transaction.ResponseBody(b))
}

func (c *counted) Close() *rules.Result {
	result := c.Transaction.Close()
	if c.observer != nil {
		c.observer.Evaluated(c.became(result))
		c.observer = nil
	}
	return result
}

func (c *counted) became(result *rules.Result) Result {
	switch {
	case c.failed:
		return Failed
	case !c.program:
		return OnReference
	case len(result.Matches) > 0:
		return Matched
	}
	return Clean
}
