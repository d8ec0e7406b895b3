package listener

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"

	"gatehouse/proxy/config"
	"gatehouse/proxy/http1"
)

// setUp brings a new connection to the point where an HTTP server can take it: PROXY header, TLS handshake, choice
// of protocol. All of it must be done within the header timeout.
func (l *Listener) setUp(c *conn) {
	cfg := c.gen.cfg
	if d := cfg.Timeouts.Header.D(); d > 0 {
		c.SetDeadline(time.Now().Add(d))
	}
	if cfg.ProxyProtocol == config.PROXYRequired {
		if failure := c.readPROXY(); failure != "" {
			if c.received.Load() || failure == ProxyUntrusted {
				l.set.hooks.failed(c.info, failure)
			}
			c.Close()
			return
		}
	}
	if !c.admit() {
		l.set.hooks.failed(c.info, ClientConnections)
		c.Close()
		return
	}
	switch {
	case cfg.Protocol == config.ProtocolHTTPS:
		l.setUpTLS(c)
	case cfg.H2C:
		l.setUpH2C(c)
	default:
		c.serveHTTP1(c)
	}
}

// serveHTTP2 gives the stream to the HTTP/2 server.
func (c *conn) serveHTTP2(stream net.Conn) {
	h := newHTTP2Conn(stream, c.info, c.owner.set.hooks)
	c.info.http2 = h
	stream.SetDeadline(time.Time{})
	c.gen.http2.queue.put(h)
}

// readPROXY reads exactly one PROXY header, v1 or v2, and takes the addresses from it. Bytes behind it stay in front
// of the stream. LOCAL and UNKNOWN, which load balancers send for their own health checks, leave the addresses alone.
func (c *conn) readPROXY() Failure {
	if !c.gen.trusted.Contains(c.info.Peer.Addr()) {
		return ProxyUntrusted
	}
	r := bufio.NewReaderSize(c, 4096) // go-proxyproto takes v2 headers up to 4 KiB
	if err := awaitPROXYLine(r); err != nil {
		return proxyFailure(err)
	}
	header, err := proxyproto.Read(r)
	if err != nil {
		return proxyFailure(err)
	}
	if !header.Command.IsLocal() {
		source, destination, ok := header.TCPAddrs()
		if !ok {
			return ProxyMalformed
		}
		c.info.Client, c.info.Server = addrPort(source), addrPort(destination)
		if !c.info.Client.IsValid() || c.info.Client.Addr().IsUnspecified() {
			return ProxyMalformed
		}
	}
	if n := r.Buffered(); n > 0 {
		rest, err := r.Peek(n)
		if err != nil {
			return proxyFailure(err)
		}
		c.ahead = bytes.Clone(rest)
	}
	return ""
}

// awaitPROXYLine waits for the whole line of a v1 header: proxyproto.Read takes it only in one piece, which TCP does
// not promise. It returns nil for everything else.
func awaitPROXYLine(r *bufio.Reader) error {
	const longest = 107
	for n := 1; n <= longest; n++ {
		head, err := r.Peek(n)
		if err != nil {
			return err
		}
		if n <= len(proxyproto.SIGV1) && !bytes.HasPrefix(proxyproto.SIGV1, head) || head[n-1] == '\n' {
			return nil
		}
	}
	return nil
}

func proxyFailure(err error) Failure {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ProxyTimeout
	case errors.Is(err, proxyproto.ErrNoProxyProtocol):
		return ProxyMissing
	}
	return ProxyMalformed
}

// setUpTLS makes the handshake and hands over by the protocol that was negotiated.
func (l *Listener) setUpTLS(c *conn) {
	t := tls.Server(c, l.tls)
	if err := t.Handshake(); err != nil {
		l.handshakeFailed(c, err)
		return
	}
	state := t.ConnectionState()
	c.info.TLSVersion = tls.VersionName(state.Version)
	c.info.ALPN = state.NegotiatedProtocol
	c.info.SNI = strings.ToLower(state.ServerName)
	if state.NegotiatedProtocol == "h2" {
		if !http2Cipher(state) {
			l.set.hooks.failed(c.info, TLSBadClientHello)
			c.Close()
			return
		}
		c.serveHTTP2(t)
		return
	}
	c.serveHTTP1(t)
}

// refuse reports and answers a request on a connection that no server has.
func (c *conn) refuse(status int, detail string) {
	reply := c.owner.set.hooks.refused(c.info, status, detail)
	if len(reply) == 0 {
		reply = http1.PlainReply(status)
	}
	http1.SendRefusal(c, reply)
}

// http2Cipher says whether the cipher suite is one that HTTP/2 permits (RFC 9113, section 9.2.2).
func http2Cipher(state tls.ConnectionState) bool {
	switch state.CipherSuite {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return state.Version >= tls.VersionTLS13
}

// handshakeFailed reports a failed handshake; a client that speaks plain HTTP gets a reply that it understands.
func (l *Listener) handshakeFailed(c *conn, err error) {
	defer c.Close()
	var record tls.RecordHeaderError
	if errors.As(err, &record) && looksLikeHTTP(record.RecordHeader) {
		c.refuse(http.StatusBadRequest, "plain HTTP on an HTTPS port")
		return
	}
	if c.received.Load() || len(c.ahead) > 0 {
		l.set.hooks.failed(c.info, tlsFailure(c, err))
	}
}

func tlsFailure(c *conn, err error) Failure {
	var op *net.OpError
	switch {
	case c.noCertificate:
		return TLSNoCertificate
	case errors.Is(err, os.ErrDeadlineExceeded):
		return TLSTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		return TLSOther // the connection ended, or the client sent an alert
	}
	return TLSBadClientHello
}

// looksLikeHTTP reports whether the five bytes where a TLS record should begin are the start of a request.
func looksLikeHTTP(header [5]byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO", "TRACE", "CONNE"} {
		if string(header[:]) == method {
			return true
		}
	}
	return false
}

// setUpH2C tells HTTP/2 with prior knowledge from HTTP/1.1 by its preface.
func (l *Listener) setUpH2C(c *conn) {
	const preface = http2Preface
	buf := make([]byte, len(preface))
	n := 0
	for n < len(preface) {
		m, err := c.Read(buf[n:])
		n += m
		if m > 0 && string(buf[:n]) != preface[:n] {
			break
		}
		if err != nil {
			if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				c.refuse(http.StatusRequestTimeout, "the header did not arrive in time")
			}
			c.Close()
			return
		}
	}
	c.ahead = append(buf[:n:n], c.ahead...)
	if n == len(preface) && string(buf) == preface {
		c.info.ALPN = "h2c"
		c.serveHTTP2(c)
		return
	}
	c.serveHTTP1(c)
}
