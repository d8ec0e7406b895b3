package proxy_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// refused is one way in which a client of HTTP/2 breaks the rules.
type refused struct {
	name string
	send func(c *rawHTTP2)
	// outcome is what the client sees: the status of the reply, and how stream or connection end.
	outcome string
	cause   string // of gatehouse_refused_connections_total, empty if the request's own record tells of it
	detail  string // of the event
	tlsOnly bool
}

const (
	answeredAndReset = "400, stream PROTOCOL_ERROR"
	connectionEnds   = "connection PROTOCOL_ERROR"
)

// badRequest is a request that is malformed by its fields, which are added to those of a good one.
func badRequest(name, detail string, fields ...string) refused {
	return badList(name, detail, append(goodFields(), fields...)...)
}

func badList(name, detail string, fields ...string) refused {
	return refused{
		name: name, detail: detail, outcome: answeredAndReset, cause: "bad_request",
		send: func(c *rawHTTP2) { c.headers(true, fields...) },
	}
}

func goodFields() []string {
	return []string{":method", "GET", ":scheme", "http", ":authority", "shop.example.com", ":path", "/x"}
}

// without gives the fields of a good request without one of them, or with another value for it.
func without(name string, value ...string) []string {
	var fields []string
	for i, good := 0, goodFields(); i < len(good); i += 2 {
		switch {
		case good[i] != name:
			fields = append(fields, good[i], good[i+1])
		case len(value) > 0:
			fields = append(fields, name, value[0])
		}
	}
	return fields
}

// spoiled is a request whose body or trailer is malformed. The client sends that when the gateway asks for the body.
func spoiled(name, outcome, detail string, send func(c *rawHTTP2), fields ...string) refused {
	return refused{name: name, outcome: outcome, detail: detail, send: func(c *rawHTTP2) {
		c.headers(false, append(append([]string{":method", "POST", ":scheme", "http", ":authority", "shop.example.com", ":path", "/x"}, fields...), "expect", "100-continue")...)
		c.awaitContinue()
		send(c)
	}}
}

