package listener

// Failure says why a connection was closed before any request could be read from it. The set is closed, for metrics.
type Failure string

// The failures.
const (
	ProxyUntrusted    Failure = "proxy_untrusted"      // the TCP peer is not in trusted_proxies
	ProxyMissing      Failure = "proxy_missing"        // something else than a PROXY header came first
	ProxyMalformed    Failure = "proxy_malformed"      // neither v1 nor v2, too long, or not of TCP
	ProxyTimeout      Failure = "proxy_timeout"        // no complete header in time
	TLSNoCertificate  Failure = "tls_no_certificate"   // no certificate carries the name
	TLSBadClientHello Failure = "tls_bad_client_hello" // no TLS, or no version, cipher or protocol in common
	TLSTimeout        Failure = "tls_timeout"          // no complete handshake in time
	TLSOther          Failure = "tls_other"            // the client broke off
	ClientConnections Failure = "client_connections"   // the client has as many connections as it may
)

// HTTP2Error is a fault of a client of HTTP/2 for which it gets an error code instead of a reply.
type HTTP2Error struct {
	// Kind is conn_ or stream_, for what ends, and the name of the error code in RFC 9113: a closed set, for metrics.
	Kind   string
	Status int // the status of a reply with the same meaning
	Detail string
}

// Hooks let the owner count, record and answer what is decided below HTTP handlers. Each may be nil. They are called
// from the goroutine of the connection and must be safe for concurrent use.
type Hooks struct {
	// Refused is called once for each request that is refused before a handler runs: malformed (400), header too
	// slow (408), expectation unknown (417), header too large (431), version unknown (505).
	// detail says more where that is known. reply, if not empty, is the complete HTTP/1.1 response to send,
	// with Connection: close; else a short plain one is sent. On HTTP/2 it is sent on the request's stream.
	Refused func(info *ConnInfo, status int, detail string) (reply []byte)
	// Failed is called for each connection that is closed without a request. Connections on which no byte came, as
	// load balancers' TCP health checks make them, are not reported.
	Failed func(info *ConnInfo, cause Failure)
	// HTTP2Error is called once for each connection that ends, and for each stream that is reset, because of what
	// the client sent in HTTP/2, unless Refused was called for it or the handler of the request records it
	// (MalformedBody).
	HTTP2Error func(info *ConnInfo, fault HTTP2Error)
	// CertificateReloaded is called when a certificate's files changed: err is nil if the new ones are served, else
	// the old ones stay.
	CertificateReloaded func(certificate string, err error)
}

func (h Hooks) refused(info *ConnInfo, status int, detail string) []byte {
	if h.Refused == nil {
		return nil
	}
	return h.Refused(info, status, detail)
}

func (h Hooks) http2Error(info *ConnInfo, fault HTTP2Error) {
	if h.HTTP2Error != nil {
		h.HTTP2Error(info, fault)
	}
}

func (h Hooks) failed(info *ConnInfo, cause Failure) {
	if h.Failed != nil {
		h.Failed(info, cause)
	}
}
