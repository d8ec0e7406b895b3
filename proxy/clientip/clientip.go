// Package clientip finds out which client a request is from and builds the header that goes upstream.
//
// Invariant: a forwarding header counts only when the TCP peer itself is one of our proxies. What any other sender
// wrote there, in whatever spelling, neither names the client nor reaches the upstream.
package clientip

import (
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/proxy/config"
)

// Addresses are the ends of the connection on which a request came.
type Addresses struct {
	// Peer is the other end of the TCP connection: the only address that trust is decided on.
	Peer netip.AddrPort
	// Client is the source that a PROXY header named, or Peer without one.
	Client netip.AddrPort
	// Server is the destination that a PROXY header named, or our own end of the TCP connection.
	Server netip.AddrPort
}

// Source says where the client's address was taken from.
type Source string

// The sources.
const (
	FromConnection Source = "connection" // the TCP peer
	FromPROXY      Source = "proxy_protocol"
	FromForwarded  Source = "x_forwarded_for"
)

// Problem says why X-Forwarded-For could not be used as trusted_hops asks. The set is closed, for metrics.
type Problem string

// The problems. With Missing and Malformed the client is taken from the connection; with ShortChain it is the
// leftmost address, which one of our own proxies wrote.
const (
	NoProblem  Problem = ""
	Missing    Problem = "missing"     // a trusted peer sent no X-Forwarded-For
	Malformed  Problem = "malformed"   // the needed entry is not an address
	ShortChain Problem = "short_chain" // fewer entries than trusted_hops
)

// Client is the client of one request.
type Client struct {
	// Addr is the client's address and, if known, its port (else 0).
	Addr    netip.AddrPort
	Source  Source
	Problem Problem
	// Shared means that Addr belongs to a trusted proxy, behind which are many clients: it must not be banned or
	// rate-limited.
	Shared bool
}

// Resolver finds clients for one listener. It is not changed after NewResolver, so it may be used concurrently.
type Resolver struct {
	hops    int
	proxy   config.PROXY
	trusted Trusted
}

// NewResolver makes the resolver of a listener. A nil TrustedHops means what product.md says: 1, or 0 with
// proxy_protocol: required.
func NewResolver(l config.Listener) *Resolver {
	r := &Resolver{hops: 1, proxy: l.ProxyProtocol, trusted: NewTrusted(l.TrustedProxies)}
	switch {
	case l.TrustedHops != nil:
		r.hops = *l.TrustedHops
	case l.ProxyProtocol == config.PROXYRequired:
		r.hops = 0
	}
	return r
}

// TrustsPeer reports whether peer, the other end of a TCP connection, is one of our proxies.
func (r *Resolver) TrustsPeer(peer netip.Addr) bool { return r.trusted.Contains(peer) }

// TrustsHeaders reports whether forwarding headers on a connection from peer were written by a proxy of ours. With
// trusted_hops: 0 there is none in front that speaks HTTP, so they never were.
func (r *Resolver) TrustsHeaders(peer netip.Addr) bool { return r.hops > 0 && r.trusted.Contains(peer) }

// IsHealthCheck reports whether a request to the health path may be answered: it comes from a trusted peer itself,
// not from a client behind one.
func (r *Resolver) IsHealthCheck(conn Addresses, h http.Header) bool {
	return r.TrustsPeer(conn.Peer.Addr()) && len(h.Values(xForwardedFor)) == 0
}

// Client returns the client of a request with header h on the connection conn.
func (r *Resolver) Client(conn Addresses, h http.Header) Client {
	c := fromConnection(conn)
	if !r.trusted.Contains(conn.Peer.Addr()) {
		return c
	}
	if r.hops == 0 {
		// Without any proxy in front, a peer in a trusted range is a client like others.
		c.Shared = r.proxy == config.PROXYRequired && c.Source == FromConnection
		return c
	}
	// Behind a PROXY header the source is then the nearest HTTP proxy, not a client.
	c.Shared = true
	entry, found := entryFromRight(h.Values(xForwardedFor), r.hops)
	if found == 0 {
		c.Problem = Missing
		return c
	}
	addr, ok := parseEntry(entry)
	if !ok {
		c.Problem = Malformed
		return c
	}
	c = Client{Addr: addr, Source: FromForwarded}
	if found < r.hops {
		c.Problem = ShortChain
	}
	return c
}

func fromConnection(conn Addresses) Client {
	c := Client{Addr: cleanPort(conn.Peer), Source: FromConnection}
	if conn.Client.IsValid() && conn.Client != conn.Peer {
		c.Addr, c.Source = cleanPort(conn.Client), FromPROXY
	}
	return c
}

func cleanPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(clean(a.Addr()), a.Port()) }

// entryFromRight returns entry number n (from 1) counted from the right of the lists joined in order, or the
// leftmost one if there are fewer, and how many it counted. Empty entries count: nothing may shift the others.
func entryFromRight(lists []string, n int) (entry string, found int) {
	for i := len(lists) - 1; i >= 0; i-- {
		rest := lists[i]
		for {
			comma := strings.LastIndexByte(rest, ',')
			entry = rest[comma+1:]
			found++
			if found == n || comma < 0 {
				break
			}
			rest = rest[:comma]
		}
		if found == n {
			break
		}
	}
	return strings.Trim(entry, " \t"), found
}

// parseEntry reads one entry of X-Forwarded-For: an address, ip:port, [v6] or [v6]:port. A zone is dropped, an
// IPv4-mapped address becomes IPv4. Addresses that no client can have are refused.
func parseEntry(s string) (netip.AddrPort, bool) {
	if s == "" || len(s) > 100 {
		return netip.AddrPort{}, false
	}
	var port uint16
	host := s
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.AddrPort{}, false
		}
		host = s[1:end]
		if !strings.Contains(host, ":") {
			return netip.AddrPort{}, false
		}
		if rest := s[end+1:]; rest != "" {
			var ok bool
			if port, ok = parsePort(rest); !ok {
				return netip.AddrPort{}, false
			}
		}
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 && colon == strings.LastIndexByte(s, ':') {
		host = s[:colon]
		var ok bool
		if port, ok = parsePort(s[colon:]); !ok {
			return netip.AddrPort{}, false
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	addr = clean(addr)
	if addr.IsUnspecified() || addr.IsMulticast() {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, port), true
}

// parsePort reads ":1" to ":65535".
func parsePort(s string) (uint16, bool) {
	if len(s) < 2 || len(s) > 6 || s[0] != ':' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n > 0 && n <= 65535
}