var refusedHTTP2 = []refused{
	badRequest("Connection", `field "connection"`, "connection", "close"),
	badRequest("Keep-Alive", `field "keep-alive"`, "keep-alive", "timeout=5"),
	badRequest("Proxy-Connection", `field "proxy-connection"`, "proxy-connection", "keep-alive"),
	badRequest("Transfer-Encoding", `field "transfer-encoding"`, "transfer-encoding", "chunked"),
	badRequest("Upgrade", `field "upgrade"`, "upgrade", "websocket"),
	badRequest("TE", `field "te"`, "te", "gzip"),
	badRequest("two TE", `field "te"`, "te", "trailers", "te", "trailers"),
	badRequest("upper-case name", "upper-case", "X-Test", "a"),
	badRequest("name with a space", "invalid field name", "x test", "a"),
	badRequest("empty name", "invalid field name", "", "a"),
	badRequest("line break in a value", "invalid value", "x-test", "a\r\nb: c"),
	badRequest("NUL in a value", "invalid value", "x-test", "a\x00"),
	badRequest("unknown pseudo-header", "pseudo-header", ":test", "a"),
	badRequest("pseudo-header of replies", "pseudo-header", ":status", "200"),
	badRequest("extended CONNECT", "pseudo-header", ":protocol", "websocket"),
	badRequest("repeated :path", "repeated pseudo-header", ":path", "/y"),
	badList("late pseudo-header", "comes after others", append(without(":path"), "x-a", "b", ":path", "/x")...),
	badList("no :method", "no :method", without(":method")...),
	badList("no :path", "no :path", without(":path")...),
	badList("empty :path", "no :path", without(":path", "")...),
	badList("no :scheme", ":scheme", without(":scheme")...),
	badList(":scheme ftp", ":scheme", without(":scheme", "ftp")...),
	badList(":method with a space", ":method", without(":method", "GET /admin")...),
	badList(":path without slash", "invalid :path", without(":path", "x")...),
	badList(":path with a broken escape", "invalid :path", without(":path", "/%zz")...),
	badList("no host", "neither :authority nor Host", without(":authority")...),
	badList("user in :authority", "invalid :authority", without(":authority", "user@shop.example.com")...),
	badList("space in :authority", "invalid :authority", without(":authority", "shop example.com")...),
	badList(":path with a high byte", "invalid :path", without(":path", "/\xff")...),
	badList(":path with a fragment", "fragment", without(":path", "/x#y")...),
	badList(":path in absolute form", "neither a path nor *", without(":path", "http://shop.example.com/")...),
	badList(":path is *", "OPTIONS alone", without(":path", "*")...),
	badList("list in :authority", "invalid :authority", without(":authority", "shop.example.com,a")...),
	badList("port in :authority", "invalid :authority", without(":authority", "shop.example.com:65536")...),
	badRequest("two Hosts", "more than one Host", "host", "shop.example.com", "host", "shop.example.com"),
	badRequest("Host of another", "Host differs", "host", "a"),
	badRequest("space before a value", "invalid value", "x-test", " a"),
	badRequest("invalid Host", "invalid :authority or Host", "host", "a/b"),
	{
		name: "Expect", outcome: "417", cause: "bad_request", detail: "100-continue",
		send: func(c *rawHTTP2) { c.headers(true, append(goodFields(), "expect", "tea")...) },
	},
	{
		name: "Trailer names Host", outcome: answeredAndReset, cause: "bad_request", detail: "Trailer names",
		send: func(c *rawHTTP2) { c.headers(false, append(goodFields(), "trailer", "host")...) },
	},
	badRequest("content-length is no number", "content-length", "content-length", "+1"),
	badRequest("two content-lengths", "content-length", "content-length", "0", "content-length", "0"),
	badRequest("content-length without body", "content-length", "content-length", "5"),
	badList("CONNECT with a path", "CONNECT", without(":method", "CONNECT")...),
	{
		name: "malformed with a body to come", outcome: answeredAndReset, cause: "bad_request", detail: "connection",
		send: func(c *rawHTTP2) { c.headers(false, append(goodFields(), "connection", "close")...) },
	},
	{
		name: "HEAD", outcome: "400", cause: "bad_request", detail: "connection",
		send: func(c *rawHTTP2) { c.headers(true, append(without(":method", "HEAD"), "connection", "close")...) },
	},
	{
		name: "one large field", outcome: "431", cause: "header_too_large", detail: "64 KiB",
		send: func(c *rawHTTP2) { c.headers(true, append(goodFields(), "x-a", strings.Repeat("a", 80<<10))...) },
	},
	{
		name: "many small fields", outcome: "431", cause: "header_too_large", detail: "64 KiB",
		send: func(c *rawHTTP2) {
			fields := goodFields()
			for i := range 4000 {
				fields = append(fields, "a", strconv.Itoa(i))
			}
			c.headers(true, fields...)
		},
	},
	{
		name: "large even encoded", outcome: connectionEnds, cause: "http2_conn_PROTOCOL_ERROR", detail: "192 KiB",
		send: func(c *rawHTTP2) { c.headers(true, append(goodFields(), "x-a", strings.Repeat("\x7e", 300<<10))...) },
	},
	{
		name: "HPACK", outcome: "connection COMPRESSION_ERROR", cause: "http2_conn_COMPRESSION_ERROR", detail: "does not decode",
		send: func(c *rawHTTP2) {
			c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true, EndStream: true}))
		},
	},
	{
		name: "even stream", outcome: connectionEnds, cause: "http2_conn_PROTOCOL_ERROR", detail: "ended with",
		send: func(c *rawHTTP2) { c.stream = 2; c.headers(true, goodFields()...) },
	},
	{
		name: "interrupted header list", outcome: connectionEnds, cause: "http2_conn_PROTOCOL_ERROR", detail: "not continued",
		send: func(c *rawHTTP2) {
			c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(goodFields()...), EndStream: true}))
			c.check(c.framer.WritePing(false, [8]byte{}))
		},
	},
	{
		name: "CONTINUATION of nothing", outcome: connectionEnds, cause: "http2_conn_PROTOCOL_ERROR", detail: "ended with",
		send: func(c *rawHTTP2) { c.check(c.framer.WriteContinuation(1, true, c.encode(goodFields()...))) },
	},
	{
		name: "flood of CONTINUATION", outcome: connectionEnds, cause: "http2_conn_PROTOCOL_ERROR", detail: "128 frames",
		send: func(c *rawHTTP2) {
			c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.encode(goodFields()...), EndStream: true}))
			for range 200 {
				c.check(c.framer.WriteContinuation(1, false, nil))
			}
		},
	},
	{
		name: "frame too large", outcome: "connection FRAME_SIZE_ERROR", cause: "http2_conn_FRAME_SIZE_ERROR", detail: "ended with",
		send: func(c *rawHTTP2) { c.check(c.framer.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 20<<10))) },
	},
	{
		name: "stream that depends on itself", outcome: "stream PROTOCOL_ERROR", cause: "http2_stream_PROTOCOL_ERROR", detail: "reset with",
		send: func(c *rawHTTP2) {
			c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, BlockFragment: c.encode(goodFields()...), EndHeaders: true, EndStream: true, Priority: http2.PriorityParam{StreamDep: 1, Weight: 1},
			}))
		},
	},
	{
		name: "HTTP/1.1 after ALPN h2", outcome: "closed", cause: "http2_conn_PROTOCOL_ERROR", detail: "preface", tlsOnly: true,
		send: func(c *rawHTTP2) {
			_, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
			c.check(err)
		},
	},
	spoiled("body longer than its content-length", "stream PROTOCOL_ERROR", "longer than its content-length",
		func(c *rawHTTP2) { c.check(c.framer.WriteData(1, false, []byte("123456"))) }, "content-length", "5"),
	spoiled("body shorter than its content-length", "400", "shorter than its content-length",
		func(c *rawHTTP2) { c.check(c.framer.WriteDataPadded(1, true, []byte("1234"), []byte{0, 0})) }, "content-length", "5"),
	spoiled("trailer with a pseudo-header", "stream PROTOCOL_ERROR", "the trailer",
		func(c *rawHTTP2) { c.headers(true, ":path", "/y") }),
	spoiled("trailer with an upper-case name", "stream PROTOCOL_ERROR", "the trailer",
		func(c *rawHTTP2) { c.headers(true, "X-A", "b") }),
	spoiled("trailer with a field of the head", "stream PROTOCOL_ERROR", "may not come after a body",
		func(c *rawHTTP2) { c.headers(true, "cookie", "a=b") }),
	spoiled("trailer that does not end", "stream PROTOCOL_ERROR", "the trailer",
		func(c *rawHTTP2) { c.headers(false, "x-a", "b") }),
}

