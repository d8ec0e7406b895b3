package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"

	"gatehouse/proxy/buffer"
	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/reply"
	"gatehouse/proxy/upstream"
)

// statusClientGone is what records show for a client that went away before it had a reply.
const statusClientGone = 499

// forward sends the request upstream and delivers the reply.
func (x *exchange) forward() {
	body, length := x.inspection.Forward()
	reply, err := x.roundTrip(body, length)
	if err != nil {
		x.upstreamFailed(err)
		return
	}
	defer reply.Body.Close()
	content, refusal, err := x.inspection.Reply(reply)
	if err != nil {
		x.upstreamFailed(err)
		return
	}
	if refusal != nil {
		x.refusal = refusal
		x.refuse()
		return
	}
	x.deliver(reply, content)
}

// roundTrip sends the request and gives the head of the reply.
func (x *exchange) roundTrip(body io.ReadCloser, length int64) (*http.Response, error) {
	out := x.outgoing(body, length)
	reply, attempt, err := x.route.upstream.RoundTrip(out)
	x.access.Upstream = x.route.upstreamName
	if attempt.Address.IsValid() {
		x.access.UpstreamAddress = attempt.Address.String()
	}
	x.access.UpstreamDuration = attempt.Duration
	if attempt.Sent {
		x.inspection.Sent()
	}
	if reply != nil {
		x.access.UpstreamStatus = reply.StatusCode
	}
	return reply, err
}

// outgoing builds the request for the upstream from the parsed one: target, end-to-end header values and body are the
// client's, framing and forwarding headers are ours.
func (x *exchange) outgoing(body io.ReadCloser, length int64) *upstream.Request {
	rewrite := &x.route.config.Rewrite
	h := x.out.Header
	rewriteHeader(h, rewrite)
	out := &http.Request{Method: x.request.Method, Header: h, Host: x.request.Host, ContentLength: length}
	if rewrite.Host != "" {
		out.Host = rewrite.Host
	}
	if body != nil {
		out.Body = body
	}
	protocol := upstream.HTTP
	switch {
	case x.traffic == config.TrafficWebSocket:
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	case x.traffic == config.TrafficGRPC && x.request.ProtoMajor == 2:
		protocol = upstream.GRPC
		// A field that the map does not announce does not arrive.
		maps.DeleteFunc(x.request.Trailer, func(name string, _ []string) bool { return !clientip.EndToEnd(name) })
		out.Trailer = x.request.Trailer
	}
	return &upstream.Request{HTTP: out.WithContext(x.request.Context()), Target: x.target(rewrite), Protocol: protocol}
}

// rewriteHeader removes and sets what the route says. A client's header of the same name ends here in every spelling that
// an upstream may take for it.
func rewriteHeader(h http.Header, rewrite *config.Rewrite) {
	if len(rewrite.RemoveHeaders)+len(rewrite.SetHeaders) == 0 {
		return
	}
	ends := map[string]bool{}
	for _, name := range rewrite.RemoveHeaders {
		ends[clientip.PlainName(name)] = true
	}
	for name := range rewrite.SetHeaders {
		ends[clientip.PlainName(name)] = true
	}
	for key := range h {
		if ends[clientip.PlainName(key)] {
			delete(h, key)
		}
	}
	for name, value := range rewrite.SetHeaders {
		h.Set(name, value)
	}
}

// countTrailer counts a trailer that was dropped: only what came after the whole body is known to have been sent.
func (x *exchange) countTrailer() {
	forwarded := x.access.Upstream != "" && (x.traffic != config.TrafficGRPC || x.request.ProtoMajor == 1)
	if forwarded && x.inspection.BodyEnded() && len(x.request.Trailer) > 0 {
		x.inspection.Uninspected(inspect.CauseTrailers, 0)
	}
}

// target is the request target for the upstream: the client's own bytes unless the route rewrites the path.
func (x *exchange) target(rewrite *config.Rewrite) string {
	path := x.path.Forward
	switch {
	case rewrite.StripPrefix != "":
		if rest, ok := cutPrefix(path, rewrite.StripPrefix); ok {
			path = rest
		}
	case rewrite.ReplacePrefix != "":
		if rest, ok := cutPrefix(path, x.route.config.Path); ok {
			path = strings.TrimSuffix(rewrite.ReplacePrefix, "/") + rest
		}
	}
	return path + x.query
}

