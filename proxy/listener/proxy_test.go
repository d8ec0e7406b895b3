package listener

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
)

const v2Signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 writes a header by hand: command 0 is LOCAL, 1 is PROXY; family 0x11 is TCP over IPv4.
func v2(command, family byte, payload string) string {
	b := []byte(v2Signature)
	b = append(b, 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return string(b) + payload
}

const (
	v4Payload = "\xcb\x00\x71\x09\xc0\x00\x02\x50\x12\x67\x01\xbb" // 203.0.113.9:4711 to 192.0.2.80:443
	request   = "GET /p HTTP/1.1\r\nHost: x\r\n\r\n"
)

func TestProxyProtocol(t *testing.T) {
	v6Payload := strings.Repeat("\x20\x01\x0d\xb8"+strings.Repeat("\x00", 11)+"\x01", 2) + "\x12\x67\x01\xbb"
	tests := []struct {
		name    string
		trusted string // trusted_proxies
		header  string
		client  string // expected; empty = the TCP peer
		server  string
		failure Failure
		refused int // status of a refusal behind a good header
	}{
		{name: "v1 TCP4", header: "PROXY TCP4 203.0.113.9 192.0.2.80 4711 443\r\n", client: "203.0.113.9:4711", server: "192.0.2.80:443"},
		{name: "v1 TCP6", header: "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", client: "[2001:db8::1]:4711", server: "[2001:db8::2]:443"},
		{name: "v1 UNKNOWN", header: "PROXY UNKNOWN\r\n"},
		{name: "v2 TCP4", header: v2(1, 0x11, v4Payload), client: "203.0.113.9:4711", server: "192.0.2.80:443"},
		{name: "v2 TCP6", header: v2(1, 0x21, v6Payload), client: "[2001:db8::1]:4711", server: "[2001:db8::1]:443"},
		{name: "v2 with TLVs", header: v2(1, 0x11, v4Payload+"\xea\x00\x05\x01vpce"+"\x04\x00\x02\x00\x00"), client: "203.0.113.9:4711", server: "192.0.2.80:443"},
		{name: "v2 LOCAL", header: v2(0, 0, "")},
		{name: "v2 LOCAL with addresses", header: v2(0, 0x11, v4Payload)},
		{name: "trusted by prefix", trusted: "127.0.0.0/8", header: v2(1, 0x11, v4Payload), client: "203.0.113.9:4711", server: "192.0.2.80:443"},

		{name: "untrusted peer", trusted: "198.51.100.0/24", header: v2(1, 0x11, v4Payload), failure: ProxyUntrusted},
		{name: "none", header: "", failure: ProxyMissing},
		{name: "v1 lower case", header: "proxy TCP4 203.0.113.9 192.0.2.80 4711 443\r\n", failure: ProxyMissing},
		{name: "v1 without addresses", header: "PROXY TCP4\r\n", failure: ProxyMalformed},
		{name: "v1 bad address", header: "PROXY TCP4 203.0.113.999 192.0.2.80 4711 443\r\n", failure: ProxyMalformed},
		{name: "v1 bad port", header: "PROXY TCP4 203.0.113.9 192.0.2.80 4711 65536\r\n", failure: ProxyMalformed},
		{name: "v1 without CR", header: "PROXY TCP4 203.0.113.9 192.0.2.80 4711 443\n", failure: ProxyMalformed},
		{name: "v1 too long", header: "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", failure: ProxyMalformed},
		{name: "v1 unspecified source", header: "PROXY TCP4 0.0.0.0 192.0.2.80 4711 443\r\n", failure: ProxyMalformed},
		{name: "v2 UDP", header: v2(1, 0x12, v4Payload), failure: ProxyMalformed},
		{name: "v2 Unix", header: v2(1, 0x31, strings.Repeat("a", 216)), failure: ProxyMalformed},
		{name: "v2 PROXY without family", header: v2(1, 0, ""), failure: ProxyMalformed},
		{name: "v2 unknown command", header: v2(7, 0x11, v4Payload), failure: ProxyMalformed},
		{name: "v2 short", header: v2(1, 0x11, "abc"), failure: ProxyMalformed},
		{name: "v2 too large", header: v2(1, 0x11, v4Payload+strings.Repeat("x", 5000)), failure: ProxyMalformed},
		{name: "second v1 header", header: "PROXY TCP4 203.0.113.9 192.0.2.80 4711 443\r\nPROXY TCP4 1.1.1.1 192.0.2.80 1 2\r\n", refused: 400},
		{name: "second v2 header", header: v2(1, 0x11, v4Payload) + v2(1, 0x11, v4Payload), refused: 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := plain(withProxy)
			if test.trusted != "" {
				l.TrustedProxies = []config.Prefix{{Prefix: netip.MustParsePrefix(test.trusted)}}
			}
			var info ConnInfo
			s, rec := serve(t, one(l), func(w http.ResponseWriter, r *http.Request) {
				info = *FromContext(r.Context())
				hello(w, r)
			})
			c := dial(t, s)
			io.WriteString(c, test.header+request) // the server may close before it has all
			r := bufio.NewReader(c)
			if test.failure != "" {
				if _, err := r.ReadByte(); !closed(err) {
					t.Errorf("read: %v, want a closed connection", err)
				}
				eventually(t, "the failure is reported", func() bool { return len(rec.failures()) > 0 })
				if got := rec.failures(); !slices.Equal(got, []Failure{test.failure}) {
					t.Errorf("reported %v, want %v", got, test.failure)
				}
				return
			}
			status, body, _ := reply(t, r)
			if test.refused != 0 {
				if status != test.refused || len(rec.refusals()) != 1 {
					t.Errorf("got %d, refusals %v", status, rec.refusals())
				}
				return
			}
			if status != 200 || body != "hello /p" || len(rec.failures()) != 0 {
				t.Errorf("got %d %q, failures %v", status, body, rec.failures())
			}
			peer := c.LocalAddr().(*net.TCPAddr).AddrPort()
			client, server := peer, netip.MustParseAddrPort(s.Addr("http").String())
			if test.client != "" {
				client, server = netip.MustParseAddrPort(test.client), netip.MustParseAddrPort(test.server)
			}
			if info.Peer != peer || info.Client != client || info.Server != server {
				t.Errorf("got %+v, want client %v, server %v", info.Addresses, client, server)
			}
		})
	}
}

