package event

import (
	"maps"
	"slices"
	"strconv"

	"gatehouse/rules"
)

// The value of the field "record" of each line.
const (
	recordAccess = "access"
	recordEvent  = "event"
)

// appendAccess appends the line of a, which is masked already. docs/event-fields.md describes the fields.
func appendAccess(b []byte, a *Access) []byte {
	o := open(b)
	o.str("record", recordAccess, capID)
	o.time("time", a.Time)
	o.str("request_id", a.RequestID, capID)
	o.opt("incident", a.Incident, capID)
	o.str("client", a.Client, capID)
	o.optNum("client_port", int64(a.ClientPort))
	o.str("listener", a.Listener, capName)
	o.str("application", a.Application, capName)
	o.str("route", a.Route, capName)
	o.str("method", a.Method, capID)
	o.str("host", a.Host, capName)
	o.str("path", a.Path, capURL)
	o.str("protocol", a.Protocol, capID)
	o.opt("tls", a.TLS, capID)
	o.num("status", int64(a.Status))
	o.str("answered_by", a.AnsweredBy, capID)
	o.str("verdict", string(a.Verdict), capID)
	o.opt("reason", string(a.Reason), capID)
	o.num("score", int64(a.Score))
	o.num("bytes_in", a.BytesIn)
	o.num("bytes_out", a.BytesOut)
	o.ms("duration_ms", a.Duration)
	o.ms("inspection_ms", a.Inspection)
	o.opt("upstream", a.Upstream, capName)
	o.opt("upstream_address", a.UpstreamAddress, capName)
	o.optNum("upstream_status", int64(a.UpstreamStatus))
	if a.UpstreamDuration != 0 {
		o.ms("upstream_ms", a.UpstreamDuration)
	}
	o.opt("user_agent", a.UserAgent, capText)
	o.opt("referer", a.Referer, capURL)
	o.opt("traceparent", a.TraceParent, capID)
	o.opt("amzn_trace_id", a.AmznTraceID, capName)
	o.str("revision", a.Revision, capName)
	if len(a.Uninspected) > 0 {
		o.key("uninspected")
		o.b = appendList(o.b, a.Uninspected, func(b []byte, u Uninspected) []byte {
			in := open(b)
			in.str("cause", u.Cause, capID)
			in.num("bytes", u.Bytes)
			return in.close()
		})
	}
	if len(a.Exclusions) > 0 {
		o.key("exclusions")
		o.b = appendStrings(o.b, a.Exclusions, capList)
	}
	return append(o.close(), '\n')
}

// appendEvent appends the line of e, which is masked already, in at most capLine bytes: rules beyond that are counted
// in rules_dropped. Disruptive rules are dropped last.
func appendEvent(b []byte, e *Event) []byte {
	start := len(b)
	o := open(b)
	o.str("record", recordEvent, capID)
	o.time("time", e.Time)
	o.str("incident", e.Incident, capID)
	o.str("verdict", string(e.Verdict), capID)
	o.str("reason", string(e.Reason), capID)
	o.opt("detail", e.Detail, capText)
	o.str("request_id", e.RequestID, capID)
	o.str("client", e.Client, capID)
	o.optNum("client_port", int64(e.ClientPort))
	o.str("listener", e.Listener, capName)
	o.str("application", e.Application, capName)
	o.str("route", e.Route, capName)
	o.opt("policy", e.Policy, capName)
	o.opt("mode", e.Mode, capID)
	o.str("method", e.Method, capID)
	o.str("host", e.Host, capName)
	o.str("path", e.Path, capURL)
	o.opt("query", e.Query, capURL)
	o.str("protocol", e.Protocol, capID)
	o.opt("content_type", e.ContentType, capName)
	o.opt("user_agent", e.UserAgent, capText)
	o.num("status", int64(e.Status))
	o.str("answered_by", e.AnsweredBy, capID)
	o.optNum("upstream_status", int64(e.UpstreamStatus))
	o.str("revision", e.Revision, capName)
	o.key("scores")
	o.b = appendScores(o.b, e.Scores)
	if len(e.Exclusions) > 0 {
		o.key("exclusions")
		o.b = appendStrings(o.b, e.Exclusions, capList)
	}
	if len(e.Rules) > 0 {
		o.key("rules")
		var dropped int
		o.b, dropped = appendRules(o.b, e.Rules, capLine-(len(o.b)-start)-64)
		o.optNum("rules_dropped", int64(dropped+e.RulesDropped))
	} else {
		o.optNum("rules_dropped", int64(e.RulesDropped))
	}
	return append(o.close(), '\n')
}

