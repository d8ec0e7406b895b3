// Package rules is what the gateway and the manager see of inspection: an Engine loads a Policy into a RuleSet,
// and a Transaction of that rule set judges one request and its reply.
//
// Invariant: an inspection error is never a verdict. A Transaction answers with an Interruption, with nothing, or
// with an error; what an error means is the caller's decision (on_inspection_error).
package rules

import (
	"io"
	"net/netip"
	"strconv"
	"time"
)

// Source is a piece of rule text. Errors in it are reported as Name:line.
type Source struct {
	Name string
	Text string
}

// Policy is everything that decides a verdict, as text: both engines load the same sources in the same order.
// Two policies with equal Sources and Limits are interchangeable.
type Policy struct {
	Name    string
	Sources []Source
	Limits  Limits
}

// Limits bound what the body processors take from one request.
type Limits struct {
	Arguments int // more than this many arguments is an error, never a silent cut
	JSONDepth int
}

// Engine loads policies. It is safe for concurrent use.
type Engine interface {
	// Load parses and compiles p. Problems in the text are returned as *TextErrors.
	Load(p Policy) (RuleSet, error)
}

// RuleSet is a loaded policy, safe for concurrent use.
type RuleSet interface {
	// Begin starts the transaction of one request. The caller must Close it.
	Begin(*Request) Transaction
	// Rules counts the loaded rules.
	Rules() int
	// Close frees the rule set after its last transaction was closed; it waits for none.
	Close() error
}

// Transaction judges one request. Its methods are called in the order in which they stand here, each at most once,
// by one goroutine; a method that returned an Interruption or an error is followed by Close alone.
// In detect (Request.Detect) no method returns an Interruption; Result says what mode block would have done.
type Transaction interface {
	// RequestHeaders runs phase 1 on the request that Begin was given.
	RequestHeaders() (*Interruption, error)
	// RequestBody runs phase 2. A nil Body.Reader is a request without a body.
	RequestBody(Body) (*Interruption, error)
	// ResponseHeaders runs phase 3.
	ResponseHeaders(*Response) (*Interruption, error)
	// ResponseBody runs phase 4.
	ResponseBody(Body) (*Interruption, error)
	// Close runs phase 5, frees the transaction and returns what was found. It is safe to call after a panic or an
	// error in an earlier method, and answers the same Result when called twice.
	Close() *Result
}

// Header is one header field as it was received.
type Header struct{ Name, Value string }

// Request is what phase 1 sees. The client's own bytes are in Method, Target and Headers.
type Request struct {
	ID       string
	Time     time.Time
	Client   netip.AddrPort
	Server   netip.AddrPort
	Method   string
	Target   string   // the request target, byte for byte
	Protocol string   // HTTP/1.1, HTTP/2.0
	Headers  []Header // in order; Host included

	// What the gateway made of it, for the lowered text: rules and exclusions are scoped by these.
	Host        string // canonical: lower case, no port
	Path        string // canonical and decoded, as it was routed
	Application string
	Route       string
	Detect      bool // record what would be refused, interrupt nothing
	// Traffic picks the content types and methods that the setup allows: auto, api, websocket, grpc.
	Traffic string
}

// Body is a request or response body as far as it is inspected.
type Body struct {
	// Reader yields the decoded bytes. If it also has Len() int, that is the number of bytes left.
	Reader io.Reader
	// Truncated says that the body goes on beyond what Reader yields (INBOUND_DATA_ERROR).
	Truncated bool
	// Length is the length of the body as received, or -1 if not known yet.
	Length int64
}

// Response is what phase 3 sees.
type Response struct {
	Status   int
	Protocol string
	Headers  []Header
}

// Phase is a SecLang phase, 1 to 5.
type Phase int

// The phases.
const (
	PhaseRequestHeaders Phase = 1 + iota
	PhaseRequestBody
	PhaseResponseHeaders
	PhaseResponseBody
	PhaseLogging
)

// Interruption is a disruptive action that took effect, or in detect would have.
type Interruption struct {
	Rule   int
	Phase  Phase
	Action string // deny, drop, redirect
	Status int    // 0 for drop
	Data   string // the target of a redirect
}

// Result is what a transaction found.
type Result struct {
	// Interruption is what refused the request; in detect, what would have refused it. Nil if nothing did.
	Interruption *Interruption
	// Matches are the rules that matched and are not marked nolog, in the order in which they matched.
	Matches []Match
	Scores  Scores
	// Exclusions are the names of the operator's exclusions in whose scope the request was.
	Exclusions []string
	// Uninspected says that a rule switched inspection off for this request (SecLang ctl:ruleEngine=Off, then: allow).
	Uninspected bool
}

// Match is a rule that matched.
type Match struct {
	Rule     int
	Phase    Phase
	Message  string
	Data     string
	Severity string   // EMERGENCY to DEBUG as SecLang writes them, empty if the rule has none
	Tags     []string // must not be changed
	File     string
	Line     int
	// Disruptive says that the rule's own action refuses requests.
	Disruptive bool
	Targets    []MatchedTarget
}

// MatchedTarget is one value that a rule matched.
type MatchedTarget struct {
	Variable string // the SecLang variable with its key: ARGS_POST:json.items.0.comment
	Target   string // the same in the syntax of exclusions: json:items[0].comment; empty where there is none
	Value    string
}

// Scores are the anomaly scores of CRS after the last phase that ran.
type Scores struct {
	Inbound, InboundThreshold   int
	Outbound, OutboundThreshold int
	// Detection is the inbound score including rules above the blocking paranoia level.
	Detection int
	// Categories holds the scores by attack class that are not 0: sql_injection, xss, rce, lfi, rfi, php_injection,
	// http_violation, session_fixation.
	Categories map[string]int
}

// TextErrors are the problems found in a policy's text, each with its place.
type TextErrors []TextError

// TextError is one problem in a policy's text.
type TextError struct {
	Source string
	Line   int
	// Message says what is wrong and what would be right.
	Message string
}

func (e TextErrors) Error() string {
	if len(e) == 0 {
		return "no problems"
	}
	s := e[0].Error()
	for _, x := range e[1:] {
		s += "\n" + x.Error()
	}
	return s
}

func (e TextError) Error() string {
	if e.Line == 0 {
		return e.Source + ": " + e.Message
	}
	return e.Source + ":" + strconv.Itoa(e.Line) + ": " + e.Message
}

// BoundError is the error of a transaction that would take more work than is allowed. It is not a verdict.
type BoundError struct {
	What  string // values, bytes, work
	Limit int
}

func (e *BoundError) Error() string {
	return "judging the request takes more than " + strconv.Itoa(e.Limit) + " " + e.What
}