// cutPrefix cuts a path prefix of whole segments; what is left begins with a slash.
func cutPrefix(path, prefix string) (string, bool) {
	prefix = strings.TrimSuffix(prefix, "/")
	rest, ok := strings.CutPrefix(path, prefix)
	switch {
	case !ok || rest != "" && rest[0] != '/':
		return path, false
	case rest == "":
		return "/", true
	}
	return rest, true
}

// upstreamFailed turns a failure of the upstream into a reply, or cuts off the one that is being delivered.
func (x *exchange) upstreamFailed(err error) {
	var failure *upstream.Error
	if !errors.As(err, &failure) {
		failure = &upstream.Error{Kind: upstream.Broken, Step: upstream.StepReply, Upstream: x.access.Upstream, Err: err}
	}
	reasons := map[upstream.Kind]event.Reason{
		upstream.Timeout: event.UpstreamTimeout, upstream.Unreachable: event.UpstreamDown, upstream.Refused: event.UpstreamDown,
		upstream.Broken: event.UpstreamError, upstream.Invalid: event.BadRequest,
	}
	switch {
	case x.inspection.TooLarge(err) != nil:
		x.refusal = x.inspection.TooLarge(err)
	case failure.Kind == upstream.BodyFailed:
		x.clientFailed(failure.Err)
		return
	case failure.Kind == upstream.ClientGone:
		x.clientGone()
		return
	default:
		x.refusal = &inspect.Refusal{Reason: reasons[failure.Kind], Status: failure.Status(), Detail: err.Error()}
	}
	x.refuse()
}

// deliver sends the reply to the client. What has no known length, and every event stream, is flushed as it comes.
func (x *exchange) deliver(reply *http.Response, content io.Reader) {
	h := x.writer.Header()
	addReplyHeaders(h, "", reply.Header)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // the HTTP/2 server must not guess one
	}
	x.endUpload()
	x.delivering = true
	flush := reply.ContentLength < 0
	x.writer.WriteHeader(reply.StatusCode)
	if flush {
		x.writer.flush()
	}
	through := buffer.Borrow()
	defer through.Return()
	for {
		n, err := content.Read(through[:])
		if n > 0 {
			if _, writeErr := x.writer.Write(through[:n]); writeErr != nil {
				x.clientGone()
				return
			}
			if flush {
				x.writer.flush()
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil { // a cut reply must not look whole
			x.upstreamFailed(err)
			return
		}
	}
	addReplyHeaders(h, http.TrailerPrefix, reply.Trailer)
}

// endUpload makes the reply the last on an HTTP/1.1 connection whose upload has not ended: what is left of it must not
// be taken for the next request.
func (x *exchange) endUpload() {
	if x.request.ProtoMajor == 1 && x.inspection != nil && !x.inspection.BodyEnded() {
		x.writer.Header().Set("Connection", "close")
	}
}

// addReplyHeaders adds the end-to-end fields of an upstream's reply, or of its trailer, under prefix. An incident is the gateway's alone to tell: a client
// that was told of one by an upstream would ask for what no record holds.
func addReplyHeaders(to http.Header, prefix string, from http.Header) {
	named := connectionNamed(from["Connection"])
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Te", "Trailer", "Upgrade", reply.IncidentHeader:
		default:
			if !named[name] {
				to[prefix+name] = values
			}
		}
	}
}

// connectionNamed gives the fields that Connection removes from a reply, nil if there are none.
func connectionNamed(lists []string) map[string]bool {
	var named map[string]bool
	for _, list := range lists {
		for element := range strings.SplitSeq(list, ",") {
			name := http.CanonicalHeaderKey(strings.TrimSpace(element))
			if name == "" || name == "Close" || name == "Keep-Alive" {
				continue
			}
			if named == nil {
				named = map[string]bool{}
			}
			named[name] = true
		}
	}
	return named
}

// replyWriter counts what goes to the client.
type replyWriter struct {
	http.ResponseWriter
	wrote  bool
	status int
	bytes  int64
}

func (w *replyWriter) WriteHeader(status int) {
	if status >= 200 && !w.wrote {
		w.wrote, w.status = true, status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *replyWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *replyWriter) flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
