package clientip

import (
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"gatehouse/proxy/config"
)

// FuzzOutgoing sends one header field twice, a Connection field and an X-Forwarded-For through a trusted and an untrusted
// peer, and looks at what leaves.
func FuzzOutgoing(f *testing.F) {
	for _, name := range []string{
		"X-Forwarded-For", "X_Forwarded_For", "Forwarded", "X-Real-IP", "True-Client-IP", "X-Forwarded-Prefix", "X-Amzn-Mtls-Clientcert",
		"X-Gatehouse-Client", "Content-Length", "Transfer--Encoding", "Upgrade", "X-Request-Id", "Cookie", "X-A",
		"X.Forwarded.For", "Client-Ip", "X-Original-Url", "Content_Type", "Client-Cert",
	} {
		f.Add(name, "6.6.6.6", "203.0.113.9", name, "203.0.113.9", 1)
		f.Add(name, "for=6.6.6.6", "", "close, X-Forwarded-For", "6.6.6.6, [2001:db8::9]:4711, 198.51.100.1", 2)
	}
	f.Fuzz(func(t *testing.T, name, first, second, connection, forwardedFor string, n int) {
		n = (n & 0x7fffffff) % 4
		if got, want := PlainName(name), http.CanonicalHeaderKey(strings.Map(dashed, name)); got != want {
			t.Fatalf("PlainName(%q) is %q, want %q", name, got, want)
		}
		for _, peer := range []string{"10.0.0.1:1", "203.0.113.200:1"} {
			h := http.Header{}
			h["X-Forwarded-For"] = []string{forwardedFor}
			h["Connection"] = []string{connection}
			key := textproto.CanonicalMIMEHeaderKey(name)
			h[key] = append(h[key], first, second)
			in := Inbound{Header: h, Host: "shop.example.com", Scheme: "http", Conn: conn(peer, "")}
			checkFuzzed(t, NewResolver(config.Listener{TrustedHops: &n}), in)
		}
	})
}

// checkFuzzed holds what leaves against what must be true whatever came.
func checkFuzzed(t *testing.T, r *Resolver, in Inbound) {
	t.Helper()
	trusted := r.TrustsHeaders(in.Conn.Peer.Addr())
	out := r.Outgoing(in)
	nearest := in.Conn.Peer.Addr().String()
	for name, want := range map[string]string{xForwardedHost: in.Host, xRealIP: out.Client.Addr.Addr().String(), xRequestID: out.RequestID, xForwardedProto: out.Scheme} {
		if got := out.Header[name]; len(got) != 1 || got[0] != want {
			t.Fatalf("%s is %q, want %q", name, got, want)
		}
	}
	chain := out.Header[xForwardedFor]
	if len(chain) != 1 || !strings.HasSuffix(chain[0], nearest) || strings.Count(chain[0], ",") > r.hops {
		t.Fatalf("X-Forwarded-For is %q with %d hops and the peer %s", chain, r.hops, nearest)
	}
	if !trusted && chain[0] != nearest {
		t.Fatalf("X-Forwarded-For of an untrusted peer is %q", chain)
	}
	if entry, _, _ := strings.Cut(chain[0], ","); out.Client.Source == FromForwarded && out.Client.Problem == NoProblem {
		if first, ok := parseEntry(strings.Trim(entry, " \t")); !ok || first != out.Client.Addr {
			t.Fatalf("X-Forwarded-For %q does not begin with the client %v", chain, out.Client.Addr)
		}
	}
	for key := range out.Header {
		name := PlainName(key)
		switch classify(name) {
		case hopByHop, ours:
			t.Fatalf("%s left", key)
		case forwarding:
			written := name == xForwardedFor || name == xForwardedProto || name == xForwardedPort || name == xForwardedHost
			if key != name || !vouchedFor(name) || !trusted && !written {
				t.Fatalf("%s left", key)
			}
		case address:
			if key != name || !trusted && name != xRealIP || out.Header[key][0] != out.Client.Addr.Addr().String() {
				t.Fatalf("%s: %q left", key, out.Header[key])
			}
		case protected, requestID:
			if key != name {
				t.Fatalf("%s left", key)
			}
		case endToEnd:
		}
	}
}