// TestHTTP2Refused sends every kind of malformed HTTP/2, in clear and over TLS, in every mode: each is refused as
// expected, counted once, recorded by one event, and never reaches the upstream.
func TestHTTP2Refused(t *testing.T) {
	certificate, key := selfSigned(t)
	for _, mode := range []string{"block", "detect", "disabled"} {
		upstream := proxytest.NewUpstream(t)
		g := proxytest.Start(t, `listeners:
  - { name: clear, address: "127.0.0.1:0", trusted_hops: 0, h2c: true }
  - { name: secure, address: "127.0.0.1:0", trusted_hops: 0, protocol: https }
certificates: [{ name: shop, cert_file: shop.pem, key_file: shop.key }]
`+application(upstream.URL, mode, ""), proxytest.Options{Files: map[string]string{"shop.pem": certificate, "shop.key": key}, NoClose: true})
		sent := 0
		for _, listener := range []string{"clear", "secure"} {
			for _, tt := range refusedHTTP2 {
				if tt.tlsOnly && listener != "secure" {
					continue
				}
				t.Run(mode+"/"+listener+"/"+tt.name, func(t *testing.T) {
					before := counters(t, g)
					c := dialHTTP2(t, g.Addr(listener), listener == "secure", tt.outcome == "closed")
					tt.send(c)
					outcome, incident := c.outcome(tt.outcome)
					if outcome != tt.outcome {
						t.Errorf("got %s, want %s", outcome, tt.outcome)
					}
					sent++
					events := g.WaitEvents(sent)
					e := events[len(events)-1]
					if e.Verdict != event.Block || !strings.Contains(e.Detail, tt.detail) || e.Listener != listener || e.Client != "127.0.0.1" || e.Protocol != "HTTP/2.0" {
						t.Errorf("event %+v", e)
					}
					if strings.HasPrefix(tt.outcome, "4") && (incident != e.Incident || fmt.Sprint(e.Status) != tt.outcome[:3]) {
						t.Errorf("the client was told incident %q; the event has %s and status %d", incident, e.Incident, e.Status)
					}
					proxytest.Eventually(t, "the count", func() bool { return counters(t, g).verdicts == before.verdicts+1 })
					after := counters(t, g)
					want := before.refused
					if tt.cause != "" {
						want++
						series := fmt.Sprintf(`gatehouse_refused_connections_total{cause=%q,listener=%q}`, tt.cause, listener)
						if sumOf(after.page, series) != sumOf(before.page, series)+1 {
							t.Errorf("%s was not counted once", series)
						}
					}
					if after.refused != want {
						t.Errorf("%v refusals counted, want %v", after.refused-before.refused, want-before.refused)
					}
				})
			}
		}
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if n := len(g.Events()); n != sent {
			t.Errorf("%s: %d events of %d requests", mode, n, sent)
		}
		if n := len(upstream.Requests()); n != 0 && mode == "block" { // else bodies are not read first
			t.Errorf("%s: %d requests reached the upstream", mode, n)
		}
	}
}

