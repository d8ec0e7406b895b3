// Package inspect binds a request to the rules: it takes in as much of a body as is inspected, decodes it, runs the
// transaction and turns what was found into a decision.
//
// Invariant: whatever is forwarded was inspected, or is counted as uninspected with a cause. A refusal of the rules
// is never undone by a later error.
package inspect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/limit"
	"gatehouse/rules"
	rulesbody "gatehouse/rules/body"
	"gatehouse/rules/media"
)

// Options are the settings of one route.
type Options struct {
	Mode    config.Mode
	Traffic config.Traffic // the kind of traffic that the request is, one of the route's
	Kind    media.Kind     // of the body, and what is wrong with its Content-Type, as media.ParseContentType found
	KindErr error
	Body    config.Body
	Reply   config.Response
	OnError config.OnInspectionError
	Rules   rules.RuleSet  // nil in mode disabled
	Limits  *limit.Limiter // nil if there are none
	Client  clientip.Client
	Spill   *SpillDir
	// Lane bounds how many bodies of more than LargeBody are judged at once; nil bounds nothing. Gone is closed when nobody
	// waits for the reply any more.
	Lane *limit.Lane
	Gone <-chan struct{}
	// Status is the status of a refusal by score, 0 for 403.
	Status int
}

// Refusal is the decision not to forward, or not to deliver.
type Refusal struct {
	Reason   event.Reason
	Detail   string
	Status   int
	Drop     bool   // close the connection without a reply
	Location string // of a rule's redirect
	// RetryAfter is when the client may come again, 0 if that is not known.
	RetryAfter time.Duration
	// Outbound says that it was the upstream's reply that was refused, not the request.
	Outbound bool
	// Lane names the budget of the gateway that was used up, if the reason is event.Shed.
	Lane string
}

// Outcome is what inspection came to.
type Outcome struct {
	Verdict     event.Verdict
	Reason      event.Reason
	Detail      string
	Result      *rules.Result
	Uninspected []event.Uninspected
	// Phases holds the time that inspection took, by phase (index 1 to 5).
	Phases [6]time.Duration
	// XML says what the values of an XML body stand under, where rules matched; nil if that is not known.
	XML *rulesbody.XMLOrigins
}

// Total is the time that inspection took.
func (o *Outcome) Total() time.Duration {
	var sum time.Duration
	for _, d := range o.Phases {
		sum += d
	}
	return sum
}

// Inspection judges one request and its reply. It belongs to one goroutine; Close must be called.
type Inspection struct {
	opts     Options
	request  *rules.Request
	header   http.Header
	tx       rules.Transaction
	body     *body
	reply    *body
	outcome  Outcome
	counters []*counter
	closed   bool
	sent     bool // an upstream may have got something of the request
	// broken is the cause for which inspection ended early while the request went on: no further phase runs. Empty if it
	// did not end early.
	broken string
}

// Causes of uninspected bytes and requests: the closed set of the cause label.
const (
	CauseModeDisabled    = "mode_disabled"
	CauseInspectLimit    = "inspect_limit"
	CauseResponse        = "response"
	CauseResponseLimit   = "response_limit"
	CauseResponseCoding  = "response_encoding"
	CauseWebSocket       = "websocket_frames"
	CauseGRPC            = "grpc_messages"
	CauseInspectionError = "inspection_error"
	CauseWorkBound       = "work_bound"
	CauseEncoding        = "content_encoding"
	CauseTrailers        = "request_trailers"
	CauseRuleOff         = "rule_allowed"
)

// Causes lists every cause.
var Causes = []string{
	CauseModeDisabled, CauseInspectLimit, CauseResponse, CauseResponseLimit, CauseResponseCoding, CauseWebSocket,
	CauseGRPC, CauseInspectionError, CauseWorkBound, CauseEncoding, CauseTrailers, CauseRuleOff,
}

// Begin starts the inspection of a request.
func Begin(opts Options, request *rules.Request, header http.Header) *Inspection {
	i := &Inspection{opts: opts, request: request, header: header}
	i.outcome.Verdict = event.Pass
	if opts.Mode == config.ModeDisabled {
		return i
	}
	request.Detect = opts.Mode == config.ModeDetect
	request.Traffic = string(opts.Traffic)
	i.tx = opts.Rules.Begin(request)
	return i
}

// Headers judges everything but the body. A nil Refusal lets the request go on.
func (i *Inspection) Headers() *Refusal {
	if i.tx == nil {
		return nil
	}
	if r := i.limited((*limit.Limiter).EvaluateHeaders); r != nil {
		return r
	}
	if r := i.contentType(); r != nil {
		return r
	}
	return i.phase(rules.PhaseRequestHeaders, func() (*rules.Interruption, error) { return i.tx.RequestHeaders() })
}

