// Package fleetapi is what gateways and the manager say to each other: JSON over HTTP/2 with TLS 1.3, where the gateway always
// asks. Nothing listens on a gateway.
//
// A gateway proves who it is with a client certificate of the manager's own authority. The listener takes connections with any
// certificate or none, and each request is judged for itself: what a route asks for is at its path below.
//
// Manager and gateway work together one version apart. Unknown fields are ignored, and a field that is missing has its zero value;
// what gateways serve has formats of its own (package revision), which a Report lists, so that no gateway is shown what it
// cannot read.
package fleetapi

import (
	"encoding/json"
	"time"

	"gatehouse/rules/revision"
)

// Paths of the manager's listener for gateways.
const (
	// PathTrust gives the trust bundle as text, to anybody: whoever asks knows its hash. With ?hash=sha256:HEX it gives the
	// bundle of that hash, which may be one before the latest, or 404.
	PathTrust = "/fleet/v1/trust" // GET
	// PathJoin takes a JoinRequest and gives a Credentials. It needs no certificate.
	PathJoin = "/fleet/v1/join" // POST
	// PathRenew takes a RenewRequest and gives Credentials. Its certificate may have expired up to RenewWithin ago.
	PathRenew = "/fleet/v1/renew" // POST
	// PathState gives a State. With If-None-Match it waits until there is another, at most the time of the header Prefer
	// (wait=SECONDS, RFC 7240), and answers 304 then.
	PathState = "/fleet/v1/state" // GET
	// PathObjects and a name gives an object of the depot as it is (package revision). Names begin with the group: a gateway
	// gets those of its own group, such as PathObjects+"edge/revisions/1-42.json", and 404 for what is not there.
	PathObjects = "/fleet/v1/objects/" // GET
	// PathReport takes a Report and gives nothing.
	PathReport = "/fleet/v1/report" // POST
	// PathEvents takes a zstd-compressed Batch and gives a Receipt.
	PathEvents = "/fleet/v1/events" // POST
	// PathKey gives a GroupKey, for gateways that have no credential of their own for secrets.
	PathKey = "/fleet/v1/key" // GET
)

// Times of the protocol.
const (
	CertificateLife = 24 * time.Hour
	RenewWithin     = 30 * 24 * time.Hour // after the end of the certificate
	LongestWait     = 50 * time.Second    // below the 60 s and 350 s after which things on the way drop idle connections
)

// Limits of requests, in bytes.
const (
	MaxRequest = 1 << 20
	MaxBatch   = 4 << 20  // of events, compressed
	MaxEvents  = 32 << 20 // of events, as they are
)

