package tuning

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/proxy/event"
	"gatehouse/rules"
)

// explanation is what a reason means to the person who looks at an event.
type explanation struct {
	why  string // completes "it was refused:"
	help string // what to do if the request was legitimate
}

// explanations holds every reason.
var explanations = map[event.Reason]explanation{
	event.CRSScore:        {"the anomaly score reached the threshold", ""},
	event.Rule:            {"a rule refused it", ""},
	event.List:            {"a list of addresses names the client", "Take the address off the list, or narrow the rule that names the list."},
	event.RateLimit:       {"the client sent more requests than a rate limit allows", "Raise limit: or burst: of the rate limit, or add to its key: what tells users apart."},
	event.Action:          {"an emergency action of an operator refused the request", "The event names the action, its author and its reason; it ends by itself at the time that it names."},
	event.BadRequest:      {"it is malformed HTTP", "Correct the client: what two servers may read differently is never forwarded."},
	event.HeaderTooLarge:  {"its header is larger than the gateway takes", "Correct the client; most often it is cookies that grow without end."},
	event.HeaderTimeout:   {"the client did not send its header in time", "timeouts.header of the listener is how long it may take."},
	event.MethodRefused:   {"CONNECT, TRACE and TRACK are never forwarded", "There is no setting for it: they let a client reach or read what it should not."},
	event.NoRoute:         {"no route of the application takes the path", "Add a route; gatehouse route URL says which one takes a URL."},
	event.MethodNoRoute:   {"a route takes the path, but not the method", "Add the method to methods: of the route."},
	event.UnknownHost:     {"no application has the host", "Add the host to hosts: of an application, or an application with hosts: [\"*\"] that takes every other host."},
	event.UpgradeRefused:  {"the route does not carry the upgrade, or the handshake is not complete", "Add websocket to traffic: of the route, if it is WebSocket."},
	event.PathRefused:     {"its path could be read as another one once it is decoded", "If it is the encoded slash, encoded_slash: allow on the route lets it pass, provided that the upstream reads %2F as a part of the name."},
	event.BodyTooLarge:    {"its body is longer than the route takes", "Raise body.max_bytes of the route."},
	event.BodyNotInspect:  {"its body is longer than what is inspected, and the route refuses such bodies", "Raise body.inspect_bytes of the route, or set body.oversize: inspect_prefix."},
	event.BodyTimeout:     {"the client stopped sending the body", "timeouts.body_idle of the listener is how long it may pause."},
	event.ContentType:     {"the route's traffic does not take the content type", "Choose traffic: of the route so that it takes it, or correct the Content-Type that the client sends."},
	event.Charset:         {"its character set is not one that is inspected", "Let the client send UTF-8."},
	event.ContentEncoding: {"its content encoding is unknown, stacked, or does not decode", "Let the client send gzip, deflate, br or zstd, one of them, or no encoding."},
	event.Doctype:         {"its XML has a document type, whose entities no rule could see", "Let the client send XML without DOCTYPE."},
	event.BodySyntax:      {"its body does not parse", "Correct the client, or the Content-Type that it sends. A rule that refuses what does not parse cannot be excluded: the other rules rely on it."},
	event.Arguments:       {"it has more arguments than are inspected", "Let the client send fewer, or as a file. This cannot be excluded: arguments beyond the limit are seen by no rule."},
	event.WorkBound:       {"inspection would cost more than one request may", "Look at the request: such bodies are rarely legitimate."},
	event.InspectionError: {"inspection itself failed", "The detail and the gateway's log say why. on_inspection_error decides what happens then."},
	event.UpstreamTimeout: {"the upstream did not answer in time", "Look at the upstream; timeouts.first_byte is how long it may take."},
	event.UpstreamDown:    {"no address of the upstream could be reached", "Look at the upstream; /status on the admin listener shows its health."},
	event.UpstreamError:   {"the upstream broke off or sent no valid reply", "Look at the upstream's log at this time."},
	event.Shed:            {"the gateway was over one of its budgets", "Add gateways, or look at what took the room: gatehouse_inflight_bytes and gatehouse_shed_total."},
	event.Draining:        {"the gateway was about to stop", "Let the load balancer take it out first: -drain-delay is how long it goes on serving."},
	event.Internal:        {"a fault inside the gateway", "The gateway's log has the details at this time."},
}

