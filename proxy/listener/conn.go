package listener

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/http1"
)

// ConnInfo describes a client's connection. Hooks and handlers only read it.
type ConnInfo struct {
	ID       uint64 // unique in this process
	Listener string // name
	clientip.Addresses
	TLSVersion string // "TLS 1.3"; empty without TLS
	ALPN       string // h2, http/1.1 or empty
	SNI        string // as the client sent it, lower case

	draining <-chan struct{}
	closed   chan struct{}
	bodyIdle time.Duration // how long a client may stall
	http2    *http2Conn    // nil on HTTP/1.1
}

// Scheme is https or http.
func (i *ConnInfo) Scheme() string {
	if i.TLSVersion != "" {
		return "https"
	}
	return "http"
}

// Draining is closed when the listener begins to drain: long-lived exchanges should come to an end.
func (i *ConnInfo) Draining() <-chan struct{} { return i.draining }

// Closed is closed when the connection is, by whomever: also one that a handler has taken over, at the end of a drain.
func (i *ConnInfo) Closed() <-chan struct{} { return i.closed }

type connInfoKey struct{}

// FromContext returns the connection of a request's context, or nil if the request did not come through a Set.
func FromContext(ctx context.Context) *ConnInfo {
	info, _ := ctx.Value(connInfoKey{}).(*ConnInfo)
	return info
}

// conn is an accepted TCP connection. Its listener tracks it from Accept until Close, also when a handler has
// hijacked it.
type conn struct {
	net.Conn // a *net.TCPConn, whose other methods stay hidden: they would go past Read
	info     *ConnInfo
	owner    *Listener
	gen      *generation

	ahead     []byte // bytes that were read before the server took over; they come first
	received  atomic.Bool
	http1     atomic.Pointer[http1.Conn] // set when the HTTP/1.1 server takes the connection
	closeOnce sync.Once
	closeErr  error

	share clientShare

	noCertificate bool // the handshake ended because no certificate carries the name
}

// Read returns the bytes read ahead before those of the socket.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 && !c.received.Load() {
		c.received.Store(true)
	}
	return n, err
}

// Close closes the socket and gives the connection back to its listener.
func (c *conn) Close() error {
	c.closeOnce.Do(func() {
		c.closeErr = c.Conn.Close()
		if c.info.closed != nil {
			close(c.info.closed)
		}
		c.share.close(c.owner.set.clients)
		c.owner.untrack(c)
	})
	return c.closeErr
}

// SetLinger is net.TCPConn's: 0 makes Close reset the connection.
func (c *conn) SetLinger(seconds int) error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return t.SetLinger(seconds)
	}
	return nil
}

// CloseWrite sends the end of our bytes.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// infoOf finds the ConnInfo of a connection that the HTTP/2 server was given.
func infoOf(c net.Conn) *ConnInfo {
	switch c := c.(type) {
	case *conn:
		return c.info
	case *http2Conn:
		return c.info
	case *tls.Conn:
		return infoOf(c.NetConn())
	}
	return nil
}
