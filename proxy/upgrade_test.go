package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// TestBytesBeforeTheSwitch sends a frame while the upstream thinks about the handshake: the client is refused, and the frame
// does not reach the upstream, which has agreed meanwhile. A client that waits for the 101 is carried.
func TestBytesBeforeTheSwitch(t *testing.T) {
	for _, early := range []bool{true, false} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		agree, got := make(chan struct{}), make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				got <- "no connection: " + err.Error()
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			in := bufio.NewReader(c)
			if _, err := http.ReadRequest(in); err != nil {
				got <- "no handshake: " + err.Error()
				return
			}
			<-agree
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
			b, _ := io.ReadAll(in) // until the gateway closes
			got <- string(b)
		}()
		g := proxytest.Start(t, application("http://"+l.Addr().String(), "block", "    routes:\n      - { path: /, traffic: [websocket] }\n"))
		c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
		const frame = "\x81\x85\x00\x00\x00\x00hello"
		if early {
			time.Sleep(20 * time.Millisecond) // the handshake is on its way
			io.WriteString(c, frame)
			time.Sleep(150 * time.Millisecond) // the gateway looks after its client by now
		}
		close(agree)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if early {
			if reached := <-got; response.StatusCode != http.StatusBadRequest || reached != "" {
				t.Errorf("status %d, and %q reached the upstream", response.StatusCode, reached)
			}
			if e := g.WaitEvents(1)[0]; e.Reason != event.UpgradeRefused {
				t.Errorf("reason %s", e.Reason)
			}
			continue
		}
		io.WriteString(c, frame)
		c.(*net.TCPConn).CloseWrite()
		if reached := <-got; response.StatusCode != http.StatusSwitchingProtocols || reached != frame {
			t.Errorf("status %d, and %q reached the upstream", response.StatusCode, reached)
		}
	}
}
