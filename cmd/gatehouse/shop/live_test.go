package shop

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestEvents(t *testing.T) {
	base := start(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := browser(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	var data []string
	lines := bufio.NewScanner(response.Body)
	begin := time.Now()
	for len(data) < 2 && lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		data = append(data, value)
		if len(data) == 1 && time.Since(begin) > eventInterval/2 {
			t.Errorf("the first event came after %v", time.Since(begin))
		}
	}
	want := []string{`{"n":1,"product":"lantern","name":"Harbour lantern"}`, `{"n":2,"product":"teapot","name":"Speckled teapot"}`}
	if fmt.Sprint(data) != fmt.Sprint(want) {
		t.Errorf("events %q, want %q", data, want)
	}
}

func TestWebSocket(t *testing.T) {
	base := start(t)
	client := browser(t)
	conn, _, err := websocket.Dial(t.Context(), base+"/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for kind, message := range map[websocket.MessageType]string{websocket.MessageText: "good morning", websocket.MessageBinary: "\x00\xff"} {
		if err := conn.Write(t.Context(), kind, []byte(message)); err != nil {
			t.Fatal(err)
		}
		gotKind, got, err := conn.Read(t.Context())
		if err != nil || gotKind != kind || string(got) != message {
			t.Errorf("%v %q came back as %v %q, %v", kind, message, gotKind, got, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	response, _ := do(t, client, http.MethodGet, base+"/ws", "", "")
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("GET /ws without a handshake: status %d, want 426", response.StatusCode)
	}
}

func TestGRPC(t *testing.T) {
	base := start(t)
	conn, err := grpc.NewClient(strings.TrimPrefix(base, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, EchoStream)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // one after the other: each answer arrives while the stream is open
		sent, got := wrapperspb.String(fmt.Sprintf("message %d", i)), new(wrapperspb.StringValue)
		if err := stream.SendMsg(sent); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(got); err != nil || got.Value != sent.Value {
			t.Fatalf("%q came back as %q, %v", sent.Value, got.Value, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the stream: %v", err)
	}

	said := new(wrapperspb.BytesValue)
	if err := conn.Invoke(ctx, EchoSay, wrapperspb.Bytes([]byte{0, 255}), said); err != nil || string(said.Value) != "\x00\xff" {
		t.Errorf("Say came back as %x, %v", said.Value, err)
	}
	health, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "shop.v1.Echo"})
	if err != nil || health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", health, err)
	}
	if err := conn.Invoke(ctx, "/shop.v1.Echo/Shout", wrapperspb.String(""), said); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method: %v", err)
	}
}

func TestHTTP2WithPriorKnowledge(t *testing.T) {
	base := start(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	response, body := do(t, &http.Client{Transport: transport}, http.MethodPost, base+"/echo", "text/plain", "hello")
	if response.ProtoMajor != 2 || !strings.Contains(body, `"proto": "HTTP/2.0"`) {
		t.Errorf("%s:\n%s", response.Proto, body)
	}
}

func TestDownload(t *testing.T) {
	base := start(t)
	client := browser(t)
	for _, size := range []int64{0, 1, 65_535, 65_536, 65_537, 3_000_000} {
		response, body := do(t, client, http.MethodGet, fmt.Sprintf("%s/download?bytes=%d", base, size), "", "")
		want := sha256.New()
		if _, err := io.Copy(want, NewDownload(size)); err != nil {
			t.Fatal(err)
		}
		got := sha256.Sum256([]byte(body))
		if response.ContentLength != size || string(got[:]) != string(want.Sum(nil)) {
			t.Errorf("%d bytes: Content-Length %d, received %d, other content: %t", size, response.ContentLength, len(body),
				string(got[:]) != string(want.Sum(nil)))
		}
	}
	if response, body := do(t, client, http.MethodHead, base+"/download?bytes=1099511627", "", ""); response.ContentLength != 1099511627 || body != "" {
		t.Errorf("HEAD: Content-Length %d, body of %d bytes", response.ContentLength, len(body))
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/download?bytes=200000", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Range", "bytes=65530-65549")
	if response, body := send(t, client, r); response.StatusCode != http.StatusPartialContent || len(body) != 20 {
		t.Errorf("range: status %d, %d bytes", response.StatusCode, len(body))
	}
	for _, bad := range []string{"-1", "x", "99999999999999"} {
		if response, _ := do(t, client, http.MethodGet, base+"/download?bytes="+bad, "", ""); response.StatusCode != http.StatusBadRequest {
			t.Errorf("bytes=%s: status %d, want 400", bad, response.StatusCode)
		}
	}
}

func TestStatus(t *testing.T) {
	base := start(t)
	client := browser(t)
	for path, want := range map[string]int{
		"200": 200, "204": 204, "304": 304, "404": 404, "418": 418, "503": 503, "599": 599, // as asked
		"199": 400, "600": 400, "x": 400,
	} {
		if response, _ := do(t, client, http.MethodPost, base+"/status/"+path, "", ""); response.StatusCode != want {
			t.Errorf("/status/%s: status %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestSlow(t *testing.T) {
	base := start(t)
	client := browser(t)
	begin := time.Now()
	if response, body := do(t, client, http.MethodGet, base+"/slow?ms=60", "", ""); response.StatusCode != 200 || !strings.Contains(body, "60 ms") {
		t.Errorf("status %d: %s", response.StatusCode, body)
	}
	if took := time.Since(begin); took < 60*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
	for _, bad := range []string{"", "-1", "x", "300001"} {
		if response, _ := do(t, client, http.MethodGet, base+"/slow?ms="+bad, "", ""); response.StatusCode != http.StatusBadRequest {
			t.Errorf("ms=%s: status %d, want 400", bad, response.StatusCode)
		}
	}
}

// TestStopEndsTheStreams holds a stream of every kind open: Stop must end them all and wait for them.
func TestStopEndsTheStreams(t *testing.T) {
	s := New(Options{})
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	base := "http://" + s.Addr()
	client := browser(t)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	events, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = events.Body.Close() }()

	socket, _, err := websocket.Dial(t.Context(), base+"/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.CloseNow() }()
	closed := make(chan error, 1)
	go func() {
		_, _, err := socket.Read(context.Background())
		closed <- err
	}()

	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, EchoStream)
	if err != nil {
		t.Fatal(err)
	}
	message := wrapperspb.String("still here")
	if err := errors.Join(stream.SendMsg(message), stream.RecvMsg(message)); err != nil {
		t.Fatal(err)
	}

	stop(t, s)
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the WebSocket ended with %v", err)
	}
	if err := stream.RecvMsg(message); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the gRPC stream ended with %v", err)
	}
	if _, err := io.Copy(io.Discard, events.Body); err != nil {
		t.Errorf("the events ended with %v", err)
	}
}
