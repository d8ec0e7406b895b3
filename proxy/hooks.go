package proxy

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/listener"
	"gatehouse/proxy/reply"
)

// hooks count, record and answer what the listeners decide before a request reaches the handler.
func (s *Server) hooks() listener.Hooks {
	return listener.Hooks{
		Refused: s.refusedEarly,
		Failed: func(info *listener.ConnInfo, cause listener.Failure) {
			s.metrics.refused.WithLabelValues(info.Listener, string(cause)).Inc()
			if cause == listener.ClientConnections {
				s.metrics.shed.WithLabelValues(inspect.LaneConnections).Inc()
			}
		},
		HTTP2Error: s.http2Failed,
		CertificateReloaded: func(name string, err error) {
			if err != nil {
				s.log.Error("certificate not reloaded, the old one stays", zap.String("certificate", name), zap.Error(err))
				return
			}
			s.observeCertificates()
		},
	}
}

// earlyReasons are the reasons of requests that are refused before they can be read.
var earlyReasons = map[int]event.Reason{
	http.StatusRequestTimeout: event.HeaderTimeout, http.StatusRequestHeaderFieldsTooLarge: event.HeaderTooLarge,
}

// refusedEarly records a request that could not be read and gives the bytes of the reply.
func (s *Server) refusedEarly(info *listener.ConnInfo, status int, detail string) []byte {
	e := s.earlyEvent(info, status, detail)
	s.metrics.refused.WithLabelValues(info.Listener, string(e.Reason)).Inc()
	s.metrics.requests.WithLabelValues(other, other, statusLabel(knownStatus(status)), "gateway").Inc()
	s.records.Event(e)
	s.records.Access(&event.Access{
		Time: e.Time, Incident: e.Incident, Client: e.Client, ClientPort: e.ClientPort, Listener: e.Listener, Status: status,
		Protocol: e.Protocol, AnsweredBy: "gateway", Verdict: event.Block, Reason: e.Reason, Revision: e.Revision, TLS: info.TLSVersion,
	})
	return reply.RawHTTP1(reply.Reply{Status: status, Reason: e.Reason, Incident: e.Incident, Time: e.Time})
}

// http2Failed records a connection or a stream that ended with an error code instead of a reply.
func (s *Server) http2Failed(info *listener.ConnInfo, fault listener.HTTP2Error) {
	s.metrics.refused.WithLabelValues(info.Listener, "http2_"+fault.Kind).Inc()
	e := s.earlyEvent(info, fault.Status, fault.Detail)
	e.Status = statusDropped
	s.records.Event(e)
}

// earlyEvent makes the event of what was refused before it was a request of an application, and counts its verdict.
func (s *Server) earlyEvent(info *listener.ConnInfo, status int, detail string) *event.Event {
	now := time.Now()
	reason, ok := earlyReasons[status]
	if !ok {
		reason = event.BadRequest
	}
	s.metrics.verdicts.WithLabelValues(other, string(event.Block), string(reason)).Inc()
	st := s.acquire()
	defer st.release()
	e := &event.Event{
		Time: now, Incident: s.incidents.Next(now), Verdict: event.Block, Reason: reason, Detail: detail,
		Client: info.Client.Addr().String(), ClientPort: int(info.Client.Port()), Listener: info.Listener,
		Status: status, AnsweredBy: "gateway", Revision: st.revision,
	}
	if info.ALPN == "h2" || info.ALPN == "h2c" {
		e.Protocol = "HTTP/2.0"
	}
	return e
}
