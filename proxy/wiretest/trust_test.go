package wiretest_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/proxytest"
	"gatehouse/proxy/wiretest"
)

// spoof is in every value that a client makes up.
const spoof = "6.6.6.6"

// topology is what stands between a client and a listener.
type topology struct {
	name     string
	listener string
	peer     string // the address that the TCP connection comes from
	preface  []byte // a PROXY header
	balancer bool   // an HTTP load balancer in front: it sets X-Forwarded-Proto and -Port, and X-Amzn-Mtls-* are its own
	append   string // what the proxies in front append to X-Forwarded-For
	client   string // the true client, with its port if the gateway can know it
	chain    string // X-Forwarded-For at the upstream
}

func topologies() []topology {
	v4, v6 := "203.0.113.9:4711", "[2001:db8::9]:4711"
	return []topology{
		{name: "none", listener: "plain", peer: "127.0.0.1", client: "127.0.0.1", chain: "127.0.0.1"},
		{name: "peer that is no proxy of ours", listener: "elb", peer: "127.0.0.1", client: "127.0.0.1", chain: "127.0.0.1"},
		{name: "ALB", listener: "elb", peer: "127.0.0.2", balancer: true, append: "203.0.113.9", client: "203.0.113.9", chain: "203.0.113.9, 127.0.0.2"},
		{name: "ALB that sends ports", listener: "elb", peer: "127.0.0.2", balancer: true, append: v4, client: v4, chain: v4 + ", 127.0.0.2"},
		{name: "ALB, IPv6", listener: "elb", peer: "127.0.0.2", balancer: true, append: "2001:db8::9", client: "2001:db8::9", chain: "2001:db8::9, 127.0.0.2"},
		{name: "ALB that sends ports, IPv6", listener: "elb", peer: "127.0.0.2", balancer: true, append: v6, client: v6, chain: v6 + ", 127.0.0.2"},
		{name: "CDN and ALB", listener: "two", peer: "127.0.0.2", balancer: true, append: "203.0.113.9, 198.51.100.1", client: "203.0.113.9", chain: "203.0.113.9, 198.51.100.1, 127.0.0.2"},
		{name: "NLB", listener: "nlb", peer: "127.0.0.2", preface: proxyV2(v4), client: v4, chain: "203.0.113.9"},
		{name: "NLB, IPv6", listener: "nlb", peer: "127.0.0.2", preface: proxyV2(v6), client: v6, chain: "2001:db8::9"},
		{name: "NLB, version 1", listener: "nlb", peer: "127.0.0.2", preface: []byte("PROXY TCP4 203.0.113.9 192.0.2.80 4711 443\r\n"), client: v4, chain: "203.0.113.9"},
		{name: "NLB and ALB", listener: "nlb-elb", peer: "127.0.0.2", balancer: true, preface: proxyV2("198.51.100.1:80"), append: "203.0.113.9", client: "203.0.113.9", chain: "203.0.113.9, 198.51.100.1"},
	}
}

// proxyV2 is a PROXY header of version 2 (haproxy.org, proxy-protocol.txt, section 2.2) with a source.
func proxyV2(source string) []byte {
	from, to := netip.MustParseAddrPort(source), netip.MustParseAddrPort("192.0.2.80:443")
	family := byte(0x11)
	if from.Addr().Is6() {
		family, to = 0x21, netip.MustParseAddrPort("[2001:db8::80]:443")
	}
	addresses := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	addresses = binary.BigEndian.AppendUint16(addresses, from.Port())
	addresses = binary.BigEndian.AppendUint16(addresses, to.Port())
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21"), family)
	return append(binary.BigEndian.AppendUint16(header, uint16(len(addresses))), addresses...)
}

// sender sends requests through a topology.
type sender struct {
	topology
	conn   net.Conn
	reader *bufio.Reader
}

func newSender(t *testing.T, g *gateway, top topology) *sender {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(top.peer)}}
	c, err := d.Dial("tcp", g.address(top.listener))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(top.preface); err != nil {
		t.Fatal(err)
	}
	return &sender{top, c, bufio.NewReader(c)}
}

// fields are what reaches the gateway when a client has sent name with value so many times.
func (top *topology) fields(name, value string, copies int) []string {
	var list, forwarded []string
	lower := strings.ToLower(name)
	for range copies {
		switch {
		case top.append != "" && lower == "x-forwarded-for":
			forwarded = append(forwarded, value)
		case top.balancer && (lower == "x-forwarded-proto" || lower == "x-forwarded-port" || strings.HasPrefix(lower, "x-amzn-mtls-")):
		default:
			list = append(list, name+": "+value)
		}
	}
	if top.append != "" {
		list = append(list, "X-Forwarded-For: "+strings.Join(append(forwarded, top.append), ", "))
	}
	if top.balancer {
		list = append(list, "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Amzn-Mtls-Clientcert-Subject: CN=balancer")
	}
	return list
}

func (s *sender) send(t *testing.T, g *gateway, id string, fields []string) *wiretest.Request {
	t.Helper()
	g.recorder.Take()
	fmt.Fprintf(s.conn, "GET /trust HTTP/1.1\r\nHost: held.example\r\nX-Request-Id: %s\r\n%s\r\n\r\n", id, strings.Join(fields, "\r\n"))
	reply, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	io.Copy(io.Discard, reply.Body)
	reply.Body.Close()
	got := g.recorder.Take()
	if reply.StatusCode != 200 || len(got) != 1 || got[0].Problem != "" {
		t.Fatalf("%s: status %d, %d requests at the upstream", s.name, reply.StatusCode, len(got))
	}
	return got[0]
}

