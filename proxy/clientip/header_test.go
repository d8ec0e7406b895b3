package clientip

import (
	"bufio"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/config"
)

// readHeader parses header lines as they come off the wire.
func readHeader(t *testing.T, lines ...string) http.Header {
	t.Helper()
	raw := "GET / HTTP/1.1\r\nHost: shop.example.com\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("read %q: %v", raw, err)
	}
	return req.Header
}

func TestOutgoing(t *testing.T) {
	elb := config.Listener{}
	direct := config.Listener{TrustedHops: hops(0)}
	nlb := config.Listener{ProxyProtocol: config.PROXYRequired}
	id := "X-Request-Id: r-1"
	tests := []struct {
		name         string
		listener     config.Listener
		peer, source string
		scheme       string
		grpc         bool
		in           []string
		want         http.Header // without X-Request-Id: r-1 and X-Forwarded-Host
		scheme2      string
		removed      int
		protected    int
	}{
		{
			name: "untrusted peer", listener: elb, peer: "203.0.113.9:4711", scheme: "http",
			in: []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https", "Forwarded: for=1.1.1.1", "X-Real-IP: 1.1.1.1", "True-Client-IP: 1.1.1.1", "X-Client-Ip: 1.1.1.1", "X-Amzn-Mtls-Clientcert: x", "X-Gatehouse-Incident: y", "Accept: */*"},
			want: http.Header{
				"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}, "Accept": {"*/*"},
			},
			scheme2: "http", removed: 8,
		},
		{
			name: "behind an ELB that ends TLS", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in: []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Amzn-Mtls-Clientcert-Subject: CN=a", "X-Forwarded-Host: evil", "X-Real-IP: 1.1.1.1", "True-Client-IP: 1.1.1.1", "X-Client-IP: 1.1.1.1", "X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil", "X-Forwarded: evil"},
			want: http.Header{
				"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}, "X-Real-Ip": {"203.0.113.9"},
				"True-Client-Ip": {"203.0.113.9"}, "X-Client-Ip": {"203.0.113.9"}, "X-Amzn-Mtls-Clientcert-Subject": {"CN=a"},
			},
			scheme2: "https", removed: 3,
		},
		{
			name: "two proxies", listener: config.Listener{TrustedHops: hops(2)}, peer: "10.0.0.1:999", scheme: "http",
			in:      []string{"X-Forwarded-For: 1.1.1.1,", "X-Forwarded-For: [2001:db8::9]:4711 , 198.51.100.7"},
			want:    http.Header{"X-Forwarded-For": {"[2001:db8::9]:4711 , 198.51.100.7, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"2001:db8::9"}},
			scheme2: "http",
		},
		{
			name: "an entry that names nobody", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in:      []string{"X-Forwarded-For: 1.1.1.1, unknown"},
			want:    http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"10.0.0.1"}},
			scheme2: "http",
		},
		{
			name: "the scheme's port when the proxy names none", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in:      []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"},
			want:    http.Header{"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "https",
		},
		{
			name: "a trusted proxy's scheme and port that are none", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in:      []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: gopher", "X-Forwarded-Port: 99999"},
			want:    http.Header{"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http",
		},
		{
			name: "Forwarded of a trusted proxy is ours", listener: elb, peer: "[fd00::1]:999", scheme: "http",
			in:      []string{"X-Forwarded-For: 203.0.113.9", "Forwarded: for=1.1.1.1;host=evil"},
			want:    http.Header{"X-Forwarded-For": {"203.0.113.9, fd00::1"}, "Forwarded": {"for=203.0.113.9;proto=http"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http",
		},
		{
			name: "trusted range, but no proxy in front", listener: direct, peer: "10.0.0.1:999", scheme: "https",
			in:      []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: http", "Forwarded: for=1.1.1.1"},
			want:    http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"10.0.0.1"}},
			scheme2: "https", removed: 3,
		},
		{
			name: "behind an NLB with PROXY", listener: nlb, peer: "10.0.0.1:999", source: "203.0.113.9:4711", scheme: "https",
			in:      []string{"X-Forwarded-For: 1.1.1.1"},
			want:    http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "https", removed: 1,
		},
		{
			name: "underscores from a trusted proxy", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in:      []string{"X-Forwarded-For: 203.0.113.9", "X_Forwarded_For: 1.1.1.1", "x_real-ip: 1.1.1.1", "X_Gatehouse_Incident: z", "X_Request_Id: q"},
			want:    http.Header{"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http", removed: 3,
		},
		{
			name: "names that become the same variable", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in: []string{
				"X-Forwarded-For: 203.0.113.9", "X.Forwarded.For: 1.1.1.1", "X~Real~IP: 1.1.1.1", "Client.IP: 1.1.1.1", "X+Original+Url: /evil",
				"Content_Type: a", "Content.Encoding: b", "User_Agent: c", "X_HTTP_Method_Override: d", "X.Request.Id: e",
				"User-Agent: kept", "X-HTTP-Method-Override: PUT", "api_key: kept", "X.Kept: 1", "XForwardedFor: kept",
			},
			want: http.Header{
				"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"},
				"User-Agent": {"kept"}, "X-Http-Method-Override": {"PUT"}, "Api_key": {"kept"}, "X.kept": {"1"}, "Xforwardedfor": {"kept"},
			},
			scheme2: "http", removed: 8,
		},
		{
			name: "addresses, targets and certificates of an untrusted peer", listener: direct, peer: "203.0.113.9:1", scheme: "http",
			in: []string{
				"Client-IP: 1.1.1.1", "CF-Connecting-IP: 1.1.1.1", "X-Cluster-Client-IP: 1.1.1.1", "X-Original-URL: /evil", "X-Rewrite-URL: /evil",
				"X-Original-Host: evil", "X-Host: evil", "Client-Cert: :AAAA:", "X-SSL-Client-Verify: SUCCESS", "X-Amzn-Oidc-Identity: evil",
			},
			want:    http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http", removed: 10,
		},
		{
			name: "addresses, targets and certificates of a trusted peer", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in: []string{
				"X-Forwarded-For: 203.0.113.9", "Client-IP: 1.1.1.1", "CF-Connecting-IP: 1.1.1.1", "CF-Connecting-IP: 2.2.2.2", "X-Original-URL: /evil", "X-Host: evil",
				"Client-Cert: :AAAA:", "X-SSL-Client-Verify: SUCCESS", "X-Amzn-Oidc-Identity: me",
			},
			want: http.Header{
				"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"},
				"Client-Ip": {"203.0.113.9"}, "Cf-Connecting-Ip": {"203.0.113.9"},
				"Client-Cert": {":AAAA:"}, "X-Ssl-Client-Verify": {"SUCCESS"}, "X-Amzn-Oidc-Identity": {"me"},
			},
			scheme2: "http", removed: 2,
		},
		{
			name: "hop by hop", listener: direct, peer: "203.0.113.9:1", scheme: "http",
			in:      []string{"Connection: close, X-Mine, keep-alive", "X-Mine: 1", "X_Mine: 2", "Keep-Alive: timeout=5", "Proxy-Authorization: x", "Proxy-Connection: y", "Proxy: httpoxy", "TE: trailers", "Trailer: A", "Upgrade: h2c", "HTTP2-Settings: AA", "Expect: 100-continue", "Content-Length: 5", "Content_Length: 6", "Content--Length: 7", "ContentLength: 8", "Transfer___Encoding: chunked", "Transfer.Encoding: chunked", "TransferEncoding: chunked", "Proxy_Authenticate: z", "X-Kept: 1"},
			want:    http.Header{"X-Kept": {"1"}, "X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http",
		},
		{
			name: "TE for gRPC", listener: direct, peer: "203.0.113.9:1", scheme: "http", grpc: true,
			in:      []string{"TE: deflate, Trailers"},
			want:    http.Header{"Te": {"trailers"}, "X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http",
		},
		{
			name: "Connection names protected headers", listener: elb, peer: "10.0.0.1:999", scheme: "http",
			in: []string{"Connection: X-Forwarded-For, x_forwarded_for, X-Real-IP, Authorization, Cookie, content-type, X-Request-Id, traceparent, X-Amzn-Trace-Id, Host", "X-Forwarded-For: 203.0.113.9", "Authorization: a", "Cookie: c", "Content-Type: text/plain", "Traceparent: t", "Tracestate: s", "X-Amzn-Trace-Id: Root=1"},
			want: http.Header{
				"X-Forwarded-For": {"203.0.113.9, 10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"},
				"Authorization": {"a"}, "Cookie": {"c"}, "Content-Type": {"text/plain"}, "Traceparent": {"t"}, "Tracestate": {"s"}, "X-Amzn-Trace-Id": {"Root=1"},
			},
			scheme2: "http", protected: 10,
		},
		{
			name: "repeated values stay as they are", listener: direct, peer: "203.0.113.9:1", scheme: "http",
			in:      []string{"Cookie: a=1", "Cookie: b=2", "X-A:  1 "},
			want:    http.Header{"Cookie": {"a=1", "b=2"}, "X-A": {"1"}, "X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Real-Ip": {"203.0.113.9"}},
			scheme2: "http",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := readHeader(t, append(test.in, id)...)
			before := in.Clone()
			out := NewResolver(test.listener).Outgoing(Inbound{Header: in, Host: "shop.example.com", Scheme: test.scheme, Conn: conn(test.peer, test.source), GRPC: test.grpc})
			test.want["X-Forwarded-Host"] = []string{"shop.example.com"}
			test.want["X-Request-Id"] = []string{"r-1"}
			if diff := cmp.Diff(test.want, out.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if out.Scheme != test.scheme2 || out.Removed != test.removed || out.ProtectedNamed != test.protected {
				t.Errorf("scheme %s, removed %d, protected %d; want %s, %d, %d", out.Scheme, out.Removed, out.ProtectedNamed, test.scheme2, test.removed, test.protected)
			}
			if diff := cmp.Diff(before, in); diff != "" {
				t.Errorf("the incoming header was changed:\n%s", diff)
			}
		})
	}
}

// TestOutgoingGenerated sends every forwarding header in every spelling, alone and doubled, with and without a
// Connection header that names it, through every topology, and looks for the client's value in what leaves.
func TestOutgoingGenerated(t *testing.T) {
	const spoof = "6.6.6.6"
	family := []string{
		"Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
		"X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Real-IP", "X-Client-IP", "True-Client-IP", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject",
		"X-Gatehouse-Incident", "X-Gatehouse-Client", "Client-Cert", "X-SSL-Client-Verify", "X-Amzn-Oidc-Identity",
	}
	never := []string{ // from nobody: the gateway writes them, or they end here
		"Client-IP", "X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-ProxyUser-IP", "X-Original-Forwarded-For",
		"X-Envoy-External-Address", "WL-Proxy-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "Fastly-Client-IP", "Fly-Client-IP",
		"X-Azure-ClientIP", "X-Azure-SocketIP", "X-AppEngine-User-IP",
		"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Host", "X-Host", "X-HTTP-Host-Override", "X-Envoy-Original-Path", "X-WAWS-Unencoded-URL",
	}
	spell := map[string]func(string) string{
		"as is": func(s string) string { return s },
		"lower": strings.ToLower,
		"upper": strings.ToUpper,
		"swapped": func(s string) string {
			var b strings.Builder
			for i, c := range s {
				if i%2 == 0 {
					b.WriteString(strings.ToLower(string(c)))
				} else {
					b.WriteString(strings.ToUpper(string(c)))
				}
			}
			return b.String()
		},
	}
	underscore := map[string]func(string) string{
		"dashes":      func(s string) string { return s },
		"underscores": func(s string) string { return strings.ReplaceAll(s, "-", "_") },
		"first":       func(s string) string { return strings.Replace(s, "-", "_", 1) },
		"dots":        func(s string) string { return strings.ReplaceAll(s, "-", ".") },
		"tilde":       func(s string) string { return strings.Replace(s, "-", "~", 1) },
	}
	topologies := []struct {
		name         string
		listener     config.Listener
		peer, source string
		trusted      bool
	}{
		{"untrusted peer", config.Listener{}, "203.0.113.9:1", "", false},
		{"no hops", config.Listener{TrustedHops: hops(0)}, "10.0.0.1:1", "", false},
		{"PROXY", config.Listener{ProxyProtocol: config.PROXYRequired}, "10.0.0.1:1", "203.0.113.9:1", false},
		{"ELB", config.Listener{}, "10.0.0.1:1", "", true},
	}
	cases := 0
	for _, name := range append(family, never...) {
		for spelling, change := range spell {
			for dashes, replace := range underscore {
				for copies := 1; copies <= 3; copies++ {
					for _, connection := range []string{"", "Connection: %s", "Connection: close, %s"} {
						for _, top := range topologies {
							cases++
							key := replace(change(name))
							var lines []string
							for range copies {
								lines = append(lines, key+": "+spoof)
							}
							if connection != "" {
								lines = append(lines, fmt.Sprintf(connection, key))
							}
							out := NewResolver(top.listener).Outgoing(Inbound{Header: readHeader(t, lines...), Host: "shop.example.com", Scheme: "http", Conn: conn(top.peer, top.source)})
							where := fmt.Sprintf("%s, %s, %s, x%d, %q, %s", name, spelling, dashes, copies, connection, top.name)
							checkOutgoing(t, where, out, top.trusted && !strings.ContainsAny(key, "_.~") && !slices.Contains(never, name), spoof)
						}
					}
				}
			}
		}
	}
	if cases < 30_000 {
		t.Errorf("only %d cases ran", cases)
	}
}

func checkOutgoing(t *testing.T, where string, out Outbound, mayKeep bool, spoof string) {
	t.Helper()
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip", "X-Request-Id"} {
		if len(out.Header[name]) != 1 {
			t.Errorf("%s: %s is %q, want one value", where, name, out.Header[name])
		}
	}
	if out.Header.Get("X-Forwarded-Host") != "shop.example.com" || out.Header.Get("X-Forwarded-Proto") != "http" || out.Header.Get("X-Forwarded-Port") != "8080" {
		t.Errorf("%s: host, scheme or port are not ours: %v", where, out.Header)
	}
	for key, values := range out.Header {
		if strings.ContainsAny(key, "_.~") {
			t.Errorf("%s: %s left", where, key)
		}
		if strings.HasPrefix(key, "X-Gatehouse-") {
			t.Errorf("%s: %s left", where, key)
		}
		if !mayKeep && strings.Contains(strings.Join(values, ","), spoof) {
			t.Errorf("%s: %s: %q carries the client's value", where, key, values)
		}
	}
	if chain := out.Header.Get("X-Forwarded-For"); !strings.HasSuffix(chain, "10.0.0.1") && !strings.HasSuffix(chain, "203.0.113.9") {
		t.Errorf("%s: X-Forwarded-For %q does not end with the nearest address", where, chain)
	}
}

func TestRequestID(t *testing.T) {
	generated := regexp.MustCompile(`^[0-9a-f]{32}$`)
	tests := []struct {
		name string
		in   []string
		keep bool
	}{
		{"missing", nil, false},
		{"kept", []string{"X-Request-Id: 7f3a-ABC_9.x:y=z+/@"}, true},
		{"empty", []string{"X-Request-Id: "}, false},
		{"twice", []string{"X-Request-Id: a", "X-Request-Id: b"}, false},
		{"quotes", []string{`X-Request-Id: a"b`}, false},
		{"space", []string{"X-Request-Id: a b"}, false},
		{"long", []string{"X-Request-Id: " + strings.Repeat("a", 129)}, false},
		{"longest", []string{"X-Request-Id: " + strings.Repeat("a", 128)}, true},
		{"not ASCII", []string{"X-Request-Id: é"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := readHeader(t, test.in...)
			out := NewResolver(config.Listener{}).Outgoing(Inbound{Header: in, Scheme: "http", Conn: conn("203.0.113.9:1", "")})
			if got := out.Header["X-Request-Id"]; len(got) != 1 || got[0] != out.RequestID {
				t.Fatalf("header %q, RequestID %q", got, out.RequestID)
			}
			if test.keep && out.RequestID != in.Get("X-Request-Id") {
				t.Errorf("%q was replaced by %q", in.Get("X-Request-Id"), out.RequestID)
			}
			if !test.keep && !generated.MatchString(out.RequestID) {
				t.Errorf("%q is not a generated ID", out.RequestID)
			}
		})
	}
}

// A map that was not filled by net/http may hold names in any case.
func TestOutgoingOtherCase(t *testing.T) {
	in := http.Header{"x-forwarded-for": {"6.6.6.6"}, "X-FORWARDED-PROTO": {"https"}, "connection": {"x"}, "x-mine": {"1"}}
	out := NewResolver(config.Listener{}).Outgoing(Inbound{Header: in, Scheme: "http", Conn: conn("10.0.0.1:1", "")})
	want := http.Header{
		"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"8080"}, "X-Forwarded-Host": {""}, "X-Real-Ip": {"10.0.0.1"},
		"X-Request-Id": {out.RequestID}, "x-mine": {"1"},
	}
	if diff := cmp.Diff(want, out.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}
