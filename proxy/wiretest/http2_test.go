package wiretest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy/wiretest"
)

// TestTunnelsHTTP2 asks for tunnels over HTTP/2 and sends bytes into them: none reaches the upstream.
func TestTunnelsHTTP2(t *testing.T) {
	g := start(t)
	socket := []string{"sec-websocket-version", "13", "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}
	for _, tt := range []struct {
		name   string
		fields []string
	}{
		{"CONNECT", []string{":method", "CONNECT", ":authority", "stream.example:443"}},
		{"CONNECT elsewhere", []string{":method", "CONNECT", ":authority", "127.0.0.1:22"}},
		{"CONNECT with a path", []string{":method", "CONNECT", ":authority", "stream.example", ":scheme", "http", ":path", "/"}},
		{"extended CONNECT websocket", append([]string{":method", "CONNECT", ":protocol", "websocket", ":authority", "stream.example", ":scheme", "http", ":path", "/ws"}, socket...)},
		{"extended CONNECT connect-udp", []string{":method", "CONNECT", ":protocol", "connect-udp", ":authority", "stream.example", ":scheme", "http", ":path", "/ws"}},
		{"extended CONNECT on another route", []string{":method", "CONNECT", ":protocol", "websocket", ":authority", "stream.example", ":scheme", "http", ":path", "/"}},
		{"protocol with GET", []string{":method", "GET", ":protocol", "websocket", ":authority", "stream.example", ":scheme", "http", ":path", "/ws"}},
		{"TRACE", []string{":method", "TRACE", ":authority", "stream.example", ":scheme", "http", ":path", "/"}},
		{"Upgrade websocket", append([]string{":method", "GET", ":authority", "stream.example", ":scheme", "http", ":path", "/ws", "connection", "Upgrade", "upgrade", "websocket"}, socket...)},
		{"Upgrade without Connection", append([]string{":method", "GET", ":authority", "stream.example", ":scheme", "http", ":path", "/ws", "upgrade", "websocket"}, socket...)},
		{"Upgrade h2c", []string{":method", "GET", ":authority", "stream.example", ":scheme", "http", ":path", "/", "upgrade", "h2c", "http2-settings", "AAMAAABkAAQAAP__"}},
		{"Transfer-Encoding", []string{":method", "POST", ":authority", "stream.example", ":scheme", "http", ":path", "/", "transfer-encoding", "chunked"}},
		{"line end in a value", []string{":method", "POST", ":authority", "stream.example", ":scheme", "http", ":path", "/", "x-a", "b\r\ntransfer-encoding: chunked"}},
		{"line end in the path", []string{":method", "POST", ":authority", "stream.example", ":scheme", "http", ":path", "/ HTTP/1.1\r\nHost: a\r\n\r\n"}},
		{"space in the method", []string{":method", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", ":authority", "stream.example", ":scheme", "http", ":path", "/"}},
		{"two authorities", []string{":method", "GET", ":authority", "stream.example", ":scheme", "http", ":path", "/", "host", "evil.example"}},
		{"wrong Content-Length", []string{":method", "POST", ":authority", "stream.example", ":scheme", "http", ":path", "/", "content-length", "3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.recorder.Take()
			status, _ := sendHTTP2(t, g.address("h2c"), tt.fields, "GET /smuggled HTTP/1.1\r\nHost: stream.example\r\n\r\n")
			if status != "" && status[0] != '4' {
				t.Errorf("status %s, want a refusal", status)
			}
			for _, r := range whole(g.recorder.Take()) {
				t.Errorf("the upstream got %.200q", r.Raw)
			}
		})
	}
	// The way itself works: the same client gets a request through.
	status, _ := sendHTTP2(t, g.address("h2c"), []string{":method", "POST", ":authority", "stream.example", ":scheme", "http", ":path", "/"}, "hello")
	if got := whole(g.recorder.Take()); status != "200" || len(got) != 1 || string(got[0].Body) != "hello" {
		t.Errorf("a plain request got %q; the upstream got %d", status, len(got))
	}
}

// whole leaves out requests that were cut off. The recorder takes them down when the gateway ends their connection, which
// may be some time after the client has its reply.
func whole(list []*wiretest.Request) []*wiretest.Request {
	return slices.DeleteFunc(list, func(r *wiretest.Request) bool { return r.Cut })
}

// sendHTTP2 sends one request on a connection of its own and gives the status and the incident of its reply, empty if the
// stream or the connection ended without one.
func sendHTTP2(t *testing.T, address string, fields []string, body string) (status, incident string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		if err := encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	err = errors.Join(framer.WriteSettings(),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""}))
	if body != "" {
		err = errors.Join(err, framer.WriteData(1, true, []byte(body)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return status, incident
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status = frame.PseudoValue("status")
			for _, f := range frame.RegularFields() {
				if f.Name == "x-gatehouse-incident" {
					incident = f.Value
				}
			}
			if frame.StreamEnded() {
				return status, incident
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return status, incident
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return status, incident
		}
	}
}
