package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"gatehouse/cmd/gatehouse/shop"
	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// startShop runs the demo shop for a test and gives its URL.
func startShop(t *testing.T) string {
	t.Helper()
	s := shop.New(shop.Options{})
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop the shop: %v", err)
		}
	})
	return "http://" + s.Addr()
}

// frontOfShop is a gateway in front of the shop, in mode block, that carries every kind of traffic.
func frontOfShop(t *testing.T) *proxytest.Gateway {
	t.Helper()
	return proxytest.Start(t, fmt.Sprintf(`
upstreams:
  - { name: shop, url: "%s", allow_loopback: true }
applications:
  - name: shop
    hosts: ["*"]
    mode: block
    upstream: shop
    routes:
      - { path: /, traffic: [auto, grpc] }
      - { path: /ws, traffic: [websocket] }
`, startShop(t)))
}

func TestWebSocketThroughGateway(t *testing.T) {
	g := frontOfShop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, strings.Replace(g.URL, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		want := strings.Repeat(fmt.Sprintf("message %d ", i), i+1)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("message %d: got %d bytes, %v", i, len(got), err)
		}
	}
	// A reload must not end the connection.
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("after the reload")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != "after the reload" {
		t.Fatalf("after the reload: %q, %v", got, err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
	proxytest.Eventually(t, "the frames are counted", func() bool {
		_, page := g.Admin("/metrics")
		return strings.Contains(page, `gatehouse_uninspected_requests_total{application="shop",cause="websocket_frames"} 1`)
	})

	// An attack in the handshake's query is refused like any other.
	_, response, err := websocket.Dial(ctx, strings.Replace(g.URL, "http", "ws", 1)+"/ws?q=%3Cscript%3Ealert(1)%3C/script%3E", nil)
	if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("handshake with an attack: %v %v", response, err)
	}
}

func TestServerSentEventsThroughGateway(t *testing.T) {
	g := frontOfShop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	// The shop sends one event at once and holds the connection: the first must come long before the second.
	r := bufio.NewReader(response.Body)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if first := time.Since(start); first > 900*time.Millisecond {
		t.Errorf("the first event took %v", first)
	}
	for range 3 {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGRPCThroughGateway(t *testing.T) {
	g := frontOfShop(t)
	conn, err := grpc.NewClient(strings.TrimPrefix(g.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, shop.EchoStream)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 { // each answer is awaited before the next message: both directions are open at once
		want := fmt.Sprintf("message %d", i)
		if err := stream.SendMsg(wrapperspb.String(want)); err != nil {
			t.Fatal(err)
		}
		got := &wrapperspb.StringValue{}
		if err := stream.RecvMsg(got); err != nil || got.Value != want {
			t.Fatalf("message %d: %q, %v", i, got.Value, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != io.EOF {
		t.Errorf("end of the stream: %v", err)
	}

	// A refusal is a gRPC status with the incident ID.
	bad, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/shop.v1.Echo/Stream?q=<script>alert(1)</script>")
	if err == nil {
		_ = bad.CloseSend()
		err = bad.RecvMsg(&wrapperspb.StringValue{})
	}
	if s := status.Convert(err); s.Code() != codes.PermissionDenied || !strings.Contains(s.Message(), "GH-") {
		t.Errorf("attack over gRPC: %v", err)
	}
}

// TestProtocols sends the same request by HTTP/1.1, h2c and over TLS with two certificates by ALPN h2 and http/1.1.
func TestProtocols(t *testing.T) {
	ca := newAuthority(t)
	shopURL := startShop(t)
	aCert, aKey := ca.issue(t, "a.example.com")
	bCert, bKey := ca.issue(t, "*.b.example.com")
	g := proxytest.Start(t, fmt.Sprintf(`
listeners:
  - { name: plain, address: "127.0.0.1:0", trusted_hops: 0, h2c: true }
  - { name: tls, address: "127.0.0.1:0", trusted_hops: 0, protocol: https }
certificates:
  - { name: a, cert_file: a.pem, key_file: a.key }
  - { name: b, cert_file: b.pem, key_file: b.key }
upstreams:
  - { name: shop, url: "%s", allow_loopback: true }
applications:
  - { name: shop, hosts: ["*"], mode: block, upstream: shop }
`, shopURL), proxytest.Options{Files: map[string]string{"a.pem": aCert, "a.key": aKey, "b.pem": bCert, "b.key": bKey}})

	h2c := &http.Protocols{}
	h2c.SetUnencryptedHTTP2(true)
	h2 := &http.Protocols{}
	h2.SetHTTP2(true)
	for _, tt := range []struct {
		name, listener, host string
		protocols            *http.Protocols
		want                 string
	}{
		{"HTTP/1.1", "plain", "a.example.com", nil, "HTTP/1.1"},
		{"h2c", "plain", "a.example.com", h2c, "HTTP/2.0"},
		{"TLS, HTTP/1.1", "tls", "a.example.com", nil, "HTTP/1.1"},
		{"TLS, HTTP/2", "tls", "a.example.com", h2, "HTTP/2.0"},
		{"TLS, wildcard certificate", "tls", "x.b.example.com", h2, "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transport := &http.Transport{
				Protocols: tt.protocols, TLSClientConfig: &tls.Config{RootCAs: ca.pool, MinVersion: tls.VersionTLS12},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, g.Addr(tt.listener).String())
				},
			}
			defer transport.CloseIdleConnections()
			scheme := "http"
			if tt.listener == "tls" {
				scheme = "https"
			}
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			response, err := client.Get(scheme + "://" + tt.host + "/search?q=teapot")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != 200 || response.Proto != tt.want {
				t.Errorf("%s %s", response.Status, response.Proto)
			}
			response, err = client.Get(scheme + "://" + tt.host + "/search?q=%3Cscript%3Ealert(1)%3C/script%3E")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != 403 || response.Header.Get("X-Gatehouse-Incident") == "" {
				t.Errorf("attack: %s", response.Status)
			}
		})
	}
	for _, e := range g.WaitEvents(5) {
		if e.Reason != event.CRSScore {
			t.Errorf("event %s", e.Reason)
		}
	}
}
