package proxy

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/listener"
	"gatehouse/proxy/route"
	"gatehouse/proxy/upstream"
	"gatehouse/rules"
	"gatehouse/rules/media"
)

// exchange is one request and its reply on their way through the gateway. It belongs to the request's goroutine.
type exchange struct {
	server  *Server
	state   *state
	start   time.Time
	conn    *listener.ConnInfo
	writer  *replyWriter
	request *http.Request

	out     clientip.Outbound // the header for the upstream, and what was learned from the client's
	host    string
	path    route.Path
	pathErr error      // of a path that no two servers are sure to read alike
	query   string     // with its question mark
	kind    media.Kind // of the body, by its Content-Type
	kindErr error      // of a Content-Type that is not sure to be read alike
	allow   []string
	app     *application
	route   *site
	traffic config.Traffic
	mode    config.Mode // that an emergency action sets, else empty

	inspection *inspect.Inspection
	refusal    *inspect.Refusal
	access     event.Access
	delivering bool // the upstream's reply goes to the client
	finished   bool
	admitted   bool // it counts among the requests that are served
}

// errAbort ends the request without a whole reply: the client must not take it for complete.
var errAbort = http.ErrAbortHandler

// ServeHTTP takes one request from a listener to its end.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := s.acquire()
	defer st.release()
	x := &exchange{server: s, state: st, start: time.Now(), request: r, conn: listener.FromContext(r.Context()), writer: &replyWriter{ResponseWriter: w}}
	defer x.recovered()
	l := st.fronts[x.conn.Listener]
	if l == nil { // offline there is no listener
		l = closedFront
	}
	x.identify(l.clients)
	s.clients.add(x.out.Client)
	x.parseTarget()
	if l.healthPath != "" && x.path.Canonical == l.healthPath { // in any spelling
		x.health(l)
		return
	}
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	x.run()
	x.finish()
}

// parseTarget reads the request target. HTTP/2 has no absolute form of it (RFC 9113, section 8.3.1), and an asterisk
// is a target of OPTIONS alone (RFC 9110, section 9.3.7).
func (x *exchange) parseTarget() {
	raw := x.request.RequestURI
	if x.request.ProtoMajor == 1 {
		raw, x.query = splitTarget(raw)
	} else if i := strings.IndexByte(raw, '?'); i >= 0 {
		raw, x.query = raw[:i], raw[i:]
	}
	if x.path, x.pathErr = route.ParsePath(raw); raw == "*" && x.request.Method != http.MethodOptions {
		x.pathErr = route.ErrNotAbsolute
	}
}

// closedFront trusts nobody.
var closedFront = &front{clients: clientip.NewResolver(config.Listener{TrustedProxies: []config.Prefix{{}}})}

// health answers the health path on the traffic port: to load balancers' own checks alone, and never by forwarding.
func (x *exchange) health(l *front) {
	if l.clients.IsHealthCheck(x.conn.Addresses, x.request.Header) {
		x.server.readiness(x.writer)
		return
	}
	x.refusal = &inspect.Refusal{Reason: event.NoRoute, Status: http.StatusNotFound, Detail: "the health path answers only to trusted peers that send no X-Forwarded-For"}
	x.refuse()
	x.finish()
}

// run is the way of a request: admission, inspection, the upstream, inspection of the reply.
func (x *exchange) run() {
	if x.refusal = x.admit(); x.refusal == nil {
		x.refusal = x.act()
	}
	if x.refusal == nil {
		x.refusal = x.enter()
	}
	if x.refusal != nil {
		x.refuse()
		return
	}
	if x.redirect() {
		return
	}
	if x.traffic == config.TrafficGRPC { // a stream may be silent in one direction
		listener.SetBodyIdle(x.request, 0)
	}
	x.inspection = x.inspect()
	if x.refusal = x.inspection.Headers(); x.refusal != nil {
		x.refuse()
		return
	}
	refusal, err := x.takeBody()
	switch {
	case err != nil:
		x.clientFailed(err)
	case refusal != nil:
		x.refusal = refusal
		x.refuse()
	case x.traffic == config.TrafficWebSocket:
		x.upgrade()
	default:
		x.forward()
	}
}

// takeBody takes in the body as far as it is judged, and judges it.
func (x *exchange) takeBody() (*inspect.Refusal, error) {
	body := x.request.Body
	if body != nil && body != http.NoBody && x.traffic != config.TrafficGRPC {
		paced := x.pacedBody()
		defer paced.taken()
		body = paced
	}
	return x.inspection.Body(upstream.ClientBody(x.writer.ResponseWriter, body), x.request.ContentLength)
}