func TestProxyProtocolSlow(t *testing.T) {
	for _, test := range []struct {
		name, header string
	}{
		{"v1", "PROXY TCP4 203.0.113.9 192.0.2.80 4711 443\r\n"},
		{"v2", v2(1, 0x11, v4Payload)},
	} {
		t.Run(test.name+" byte by byte", func(t *testing.T) {
			s, _ := serve(t, one(plain(withProxy)), hello)
			c := dial(t, s)
			c.SetNoDelay(true)
			for _, b := range []byte(test.header + request) {
				send(t, c, string([]byte{b}))
			}
			if status, body, _ := reply(t, bufio.NewReader(c)); status != 200 || body != "hello /p" {
				t.Errorf("got %d %q", status, body)
			}
		})
		t.Run(test.name+" incomplete", func(t *testing.T) {
			s, rec := serve(t, one(plain(withProxy, withTimeouts(100*time.Millisecond, time.Second, time.Second))), hello)
			c := dial(t, s)
			send(t, c, test.header[:len(test.header)-2])
			if _, err := c.Read(make([]byte, 1)); !closed(err) {
				t.Errorf("read: %v", err)
			}
			eventually(t, "the failure is reported", func() bool { return slices.Equal(rec.failures(), []Failure{ProxyTimeout}) })
		})
	}
	t.Run("nothing", func(t *testing.T) {
		s, rec := serve(t, one(plain(withProxy, withTimeouts(100*time.Millisecond, time.Second, time.Second))), hello)
		c := dial(t, s)
		atEnd(t, c)
		c = dial(t, s) // as a load balancer's TCP health check does
		c.Close()
		eventually(t, "connections are gone", func() bool { return s.Status()[0].Connections == 0 })
		if got := rec.failures(); len(got) != 0 {
			t.Errorf("reported %v", got)
		}
	})
}

// bytesConn is a connection that delivers what is given and then ends.
type bytesConn struct {
	net.Conn
	r *bytes.Reader
}

func (c bytesConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 203.0.113.9 192.0.2.80 4711 443\r\nrest", "PROXY TCP6 ::1 ::2 1 2\r\n", "PROXY UNKNOWN\r\n", "PROXY UNKNOWN x y\r\n", "PROXY", "P", "", "GET / HTTP/1.1\r\n",
		v2(1, 0x11, v4Payload) + "rest", v2(0, 0, ""), v2(0, 0x11, "x"), v2(1, 0x21, strings.Repeat("a", 36)), v2(1, 0x31, strings.Repeat("a", 216)), v2Signature,
	} {
		f.Add([]byte(s))
	}
	g := &generation{trusted: clientip.NewTrusted(nil)}
	peer := netip.MustParseAddrPort("10.0.0.1:999")
	f.Fuzz(func(t *testing.T, data []byte) {
		info := &ConnInfo{}
		info.Peer, info.Client = peer, peer
		c := &conn{Conn: bytesConn{r: bytes.NewReader(data)}, info: info, gen: g}
		failure := c.readPROXY()
		if failure != "" {
			if failure == ProxyUntrusted || failure == ProxyTimeout {
				t.Fatalf("failure %s", failure)
			}
			return
		}
		if !info.Client.IsValid() || info.Client.Addr().IsUnspecified() || info.Client.Addr().Is4In6() {
			t.Fatalf("client %v", info.Client)
		}
		// What follows the header must come out unchanged, and the header must be one that says what was taken.
		rest, err := io.ReadAll(c)
		if err != nil || !bytes.HasSuffix(data, rest) {
			t.Fatalf("rest %q of %q: %v", rest, data, err)
		}
		head := bufio.NewReader(bytes.NewReader(data[:len(data)-len(rest)]))
		header, err := proxyproto.Read(head)
		if err != nil || head.Buffered() != 0 {
			t.Fatalf("header %q: %v", data[:len(data)-len(rest)], err)
		}
		if header.Command.IsLocal() != (info.Client == peer) && header.SourceAddr != nil && addrPort(header.SourceAddr) != peer {
			t.Fatalf("client %v from %v", info.Client, header)
		}
	})
}
