package limit

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/rules/policy"
)

// Outcome is what a limiter decided.
type Outcome int

// The outcomes.
const (
	Within   Outcome = iota // no limit was exceeded
	Exceeded                // the request is one too many
)

// Decision is what a limiter says of a request. For one within the limits it is the zero value.
type Decision struct {
	Outcome Outcome
	// Limit is the name of the limit that was exceeded.
	Limit string
	// RetryAfter is the time until its bucket has room for one request.
	RetryAfter time.Duration
	// Detail is one sentence for the event: the limit, its value and its key, without the client's values.
	Detail string
}

// RetryAfterSeconds is the value of the Retry-After header: whole seconds, at least 1.
func (d Decision) RetryAfterSeconds() int { return seconds(d.RetryAfter) }

// Request is what limits look at.
type Request struct {
	// Time is the moment at which the request is counted, as time.Now gives it.
	Time   time.Time
	Client clientip.Client
	Method string
	// Path is canonical, as for routes and rules.
	Path string
	// Host is what header:host counts by: net/http takes it out of Header.
	Host     string
	Header   http.Header
	RawQuery string // with or without its question mark
	// Body gives the kind of the body (form, multipart, json or ndjson; others have no values) and its decoded bytes, of a
	// body longer than MaxBody at least the first MaxBody+1. It is called at most once, and only if a limit that
	// takes the request needs it. It may be nil if there is no body.
	Body func() (kind string, data []byte)
}

// Limiter applies the rate limits of one policy. It is not changed after New, so it may be used concurrently; what it
// counts is in the Counters.
type Limiter struct {
	counters *Counters
	limits   []*rule
	released atomic.Bool
}

// stage says what a limit has to know of a request.
type stage int

const (
	stageHeaders stage = iota
	stageBody
)

// rule is one limit, compiled.
type rule struct {
	name    string
	path    *policy.Path // nil for every path
	methods []string     // empty for all
	stage   stage
	client  bool // the client is a part of the key
	key     []part
	bucket  bucket
	detail  string
	id      identity
	table   *table
}

// New compiles the rate limits of one policy. Limiters of the same scope (a policy's name) share the buckets of
// limits with the same name and definition. Close must be called when the limiter is no longer used.
func New(scope string, limits []config.RateLimit, counters *Counters) (*Limiter, error) {
	l := &Limiter{counters: counters}
	for i, x := range limits {
		r, err := compile(scope, x)
		if err == nil && slices.ContainsFunc(limits[:i], func(y config.RateLimit) bool { return y.Name == x.Name }) {
			err = fmt.Errorf("there are two of this name")
		}
		if err != nil {
			return nil, fmt.Errorf("rate limit %q: %w", x.Name, err)
		}
		l.limits = append(l.limits, r)
	}
	for _, r := range l.limits {
		r.table = counters.acquire(r.id)
	}
	return l, nil
}

// compile compiles one limit.
func compile(scope string, x config.RateLimit) (*rule, error) {
	if x.Limit.Count < 1 || x.Limit.Per <= 0 {
		return nil, fmt.Errorf("limit: count and time span must be more than 0")
	}
	if len(x.Key) == 0 {
		return nil, fmt.Errorf("key: is missing")
	}
	burst := x.Burst
	if burst == 0 {
		burst = x.Limit.Count
	}
	if burst < 0 {
		return nil, fmt.Errorf("burst: %d is less than 0", burst)
	}
	r := &rule{name: x.Name, methods: slices.Clone(x.Methods), bucket: newBucket(x.Limit, burst)}
	if slices.Contains(r.methods, http.MethodGet) {
		r.methods = append(r.methods, http.MethodHead)
	}
	if x.Path != "" {
		path, err := policy.CompilePath(FoldPath(x.Path))
		if err != nil {
			return nil, fmt.Errorf("path: %w", err)
		}
		r.path = path
	}
	for _, s := range x.Key {
		p, err := newPart(s)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		r.key = append(r.key, p)
		r.client = r.client || p.kind == policy.KindClient
		if p.kind == policy.KindForm || p.kind == policy.KindJSON {
			r.stage = stageBody
		}
	}
	r.detail = fmt.Sprintf("more requests than rate_limits.%s allows (limit %s, burst %d, per %s)", x.Name, x.Limit, burst, strings.Join(x.Key, " and "))
	r.id = identity{scope: scope, name: x.Name, definition: fmt.Sprintf("%q %q %q %s %d", x.Path, x.Methods, x.Key, x.Limit, burst)}
	return r, nil
}

// Close gives the buckets back: those that no other limiter uses are forgotten. Requests that are still being
// evaluated are not disturbed.
func (l *Limiter) Close() error {
	if l.released.Swap(true) {
		return nil
	}
	for _, r := range l.limits {
		l.counters.release(r.id)
	}
	return nil
}

// NeedsBody reports whether a limit counts by something in the body.
func (l *Limiter) NeedsBody() bool {
	return slices.ContainsFunc(l.limits, func(r *rule) bool { return r.stage == stageBody })
}

// Evaluate counts a request against all limits that take it, those that need no body first, and stops at the first that
// is exceeded. The earlier ones have counted it then.
func (l *Limiter) Evaluate(r Request) Decision {
	if d := l.EvaluateHeaders(r); d.Outcome != Within {
		return d
	}
	return l.EvaluateBody(r)
}

// EvaluateHeaders is the part of Evaluate that needs no body, for a caller that has not taken it in yet.
func (l *Limiter) EvaluateHeaders(r Request) Decision { return l.evaluate(&r, stageHeaders) }

// EvaluateBody is the rest of Evaluate.
func (l *Limiter) EvaluateBody(r Request) Decision { return l.evaluate(&r, stageBody) }

func (l *Limiter) evaluate(r *Request, s stage) Decision {
	v := values{request: r}
	path := ""
	for _, x := range l.limits {
		if x.stage != s {
			continue
		}
		if path == "" {
			path = FoldPath(r.Path)
		}
		if !x.takes(r.Method, path) {
			continue
		}
		key, ok := x.hash(l.counters.seed, &v)
		if !ok {
			continue
		}
		if wait := x.table.take(x.bucket, l.counters.at(r.Time), key); wait > 0 {
			return Decision{Outcome: Exceeded, Limit: x.name, RetryAfter: time.Duration(wait), Detail: x.detail}
		}
	}
	return Decision{}
}

// takes reports whether the limit counts requests with this method and folded path.
func (r *rule) takes(method, path string) bool {
	return (len(r.methods) == 0 || slices.Contains(r.methods, method)) && (r.path == nil || r.path.Match(path))
}

// FoldPath makes paths equal that many servers take for the same: it lowers letters, and drops parameters of segments,
// empty segments and the slash at the end. A path that only looks different must not get around a limit.
func FoldPath(path string) string {
	path = strings.ToLower(path)
	if !strings.HasSuffix(path, "/") && !strings.Contains(path, ";") && !strings.Contains(path, "//") {
		return path
	}
	var b strings.Builder
	for s := range strings.SplitSeq(path, "/") {
		if s, _, _ = strings.Cut(s, ";"); s != "" {
			b.WriteByte('/')
			b.WriteString(s)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}