func appendScores(b []byte, s rules.Scores) []byte {
	o := open(b)
	o.num("inbound", int64(s.Inbound))
	o.num("inbound_threshold", int64(s.InboundThreshold))
	o.num("outbound", int64(s.Outbound))
	o.num("outbound_threshold", int64(s.OutboundThreshold))
	o.num("detection", int64(s.Detection))
	if len(s.Categories) > 0 {
		o.key("categories")
		in := open(o.b)
		for _, name := range slices.Sorted(maps.Keys(s.Categories)) {
			in.num(name, int64(s.Categories[name]))
		}
		o.b = in.close()
	}
	return o.close()
}

// appendRules appends the rules that fit into room bytes and says how many did not. The order stays.
func appendRules(b []byte, list []rules.Match, room int) ([]byte, int) {
	var scratch []byte
	ends := make([]int, len(list))
	for i := range list {
		scratch = appendRule(scratch, &list[i])
		ends[i] = len(scratch)
	}
	size := func(i int) int {
		if i == 0 {
			return ends[0] + 1
		}
		return ends[i] - ends[i-1] + 1
	}
	keep, kept := make([]bool, len(list)), 0
	for _, disruptive := range []bool{true, false} {
		for i := range list {
			if list[i].Disruptive == disruptive && kept < capRules && size(i) <= room {
				keep[i] = true
				kept++
				room -= size(i)
			}
		}
	}
	b = append(b, '[')
	first := true
	for i := range list {
		if !keep[i] {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, scratch[ends[i]-size(i)+1:ends[i]]...)
	}
	return append(b, ']'), len(list) - kept
}

func appendRule(b []byte, m *rules.Match) []byte {
	o := open(b)
	o.num("id", int64(m.Rule))
	o.num("phase", int64(m.Phase))
	o.str("message", m.Message, capText)
	o.opt("data", m.Data, capText)
	o.opt("severity", m.Severity, capID)
	if len(m.Tags) > 0 {
		o.key("tags")
		o.b = appendStrings(o.b, m.Tags, capTags)
	}
	o.opt("file", m.File, capName)
	o.optNum("line", int64(m.Line))
	if m.Disruptive {
		o.key("disruptive")
		o.b = append(o.b, "true"...)
	}
	if len(m.Targets) > 0 {
		// A rule may match hundreds of values: as many as fit into a few KiB are told, the rest is counted.
		shown := min(len(m.Targets), capList)
		o.key("targets")
		o.b = append(o.b, '[')
		begin := len(o.b)
		for i, t := range m.Targets[:shown] {
			if len(o.b)-begin > 4<<10 {
				shown = i
				break
			}
			if i > 0 {
				o.b = append(o.b, ',')
			}
			in := open(o.b)
			in.str("variable", t.Variable, capName)
			in.opt("target", t.Target, capName)
			in.str("value", t.Value, capText)
			o.b = in.close()
		}
		o.b = append(o.b, ']')
		o.optNum("targets_dropped", int64(len(m.Targets)-shown))
	}
	return o.close()
}

// appendStrings appends at most limit of the strings; the last one then says how many are missing.
func appendStrings(b []byte, list []string, limit int) []byte {
	if more := len(list) - limit; more > 0 {
		list = append(slices.Clone(list[:limit]), cutMarker+strconv.Itoa(more)+")")
	}
	return appendList(b, list, func(b []byte, s string) []byte { return appendString(b, s, capID) })
}

func appendList[T any](b []byte, list []T, item func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, v)
	}
	return append(b, ']')
}
