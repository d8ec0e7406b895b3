package proxy

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/http1"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/route"
	"gatehouse/rules/media"
)

// admit finds the route and refuses what is refused in every mode. It gives nil if the request may go on.
func (x *exchange) admit() *inspect.Refusal {
	r := x.request
	if route.NeverForwarded(r.Method) {
		return &inspect.Refusal{Reason: event.MethodRefused, Status: http.StatusMethodNotAllowed, Detail: r.Method + " is never forwarded"}
	}
	if x.out.Malformed != "" {
		return &inspect.Refusal{Reason: event.BadRequest, Status: http.StatusBadRequest, Detail: x.out.Malformed}
	}
	x.host = route.CanonicalHost(r.Host)
	if x.host == "" { // HTTP/1.0 and an empty field: some would give it a host of their own
		return &inspect.Refusal{Reason: event.BadRequest, Status: http.StatusBadRequest, Detail: "the request names no host"}
	}
	app := x.state.table.Host(x.host)
	if app == nil {
		return &inspect.Refusal{Reason: event.UnknownHost, Status: http.StatusMisdirectedRequest, Detail: "no application has this host, and there is no catch-all application with host \"*\""}
	}
	x.use(app, nil)
	if x.pathErr != nil {
		return &inspect.Refusal{Reason: event.PathRefused, Status: http.StatusBadRequest, Detail: x.pathErr.Error()}
	}
	_, found, err := x.state.table.Find(x.host, x.path, r.Method)
	if found != nil {
		x.use(app, found)
	}
	switch {
	case errors.Is(err, route.ErrNoRoute):
		return &inspect.Refusal{Reason: event.NoRoute, Status: http.StatusNotFound, Detail: err.Error()}
	case errors.Is(err, route.ErrMethod):
		x.allow = app.Methods(x.path.Canonical)
		return &inspect.Refusal{Reason: event.MethodNoRoute, Status: http.StatusMethodNotAllowed, Detail: err.Error() + "; it takes " + strings.Join(x.allow, ", ")}
	case err != nil:
		return &inspect.Refusal{Reason: event.PathRefused, Status: http.StatusBadRequest, Detail: err.Error()}
	}
	if refusal := x.overridden(found); refusal != nil {
		return refusal
	}
	return x.classify()
}

// overrides are the headers by which clients ask some frameworks to take a request for one with another method.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// overridden refuses a request that asks to be taken for one with another method, if that is never forwarded or does not
// lead to the same route. Frameworks give such methods in upper case.
func (x *exchange) overridden(found *route.Route) *inspect.Refusal {
	for _, name := range overrides {
		for _, value := range x.request.Header[name] {
			method := strings.ToUpper(strings.TrimSpace(value))
			if route.NeverForwarded(method) {
				return &inspect.Refusal{Reason: event.MethodRefused, Status: http.StatusMethodNotAllowed, Detail: name + ": " + method + " is never forwarded"}
			}
			if method == "" {
				continue
			}
			if _, other, _ := x.state.table.Find(x.host, x.path, method); other != found {
				x.allow = found.Application.Methods(x.path.Canonical)
				return &inspect.Refusal{Reason: event.MethodNoRoute, Status: http.StatusMethodNotAllowed, Detail: name + " names a method that the route does not take"}
			}
		}
	}
	return nil
}

// splitTarget cuts a request target (RFC 9112, section 3.2) into its path and its query, which keeps its question
// mark. The scheme and authority of an absolute form are left out.
func splitTarget(target string) (path, query string) {
	if i := strings.Index(target, "://"); i > 0 && target[0] != '/' {
		rest := target[i+3:]
		if j := strings.IndexAny(rest, "/?"); j < 0 {
			target = "/"
		} else if target = rest[j:]; target[0] == '?' {
			target = "/" + target
		}
	}
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[:i], target[i:]
	}
	return target, ""
}

// classify finds which of the route's kinds of traffic the request is. An Upgrade that the route does not carry is
// refused: it would become a tunnel that nobody reads.
func (x *exchange) classify() *inspect.Refusal {
	carries := func(t config.Traffic) bool { return slices.Contains(x.route.config.Traffic, t) }
	if x.request.Header["Upgrade"] != nil {
		return x.classifyUpgrade(carries(config.TrafficWebSocket))
	}
	switch {
	case carries(config.TrafficGRPC) && (x.kind == media.GRPC || !carries(config.TrafficAuto) && !carries(config.TrafficAPI)):
		x.traffic = config.TrafficGRPC
	case carries(config.TrafficAPI):
		x.traffic = config.TrafficAPI
	case carries(config.TrafficAuto):
		x.traffic = config.TrafficAuto
	default:
		return &inspect.Refusal{Reason: event.UpgradeRefused, Status: http.StatusUpgradeRequired, Detail: "the route carries WebSocket handshakes alone (traffic: [websocket]); traffic: [auto, websocket] would take other requests too"}
	}
	if x.traffic == config.TrafficGRPC && x.request.Method != http.MethodPost {
		x.allow = []string{http.MethodPost}
		return &inspect.Refusal{Reason: event.MethodNoRoute, Status: http.StatusMethodNotAllowed, Detail: "gRPC is POST"}
	}
	return nil
}

// classifyUpgrade judges a request that wants to change the protocol: only a complete WebSocket handshake (RFC 6455,
// section 4.1) on a route that carries websocket goes on.
func (x *exchange) classifyUpgrade(carries bool) *inspect.Refusal {
	h := x.request.Header
	refuse := func(status int, detail string) *inspect.Refusal {
		return &inspect.Refusal{Reason: event.UpgradeRefused, Status: status, Detail: detail}
	}
	upgrade := h["Upgrade"]
	if len(upgrade) != 1 || !http1.EqualFold(upgrade[0], "websocket") {
		return refuse(http.StatusBadRequest, "Upgrade: only websocket is ever forwarded")
	}
	if !carries {
		return refuse(http.StatusForbidden, "the route does not carry WebSocket; traffic: [auto, websocket] would allow it")
	}
	key, err := base64.StdEncoding.DecodeString(h.Get("Sec-WebSocket-Key"))
	switch {
	case x.request.Method != http.MethodGet || x.request.ProtoMajor != 1 || x.request.ProtoMinor < 1:
		return refuse(http.StatusBadRequest, "a WebSocket handshake is a GET in HTTP/1.1")
	case !tokens(h["Connection"], "upgrade"):
		return refuse(http.StatusBadRequest, "a WebSocket handshake has Connection: Upgrade")
	case len(h["Sec-Websocket-Version"]) != 1 || h["Sec-Websocket-Version"][0] != "13":
		return refuse(http.StatusUpgradeRequired, "a WebSocket handshake has Sec-WebSocket-Version: 13")
	case err != nil || len(key) != 16 || len(h["Sec-Websocket-Key"]) != 1:
		return refuse(http.StatusBadRequest, "a WebSocket handshake has a Sec-WebSocket-Key of 16 bytes in base64")
	case x.request.ContentLength != 0:
		return refuse(http.StatusBadRequest, "a WebSocket handshake has no body")
	}
	x.traffic = config.TrafficWebSocket
	return nil
}

// tokens says whether a comma-separated list field holds token, in any case.
func tokens(fields []string, token string) bool {
	for _, f := range fields {
		for t := range strings.SplitSeq(f, ",") {
			if http1.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
