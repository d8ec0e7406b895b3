package clientip

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// The headers that are written here, spelled as net/http does.
const (
	xForwardedFor   = "X-Forwarded-For"
	xForwardedHost  = "X-Forwarded-Host"
	xForwardedPort  = "X-Forwarded-Port"
	xForwardedProto = "X-Forwarded-Proto"
	xRealIP         = "X-Real-Ip"
	xRequestID      = "X-Request-Id"
	forwarded       = "Forwarded"
)

// Inbound is what the outgoing header is built from.
type Inbound struct {
	Header http.Header // as received; it is not changed
	Host   string      // of the request
	Scheme string      // http or https: how the request reached us
	Conn   Addresses
	GRPC   bool // keeps "TE: trailers", which gRPC servers ask for
}

// Outbound is the header to send upstream and what was learned on the way.
type Outbound struct {
	Header    http.Header
	RequestID string // as sent in X-Request-Id
	Scheme    string // as sent in X-Forwarded-Proto: what the client spoke to the first proxy of ours
	Client    Client
	// Removed counts headers that were deleted: forwarding headers that an untrusted peer sent or nobody vouches for, and
	// others than endToEnd ones in another spelling.
	Removed int
	// Malformed says why the request must be refused, empty if nothing speaks against it.
	Malformed string
	// ProtectedNamed counts tokens of Connection that named a header which may not be removed; they had no effect.
	ProtectedNamed int
}

// Outgoing builds the header that goes upstream: hop-by-hop headers are gone, forwarding headers are ours, all others
// are the client's. Values are shared with in.Header, which the caller must not change while the result is in use.
// An upgrade (Connection and Upgrade) is the caller's to add again once it has accepted it.
func (r *Resolver) Outgoing(in Inbound) Outbound {
	out := Outbound{Header: make(http.Header, len(in.Header)+6), Client: r.Client(in.Conn, in.Header)}
	trusted := r.TrustsHeaders(in.Conn.Peer.Addr())
	named, protectedNamed, ok := connectionNamed(in.Header["Connection"])
	out.ProtectedNamed = protectedNamed
	if !ok {
		out.Malformed = "Connection lists more than " + strconv.Itoa(maxConnection) + " elements"
	}

	written := make(headerValues, 0, mostWritten)
	client := written.one(out.Client.Addr.Addr().String())

	for key, values := range in.Header {
		name := PlainName(key)
		keep := key == name
		switch classify(name) {
		case hopByHop, requestID:
			continue
		case endToEnd:
			if !named[name] {
				out.Header[key] = values
			}
			continue
		case protected:
		case forwarding:
			keep = keep && trusted && vouchedFor(name)
		case address:
			keep = keep && trusted
			values = client
		case ours:
			keep = false
		}
		if !keep {
			out.Removed++
			continue
		}
		out.Header[key] = values
	}
	out.Header[xRealIP] = client
	if in.GRPC && acceptsTrailers(in.Header["Te"]) {
		out.Header["Te"] = written.one("trailers")
	}
	r.setForwarded(&out, in, trusted, &written)
	return out
}

// headerValues are those of headers that are written here, in one piece of memory.
type headerValues []string

// mostWritten is how many there are at most.
const mostWritten = 8

// one is the list of one value.
func (v *headerValues) one(value string) []string {
	*v = append(*v, value)
	n := len(*v)
	return (*v)[n-1 : n : n]
}

// vouchedFor reports whether a forwarding header of a trusted peer is used. Load balancers set these themselves; other
// X-Forwarded-* they pass on as a client wrote them.
func vouchedFor(name string) bool {
	switch name {
	case xForwardedFor, xForwardedProto, xForwardedPort, xForwardedHost, forwarded:
		return true
	}
	return namesCertificate(name)
}

// setForwarded sets the headers that say who the client is and what it asked for. Of what a trusted proxy sent, its
// scheme and port are passed on, and the chain of addresses from the client on: what stands before is the client's own
// writing. The host and the client's address are ours.
func (r *Resolver) setForwarded(out *Outbound, in Inbound, trusted bool, written *headerValues) {
	h := out.Header
	port := in.Conn.Server.Port()
	out.Scheme = in.Scheme
	if trusted {
		if s := single(h[xForwardedProto]); s == "http" || s == "https" {
			if s != in.Scheme {
				port = 0
			}
			out.Scheme = s
		}
		if p, ok := parsePort(":" + single(h[xForwardedPort])); ok {
			port = p
		}
	}
	if port == 0 {
		port = defaultPort(out.Scheme)
	}
	if out.Client.Source == FromForwarded {
		nearest := fromConnection(in.Conn).Addr.Addr()
		h[xForwardedFor] = written.one(tailFromRight(h[xForwardedFor], r.hops) + ", " + nearest.String())
	} else {
		h[xForwardedFor] = h[xRealIP] // the client is the nearest
	}
	h[xForwardedProto] = written.one(out.Scheme)
	h[xForwardedPort] = written.one(strconv.Itoa(int(port)))
	h[xForwardedHost] = written.one(in.Host)
	if _, ok := h[forwarded]; ok {
		h[forwarded] = written.one(forwardedElement(out.Client.Addr.Addr(), out.Scheme))
	}

	out.RequestID = single(in.Header[xRequestID])
	if !validRequestID(out.RequestID) {
		out.RequestID = newRequestID()
	}
	h[xRequestID] = written.one(out.RequestID)
}

// tailFromRight gives the last n entries of the lists joined in order, or all if there are fewer.
func tailFromRight(lists []string, n int) string {
	all := strings.Join(lists, ", ")
	begin := len(all)
	for range n {
		if begin = strings.LastIndexByte(all[:begin], ','); begin < 0 {
			break
		}
	}
	return strings.Trim(all[begin+1:], " \t")
}

// forwardedElement writes one element of RFC 7239.
func forwardedElement(addr netip.Addr, scheme string) string {
	node := addr.String()
	if addr.Is6() {
		node = `"[` + node + `]"`
	}
	return "for=" + node + ";proto=" + scheme
}

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// single returns the value of a header that was sent exactly once, else "".
func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// validRequestID reports whether a client's request ID may be passed on: 1 to 128 characters that need no quoting
// anywhere.
func validRequestID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-_.:=+/@", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// newRequestID returns 128 random bits in hexadecimal.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	return hex.EncodeToString(b[:])
}
