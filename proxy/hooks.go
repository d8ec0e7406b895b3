package proxy

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/event"
	"gatehouse/proxy/listener"
	"gatehouse/proxy/reply"
)

// hooks count, record and answer what the listeners decide before a request reaches the handler.
func (s *Server) hooks() listener.Hooks {
	return listener.Hooks{
		Refused: s.refusedEarly,
		Failed: func(info *listener.ConnInfo, cause listener.Failure) {
			s.metrics.refused.WithLabelValues(info.Listener, string(cause)).Inc()
		},
		HTTP2Error: func(name, kind string) { s.metrics.refused.WithLabelValues(name, "http2_"+kind).Inc() },
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
	now := time.Now()
	reason, ok := earlyReasons[status]
	if !ok {
		reason = event.BadRequest
	}
	incident := s.incidents.Next(now)
	s.metrics.refused.WithLabelValues(info.Listener, string(reason)).Inc()
	s.metrics.requests.WithLabelValues(other, other, statusLabel(status), "gateway").Inc()
	s.metrics.verdicts.WithLabelValues(other, string(event.Block), string(reason)).Inc()
	st := s.acquire()
	defer st.release()
	e := &event.Event{
		Time: now, Incident: incident, Verdict: event.Block, Reason: reason, Detail: detail,
		Client: info.Client.Addr().String(), ClientPort: int(info.Client.Port()), Listener: info.Listener,
		Status: status, AnsweredBy: "gateway", Revision: st.revision,
	}
	s.records.Event(e)
	s.records.Access(&event.Access{
		Time: now, Incident: incident, Client: e.Client, ClientPort: e.ClientPort, Listener: info.Listener, Status: status,
		AnsweredBy: "gateway", Verdict: event.Block, Reason: reason, Revision: st.revision, TLS: info.TLSVersion,
	})
	return reply.RawHTTP1(reply.Reply{Status: status, Reason: reason, Incident: incident, Time: now})
}