// totals are sums over all series of a metric.
type totals struct {
	page              string
	refused, verdicts float64
}

func counters(t *testing.T, g *proxytest.Gateway) totals {
	t.Helper()
	_, page := g.Admin("/metrics")
	n := totals{page: page, refused: sumOf(page, "gatehouse_refused_connections_total{")}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "gatehouse_verdicts_total{") && strings.Contains(line, `verdict="block"`) {
			n.verdicts += sumOf(line, "gatehouse_verdicts_total{")
		}
	}
	return n
}

// sumOf adds the values of the series that begin so.
func sumOf(page, prefix string) (sum float64) {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, prefix) {
			value, _ := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
			sum += value
		}
	}
	return sum
}

// rawHTTP2 is a client that sends what it is told.
type rawHTTP2 struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	stream uint32
}

func dialHTTP2(t *testing.T, address net.Addr, secure, silent bool) *rawHTTP2 {
	t.Helper()
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: "shop.example.com", NextProtos: []string{"h2"}})
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawHTTP2{t: t, conn: conn, framer: http2.NewFramer(conn, conn), stream: 1}
	c.check(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if !silent {
		_, err = io.WriteString(conn, http2.ClientPreface)
		c.check(err)
		c.check(c.framer.WriteSettings())
	}
	return c
}

func (c *rawHTTP2) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawHTTP2) encode(fields ...string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		c.check(encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}))
	}
	return block.Bytes()
}

// headers sends a header list, in as many frames as it takes.
func (c *rawHTTP2) headers(end bool, fields ...string) {
	c.t.Helper()
	const most = 16 << 10
	block := c.encode(fields...)
	n := min(len(block), most)
	c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block[:n], EndHeaders: n == len(block), EndStream: end}))
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), most)
		if err := c.framer.WriteContinuation(c.stream, n == len(block), block[:n]); err != nil {
			return // the gateway has ended the connection
		}
	}
}

// awaitContinue waits until the gateway reads the body.
func (c *rawHTTP2) awaitContinue() {
	c.t.Helper()
	for {
		frame, err := c.framer.ReadFrame()
		c.check(err)
		if f, ok := frame.(*http2.MetaHeadersFrame); ok && f.PseudoValue("status") == "100" {
			return
		}
	}
}

// outcome reads until what is wanted has come, or the end.
func (c *rawHTTP2) outcome(want string) (seen, incident string) {
	add := func(format string, a ...any) {
		if seen != "" {
			seen += ", "
		}
		seen += fmt.Sprintf(format, a...)
	}
	for seen != want {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			add("closed")
			return seen, incident
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			add("%s", f.PseudoValue("status"))
			for _, field := range f.RegularFields() {
				if field.Name == "x-gatehouse-incident" {
					incident = field.Value
				}
			}
		case *http2.RSTStreamFrame:
			add("stream %v", f.ErrCode)
		case *http2.GoAwayFrame:
			add("connection %v", f.ErrCode)
		}
	}
	return seen, incident
}

// selfSigned gives a certificate and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.example.com"}, DNSNames: []string{"shop.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}