// Problem is the body of every answer with a status of 400 and more (RFC 9457, application/problem+json).
type Problem struct {
	Type   string `json:"type,omitempty"` // one of the Problem constants, for what a gateway acts upon
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// The problems that a gateway acts upon.
const (
	ProblemRevoked = "revoked" // the certificate or the gateway: join again, with a new token
	ProblemRetired = "retired" // the gateway was away for too long: join again
	ProblemExpired = "expired" // the certificate: renew it
	ProblemBusy    = "busy"    // 429: ask again after Retry-After
)

// JoinRequest asks for a first certificate. There is one of the two proofs.
type JoinRequest struct {
	Token string `json:"token,omitempty"`
	// CSR is a PKCS #10 request in DER, signed with the gateway's new key. Its subject counts for nothing.
	CSR      []byte `json:"csr"`
	Instance string `json:"instance"` // host name or instance id, for people
	Version  string `json:"version"`
}

// RenewRequest asks for a certificate of the same gateway.
type RenewRequest struct {
	CSR []byte `json:"csr"`
}

// Credentials are what a gateway is known by.
type Credentials struct {
	Gateway     string `json:"gateway"` // its name, made by the manager
	Stack       string `json:"stack"`
	Group       string `json:"group"`
	Certificate string `json:"certificate"` // the chain in PEM, its own first
}

// Signed is a document and the signed statement that holds its hash.
type Signed struct {
	Statement []byte          `json:"statement"`
	Document  json.RawMessage `json:"document"`
}

// State is what a gateway shall do now. Its ETag is that of the answer.
type State struct {
	// Head is the signed head of the revision that this gateway shall serve, empty if its group has none.
	Head []byte `json:"head,omitempty"`
	// Trial is how long the revision is on trial: a gateway that ends in that time boots the one before.
	Trial Seconds `json:"trial,omitempty"`
	// Actions are the emergency actions that are in force (an Actions), Lists the lists (a Lists), Trust a later trust bundle.
	Actions *Signed `json:"actions,omitempty"`
	Lists   *Signed `json:"lists,omitempty"`
	Trust   []byte  `json:"trust,omitempty"` // as revision.SignTrust makes it
	// Questions are answered in the next Report.
	Questions []Question `json:"questions,omitempty"`
	// ReportEvery is how often to report while nothing happens.
	ReportEvery Seconds `json:"report_every"`
	// FullEvents is how many events a second of one rule and application are sent in full; the rest is counted.
	FullEvents int `json:"full_events"`
}

// Seconds is a duration, written as seconds with fractions.
type Seconds float64

// Duration is s as Go has it.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// SecondsOf is d as the protocol has it.
func SecondsOf(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Report is what a gateway says of itself: after a change of what it serves at once, else every State.ReportEvery.
type Report struct {
	Boot     string    `json:"boot"`     // random, of this process
	Sequence int64     `json:"sequence"` // of this process's reports; an older one says nothing new
	Started  time.Time `json:"started"`
	Version  string    `json:"version"`
	// Formats are the revision formats that it can read.
	Formats []int `json:"formats"`

	// Serving is what it serves; Refused what it refused and why, since the last report that was taken.
	Serving Serving   `json:"serving"`
	Refused []Refusal `json:"refused,omitempty"`
	// Crashed is the revision that a process before this one died with while it was on trial.
	Crashed *Refusal `json:"crashed,omitempty"`

	Ready    bool `json:"ready"`    // takes traffic
	Draining bool `json:"draining"` // is about to end
	// Restartable says that it could start again with the manager away; if not, Why says what is missing.
	Restartable bool   `json:"restartable"`
	Why         string `json:"why,omitempty"`

	Windows []Window `json:"windows,omitempty"`
	Answers []Answer `json:"answers,omitempty"`
	Memory  int64    `json:"memory"` // resident bytes
	CPU     Seconds  `json:"cpu"`    // of the process so far
	Spool   Spool    `json:"spool"`
}

// Serving is what a gateway serves by.
type Serving struct {
	Revision revision.Order `json:"revision"`
	Hash     revision.Hash  `json:"hash"`
	Since    time.Time      `json:"since"`
	Source   string         `json:"source"` // manager, bucket, disk
	Trial    bool           `json:"trial"`
	HeadTime time.Time      `json:"head_time"` // of the newest head it has seen
	Actions  uint64         `json:"actions"`   // number of the emergency actions in force
	Lists    uint64         `json:"lists"`
}

// Refusal is a NACK: what was refused, in the gateway's own words.
type Refusal struct {
	Kind   revision.Kind  `json:"kind"`
	Order  revision.Order `json:"order"`
	Hash   revision.Hash  `json:"hash"`
	Reason string         `json:"reason"`
	At     time.Time      `json:"at"`
}

// Window counts what one application's requests came to since the process started, under one revision. Counts only rise; who
// compares takes differences, and starts again with another Boot.
type Window struct {
	Revision    revision.Order `json:"revision"`
	Application string         `json:"application"`
	Requests    int64          `json:"requests"`
	Blocked     int64          `json:"blocked"`
	Detected    int64          `json:"detected"`
	// Own5xx are answers of the gateway's own with a status of 500 and more but for those to an upstream's fault; Upstream5xx
	// the upstream's, and the gateway's where the upstream failed.
	Own5xx      int64 `json:"own_5xx"`
	Upstream5xx int64 `json:"upstream_5xx"`
	// Added is the time that the gateway itself took, in microseconds: counts of requests by LatencyBounds.
	Added []int64 `json:"added"`
}

// LatencyBounds are the upper bounds of Window.Added in microseconds; the last count has none.
var LatencyBounds = []int64{100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600, 1_638_400}

// Spool is what waits of the events of a gateway.
type Spool struct {
	Waiting int64            `json:"waiting"` // bytes
	Dropped map[string]int64 `json:"dropped"` // events so far, by cause
}

// Question asks which share of the last 15 minutes' requests an action would have hit.
type Question struct {
	ID     string `json:"id"`
	Action Action `json:"action"`
}

// Answer is one gateway's. The counts are estimates where there were more requests than it has kept.
type Answer struct {
	ID       string `json:"id"`
	Requests int64  `json:"requests"`
	Hit      int64  `json:"hit"`
	Refusal  string `json:"refusal,omitempty"` // why the gateway would refuse the action in any case
}

// GroupKey opens the secrets of a group (package sealed).
type GroupKey struct {
	ID  string `json:"id"`
	Key []byte `json:"key"`
}

// Batch carries events as JSON lines in the format of the gateway's own event records, and counts.
type Batch struct {
	Spool    string            `json:"spool"` // names the process that wrote it, which numbers its batches from 1
	Sequence int64             `json:"sequence"`
	Events   []json.RawMessage `json:"events"`
	Counts   []Count           `json:"counts"`
}

// Count is an exact number of events of one minute, whether they were sent in full or not.
type Count struct {
	Minute      time.Time `json:"minute"`
	Application string    `json:"application"`
	Verdict     string    `json:"verdict"`
	Reason      string    `json:"reason"`
	Rule        int       `json:"rule,omitempty"` // the first that matched, 0 if none did
	Events      int64     `json:"events"`
	Sampled     int64     `json:"sampled"` // of them, those that were counted only
}

// Receipt says up to which sequence of the spool all batches are stored.
type Receipt struct {
	Stored int64 `json:"stored"`
}
