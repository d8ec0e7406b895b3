package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"
)

// http2Conn is an HTTP/2 connection, which carries many requests at once. Streams are net/http's; which connection a
// stream goes to, and how long a connection lives, is decided here.
type http2Conn struct {
	ep      *endpoint
	name    string // server name
	cc      *http.ClientConn
	expires time.Time // takes no new stream afterwards

	// The following are guarded by the endpoint's mu.

	// streams counts the requests whose replies are not done with. net/http's own count follows it with a delay.
	streams  int
	lastUsed time.Time
	retired  bool // takes no new stream and closes after the last
}

// dialCall is a dial that several requests wait for.
type dialCall struct {
	done chan struct{}
	err  *Error // valid once done is closed
}

// pingAfter and pingTimeout find a connection whose peer is gone while streams wait.
const (
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// http2For gives a connection with a stream reserved on it. One dial at a time is under way for a server name.
func (ep *endpoint) http2For(ctx context.Context, name string) (c *http2Conn, reused bool, err *Error) {
	for {
		ep.mu.Lock()
		g := ep.groupOf(name)
		if c := g.reserve(time.Now()); c != nil {
			ep.mu.Unlock()
			return c, true, nil
		}
		call := g.dialing
		if call == nil {
			call = &dialCall{done: make(chan struct{})}
			g.dialing = call
			ep.mu.Unlock()
			c := ep.dialHTTP2(ctx, g, call)
			return c, false, call.err
		}
		ep.mu.Unlock()
		select {
		case <-call.done:
			if call.err != nil && call.err.Kind != ClientGone {
				return nil, false, call.err
			}
		case <-ctx.Done():
			return nil, false, classify(ctx, StepConnect, ctx.Err())
		}
	}
}

// reserve takes a stream of a connection that has one left. The caller holds the endpoint's mu.
func (g *group) reserve(now time.Time) *http2Conn {
	for _, c := range g.h2 {
		if !c.retired && now.Before(c.expires) && c.cc.Reserve() == nil {
			c.streams++
			return c
		}
	}
	return nil
}

// dialHTTP2 makes a connection of a group with one stream reserved, and ends the call. On failure call.err is set.
func (ep *endpoint) dialHTTP2(ctx context.Context, g *group, call *dialCall) *http2Conn {
	c, err := ep.newHTTP2(ctx, g.name)
	ep.mu.Lock()
	defer ep.mu.Unlock()
	call.err = err
	g.dialing = nil
	close(call.done)
	if err != nil {
		return nil
	}
	if ep.closed {
		_ = c.Close()
		return c
	}
	ep.open[c] = struct{}{}
	if ep.draining || ep.groups[g.name] != g { // given up meanwhile: only for the request at hand
		c.retired = true
	} else {
		g.h2 = append(g.h2, c)
	}
	return c
}

func (ep *endpoint) newHTTP2(ctx context.Context, name string) (*http2Conn, *Error) {
	conn, raw, err := ep.dial(ctx, name, GRPC)
	if err != nil {
		return nil, err
	}
	given := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	t := &http.Transport{
		Protocols:              new(http.Protocols),
		DialContext:            given,
		DialTLSContext:         given,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}},
		DisableCompression:     true,
		ResponseHeaderTimeout:  ep.u.timeouts.firstByte,
		MaxResponseHeaderBytes: maxReplyHeader,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: ep.u.timeouts.firstByte,
		},
	}
	if ep.scheme == "https" {
		t.Protocols.SetHTTP2(true)
	} else {
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	cc, e := t.NewClientConn(ctx, ep.scheme, ep.addr.String())
	if e == nil {
		e = cc.Reserve()
	}
	if e != nil {
		_ = raw.Close()
		typed := classify(ctx, StepConnect, e)
		typed.Address = ep.addr
		return nil, typed
	}
	return &http2Conn{ep: ep, name: name, cc: cc, expires: time.Now().Add(lifetime()), streams: 1}, nil
}

// Close closes the connection and its streams.
func (c *http2Conn) Close() error { return c.cc.Close() }

// retire lets the connection take no new stream, and closes it if it has none. The caller holds the endpoint's mu.
func (c *http2Conn) retire() {
	c.retired = true
	if c.streams == 0 {
		delete(c.ep.open, c)
		_ = c.cc.Close()
	}
}

// sweep reports whether the connection is done with, and closes it then. The caller holds the endpoint's mu.
func (c *http2Conn) sweep(now time.Time) bool {
	if !now.Before(c.expires) {
		c.retired = true
	}
	unused := c.streams == 0 && (c.retired || now.Sub(c.lastUsed) >= c.ep.u.timeouts.idle)
	if c.cc.Err() == nil && !unused {
		return false
	}
	delete(c.ep.open, c)
	_ = c.cc.Close()
	return true
}

// streamDone ends a stream: a retired connection closes with its last.
func (c *http2Conn) streamDone() {
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	c.streams--
	c.lastUsed = time.Now()
	if c.streams > 0 || (!c.retired && c.cc.Err() == nil) {
		return
	}
	delete(c.ep.open, c)
	_ = c.cc.Close()
	if g := c.ep.groups[c.name]; g != nil {
		g.h2 = slices.DeleteFunc(g.h2, func(other *http2Conn) bool { return other == c })
	}
}

// roundTrip sends a request as a stream of the connection.
func (c *http2Conn) roundTrip(ctx context.Context, r *Request, body *requestBody) (*http.Response, progress, error) {
	var p progress
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	in := r.HTTP
	out := (&http.Request{
		Method: in.Method, URL: targetURL(c.ep.scheme, in.Host, r.Target), Host: in.Host,
		Header: http2Header(in.Header), ContentLength: in.ContentLength, Trailer: in.Trailer,
	}).WithContext(ctx)
	if body != nil {
		out.Body = body
	}
	resp, err := c.cc.RoundTrip(out)
	p.sent = wrote.Load()
	if err != nil {
		return nil, p, err
	}
	resp.Request = in
	return resp, p, nil
}

// http2Header copies a header without what is HTTP/1.1's and without a User-Agent of net/http's.
func http2Header(h http.Header) http.Header {
	out := make(http.Header, len(h)+1)
	for name, values := range h {
		if !ownHeader(name) && name != "Te" && name != "Upgrade" {
			out[name] = values
		}
	}
	out["Te"] = []string{"trailers"} // gRPC asks for it
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil
	}
	return out
}

// streamError has the shape of net/http's error of a stream, which errors.As fills into such a struct.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d: code %d", e.StreamID, e.Code) }

const codeRefusedStream = 7 // RFC 9113, section 7

// refusedStream reports whether the peer said that it did nothing with the stream (RFC 9113, section 8.7).
func refusedStream(err error) bool {
	var e streamError
	return errors.As(err, &e) && e.Code == codeRefusedStream
}