// contentType judges what ParseContentType found.
func (i *Inspection) contentType() *Refusal {
	switch kind, err := i.opts.Kind, i.opts.KindErr; {
	case errors.Is(err, media.ErrCharset):
		return i.refuse(event.Charset, http.StatusUnsupportedMediaType, err.Error())
	case err != nil:
		return i.refuse(event.ContentType, http.StatusUnsupportedMediaType, err.Error())
	case !takes(i.opts.Traffic, kind):
		return i.refuse(event.ContentType, http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type: traffic %s does not take a body of kind %s", i.opts.Traffic, kind))
	}
	return nil
}

// Body takes in the request body as far as it is inspected and judges it. client is the body as it arrives, length
// its announced length or -1. An error means that the client could not be read; it is neither a verdict nor an
// inspection error.
func (i *Inspection) Body(client io.Reader, length int64) (*Refusal, error) {
	maximum := int64(i.opts.Body.MaxBytes)
	streamed := i.opts.Traffic == config.TrafficGRPC || i.opts.Traffic == config.TrafficWebSocket
	if !streamed && length > maximum {
		return i.tooLarge(), nil
	}
	if streamed {
		maximum = 1<<63 - 2
	}
	i.body = newBody(i.opts.Spill, client, length, maximum)
	i.body.complete = length == 0 || client == nil
	if i.tx == nil || i.broken != "" {
		return nil, nil
	}
	if streamed { // messages are not read: phase 2 sees the headers alone
		return i.phase(rules.PhaseRequestBody, func() (*rules.Interruption, error) { return i.tx.RequestBody(rules.Body{}) }), nil
	}
	if i.body.complete {
		return i.phase(rules.PhaseRequestBody, func() (*rules.Interruption, error) { return i.tx.RequestBody(rules.Body{}) }), nil
	}

	most := int64(i.opts.Body.InspectBytes)
	reject := i.opts.Body.Oversize == config.OversizeReject
	if !i.opts.Kind.Cuttable() && (!reject || i.opts.Mode == config.ModeDetect) {
		most = max(most, int64(i.opts.Body.MaxBytes))
	}
	if refusal, err := i.takeIn(most); refusal != nil || err != nil {
		return refusal, err
	}
	if r := i.limited((*limit.Limiter).EvaluateBody); r != nil {
		return r, nil
	}
	if reject && i.opts.Body.InspectBytes < i.opts.Body.MaxBytes && i.body.over(int64(i.opts.Body.InspectBytes)) {
		detail := fmt.Sprintf("the body is longer than body.inspect_bytes (%s) and body.oversize is reject", i.opts.Body.InspectBytes)
		if r := i.refuse(event.BodyNotInspect, http.StatusRequestEntityTooLarge, detail); r != nil {
			return r, nil
		}
	}
	if !i.enter(i.body) {
		return Shed(LaneInspection), nil
	}
	defer i.leave(i.body)
	if i.opts.Kind == media.XML {
		if reason, detail := checkXML(i.body.inspected().Reader); reason != "" {
			if r := i.refuse(reason, xmlStatus(reason), detail); r != nil {
				return r, nil
			}
		}
	}
	return i.phase(rules.PhaseRequestBody, func() (*rules.Interruption, error) { return i.tx.RequestBody(i.body.inspected()) }), nil
}

// takeIn reads the body up to limit decoded bytes. One that is found to be longer than max_bytes, as received or decoded,
// is refused in every mode. A body whose encoding cannot be undone is refused, or in detect
// goes on as it was received, counted.
func (i *Inspection) takeIn(limit int64) (*Refusal, error) {
	encodings, err := requestEncodings(i.header["Content-Encoding"])
	if err == nil {
		err = i.body.read(encodings, limit)
		if err == nil && len(encodings) > 0 && i.body.over(int64(i.opts.Body.MaxBytes)) {
			return i.decodedTooLarge(), nil
		}
	}
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, errTooLarge):
		return i.tooLarge(), nil
	case errors.Is(err, errBudget):
		return Shed(LaneBytes), nil
	case isEncoding(err):
		if r := i.refuse(event.ContentEncoding, http.StatusUnsupportedMediaType, err.Error()); r != nil {
			return r, nil
		}
		i.body.forwardRaw()
		return nil, nil
	case isSpill(err):
		return i.failed(fmt.Errorf("take in the body: %w", err)), nil
	}
	return nil, fmt.Errorf("read the request body: %w", err)
}