// keyed finds the key and the present value of a limit in the detail of an event.
var keyed = regexp.MustCompile(`body\.[a-z_]+ \(([0-9][^)]*)\)`)

// Advice says what to do about an event whose verdict does not come from a rule that could be excluded.
func Advice(e *event.Event) string {
	x, ok := explanations[e.Reason]
	if !ok {
		return "The reason is not one that this version knows."
	}
	s := "An exclusion does not help: " + x.why + ". " + x.help
	if value := keyed.FindStringSubmatch(e.Detail); value != nil {
		s += " It is " + value[1] + " now."
	}
	return s
}

// ByMode says whether the reason is one that mode block refuses for and mode detect only records. All others hold in
// every mode.
func ByMode(r event.Reason) bool {
	switch r {
	case event.CRSScore, event.Rule, event.List, event.RateLimit, event.Action, event.BodyNotInspect, event.ContentType, event.Charset,
		event.ContentEncoding, event.Doctype, event.BodySyntax, event.Arguments, event.WorkBound:
		return true
	}
	return false
}

// Why says in one sentence what became of a request and why.
func Why(e *event.Event) string {
	switch e.Verdict {
	case event.Pass:
		return whyPass(e)
	case event.Detect:
		if e.Mode == "block" && e.Reason == event.Rule { // its stage is detect
			return "It passes, but is recorded: " + cause(e) + ", and its stage is detect."
		}
		return "Mode block would have refused it: " + cause(e) + "."
	case event.Error:
		return "It failed: " + cause(e) + "."
	}
	return "It was refused: " + cause(e) + "."
}

func whyPass(e *event.Event) string {
	switch {
	case e.Mode == "disabled":
		return "Nothing was inspected: the mode is disabled."
	case e.Scores.Inbound > 0:
		return fmt.Sprintf("It passes: the anomaly score %d is below the threshold %d.", e.Scores.Inbound, e.Scores.InboundThreshold)
	case slices.ContainsFunc(e.Rules, allows):
		return "It passes: a rule of yours allows it (then: allow), and the rest was not inspected."
	case len(e.Rules) > 0:
		return "It passes: the rules that matched refuse nothing."
	}
	return "It passes: no rule matched."
}

// allows says whether m is a structured rule that ended inspection.
func allows(m rules.Match) bool { return ownRule(&m) != "" && !m.Disruptive }

// cause completes "it was refused:".
func cause(e *event.Event) string {
	switch e.Reason {
	case event.CRSScore:
		return scoreCause(e)
	case event.Rule:
		matches := Contributing(e)
		if len(matches) == 0 {
			break
		}
		m := &matches[0]
		if name := ownRule(m); name != "" {
			return fmt.Sprintf("your rule %q matched", name)
		}
		return strings.TrimRight(fmt.Sprintf("rule %d matched: %s", m.Rule, m.Message), ": ")
	}
	if x, ok := explanations[e.Reason]; ok {
		return x.why
	}
	return string(e.Reason)
}

func scoreCause(e *event.Event) string {
	s := e.Scores
	in, out := scored(e)
	switch {
	case in && !out || in && s.InboundThreshold > 0:
		return fmt.Sprintf("the anomaly score %d reached the threshold %d", s.Inbound, s.InboundThreshold)
	case out && s.OutboundThreshold > 0:
		return fmt.Sprintf("the anomaly score of the reply, %d, reached the threshold %d", s.Outbound, s.OutboundThreshold)
	}
	return explanations[event.CRSScore].why
}
