package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Protocol is what is spoken with an upstream.
type Protocol string

// The protocols.
const (
	// HTTP is HTTP/1.1, in clear or over TLS. Header values and targets arrive as they are given.
	HTTP Protocol = ""
	// GRPC is HTTP/2: over TLS by ALPN, in clear by prior knowledge.
	GRPC Protocol = "grpc"
)

// maxRetries is how many attempts may follow the first.
const maxRetries = 2

// Request is a request to forward.
type Request struct {
	// HTTP gives method, Host, header, body with its ContentLength (-1 if unknown), trailers and context. Its URL is not
	// looked at. Fields of the connection and of the framing (Connection, Keep-Alive, Transfer-Encoding, Content-Length,
	// Trailer, Expect) are not forwarded but written anew; an Upgrade is, if Connection names it.
	//
	// The body is closed by RoundTrip or by the reply's body. Its Close must make a Read that is under way return
	// (ClientBody does so for an http.Server): what RoundTrip starts has ended when the reply's body is closed. A body
	// with a method Len() int equal to ContentLength is taken to be in memory.
	HTTP *http.Request
	// Target is what stands in the request line, byte for byte: an origin form ("/path?query") or "*".
	Target string
	// Protocol is what is spoken with the upstream.
	Protocol Protocol
}

// Attempt is how a request went to its upstream.
type Attempt struct {
	Address netip.AddrPort // of the last attempt; zero if none was made
	Reused  bool           // on a connection that had carried a request before
	Sent    bool           // a byte of the request may have been received by an upstream
	Retries int            // attempts before the last
	// Duration is the time to the head of the reply or to the error, retries included.
	Duration time.Duration
}

// RoundTrip sends a request to one of the upstream's addresses and gives the reply, whose body the caller must close.
// The error is always an *Error; so is one of the reply's body, except io.EOF. The body of a 101 is an
// io.ReadWriteCloser.
//
// A request is sent again only where the first attempt cannot have had an effect: the connection could not be made, no
// byte was given to the network, the upstream says that it did nothing (HTTP/2 REFUSED_STREAM), or a connection that had
// been idle was closed before any byte of a reply and the request is a GET, HEAD or OPTIONS without body. A request
// whose body was read from is never sent again.
//
// It is safe for concurrent use, also after Release.
func (u *Upstream) RoundTrip(r *Request) (*http.Response, Attempt, error) {
	start := time.Now()
	u.enter()
	resp, attempt, err := u.roundTrip(r)
	attempt.Duration = time.Since(start)
	if err != nil {
		err.Upstream = u.config.Name
		u.metrics.answered(u.config.Name, 0, err, attempt.Duration)
		return nil, attempt, err
	}
	u.metrics.answered(u.config.Name, resp.StatusCode, nil, attempt.Duration)
	return resp, attempt, nil
}

func (u *Upstream) roundTrip(given *Request) (*http.Response, Attempt, *Error) {
	var a Attempt
	ctx := given.HTTP.Context()
	r, body, err := prepare(given)
	if err == nil {
		var resp *http.Response
		if resp, err = u.attempts(ctx, r, body, &a); err == nil {
			return resp, a, nil
		}
	}
	if body != nil {
		_ = body.finalClose()
	}
	u.leave()
	return nil, a, err
}

// outgoing is a request as it is sent, in one piece.
type outgoing struct {
	request Request
	http    http.Request
	body    requestBody
}

// prepare checks that a request can be sent as it is, and makes a copy that says plainly whether it has a body.
func prepare(given *Request) (*Request, *requestBody, *Error) {
	out := &outgoing{request: *given, http: *given.HTTP}
	r, in := &out.request, &out.http
	r.HTTP = in
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	var body *requestBody
	if in.Body != nil && in.Body != http.NoBody {
		body = &out.body
		body.body = in.Body
	}
	invalid := func(err error) (*Request, *requestBody, *Error) {
		return r, body, &Error{Kind: Invalid, Step: StepPrepare, Err: err}
	}
	if err := checkTarget(r.Target); err != nil {
		return invalid(err)
	}
	if err := checkHead(in.Method, in.Host, in.Header, in.Trailer); err != nil {
		return invalid(err)
	}
	if in.Method == http.MethodConnect {
		return invalid(errors.New("CONNECT is not forwarded"))
	}
	if body == nil {
		in.Body, in.ContentLength = nil, 0
		return r, nil, nil
	}
	switch {
	case r.Protocol == GRPC:
	case in.ContentLength == 0:
		err := body.finalClose()
		if err != nil {
			return invalid(err)
		}
		in.Body = nil
		return r, nil, nil
	case in.ContentLength < 0 && seldomHasBody(in.Method):
		rest, err := peekBody(in.Body)
		if err != nil {
			return r, body, classify(in.Context(), StepPrepare, err)
		}
		if rest == nil {
			in.Body, in.ContentLength = nil, 0
			return r, nil, nil
		}
		body.body = rest
		body.touched.Store(true)
	}
	in.Body = body
	if r.Protocol == GRPC && in.ContentLength == 0 {
		in.ContentLength = -1
	}
	return r, body, nil
}

func seldomHasBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return true
	default:
		return false
	}
}

