package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy"
	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

const (
	handshakeFields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	agreement       = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	frame           = "\x81\x85\x00\x00\x00\x00hello"
)

// socket is a gateway with a route for WebSockets, a client of it, and its upstream, which has read the handshake and not
// answered it.
type socket struct {
	gateway  *proxytest.Gateway
	client   net.Conn
	upstream net.Conn
	in       *bufio.Reader // of the upstream
}

func newSocket(t *testing.T, opts ...proxytest.Options) *socket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &socket{gateway: proxytest.Start(t, application("http://"+l.Addr().String(), "block", "    routes:\n      - { path: /, traffic: [websocket] }\n"), opts...)}
	if s.client, err = net.Dial("tcp", strings.TrimPrefix(s.gateway.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	s.client.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(s.client, get("/", strings.Split(handshakeFields, "\r\n")...))
	if s.upstream, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.upstream.Close() })
	s.upstream.SetDeadline(time.Now().Add(20 * time.Second))
	s.in = bufio.NewReader(s.upstream)
	if _, err := http.ReadRequest(s.in); err != nil {
		t.Fatal(err)
	}
	return s
}

// answer sends the upstream's answer and gives the status that the client gets.
func (s *socket) answer(t *testing.T, answer string) int {
	t.Helper()
	io.WriteString(s.upstream, answer)
	response, err := http.ReadResponse(bufio.NewReader(s.client), nil)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// TestBytesBeforeTheSwitch sends a frame while the upstream thinks about the handshake: the client is refused, and the frame
// does not reach the upstream, which has agreed meanwhile. A client that waits for the 101 is carried.
func TestBytesBeforeTheSwitch(t *testing.T) {
	for _, thought := range []time.Duration{10 * time.Millisecond, 200 * time.Millisecond} { // less and more than clients are left alone
		s := newSocket(t)
		io.WriteString(s.client, frame)
		time.Sleep(thought)
		status := s.answer(t, agreement)
		if reached, _ := io.ReadAll(s.in); status != http.StatusBadRequest || len(reached) > 0 {
			t.Errorf("status %d, and %q reached the upstream", status, reached)
		}
		if e := s.gateway.WaitEvents(1)[0]; e.Reason != event.UpgradeRefused {
			t.Errorf("reason %s", e.Reason)
		}
	}
	s := newSocket(t)
	status := s.answer(t, agreement)
	io.WriteString(s.client, frame)
	s.client.(*net.TCPConn).CloseWrite()
	if reached, _ := io.ReadAll(s.in); status != http.StatusSwitchingProtocols || string(reached) != frame {
		t.Errorf("status %d, and %q reached the upstream", status, reached)
	}
}

// TestSwitchToAnotherProtocol shows that a 101 which does not accept the handshake is the upstream's fault, and makes no tunnel.
func TestSwitchToAnotherProtocol(t *testing.T) {
	for _, answer := range []string{
		strings.Replace(agreement, "Upgrade: websocket", "Upgrade: h2c", 1),
		strings.Replace(agreement, "Upgrade: websocket\r\n", "", 1),
		strings.Replace(agreement, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1),
		strings.Replace(agreement, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "", 1),
	} {
		s := newSocket(t)
		status := s.answer(t, answer)
		io.WriteString(s.client, frame)
		if reached, _ := io.ReadAll(s.in); status != http.StatusBadGateway || len(reached) > 0 {
			t.Errorf("%q: status %d, and %q reached the upstream", answer, status, reached)
		}
	}
}

// TestSocketThatNobodyReads fills a WebSocket whose upstream does not read: the end of the drain's time ends it, and Stop
// does not wait for the upstream.
func TestSocketThatNobodyReads(t *testing.T) {
	s := newSocket(t, proxytest.Options{NoClose: true, Change: func(o *proxy.Options) { o.DrainTimeout = 200 * time.Millisecond }})
	if status := s.answer(t, agreement); status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	s.client.SetWriteDeadline(time.Now().Add(time.Second))
	for {
		if _, err := s.client.Write(make([]byte, 1<<20)); err != nil {
			break // nothing more goes in
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	begin := time.Now()
	if err := s.gateway.Stop(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}
