package inspect

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"gatehouse/rules"
)

// Reply judges the upstream's reply: phase 3 on its status and headers, phase 4 on the first response.inspect_bytes of
// its body, where response.inspect is on. It gives the body to deliver. An error means that the upstream's body could
// not be read.
func (i *Inspection) Reply(reply *http.Response) (io.Reader, *Refusal, error) {
	if i.tx == nil || i.broken != "" || !i.opts.Reply.Inspect {
		return i.counted(reply.Body, i.replyCause(), 0), nil, nil
	}
	inspects := i.replyType(reply.Header) && reply.ContentLength != 0
	encodings, err := parseEncodings(reply.Header["Content-Encoding"])
	header := reply.Header
	if inspects && err == nil { // the rules see the body decoded; CRS skips one that says to be encoded
		header = header.Clone()
		header.Del("Content-Encoding")
	}
	if r := i.phase(rules.PhaseResponseHeaders, func() (*rules.Interruption, error) {
		return i.tx.ResponseHeaders(&rules.Response{Status: reply.StatusCode, Protocol: reply.Proto, Headers: headerList(header)})
	}); r != nil {
		return nil, r, nil
	}
	if i.broken != "" || !inspects {
		return i.counted(reply.Body, i.replyCause(), 0), nil, nil
	}
	i.reply = newBody(i.opts.Spill, reply.Body, reply.ContentLength, 1<<63-2)
	i.reply.reply = true
	if err == nil {
		err = i.reply.read(encodings, int64(i.opts.Reply.InspectBytes))
	}
	if err != nil {
		cause := CauseResponseCoding
		switch {
		case isEncoding(err):
		case errors.Is(err, errBudget):
			r := Shed(LaneBytes)
			r.Outbound = true
			return nil, r, nil
		case isSpill(err):
			if r := i.failed(fmt.Errorf("take in the reply: %w", err)); r != nil {
				return nil, r, nil
			}
			cause = CauseInspectionError
		default:
			return nil, nil, err
		}
		i.reply.forwardRaw()
		body, _ := i.reply.forward()
		return i.counted(body, cause, 0), nil, nil
	}
	if !i.enter(i.reply) {
		r := Shed(LaneInspection)
		r.Outbound = true
		return nil, r, nil
	}
	defer i.leave(i.reply)
	r := i.phase(rules.PhaseResponseBody, func() (*rules.Interruption, error) { return i.tx.ResponseBody(i.reply.inspected()) })
	if r != nil {
		return nil, r, nil
	}
	body, _ := i.reply.forward()
	switch {
	case body == nil:
		return http.NoBody, nil, nil
	case i.broken != "":
		body = i.counted(body, i.broken, 0)
	case i.reply.truncated:
		body = i.counted(body, CauseResponseLimit, i.reply.consumed)
	}
	return body, nil, nil
}

// replyCause says why a reply is delivered without inspection.
func (i *Inspection) replyCause() string {
	switch {
	case i.tx == nil:
		return CauseModeDisabled
	case i.broken != "":
		return i.broken
	}
	return CauseResponse
}

// replyType says whether the reply's type is among response.types. An event stream never is: it must not be buffered.
func (i *Inspection) replyType(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType != "text/event-stream" && slices.Contains(i.opts.Reply.Types, mediaType)
}

// headerList gives the fields of h as the rules see them, in the order of their names.
func headerList(h http.Header) []rules.Header {
	return appendHeaders(make([]rules.Header, 0, len(h)), h, "")
}

// appendHeaders appends the fields of h, but for one, in the order of their names; those of one name stay in their order.
func appendHeaders(list []rules.Header, h http.Header, except string) []rules.Header {
	first := len(list)
	for name, values := range h {
		if name == except {
			continue
		}
		for _, v := range values {
			list = append(list, rules.Header{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(list[first:], func(a, b rules.Header) int { return strings.Compare(a.Name, b.Name) })
	return list
}
