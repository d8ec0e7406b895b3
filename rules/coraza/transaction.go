package coraza

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"go.uber.org/zap"

	"gatehouse/rules"
	"gatehouse/rules/body"
)

// transaction drives one Coraza transaction.
type transaction struct {
	waf    *sharedWAF
	limits rules.Limits
	target func(variable, key, processor string) string

	tx    types.Transaction
	state plugintypes.TransactionState
	// detect keeps interruptions from the caller.
	detect      bool
	contentType string

	phase        rules.Phase
	interruption *rules.Interruption
	// err is why nothing more can be asked of tx. It is returned from the next phase.
	err    error
	result *rules.Result
}

// Begin starts a transaction. What goes wrong is returned by its first phase.
func (s *ruleSet) Begin(r *rules.Request) rules.Transaction {
	s.waf.acquire()
	t := &transaction{
		waf: s.waf, limits: s.limits, target: s.waf.engine.options.Target, detect: r.Detect,
	}
	if t.limits.Arguments <= 0 {
		t.limits.Arguments = defaultArguments
	}
	if t.limits.JSONDepth <= 0 {
		t.limits.JSONDepth = defaultJSONDepth
	}
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			t.contentType = h.Value
			break
		}
	}
	t.err = t.guard("begin", func() error {
		id := r.ID
		if id == "" {
			id = "-"
		}
		t.tx = s.waf.loaded.waf.NewTransactionWithID(id)
		state, ok := t.tx.(plugintypes.TransactionState)
		if !ok {
			return errors.New("this version of Coraza does not give access to variables")
		}
		t.state = state
		fillRequest(t.tx, state, r, s.waf.loaded.detectOnly, t.limits.Arguments)
		return nil
	})
	return t
}

// guard runs f and turns a panic into an error. The transaction is not asked for anything after either.
func (t *transaction) guard(operation string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v", operation, r)
		}
		if err != nil {
			t.err = err
		}
	}()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}

// run runs one phase. It does nothing after an interruption, which in detect the caller does not know of.
func (t *transaction) run(phase rules.Phase, operation string, f func() (*types.Interruption, error)) (*rules.Interruption, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.interruption != nil || t.result != nil {
		return t.shown(), nil
	}
	t.phase = phase
	err := t.guard(operation, func() error {
		interruption, err := f()
		if err != nil {
			return err
		}
		t.interruption = convert(interruption, phase)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.shown(), nil
}

// shown is the interruption as far as the caller may know of it.
func (t *transaction) shown() *rules.Interruption {
	if t.detect {
		return nil
	}
	return t.interruption
}

func convert(i *types.Interruption, phase rules.Phase) *rules.Interruption {
	if i == nil {
		return nil
	}
	status := i.Status
	if i.Action == "drop" {
		status = 0
	}
	return &rules.Interruption{Rule: i.RuleID, Phase: phase, Action: i.Action, Status: status, Data: i.Data}
}

// RequestHeaders runs phase 1.
func (t *transaction) RequestHeaders() (*rules.Interruption, error) {
	return t.run(rules.PhaseRequestHeaders, "inspect request headers", func() (*types.Interruption, error) {
		return t.tx.ProcessRequestHeaders(), nil
	})
}

// RequestBody parses the body as phase 1 decided and runs phase 2. A reader's error is returned.
func (t *transaction) RequestBody(b rules.Body) (*rules.Interruption, error) {
	return t.run(rules.PhaseRequestBody, "inspect request body", func() (*types.Interruption, error) {
		if t.tx.IsRuleEngineOff() {
			return nil, nil
		}
		v := t.state.Variables()
		if b.Truncated {
			set(v.InboundDataError(), "1")
		}
		length := b.Length
		if b.Reader != nil && t.tx.IsRequestBodyAccessible() {
			read, err := t.parseBody(v, b)
			if err != nil {
				return nil, err
			}
			if length < 0 {
				length = read
			}
		}
		if length > 0 {
			set(v.RequestBodyLength(), strconv.FormatInt(length, 10))
		}
		return t.tx.ProcessRequestBody()
	})
}

// parseBody gives the body's values to Coraza and returns how many bytes it had.
func (t *transaction) parseBody(v plugintypes.TransactionVariables, b rules.Body) (int64, error) {
	processor := v.RequestBodyProcessor().Get()
	if processor == "" {
		if !forcesBody(t.tx) {
			return 0, nil
		}
		processor = body.URLEncoded
		set(v.RequestBodyProcessor(), processor)
	}
	parsed, err := body.Parse(processor, b.Reader, body.Options{
		ContentType: t.contentType,
		Truncated:   b.Truncated,
		Arguments:   t.limits.Arguments,
		JSONDepth:   t.limits.JSONDepth,
	})
	if err != nil {
		return 0, err
	}
	fillBody(v, processor, parsed)
	return parsed.Length, nil
}

// ResponseHeaders runs phase 3.
func (t *transaction) ResponseHeaders(r *rules.Response) (*rules.Interruption, error) {
	return t.run(rules.PhaseResponseHeaders, "inspect response headers", func() (*types.Interruption, error) {
		for _, h := range r.Headers {
			t.tx.AddResponseHeader(ownKey(h.Name), h.Value)
		}
		return t.tx.ProcessResponseHeaders(r.Status, r.Protocol), nil
	})
}

// ResponseBody runs phase 4. Which types of response are inspected is the caller's decision.
func (t *transaction) ResponseBody(b rules.Body) (*rules.Interruption, error) {
	return t.run(rules.PhaseResponseBody, "inspect response body", func() (*types.Interruption, error) {
		if t.tx.IsRuleEngineOff() {
			return nil, nil
		}
		v := t.state.Variables()
		if b.Truncated {
			set(v.OutboundDataError(), "1")
		}
		if b.Reader != nil && t.tx.IsResponseBodyAccessible() {
			if err := t.responseText(v, b); err != nil {
				return nil, err
			}
		}
		return t.tx.ProcessResponseBody()
	})
}

// responseText gives the text of the response to Coraza. For types that the text of the policy names, or that a rule
// forces, Coraza takes it from its own buffer, and otherwise leaves the variable as it is.
func (t *transaction) responseText(v plugintypes.TransactionVariables, b rules.Body) error {
	if t.tx.IsResponseBodyProcessable() {
		_, _, err := t.tx.ReadResponseBodyFrom(b.Reader)
		return err
	}
	var text strings.Builder
	read, err := io.Copy(&text, b.Reader)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	set(v.ResponseBody(), text.String())
	set(v.ResponseContentLength(), strconv.FormatInt(read, 10))
	return nil
}

// Close runs phase 5 unless something failed before, and frees the transaction.
func (t *transaction) Close() *rules.Result {
	if t.result != nil {
		return t.result
	}
	failed := t.err != nil
	t.result = &rules.Result{Interruption: t.interruption}
	err := t.guard("close", func() error {
		if t.tx == nil || t.state == nil {
			return nil
		}
		if t.detect && t.waf.loaded.detectOnly && t.interruption == nil {
			kept, err := wouldInterrupt(t.tx)
			if err != nil {
				return err
			}
			t.interruption = convert(kept, phaseOf(t.tx, kept))
		}
		if !failed {
			t.tx.ProcessLogging()
		}
		t.result = t.collect()
		if failed {
			return nil // its state is unknown: it must not be used again for another request
		}
		return t.tx.Close()
	})
	if err := errors.Join(err, t.waf.release()); err != nil {
		t.waf.engine.log.Error("close transaction", zap.Error(err))
	}
	return t.result
}
