package reply

import (
	"net/http"
	"strings"
)

// The status codes of gRPC that the gateway answers with.
const (
	grpcUnknown           = 2
	grpcInvalidArgument   = 3
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcStatus gives the code for a status of HTTP. It is never OK. Clients may repeat calls that were UNAVAILABLE, so
// timeouts, after which a call may have taken effect, are DEADLINE_EXCEEDED.
func grpcStatus(status int) int {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return grpcInvalidArgument
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMisdirectedRequest, http.StatusNotImplemented:
		return grpcUnimplemented
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return grpcDeadlineExceeded
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge:
		return grpcResourceExhausted
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return grpcUnavailable
	}
	switch {
	case status == http.StatusInternalServerError:
		return grpcInternal
	case status > 500:
		return grpcUnknown
	}
	return grpcPermissionDenied
}

// grpcMessage is the text of the status with the incident ID, percent-encoded as gRPC wants it.
func grpcMessage(p *Reply) string {
	text := p.sentence(p.message())
	if p.Incident != "" {
		text += " Incident " + p.Incident
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
