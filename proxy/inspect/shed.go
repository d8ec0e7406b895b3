package inspect

import (
	"net/http"

	"gatehouse/proxy/event"
)

// The budgets of the gateway: the closed set of the lane label. Connections are refused before there is a request.
const (
	LaneBytes       = "bytes"       // bytes of bodies that are held
	LaneConnections = "connections" // connections of one client
	LaneDeadline    = "deadline"    // time until a body is taken in
	LaneInspection  = "inspection"  // large bodies that are judged at once
	LaneRequests    = "requests"    // requests at once
)

// Lanes lists every lane.
var Lanes = []string{LaneBytes, LaneConnections, LaneDeadline, LaneInspection, LaneRequests}

// LargeBody is the size in bytes, decoded, above which a body waits for one of the few places of the inspection lane.
const LargeBody = 64 << 10

var laneDetails = map[string]string{
	LaneBytes:      "the gateway holds as many bytes of bodies as it may (lane bytes)",
	LaneDeadline:   "the request body was not taken in in time (lane deadline)",
	LaneInspection: "too many large bodies are being judged (lane inspection)",
	LaneRequests:   "the gateway serves as many requests as it may (lane requests)",
}

// Shed is the refusal of a request for which there is no room, in every mode.
func Shed(lane string) *Refusal {
	return &Refusal{Reason: event.Shed, Status: http.StatusServiceUnavailable, Detail: laneDetails[lane], Lane: lane}
}

// enter waits for a place to judge b, if it is large, and reports whether there was one.
func (i *Inspection) enter(b *body) bool { return !b.over(LargeBody) || i.opts.Lane.Enter(i.opts.Gone) }

// leave gives the place back.
func (i *Inspection) leave(b *body) {
	if b.over(LargeBody) {
		i.opts.Lane.Leave()
	}
}