// identify finds who the client is and what the request is called.
func (x *exchange) identify(clients *clientip.Resolver) {
	x.kind, x.kindErr = media.ParseContentType(x.request.Header["Content-Type"])
	x.out = clients.Outgoing(clientip.Inbound{
		Header: x.request.Header, Host: x.request.Host, Scheme: x.conn.Scheme(), Conn: x.conn.Addresses, GRPC: x.kind == media.GRPC,
	})
}

// use takes the settings of an application, and of a route once it is known.
func (x *exchange) use(app *route.Application, r *route.Route) {
	x.app = x.state.apps[app.Index]
	if r != nil {
		x.route = x.app.routes[r.Index]
	}
}

// inspect begins the inspection.
func (x *exchange) inspect() *inspect.Inspection {
	opts := x.route.options
	opts.Mode = x.effectiveMode()
	opts.Traffic, opts.Kind, opts.KindErr = x.traffic, x.kind, x.kindErr
	opts.Rules, opts.Limits, opts.Client = x.app.rules, x.app.limits, x.out.Client
	opts.Spill, opts.Lane, opts.Gone = x.server.spill, x.server.admission.large, x.request.Context().Done()
	return inspect.Begin(opts, &rules.Request{
		ID: x.out.RequestID, Time: x.start,
		Client: x.out.Client.Addr, Server: x.conn.Server,
		Method: x.request.Method, Target: x.request.RequestURI, Protocol: x.request.Proto,
		Headers: inspect.RequestHeaders(x.request),
		Host:    x.host, Path: x.path.Canonical, Application: x.app.config.Name, Route: x.route.name,
	}, x.request.Header)
}

// redirect answers a route that redirects.
func (x *exchange) redirect() bool {
	to := x.route.config.Rewrite.Redirect
	if to == nil {
		return false
	}
	x.writer.Header().Set("Location", to.To)
	x.writer.Header().Set("Content-Length", "0")
	x.writer.WriteHeader(to.Status)
	return true
}

// clientFailed ends a request whose body could not be read.
func (x *exchange) clientFailed(err error) {
	switch {
	case errors.Is(err, listener.ErrBodyIdle):
		x.refusal = &inspect.Refusal{Reason: event.BodyTimeout, Status: http.StatusRequestTimeout, Detail: "the client stopped sending the request body (timeouts.body_idle)"}
	case errors.Is(err, errSlowBody):
		x.refusal = &inspect.Refusal{Reason: event.BodyTimeout, Status: http.StatusRequestTimeout, Detail: err.Error()}
	case errors.Is(err, errDeadline):
		x.refusal = inspect.Shed(inspect.LaneDeadline)
	}
	if x.refusal != nil {
		x.refuse()
		return
	}
	if x.malformedBody() {
		return
	}
	if errors.Is(err, listener.ErrBodyMalformed) {
		x.refusal = &inspect.Refusal{Reason: event.BadRequest, Status: http.StatusBadRequest, Detail: err.Error()}
		x.refuse()
		return
	}
	x.clientGone()
}

// malformedBody refuses the request if its body broke the rules of HTTP/2, and reports whether it did.
func (x *exchange) malformedBody() bool {
	problem := listener.MalformedBody(x.request)
	if problem == "" {
		return false
	}
	x.refusal = &inspect.Refusal{Reason: event.BadRequest, Status: http.StatusBadRequest, Detail: problem}
	x.refuse()
	return true
}

// clientGone ends a request for whose reply nobody waits any more.
func (x *exchange) clientGone() {
	if x.malformedBody() { // then it was the gateway that ended the stream
		return
	}
	if !x.delivering {
		x.access.Status = statusClientGone
	}
	panic(errAbort)
}

// recovered is the edge of the request: a panic is counted and answered with 500, an aborted reply closes the
// connection, and the request is recorded either way.
func (x *exchange) recovered() {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, errAbort) {
		x.finish()
		panic(errAbort)
	}
	x.server.metrics.panics.Inc()
	x.server.log.Error("panic while serving a request", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()), zap.String("request_id", x.out.RequestID))
	if !x.writer.wrote {
		x.refusal = &inspect.Refusal{Reason: event.Internal, Status: http.StatusInternalServerError, Detail: "a fault inside the gateway; its log has the details"}
		x.refuse()
		x.finish()
		return
	}
	x.finish()
	panic(errAbort)
}
