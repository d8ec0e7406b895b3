package inspect

import (
	"fmt"

	"gatehouse/proxy/event"
)

// reasonOf gives the event reason of a disruptive rule: the base rules and the score rules have their own.
func reasonOf(rule int) (event.Reason, string) {
	switch rule {
	case 949110, 949111, 959100, 959101:
		return event.CRSScore, "the anomaly score reached the threshold"
	case 200002:
		return event.BodySyntax, "the request body does not parse"
	case 200003:
		return event.BodySyntax, "the multipart body is not strictly well-formed"
	case 200004, 200005:
		return event.Arguments, "the request has more arguments than are inspected"
	case 200009:
		return event.BodySyntax, "the request target does not parse"
	}
	return event.Rule, fmt.Sprintf("rule %d", rule)
}
