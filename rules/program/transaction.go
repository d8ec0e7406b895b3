package program

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/variable"
)

// Options are what transactions need besides the program.
type Options struct {
	Limits rules.Limits
	// Target names a matched value in the syntax of exclusions, as coraza.Options.Target does. Nil names none.
	Target   func(variable, key, processor string) string
	Settings resolve.Settings
	Profile  *Profile // gets what rules cost; nil for none
}

// RuleSet runs a program, as a rules.RuleSet. It is safe for concurrent use.
type RuleSet struct {
	program *Program
	options Options
}

// NewRuleSet returns a rule set that runs p.
func NewRuleSet(p *Program, o Options) *RuleSet {
	if o.Target == nil {
		o.Target = func(_, _, _ string) string { return "" }
	}
	return &RuleSet{program: p, options: o}
}

// Rules counts the rules and markers.
func (s *RuleSet) Rules() int { return len(s.program.Rules) }

// Close does nothing: a program is memory alone.
func (s *RuleSet) Close() error { return nil }

// Begin starts the transaction of a request.
func (s *RuleSet) Begin(r *rules.Request) rules.Transaction {
	x := &transaction{set: s, detect: r.Detect, tx: s.program.pool.Get().(*Tx)}
	for i := range r.Headers {
		if strings.EqualFold(r.Headers[i].Name, "Content-Type") {
			x.contentType = r.Headers[i].Value
			break
		}
	}
	x.tx.vars.Request(r, s.options.Limits, r.Detect && s.program.DetectOnly)
	x.tx.profile = s.options.Profile
	x.tx.begin()
	x.tx.bodyAccess, x.tx.responseAccess = s.options.Settings.RequestBodyAccess, s.options.Settings.ResponseBodyAccess
	return x
}

// transaction is a rules.Transaction that a Tx judges.
type transaction struct {
	set         *RuleSet
	tx          *Tx
	detect      bool
	contentType string
	err         error
	result      *rules.Result
}

// phase runs one phase. It does nothing after an interruption, which in detect the caller does not know of, and once
// the rules are switched off.
func (x *transaction) phase(phase rules.Phase, operation string, prepare func() error) (i *rules.Interruption, err error) {
	if x.err != nil {
		return nil, x.err
	}
	if x.result != nil {
		return x.shown(), nil
	}
	t := x.tx
	if t.interruption != nil {
		return x.shown(), nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v", operation, r)
		}
		if err != nil {
			x.err = err
		}
	}()
	if prepare != nil {
		if err := prepare(); err != nil {
			return nil, fmt.Errorf("%s: %w", operation, err)
		}
	}
	if t.engine == engineOff {
		return x.shown(), nil
	}
	t.run(int(phase))
	if t.over != nil {
		return nil, t.over
	}
	return x.shown(), nil
}

// shown is the interruption as far as the caller may know of it.
func (x *transaction) shown() *rules.Interruption {
	if x.detect {
		return nil
	}
	return convert(x.tx.interruption)
}

func convert(i *interruption) *rules.Interruption {
	if i == nil {
		return nil
	}
	out := &rules.Interruption{Rule: i.rule.ID, Phase: rules.Phase(i.phase), Status: i.rule.Disruptive.Status, Data: i.rule.Disruptive.Data}
	switch i.rule.Disruptive.Kind {
	case resolve.Deny:
		out.Action = "deny"
		if out.Status == 0 {
			out.Status = http.StatusForbidden
		}
	case resolve.Drop:
		out.Action, out.Status = "drop", 0
	case resolve.Redirect:
		out.Action = "redirect"
	}
	return out
}

// RequestHeaders runs phase 1.
func (x *transaction) RequestHeaders() (*rules.Interruption, error) {
	return x.phase(rules.PhaseRequestHeaders, "inspect request headers", nil)
}

// RequestBody parses the body as phase 1 decided and runs phase 2. A reader's error is returned.
func (x *transaction) RequestBody(b rules.Body) (*rules.Interruption, error) {
	return x.phase(rules.PhaseRequestBody, "inspect request body", func() error {
		if x.tx.engine == engineOff {
			return nil
		}
		v := &x.tx.vars
		if b.Truncated {
			v.Singles[variable.InboundDataError] = "1"
		}
		length := b.Length
		if b.Reader != nil && x.tx.bodyAccess {
			read, err := x.parseBody(b)
			if err != nil {
				return err
			}
			if length < 0 {
				length = read
			}
		}
		if length > 0 {
			v.BodyLength(length)
		}
		return nil
	})
}

// parseBody gives the body's values to the rules and answers how many bytes it had.
func (x *transaction) parseBody(b rules.Body) (int64, error) {
	v := &x.tx.vars
	processor := v.Singles[variable.ReqbodyProcessor]
	if processor == "" {
		if !x.tx.forceBody {
			return 0, nil
		}
		processor = body.URLEncoded
		v.Singles[variable.ReqbodyProcessor] = processor
	}
	parsed, err := body.Parse(processor, b.Reader, body.Options{
		ContentType: x.contentType,
		Truncated:   b.Truncated,
		Arguments:   x.set.options.Limits.Arguments,
		JSONDepth:   x.set.options.Limits.JSONDepth,
	})
	if err != nil {
		return 0, err
	}
	before := len(v.TX)
	v.Body(processor, parsed)
	for _, e := range v.TX[before:] {
		x.tx.setName(e.Lower, e.Value)
	}
	return parsed.Length, nil
}

// ResponseHeaders runs phase 3.
func (x *transaction) ResponseHeaders(r *rules.Response) (*rules.Interruption, error) {
	return x.phase(rules.PhaseResponseHeaders, "inspect response headers", func() error {
		x.tx.vars.Response(r)
		return nil
	})
}

// ResponseBody runs phase 4. Which types of response are inspected is the caller's decision.
func (x *transaction) ResponseBody(b rules.Body) (*rules.Interruption, error) {
	return x.phase(rules.PhaseResponseBody, "inspect response body", func() error {
		if x.tx.engine == engineOff {
			return nil
		}
		v := &x.tx.vars
		if b.Truncated {
			v.Singles[variable.OutboundDataError] = "1"
		}
		switch {
		case !x.tx.responseAccess:
			return nil
		case b.Reader == nil:
			if x.processable() {
				v.ResponseText("")
			}
			return nil
		}
		var text strings.Builder
		if sized, ok := b.Reader.(interface{ Len() int }); ok {
			text.Grow(sized.Len())
		}
		if _, err := io.Copy(&text, b.Reader); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		v.ResponseText(text.String())
		return nil
	})
}

// processable says whether the text names the type of the response, or a rule forces its body.
func (x *transaction) processable() bool {
	return x.tx.forceResponse || slices.Contains(x.set.options.Settings.ResponseBodyTypes, x.tx.vars.Singles[variable.ResponseContentType])
}

// Close runs phase 5 unless something failed before, and frees the transaction.
func (x *transaction) Close() *rules.Result {
	if x.result != nil {
		return x.result
	}
	t := x.tx
	kept := t.interruption
	if x.detect && x.set.program.DetectOnly && kept == nil {
		kept = t.kept
	}
	failed := x.err != nil
	if !failed && t.engine != engineOff {
		func() {
			defer func() {
				if recover() != nil {
					failed = true
				}
			}()
			t.run(int(rules.PhaseLogging))
		}()
	}
	x.result = t.collect(x.set.options.Target)
	x.result.Interruption = convert(kept)
	x.tx = nil
	if !failed { // else its state is unknown: it must not be used again for another request
		t.release()
		x.set.program.pool.Put(t)
	}
	return x.result
}