// isSpill says whether a body could not be taken in because of the spill directory, not of its sender.
func isSpill(err error) bool {
	var path *os.PathError
	return errors.As(err, &path)
}

// tooLarge is the refusal of a body over max_bytes, which holds in every mode.
func (i *Inspection) tooLarge() *Refusal {
	return i.over("the body is longer than body.max_bytes (%s)")
}

// decodedTooLarge is the same for a body whose decoded form was found to be longer.
func (i *Inspection) decodedTooLarge() *Refusal {
	return i.over("the body is longer than body.max_bytes (%s) once its Content-Encoding is undone")
}

func (i *Inspection) over(format string) *Refusal {
	detail := fmt.Sprintf(format, i.opts.Body.MaxBytes)
	i.outcome.Verdict, i.outcome.Reason, i.outcome.Detail = event.Block, event.BodyTooLarge, detail
	return &Refusal{Reason: event.BodyTooLarge, Detail: detail, Status: http.StatusRequestEntityTooLarge}
}

// TooLarge tells whether err, met while the body was forwarded, means that it went over max_bytes, and gives the
// refusal for it.
func (i *Inspection) TooLarge(err error) *Refusal {
	if !errors.Is(err, errTooLarge) {
		return nil
	}
	return i.tooLarge()
}

// Forward gives what goes upstream as body, and its length (-1 if not known). It is nil if there is none.
func (i *Inspection) Forward() (io.ReadCloser, int64) {
	if i.body == nil {
		return nil, 0
	}
	r, n := i.body.forward()
	if r == nil {
		return nil, 0
	}
	if cause := i.bodyCause(); cause != "" {
		inspected := i.body.consumed
		if i.broken != "" { // what was taken in was not judged
			inspected = 0
		}
		r = i.counted(r, cause, inspected)
	}
	return r, n
}

// bodyCause says why the body goes on beyond what was inspected, empty if it does not.
func (i *Inspection) bodyCause() string {
	switch {
	case i.tx == nil:
		return CauseModeDisabled
	case i.broken != "":
		return i.broken
	case i.body.undecoded:
		return CauseEncoding
	case i.opts.Traffic == config.TrafficGRPC:
		return CauseGRPC
	case !i.body.complete:
		return CauseInspectLimit
	}
	return ""
}

// phase runs one phase of the transaction and turns its answer into a refusal.
func (i *Inspection) phase(p rules.Phase, run func() (*rules.Interruption, error)) *Refusal {
	if i.broken != "" {
		return nil
	}
	start := time.Now()
	interruption, err := run()
	i.outcome.Phases[p] += time.Since(start)
	if interruption != nil {
		r := i.interrupted(interruption)
		r.Outbound = p >= rules.PhaseResponseHeaders
		return r
	}
	var bound *rules.BoundError
	switch {
	case errors.As(err, &bound):
		return i.overBound(p, bound)
	case err != nil:
		return i.failed(fmt.Errorf("phase %d: %w", p, err))
	}
	return nil
}

// overBound handles a request that takes more work than is allowed, by mode: in block it is refused, or its reply is
// withheld; in detect it goes on, counted and recorded, and no further phase runs.
func (i *Inspection) overBound(p rules.Phase, err *rules.BoundError) *Refusal {
	status := http.StatusBadRequest
	if p >= rules.PhaseResponseHeaders { // not of the client's making
		status = http.StatusServiceUnavailable
	}
	r := i.refuse(event.WorkBound, status, fmt.Sprintf("phase %d: %v", p, err))
	if r == nil {
		i.broken = CauseWorkBound
		i.uninspected(CauseWorkBound, 0)
		return nil
	}
	r.Outbound = p >= rules.PhaseResponseHeaders
	return r
}

// interrupted turns the rules' interruption into a refusal.
func (i *Inspection) interrupted(x *rules.Interruption) *Refusal {
	reason, detail := reasonOf(x.Rule)
	r := &Refusal{Reason: reason, Detail: detail, Status: x.Status}
	switch x.Action {
	case "drop":
		r.Drop = true
	case "redirect":
		r.Location = x.Data
	default:
		if i.opts.Status != 0 && r.Status == http.StatusForbidden {
			r.Status = i.opts.Status
		}
	}
	i.decide(event.Block, reason, detail)
	return r
}

// refuse is a refusal by mode: in block it stands, in detect it is recorded and the request goes on.
func (i *Inspection) refuse(reason event.Reason, status int, detail string) *Refusal {
	if i.opts.Mode == config.ModeDetect {
		i.decide(event.Detect, reason, detail)
		return nil
	}
	i.decide(event.Block, reason, detail)
	return &Refusal{Reason: reason, Detail: detail, Status: status}
}

