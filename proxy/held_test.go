package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy"
	"gatehouse/proxy/proxytest"
)

// from dials from an address of loopback, so that several clients come from one machine.
func from(t *testing.T, client, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// holdHTTP1 begins n requests whose bodies never come, each on a connection of its own.
func holdHTTP1(t *testing.T, address string, n int) {
	for range n {
		io.WriteString(from(t, "127.0.0.2", address), "POST /held HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n")
	}
}

// holdHTTP2 begins them on few connections.
func holdHTTP2(t *testing.T, address string, n int) {
	const streams = 50
	for begun := 0; begun < n; begun += streams {
		c := from(t, "127.0.0.2", address)
		io.WriteString(c, http2.ClientPreface)
		framer := http2.NewFramer(c, c)
		framer.WriteSettings()
		go io.Copy(io.Discard, c)
		for i := range streams {
			var list strings.Builder
			encoder := hpack.NewEncoder(&list)
			for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "shop.example.com"}, {":path", "/held"}, {"content-type", "text/plain"}, {"content-length", "10"}} {
				encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: []byte(list.String()), EndHeaders: true})
		}
	}
}

// TestOneClientCannotHoldAll shows that a client which begins requests and does not end them is refused what goes beyond its
// share, and that others are served meanwhile.
func TestOneClientCannotHoldAll(t *testing.T) {
	for name, hold := range map[string]func(t *testing.T, address string, n int){"HTTP/1.1": holdHTTP1, "HTTP/2": holdHTTP2} {
		t.Run(name, func(t *testing.T) {
			const most, share, begun = 100, 25, 150
			g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""), admission(proxy.Admission{Requests: most, ClientRequests: share}))
			hold(t, g.Addr("").String(), begun)
			proxytest.Eventually(t, "refusals", func() bool {
				_, page := g.Admin("/metrics")
				return strings.Contains(page, fmt.Sprintf(`gatehouse_shed_total{lane="requests"} %d`, begun-share))
			})
			for range most - share {
				if status, _ := exchange(t, g.URL, post("/", "text/plain", "hello")); status != 200 {
					t.Fatalf("another client gets %d", status)
				}
			}
			c := from(t, "127.0.0.2", g.Addr("").String())
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
			head := make([]byte, 512)
			if n, _ := c.Read(head); !strings.HasPrefix(string(head[:n]), "HTTP/1.1 503 ") || !strings.Contains(string(head[:n]), "Retry-After: 5") {
				t.Errorf("the client itself gets %q", head[:n])
			}
		})
	}
}

// TestTrustedProxiesHaveNoShare shows that the clients behind a proxy have a share each, and the proxy none.
func TestTrustedProxiesHaveNoShare(t *testing.T) {
	upstream, reached, release := holding(t)
	g := proxytest.Start(t, "listeners: [{ name: http, address: \"127.0.0.1:0\", trusted_hops: 1, trusted_proxies: [127.0.0.0/8] }]\n"+application(upstream.URL, "block", ""),
		admission(proxy.Admission{Requests: 100, ClientRequests: 1}))
	get := func(forwarded string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.URL+"/hold", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "shop.example.com"
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		response.Body.Close()
		return response.StatusCode
	}
	held := make(chan int, 4)
	for _, client := range []string{"203.0.113.1", "203.0.113.2", "", ""} {
		go func() { held <- get(client) }()
		<-reached
	}
	if status := get("203.0.113.1"); status != 503 {
		t.Errorf("a second request of the first client gets %d, want 503", status)
	}
	close(release)
	for range 4 {
		if status := <-held; status != 200 {
			t.Errorf("a first request gets %d, want 200", status)
		}
	}
	proxytest.Eventually(t, "a place for the first client, whose request has ended", func() bool { return get("203.0.113.1") == 200 })
}
