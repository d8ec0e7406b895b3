package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxReplyHeader bounds the head of a reply, in bytes.
	maxReplyHeader = 32 << 10
	// maxAge and ageJitter bound how long a connection takes new requests, so that balancing follows the addresses.
	maxAge    = 5 * time.Minute
	ageJitter = time.Minute
	bufSize   = 4 << 10
	keepAlive = 15 * time.Second // TCP keep-alive probes, which find a dead peer behind a silent reply
)

// socket counts the bytes that the kernel took. It is what TLS, if any, runs on, which so notices nothing of an exchange
// that takes longer than others.
type socket struct {
	net.Conn
	written  atomic.Int64
	exchange *exchange // that is under way over HTTP/1.1
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n == 0 && s.overdue(err) {
		return s.Conn.Read(p)
	}
	return n, err
}

func (s *socket) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if s.overdue(err) {
		var more int
		more, err = s.Conn.Write(p[n:])
		n += more
	}
	s.written.Add(int64(n))
	return n, err
}

// dial connects to the endpoint, with TLS for https, and keeps the endpoint's health.
func (ep *endpoint) dial(ctx context.Context, serverName string, p Protocol) (net.Conn, *socket, *Error) {
	if err := ep.u.policy.check(ep.addr); err != nil {
		return nil, nil, &Error{Kind: Refused, Step: StepConnect, Upstream: ep.u.config.Name, Address: ep.addr, Err: err}
	}
	limited, cancel := context.WithTimeout(ctx, ep.u.timeouts.connect)
	defer cancel()
	conn, raw, step, err := ep.connect(limited, serverName, p)
	if err == nil {
		ep.connected()
		return conn, raw, nil
	}
	// Nothing is known of the address if the client went away, nor if the name to verify was the client's choice: whoever
	// sends a Host that no certificate carries must not take an address from the others.
	byClient := ctx.Err() != nil || (step == StepTLS && ep.u.tls.verify == verifyRequestHost && limited.Err() == nil)
	if !byClient {
		ep.failed(err)
	}
	e := classify(ctx, step, err)
	if ctx.Err() == nil && limited.Err() != nil {
		e.Kind = Timeout
	}
	e.Upstream, e.Address = ep.u.config.Name, ep.addr
	return nil, nil, e
}

func (ep *endpoint) connect(ctx context.Context, serverName string, p Protocol) (net.Conn, *socket, Step, error) {
	d := net.Dialer{KeepAlive: keepAlive}
	tcp, err := d.DialContext(ctx, "tcp", ep.addr.String())
	if err != nil {
		return nil, nil, StepConnect, err
	}
	raw := &socket{Conn: tcp}
	if ep.scheme != "https" {
		return raw, raw, "", nil
	}
	conn := tls.Client(raw, ep.u.tls.config(serverName, p))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, nil, StepTLS, err
	}
	if p == GRPC && conn.ConnectionState().NegotiatedProtocol != "h2" {
		_ = raw.Close()
		return nil, nil, StepTLS, errors.New("the upstream speaks no HTTP/2")
	}
	return conn, raw, "", nil
}

// lifetime is an age with jitter at which a connection takes no new requests.
func lifetime() time.Duration { return maxAge + rand.N(ageJitter) }

// http1Conn is a connection that carries one request after the other.
type http1Conn struct {
	ep    *endpoint
	name  string // server name: connections of different names are never exchanged
	conn  net.Conn
	raw   *socket
	probe probe
	br    *bufio.Reader

	hurried   time.Time // the deadline of hurry; zero if there is none
	expires   time.Time // takes no new request afterwards
	idleSince time.Time
	reused    bool
}

func (ep *endpoint) dialHTTP1(ctx context.Context, name string) (*http1Conn, *Error) {
	conn, raw, err := ep.dial(ctx, name, HTTP)
	if err != nil {
		return nil, err
	}
	c := &http1Conn{ep: ep, name: name, conn: conn, raw: raw, expires: time.Now().Add(lifetime())}
	if sc, ok := raw.Conn.(syscall.Conn); ok {
		if rc, err := sc.SyscallConn(); err == nil {
			c.probe.open(rc)
		}
	}
	c.br = bufio.NewReaderSize(conn, bufSize)
	ep.track(c)
	return c, nil
}

// close ends the connection at once, also while a read or a write is under way.
func (c *http1Conn) close() {
	_ = c.raw.Close()
	c.ep.untrack(c)
}

// fresh reports whether an idle connection can carry another request: it is not too old, and the peer has neither
// closed it nor sent anything.
func (c *http1Conn) fresh(now time.Time) bool {
	return now.Before(c.expires) && now.Sub(c.idleSince) < c.ep.u.timeouts.idle && c.probe.silent()
}