// failed handles an inspection error, which is not a verdict: on_inspection_error decides in mode block, and in
// detect the request always goes on. No further phase runs.
func (i *Inspection) failed(err error) *Refusal {
	i.broken = CauseInspectionError
	i.decide(event.Error, event.InspectionError, err.Error())
	if i.opts.Mode == config.ModeBlock && i.opts.OnError != config.ForwardOnError {
		return &Refusal{Reason: event.InspectionError, Detail: err.Error(), Status: http.StatusServiceUnavailable}
	}
	i.uninspected(CauseInspectionError, 0)
	return nil
}

// decide records a verdict; the first one stays, but a block overrides what was only noted.
func (i *Inspection) decide(v event.Verdict, reason event.Reason, detail string) {
	if i.outcome.Verdict == event.Pass || v == event.Block && i.outcome.Verdict != event.Block {
		i.outcome.Verdict, i.outcome.Reason, i.outcome.Detail = v, reason, detail
	}
}

// uninspected counts bytes that go on without inspection. With 0 bytes it counts the request alone.
func (i *Inspection) uninspected(cause string, n int64) {
	for k := range i.outcome.Uninspected {
		if i.outcome.Uninspected[k].Cause == cause {
			i.outcome.Uninspected[k].Bytes += n
			return
		}
	}
	i.outcome.Uninspected = append(i.outcome.Uninspected, event.Uninspected{Cause: cause, Bytes: n})
}

// Uninspected counts bytes that the caller carries outside of a body: WebSocket frames, trailers.
func (i *Inspection) Uninspected(cause string, n int64) { i.uninspected(cause, n) }

// Sent says that an upstream may have got something of the request.
func (i *Inspection) Sent() { i.sent = true }

// Close ends the inspection: phase 5 runs, the transaction and the buffers are freed.
func (i *Inspection) Close() *Outcome {
	if i.closed {
		return &i.outcome
	}
	i.closed = true
	if i.tx == nil && i.sent {
		i.uninspected(CauseModeDisabled, 0)
	}
	if i.tx != nil {
		start := time.Now()
		result := i.tx.Close()
		i.outcome.Phases[rules.PhaseLogging] += time.Since(start)
		i.outcome.Result = result
		i.conclude(result)
		i.outcome.XML = i.xmlOrigins(result)
		if result.Uninspected {
			i.uninspected(CauseRuleOff, 0)
		}
	}
	for _, c := range i.counters {
		if n := c.n.Load(); n > 0 {
			i.uninspected(c.cause, n)
		}
	}
	for _, b := range []*body{i.body, i.reply} {
		if b != nil {
			_ = b.Close() // an unlinked temporary file: nothing is lost
		}
	}
	return &i.outcome
}

// counter counts the bytes of one stream that go on uninspected. Transports read bodies on goroutines of their own.
type counter struct {
	cause string
	n     atomic.Int64
}

// counted counts the bytes of r beyond the first skip ones under cause.
func (i *Inspection) counted(r io.ReadCloser, cause string, skip int64) io.ReadCloser {
	c := &counter{cause: cause}
	i.counters = append(i.counters, c)
	return &countingReader{ReadCloser: r, skip: skip, to: c}
}

// countingReader reads r and counts what comes after the first skip bytes.
type countingReader struct {
	io.ReadCloser
	skip int64
	to   *counter
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	over := int64(n)
	if c.skip > 0 {
		over -= c.skip
		c.skip = max(0, c.skip-int64(n))
	}
	if over > 0 {
		c.to.n.Add(over)
	}
	return n, err
}

// RequestHeaders gives the header fields of a request as the rules see them, Host first and the others in the order
// of their names. In HTTP/2 a Host field may stand beside the authority, which it equals; it is one field here.
func RequestHeaders(r *http.Request) []rules.Header {
	list := append(make([]rules.Header, 0, len(r.Header)+2), rules.Header{Name: "Host", Value: r.Host})
	if len(r.TransferEncoding) > 0 { // net/http has taken it out of the header
		list = append(list, rules.Header{Name: "Transfer-Encoding", Value: strings.Join(r.TransferEncoding, ", ")})
	}
	return appendHeaders(list, r.Header, "Host")
}

// BodyEnded says whether the client has sent all of its body.
func (i *Inspection) BodyEnded() bool { return i.body == nil || i.body.complete || i.body.ended.Load() }

// BytesIn is the number of body bytes that the client has sent so far.
func (i *Inspection) BytesIn() int64 {
	if i.body == nil {
		return 0
	}
	return i.body.received.Load()
}
