package proxy

import (
	"net/http"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/proxy/reply"
)

// refuse answers the request with x.refusal.
func (x *exchange) refuse() {
	f := x.refusal
	x.access.Reason = f.Reason
	if f.Lane != "" {
		x.server.metrics.shed.WithLabelValues(f.Lane).Inc()
	}
	if x.access.Incident == "" {
		x.access.Incident = x.server.incidents.Next(x.start)
	}
	if x.writer.wrote { // too late for a reply of ours
		panic(errAbort)
	}
	if f.Drop {
		x.access.Status = statusDropped
		panic(errAbort)
	}
	if f.Location != "" {
		x.writer.Header().Set("Location", f.Location)
	}
	r := reply.Reply{
		Status: f.Status, Reason: f.Reason, Incident: x.access.Incident, Time: x.start, Host: x.request.Host, Allow: x.allow,
	}
	r.Outbound = f.Outbound
	if r.RetryAfter = f.RetryAfter; f.Status == http.StatusServiceUnavailable {
		r.RetryAfter = retryAfter
	}
	if f.Reason == event.UpgradeRefused {
		r.Detail = f.Detail
	}
	if x.app != nil {
		r.Contact, r.Template = x.app.config.Replies.Contact, x.app.template
	}
	if x.traffic == "api" {
		r.Force = reply.ProblemJSON
	}
	if x.request.ProtoMajor == 1 && lastRequest(f.Reason) {
		r.Close = true
	}
	x.endUpload()
	reply.Write(x.writer, x.request, r)
}

// lastRequest says whether nothing may be read from an HTTP/1.1 connection after a refusal: it is not sure where the
// request ended, or what follows was meant for a tunnel.
func lastRequest(reason event.Reason) bool {
	return reason == event.BadRequest || reason == event.MethodRefused || reason == event.UpgradeRefused
}

// retryAfter is what clients are told to wait when the gateway cannot serve.
const retryAfter = 5 * time.Second

// statusDropped is what records show for a connection that a rule dropped without a reply.
const statusDropped = 444

// finish ends the inspection and makes the records, once.
func (x *exchange) finish() {
	if x.finished {
		return
	}
	x.finished = true
	defer x.leave()
	var outcome *inspect.Outcome
	if x.inspection != nil {
		x.countTrailer()
		outcome = x.inspection.Close()
	}
	x.complete(outcome)
	a := &x.access
	if x.eventful(outcome) {
		if a.Incident == "" {
			a.Incident = x.server.incidents.Next(x.start)
		}
		e := x.event(outcome)
		x.server.records.Event(e)
		x.report(e, outcome)
	} else {
		x.report(nil, outcome)
	}
	x.server.records.Access(a)
	x.metrics().observe(a, outcome)
	x.sample(outcome)
	if x.app != nil && x.app.window != nil {
		x.app.window.count(a)
	}
}

// complete fills in the access record.
func (x *exchange) complete(outcome *inspect.Outcome) {
	a := &x.access
	r := x.request
	a.Time, a.Duration = x.start, time.Since(x.start)
	a.RequestID, a.Listener = x.out.RequestID, x.conn.Listener
	a.Client, a.ClientPort = x.out.Client.Addr.Addr().String(), int(x.out.Client.Addr.Port())
	a.Method, a.Host, a.Path, a.Protocol = r.Method, r.Host, r.RequestURI, r.Proto
	a.TLS = x.conn.TLSVersion
	a.UserAgent, a.Referer = r.UserAgent(), r.Referer()
	a.TraceParent, a.AmznTraceID = r.Header.Get("Traceparent"), r.Header.Get("X-Amzn-Trace-Id")
	a.Revision = x.state.revision
	a.BytesOut = x.writer.bytes
	if a.Status == 0 {
		a.Status = x.writer.status
	}
	a.AnsweredBy = "gateway"
	if a.UpstreamStatus != 0 && (x.refusal == nil || x.delivering) {
		a.AnsweredBy = "upstream"
	}
	if x.app != nil {
		a.Application = x.app.config.Name
	}
	if x.route != nil {
		a.Route = x.route.name
	}
	a.Verdict = event.Pass
	if outcome != nil {
		a.Verdict, a.Inspection, a.Uninspected = outcome.Verdict, outcome.Total(), outcome.Uninspected
		if outcome.Verdict != event.Pass {
			a.Reason = outcome.Reason
		}
		if outcome.Result != nil {
			a.Score, a.Exclusions = outcome.Result.Scores.Inbound, outcome.Result.Exclusions
		}
		a.BytesIn = x.inspection.BytesIn()
	}
	if x.refusal != nil && a.Verdict != event.Block { // what inspection only noted gives way to what the client met
		a.Reason = x.refusal.Reason
		a.Verdict = event.Block
		if x.refusal.Status >= 500 {
			a.Verdict = event.Error
		}
	}
}

// eventful says whether the request makes an event: every verdict but pass, and every refusal of the gateway's own.
func (x *exchange) eventful(*inspect.Outcome) bool {
	return x.access.Verdict != event.Pass || x.refusal != nil
}

// event makes the event of the request.
func (x *exchange) event(outcome *inspect.Outcome) *event.Event {
	a := &x.access
	e := &event.Event{
		Time: a.Time, Incident: a.Incident, Verdict: a.Verdict, Reason: a.Reason, RequestID: a.RequestID, Client: a.Client,
		ClientPort: a.ClientPort, Listener: a.Listener, Application: a.Application, Route: a.Route, Method: a.Method,
		Host: a.Host, Protocol: a.Protocol, ContentType: x.request.Header.Get("Content-Type"), UserAgent: a.UserAgent,
		Status: a.Status, AnsweredBy: a.AnsweredBy, UpstreamStatus: a.UpstreamStatus, Revision: a.Revision,
	}
	e.Path, e.Query = splitTarget(x.request.RequestURI)
	if e.Query != "" {
		e.Query = e.Query[1:]
	}
	if x.app != nil {
		e.Policy = x.app.config.Policy
		e.Mode = string(x.app.config.Mode)
	}
	if x.route != nil {
		e.Mode = string(x.effectiveMode())
	}
	if x.refusal != nil {
		e.Detail = x.refusal.Detail
	}
	if outcome != nil {
		e.XML = outcome.XML
		if outcome.Detail != "" && (x.refusal == nil || outcome.Verdict == event.Block) {
			e.Detail = outcome.Detail
		}
		if outcome.Result != nil {
			e.Scores, e.Rules, e.Exclusions = outcome.Result.Scores, outcome.Result.Matches, outcome.Result.Exclusions
		}
	}
	return e
}

// metrics are those of the request's route, or of no application.
func (x *exchange) metrics() *appMetrics {
	switch {
	case x.route != nil:
		return x.route.metrics
	case x.app != nil:
		return x.app.metrics
	}
	return x.server.unknown
}

// report tells the offline inspector what came of the request.
func (x *exchange) report(e *event.Event, outcome *inspect.Outcome) {
	if x.server.registry != nil {
		return
	}
	report, ok := x.request.Context().Value(reportKey{}).(*Report)
	if !ok {
		return
	}
	report.Access, report.Event = x.access, e
	if outcome != nil && outcome.Result != nil {
		report.Result, report.Engine, report.XML = outcome.Result, x.app.coverage.Engine, outcome.XML
	}
}
