package proxy_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// TestHTTP2Target shows that what HTTP/2 can say twice, or in a form that is HTTP/1.1's, is read in one way or refused.
func TestHTTP2Target(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	for _, mode := range []string{"block", "detect"} {
		g := proxytest.Start(t, application(upstream.URL, mode, ""))
		for _, tt := range []struct {
			name, method, path, host string
			status                   string
			reason                   event.Reason
		}{
			{"plain", "GET", "/x?y", "", "200", ""},
			{"Host like the authority", "GET", "/x", "shop.example.com", "200", ""},
			{"Host in another case", "GET", "/x", "Shop.example.com", "200", ""},
			{"Host of another", "GET", "/x", "other.example.com", "400", event.BadRequest},
			{"absolute form", "GET", "http://other.example.com/x", "", "400", event.BadRequest},
			{"asterisk", "GET", "*", "", "400", event.BadRequest},
			{"a target that holds a scheme", "GET", "/x?u=http://other.example.com/", "", "200", ""},
		} {
			t.Run(mode+"/"+tt.name, func(t *testing.T) {
				events, requests := len(g.Events()), len(upstream.Requests())
				if got := http2Status(t, g.URL, tt.method, tt.path, tt.host); got != tt.status {
					t.Fatalf("status %s, want %s", got, tt.status)
				}
				if tt.reason == "" {
					if got := upstream.Last(t).Target(); got != tt.path {
						t.Errorf("the upstream got %s", got)
					}
					return
				}
				if e := g.WaitEvents(events + 1)[events]; e.Reason != tt.reason || e.Verdict != event.Block {
					t.Errorf("event %s %s", e.Verdict, e.Reason)
				}
				if len(upstream.Requests()) != requests {
					t.Error("the request reached the upstream")
				}
			})
		}
	}
}

// http2Status sends a request without body by prior knowledge, with a Host field if host is not empty, and gives the
// status of the reply.
func http2Status(t *testing.T, url, method, path, host string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	fields := []hpack.HeaderField{
		{Name: ":method", Value: method},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "shop.example.com"},
		{Name: ":path", Value: path},
		{Name: "user-agent", Value: "test"},
		{Name: "accept", Value: "*/*"},
	}
	if host != "" {
		fields = append(fields, hpack.HeaderField{Name: "host", Value: host})
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := encoder.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return f.ErrCode.String()
		}
	}
}
