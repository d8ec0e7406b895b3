package proxy_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/proxytest"
)

// TestMalformedRequestsSayWhy shows that the event of a request that cannot be read has a detail.
func TestMalformedRequestsSayWhy(t *testing.T) {
	for name, raw := range map[string]string{
		"no request":          "hello\r\n\r\n",
		"two Content-Lengths": "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"long header":         "GET / HTTP/1.1\r\nHost: a.example\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := proxytest.Start(t, `
listeners: [{ name: http, address: "127.0.0.1:0", trusted_hops: 0 }]
applications: [{ hosts: ["*"], mode: disabled, upstream: "http://192.0.2.9" }]
`, proxytest.Options{})
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, raw); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if events := g.WaitEvents(1); events[0].Detail == "" {
				t.Errorf("no detail: %+v", events[0])
			}
		})
	}
}
