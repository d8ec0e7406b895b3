// Package event makes the records of what the gateway did: one access record a request, and one security event for
// every detect, block, error and every reply that the gateway made itself. Secrets are masked before a record
// leaves the process.
package event

import (
	"time"

	"gatehouse/rules"
	"gatehouse/rules/body"
)

// Verdict is what was decided about a request.
type Verdict string

// The verdicts.
const (
	Pass   Verdict = "pass"   // would not be refused; may carry matches and a score
	Detect Verdict = "detect" // mode block would have refused it
	Block  Verdict = "block"
	Error  Verdict = "error"
)

// Reason says why an event was made. The list is closed: metrics and documents rely on it.
type Reason string

// The reasons.
const (
	CRSScore        Reason = "crs_score"          // the anomaly score reached the threshold
	Rule            Reason = "rule"               // a disruptive rule other than the score
	List            Reason = "list"               // a list of addresses
	RateLimit       Reason = "rate_limit"         // 429
	Action          Reason = "action"             // an emergency action of an operator: 403, or 429 for what is beyond a limit
	BadRequest      Reason = "bad_request"        // malformed HTTP, 400
	HeaderTooLarge  Reason = "header_too_large"   // 431
	HeaderTimeout   Reason = "header_timeout"     // 408
	MethodRefused   Reason = "method_refused"     // CONNECT, TRACE, TRACK: 405 always
	NoRoute         Reason = "no_route"           // 404: no route of the application takes the path
	MethodNoRoute   Reason = "method_not_allowed" // 405: routes take the path, none the method
	UnknownHost     Reason = "unknown_host"       // 421
	UpgradeRefused  Reason = "upgrade_refused"    // a handshake that the route does not carry
	PathRefused     Reason = "path_refused"       // a path that would change the route once decoded
	BodyTooLarge    Reason = "body_too_large"     // over max_bytes: 413
	BodyNotInspect  Reason = "body_over_inspect"  // over inspect_bytes with oversize: reject: 413
	BodyTimeout     Reason = "body_timeout"       // the client stopped sending: 408
	ContentType     Reason = "content_type"       // not among those that the traffic takes: 415
	Charset         Reason = "charset"            // 415
	ContentEncoding Reason = "content_encoding"   // unknown, stacked or not decodable: 415
	Doctype         Reason = "doctype"            // XML with a document type: 400
	BodySyntax      Reason = "body_syntax"        // JSON, XML, multipart or form that does not parse strictly: 400
	Arguments       Reason = "arguments_limit"    // more arguments than are inspected: 400
	WorkBound       Reason = "work_bound"         // inspection would cost more than a request may
	InspectionError Reason = "inspection_error"   // 503, or forwarded
	UpstreamTimeout Reason = "upstream_timeout"   // 504
	UpstreamDown    Reason = "upstream_down"      // no healthy address, or none could be reached: 502
	UpstreamError   Reason = "upstream_error"     // the upstream broke off or sent no valid reply: 502
	Shed            Reason = "shed"               // over a budget: 503
	Draining        Reason = "draining"           // 503
	Internal        Reason = "internal_error"     // a fault of ours: 500
)

// Access is the record of one request.
type Access struct {
	Time             time.Time
	RequestID        string
	Incident         string // empty if there is no event
	Client           string
	ClientPort       int
	Listener         string
	Application      string
	Route            string
	Method           string
	Host             string
	Path             string // with the query masked
	Protocol         string
	TLS              string // version, empty without
	Status           int
	AnsweredBy       string // gateway, upstream
	Verdict          Verdict
	Reason           Reason
	Score            int
	BytesIn          int64 // body bytes from the client
	BytesOut         int64 // body bytes to the client
	Duration         time.Duration
	Inspection       time.Duration
	Upstream         string
	UpstreamAddress  string
	UpstreamStatus   int
	UpstreamDuration time.Duration
	UserAgent        string
	Referer          string
	TraceParent      string
	AmznTraceID      string
	Revision         string
	Uninspected      []Uninspected
	Exclusions       []string // names of the exclusions in whose scope the request was
}

// Uninspected is a part of a request or reply that was forwarded without inspection.
type Uninspected struct {
	Cause string // mode_disabled, inspect_limit, response, websocket_frames, grpc_messages, ...
	Bytes int64
}

// Event is the record of a request that was, or would have been, refused, or that the gateway answered itself.
type Event struct {
	Time           time.Time
	Incident       string
	Verdict        Verdict
	Reason         Reason
	Detail         string // one sentence: the limit, its value and its key; the cause of an error
	RequestID      string
	Client         string
	ClientPort     int
	Listener       string
	Application    string
	Route          string
	Policy         string
	Mode           string
	Method         string
	Host           string
	Path           string
	Query          string // masked
	Protocol       string
	ContentType    string
	UserAgent      string
	Status         int // what the client got
	AnsweredBy     string
	UpstreamStatus int
	Revision       string
	Scores         rules.Scores
	Exclusions     []string // names of the exclusions in whose scope the request was
	Rules          []rules.Match
	RulesDropped   int // matches beyond the cap of one record
	// XML says what the values of an XML body stand under; without it none is shown. It is for masking alone and is not
	// written.
	XML *body.XMLOrigins
}
