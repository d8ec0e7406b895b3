package listener

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Frames that cost the gateway something and a client next to nothing (RFC 9113, section 10.5). A client may send so many
// at once, and so many each second; beyond that its connection ends with ENHANCE_YOUR_CALM.
var http2Paces = [...]struct {
	burst, perSecond float64
	detail           string
}{
	paceResets:   {300, 50, "too many streams were reset or refused"}, // browsers reset all streams of a page at once
	paceSettings: {50, 5, "too many SETTINGS frames"},
	pacePings:    {200, 50, "too many PING frames"},
	paceWindows:  {2000, 500, "too many WINDOW_UPDATE frames"},
	paceEmpty:    {200, 50, "too many DATA frames without data"},
	paceOthers:   {500, 100, "too many frames that ask for nothing"},
}

const (
	paceResets = iota
	paceSettings
	pacePings
	paceWindows
	paceEmpty
	paceOthers // PRIORITY, and frames that are not known
	paces
)

// What is allowed beside: a client that downloads updates windows and measures round trips, and one that has many
// requests answered may give up on as many.
const (
	windowsPerData = 4
	pingsPerData   = 1
)

// floodWatch counts the frames of one connection. Its buckets belong to the server's reading goroutine; what the others
// have seen waits in the atomics.
type floodWatch struct {
	used [paces]float64
	last time.Time

	failed   atomic.Int64 // streams that the server reset because of the client
	answered atomic.Int64 // requests that came to their end
	data     atomic.Int64 // DATA frames that were written
	flooded  atomic.Bool  // the connection ends for it
}

// see counts a frame of the client, and says what there are too many of, empty if there are not.
func (f *floodWatch) see(h frameHeader, live bool) (detail string) {
	switch h.kind {
	case frameHeaders, frameContinuation:
		return f.add(paceResets, 0) // what the server has reset since
	case frameData:
		if h.length == 0 && !h.has(flagEndStream) {
			return f.add(paceEmpty, 1)
		}
		return ""
	case frameRSTStream:
		if live {
			return f.add(paceResets, 1)
		}
	case frameSettings:
		return f.add(paceSettings, 1)
	case framePing:
		return f.add(pacePings, 1)
	case frameWindowUpdate:
		return f.add(paceWindows, 1)
	}
	return f.add(paceOthers, 1)
}

// add takes n out of a bucket.
func (f *floodWatch) add(kind int, n float64) (detail string) {
	f.drain()
	f.used[kind] += n
	if p := &http2Paces[kind]; f.used[kind] > p.burst {
		return p.detail
	}
	return ""
}

// drain gives back what time and the connection's proper use have earned.
func (f *floodWatch) drain() {
	now := time.Now()
	var earned [paces]float64
	if !f.last.IsZero() {
		for i := range earned {
			earned[i] = now.Sub(f.last).Seconds() * http2Paces[i].perSecond
		}
	}
	f.last = now
	if data := f.data.Swap(0); data > 0 {
		earned[paceWindows] += float64(data) * windowsPerData
		earned[pacePings] += float64(data) * pingsPerData
	}
	earned[paceResets] += float64(f.answered.Swap(0))
	f.used[paceResets] += float64(f.failed.Swap(0))
	for i := range f.used {
		f.used[i] = max(0, f.used[i]-earned[i])
	}
}

// flood ends the connection.
func (c *http2Conn) flood(detail string) {
	c.report("conn_"+codeName(codeEnhanceYourCalm), http.StatusTooManyRequests, detail)
	c.floods.flooded.Store(true) // the watch over the server's frames writes the error code
	c.end(http.StatusTooManyRequests, codeProtocol, detail)
}

// isLive says whether a stream's request is on its way.
func (c *http2Conn) isLive(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id] != nil
}
