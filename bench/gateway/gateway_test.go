// Package gateway measures the data path: a whole request and its reply through a gateway, over sockets of loopback,
// beside net/http with httputil.ReverseProxy, which inspects nothing.
package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"

	"gatehouse/bench/engine"
	"gatehouse/bench/mix"
	"gatehouse/proxy"
	"gatehouse/proxy/proxytest"
)

// cases are the kinds of requests that are measured.
var cases = []string{"static", "search", "form", "json340"}

// BenchmarkExchange is one request and its reply on a connection that is kept, the client and the upstream included: they
// are the same for all, and make no allocations. cpu-ns is the processor time of all three.
func BenchmarkExchange(b *testing.B) {
	for _, c := range mix.Cases() {
		requests := wire(c)
		if requests == nil {
			continue
		}
		for _, by := range []string{"none", "reverse-proxy", "gateway-off", "gateway-crs"} {
			b.Run(fmt.Sprintf("case=%s/by=%s", c.Name, by), func(b *testing.B) {
				address := through(b, by, startUpstream(b))
				client, err := net.Dial("tcp", address)
				if err != nil {
					b.Fatal(err)
				}
				defer client.Close()
				exchange := exchanger(b, client)
				for _, r := range requests {
					exchange(r)
				}
				used, err := engine.CPUTime()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				n := 0
				for b.Loop() {
					exchange(requests[n%len(requests)])
					n++
				}
				now, err := engine.CPUTime()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(now-used)/float64(n), "cpu-ns/op")
			})
		}
	}
}

// wire is a thousand distinct requests of a kind as they are sent, nil if the kind is not measured.
func wire(c mix.Case) [][]byte {
	for _, name := range cases {
		if c.Name != name {
			continue
		}
		var out [][]byte
		for _, r := range c.Benign(1000, 3) {
			out = append(out, r.Wire())
		}
		return out
	}
	return nil
}

// body is what the upstream answers.
var body = strings.Repeat("x", 1024)

// startUpstream serves replies of one KiB, and gives its address.
func startUpstream(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nDate: Fri, 15 Jan 2027 12:00:00 GMT\r\nServer: shop\r\nContent-Length: 1024\r\n\r\n" + body)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for skip(r) == nil {
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// skip reads a request or a reply.
func skip(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err := r.Discard(length)
	return err
}

// exchanger gives one exchange on a connection.
func exchanger(b *testing.B, c net.Conn) func(request []byte) {
	r := bufio.NewReader(c)
	return func(request []byte) {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if start, err := r.Peek(12); err != nil || string(start[9:]) != "200" {
			b.Fatalf("%q, %v", start, err)
		}
		if err := skip(r); err != nil {
			b.Fatal(err)
		}
	}
}

// through starts what is to be measured in front of the upstream, and gives its address.
func through(b *testing.B, by, upstream string) string {
	switch by {
	case "none":
		return upstream
	case "reverse-proxy":
		to := &url.URL{Scheme: "http", Host: upstream}
		s := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
		}})
		b.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	mode := "block"
	if by == "gateway-off" {
		mode = "disabled"
	}
	g := proxytest.Start(b, fmt.Sprintf(`
upstreams: [{ name: shop, url: "http://%s", allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: %s, upstream: shop }]
`, upstream, mode), proxytest.Options{Logger: zap.NewNop(), Change: func(o *proxy.Options) { o.Stdout = io.Discard }})
	return g.Addr("").String()
}

// TestRequestsPass shows that what the benchmark sends is forwarded as it is and passes.
func TestRequestsPass(t *testing.T) {
	seen := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen++ }))
	defer s.Close()
	g := proxytest.Start(t, fmt.Sprintf(`
upstreams: [{ name: shop, url: "%s", allow_loopback: true }]
applications: [{ name: shop, hosts: ["*"], mode: block, upstream: shop }]
`, s.URL))
	sent := 0
	for _, c := range mix.Cases() {
		requests := wire(c)
		if len(requests) > 100 {
			requests = requests[:100]
		}
		for _, text := range requests {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
			if err != nil {
				t.Fatal(err)
			}
			r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", g.Addr("").String()
			reply, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			reply.Body.Close()
			if sent++; reply.StatusCode != http.StatusOK {
				t.Fatalf("%.200q: %s", text, reply.Status)
			}
		}
	}
	if seen != sent || sent != 100*len(cases) {
		t.Errorf("%d requests sent, %d arrived", sent, seen)
	}
}