// attempts tries addresses until one answers or no other attempt is safe.
func (u *Upstream) attempts(ctx context.Context, r *Request, body *requestBody, a *Attempt) (*http.Response, *Error) {
	if err := u.awaitAddresses(ctx); err != nil {
		return nil, err
	}
	var tried []*endpoint // could not be connected to
	var last *Error
	again := connAny
	for ; ; a.Retries++ {
		ep := u.pick(tried)
		if ep == nil {
			if last == nil {
				last = u.noAddress()
			} else {
				a.Retries--
			}
			return nil, last
		}
		a.Address = ep.addr
		resp, reused, p, err := u.attempt(ctx, ep, r, body, again)
		a.Reused, a.Sent = reused, a.Sent || p.sent || resp != nil
		if err == nil {
			ep.connected()
			return resp, nil
		}
		ep.release()
		err.Address = ep.addr
		last = err
		if a.Retries == maxRetries || ctx.Err() != nil || !safeAgain(r, body, reused, p, err) {
			return nil, last
		}
		if err.Step == StepConnect || err.Step == StepTLS {
			tried = append(tried, ep)
		} else {
			again = connNew // other idle connections are likely to be closed as well
		}
	}
}

// safeAgain reports whether a failed attempt cannot have had an effect.
func safeAgain(r *Request, body *requestBody, reused bool, p progress, err *Error) bool {
	if body != nil && body.touched.Load() {
		return false
	}
	switch {
	case err.Kind == ClientGone || err.Kind == Invalid || err.Kind == BodyFailed:
		return false
	case err.Step == StepConnect || err.Step == StepTLS:
		return true
	case !p.sent || refusedStream(err.Err):
		return true
	default:
		idempotent := r.HTTP.Method == http.MethodGet || r.HTTP.Method == http.MethodHead || r.HTTP.Method == http.MethodOptions
		return reused && idempotent && body == nil && !p.replied && err.Kind == Broken
	}
}

// connChoice says which connections an attempt may use.
type connChoice int

const (
	connAny connChoice = iota
	connNew            // none that was idle
)

// attempt sends the request to one address.
func (u *Upstream) attempt(ctx context.Context, ep *endpoint, r *Request, body *requestBody, choice connChoice) (
	*http.Response, bool, progress, *Error,
) {
	name := ep.serverName(r.HTTP.Host)
	if r.Protocol == GRPC {
		return u.attemptHTTP2(ctx, ep, name, r, body)
	}
	var c *http1Conn
	if choice == connAny {
		c = ep.idleConn(name)
	}
	if c == nil {
		var err *Error
		if c, err = ep.dialHTTP1(ctx, name); err != nil {
			return nil, false, progress{}, err
		}
	}
	reused := c.reused
	x := &exchange{conn: c, ctx: ctx, req: r, body: body, firstByte: u.timeouts.firstByte, counted: u}
	if body != nil && (r.HTTP.Method == http.MethodGet || r.HTTP.Method == http.MethodHead) {
		// Such a body has no defined meaning (RFC 9110, sections 9.3.1 and 9.3.2). A server that leaves it unread takes
		// it for the next request on the connection, so there is none.
		x.close = closeAfter
	}
	resp, err := x.run()
	if err != nil {
		step := StepReply
		if !x.progress.sent {
			step = StepWrite
		}
		return nil, reused, x.progress, classify(ctx, step, err)
	}
	return resp, reused, x.progress, nil
}

func (u *Upstream) attemptHTTP2(ctx context.Context, ep *endpoint, name string, r *Request, body *requestBody) (
	*http.Response, bool, progress, *Error,
) {
	c, reused, dialErr := ep.http2For(ctx, name)
	if dialErr != nil {
		copied := *dialErr // several requests may wait for one dial
		return nil, false, progress{}, &copied
	}
	resp, p, err := c.roundTrip(ctx, r, body)
	if err != nil {
		c.streamDone()
		return nil, reused, p, classify(ctx, StepReply, err)
	}
	resp.Body = &streamBody{ReadCloser: resp.Body, conn: c, ctx: ctx, body: body}
	return resp, reused, p, nil
}

// streamBody is the body of a reply over HTTP/2.
type streamBody struct {
	io.ReadCloser
	conn *http2Conn
	ctx  context.Context
	body *requestBody
	once sync.Once
}

func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF { // exactly the end, not an error that wraps it
		return n, err
	}
	return n, b.conn.ep.u.bodyError(b.ctx, b.conn.ep, err)
}

// Close ends the stream; a reply that was not read to its end is cancelled.
func (b *streamBody) Close() error {
	var err error
	b.once.Do(func() {
		if b.body != nil {
			_ = b.body.finalClose()
		}
		err = b.ReadCloser.Close()
		b.conn.streamDone()
		b.conn.ep.release()
		b.conn.ep.u.leave()
	})
	return err
}

// bodyError types the error of a reply that broke off.
func (u *Upstream) bodyError(ctx context.Context, ep *endpoint, err error) error {
	e := classify(ctx, StepReply, fmt.Errorf("the reply broke off: %w", err))
	e.Upstream, e.Address = u.config.Name, ep.addr
	return e
}
