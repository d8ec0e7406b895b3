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
)

// Hooks let the owner count, record and answer what is decided below HTTP handlers. Each may be nil. They are called
// from the goroutine of the connection and must be safe for concurrent use.
type Hooks struct {
	// Refused is called once for each request that is refused before a handler runs: malformed (400), header too
	// slow (408), expectation unknown (417), header too large (431), transfer coding unknown (501), version unknown
	// (505). detail says more where net/http does. reply, if not empty, is the complete HTTP/1.1 response to send,
	// with Connection: close; else a short plain one is sent.
	Refused func(info *ConnInfo, status int, detail string) (reply []byte)
	// Failed is called for each connection that is closed without a request. Connections on which no byte came, as
	// load balancers' TCP health checks make them, are not reported.
	Failed func(info *ConnInfo, cause Failure)
	// HTTP2Error is called for each error of HTTP/2 framing. kind is from net/http's closed set.
	HTTP2Error func(listener, kind string)
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

func (h Hooks) failed(info *ConnInfo, cause Failure) {
	if h.Failed != nil {
		h.Failed(info, cause)
	}
}