// dashes are ways to write the marks in a header name that upstreams take for the same, the right one first.
var dashes = []func(string) string{
	func(s string) string { return s },
	func(s string) string { return strings.ReplaceAll(s, "-", "_") },
	func(s string) string { return strings.Replace(s, "-", "_", 1) },
	func(s string) string { return strings.ReplaceAll(s, "-", ".") },
	func(s string) string { return strings.ReplaceAll(s, "-", "~") },
}

// spellings lists names in every case and with every mark (the first ways are the usual ones), and the names of others
// in one case. What is respelled may be sent only so: with its dashes it is the client's to send.
func spellings() []string {
	families := []string{
		"Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server",
		"X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Real-IP", "X-Client-IP", "True-Client-IP", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject",
		"X-Gatehouse-Incident", "X-Gatehouse-Client",
	}
	more := []string{
		"Client-IP", "X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-ProxyUser-IP", "X-Original-Forwarded-For",
		"X-Envoy-External-Address", "WL-Proxy-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "Fastly-Client-IP", "Fly-Client-IP",
		"X-Azure-ClientIP", "X-Azure-SocketIP", "X-AppEngine-User-IP", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Host",
		"X-Host", "X-HTTP-Host-Override", "X-Envoy-Original-Path", "X-WAWS-Unencoded-URL",
	}
	respelled := []string{"Content-Type", "Content-Encoding", "Accept-Language", "User-Agent", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"}
	var list []string
	add := func(name string) {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	for _, family := range families {
		for _, spell := range []func(string) string{func(s string) string { return s }, strings.ToLower, strings.ToUpper} {
			for _, dash := range dashes {
				add(dash(spell(family)))
			}
		}
	}
	for _, name := range more {
		for _, dash := range dashes {
			add(dash(name))
		}
	}
	for _, name := range respelled {
		for _, dash := range dashes[1:] {
			add(dash(name))
		}
	}
	return list
}

// TestTrust sends every forwarding header in every spelling, once and twice, with and without a Connection field that
// names it, through every topology. What the client made up reaches the upstream nowhere, and the client is the true one
// there and in the log.
func TestTrust(t *testing.T) {
	g := start(t)
	clients := map[string]string{} // by request ID
	for _, top := range topologies() {
		t.Run(top.name, func(t *testing.T) {
			s := newSender(t, g, top)
			for _, name := range spellings() {
				for copies := 1; copies <= 2; copies++ {
					for _, connection := range []string{"", "Connection: keep-alive, "} {
						id := fmt.Sprintf("trust-%d", len(clients))
						clients[id] = top.client
						value := spoof
						if strings.EqualFold(name, "Forwarded") {
							value = "for=" + spoof
						}
						fields := top.fields(name, value, copies)
						if connection != "" {
							fields = append(fields, connection+name)
						}
						s.check(t, s.send(t, g, id, fields), fields)
					}
				}
			}
		})
	}
	if len(clients) < 400 {
		t.Errorf("%d combinations, want at least 400", len(clients))
	}
	g.checkClients(t, clients)
	t.Logf("%d combinations", len(clients))
}

// check holds a request at the upstream against the topology.
func (top *topology) check(t *testing.T, r *wiretest.Request, sent []string) {
	t.Helper()
	for _, f := range r.Fields {
		if strings.Contains(f.Value, spoof) {
			t.Errorf("%q: the upstream got %s: %q", sent, f.Name, f.Value)
		}
		if strings.ContainsAny(f.Name, "_.~") || strings.HasPrefix(f.Name, "X-Gatehouse-") {
			t.Errorf("%q: the upstream got %s", sent, f.Name)
		}
	}
	scheme, subject := "http", ""
	if top.balancer {
		scheme, subject = "https", "CN=balancer"
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": top.chain, "X-Real-Ip": hostOf(top.client), "X-Forwarded-Host": "held.example", "X-Forwarded-Proto": scheme,
		"X-Amzn-Mtls-Clientcert-Subject": subject,
	} {
		if got := strings.Join(r.Values(name), " | "); got != want {
			t.Errorf("%q: the upstream got %s %q, want %q", sent, name, got, want)
		}
	}
}

// hostOf is an address without its port.
func hostOf(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return a.Addr().String()
	}
	return address
}

// checkClients holds the clients in the access log against the true ones.
func (g *gateway) checkClients(t *testing.T, clients map[string]string) {
	t.Helper()
	logged := map[string]access{}
	proxytest.Eventually(t, "access records", func() bool {
		for _, a := range g.accessLog(t) {
			logged[a.RequestID] = a
		}
		return len(logged) >= len(clients)
	})
	for id, want := range clients {
		got := logged[id].Client
		if a, err := netip.ParseAddrPort(want); err == nil {
			want = a.String()
			got = netip.AddrPortFrom(netip.MustParseAddr(got), uint16(logged[id].ClientPort)).String()
		}
		if got != want {
			t.Errorf("%s: the client is %s in the log, want %s", id, got, want)
		}
	}
}
