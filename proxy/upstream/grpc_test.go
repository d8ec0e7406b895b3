package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// newGRPCUpstream serves HTTP/2 by prior knowledge.
func newGRPCUpstream(t *testing.T, h http.HandlerFunc) *Upstream {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return newUpstream(t, testConfig(s.URL))
}

func grpcRequest(body io.Reader) *Request {
	r := newRequest("POST", "/echo.Echo/Stream", body)
	r.HTTP.ContentLength = -1
	r.HTTP.Header.Set("Content-Type", "application/grpc")
	r.HTTP.Header.Set("Te", "trailers")
	r.Protocol = GRPC
	return r
}

func TestGRPCStreamsBothWaysWithTrailers(t *testing.T) {
	u := newGRPCUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
			http.Error(w, "not gRPC", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = rc.Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", "0")
	})
	pr, pw := io.Pipe()
	resp, a, err := u.RoundTrip(grpcRequest(pr))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	for _, word := range []string{"hello", "world"} {
		if _, err := io.WriteString(pw, word); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != word {
			t.Fatalf("got %q, %v", buf, err)
		}
	}
	_ = pw.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Fatalf("got %q, %v", rest, err)
	}
	_ = resp.Body.Close()
	if diff := cmp.Diff(http.Header{"Grpc-Status": {"0"}}, resp.Trailer); diff != "" {
		t.Errorf("trailer (-want +got):\n%s", diff)
	}
	if a.Reused || !a.Sent || !a.Address.IsValid() {
		t.Errorf("attempt: %+v", a)
	}
}

func TestGRPCSharesOneConnection(t *testing.T) {
	hold := make(chan struct{})
	var conns sync.Map
	u := newGRPCUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		conns.Store(r.RemoteAddr, true)
		<-hold
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			resp, _, err := u.RoundTrip(grpcRequest(strings.NewReader("x")))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		})
	}
	eventually(t, "50 in flight", func() bool { return u.Status().Addresses[0].InFlight == 50 })
	close(hold)
	wg.Wait()
	n := 0
	conns.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("got %d connections for 50 streams, want 1", n)
	}
	if s := u.Status().Addresses[0]; s.Idle != 1 || s.Active != 0 || s.InFlight != 0 {
		t.Errorf("status: %+v", s)
	}
}

func TestGRPCReplyThatBreaksOff(t *testing.T) {
	u := newGRPCUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, _, err := u.RoundTrip(grpcRequest(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(resp.Body)
	wantKind(t, err, Broken, http.StatusBadGateway)
	_ = resp.Body.Close()
}

func TestHTTP2ConnectionsClose(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	}
	open := func(u *Upstream) int { s := u.Status().Addresses[0]; return s.Idle + s.Active }
	t.Run("after their last stream when the upstream is retired", func(t *testing.T) {
		u := newGRPCUpstream(t, echo)
		pr, pw := io.Pipe()
		resp, _, err := u.RoundTrip(grpcRequest(pr))
		if err != nil {
			t.Fatal(err)
		}
		u.registry.Release(u)
		_, _ = io.WriteString(pw, "late")
		_ = pw.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "late" {
			t.Fatalf("got %q, %v", b, err)
		}
		if open(u) != 1 {
			t.Errorf("%d connections while a stream is open", open(u))
		}
		_ = resp.Body.Close()
		if open(u) != 0 {
			t.Errorf("%d connections remain", open(u))
		}
	})
	finish := func(u *Upstream) Attempt {
		t.Helper()
		resp, a, err := u.RoundTrip(grpcRequest(strings.NewReader("x")))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		return a
	}
	t.Run("when they are idle", func(t *testing.T) {
		u := newGRPCUpstream(t, echo)
		finish(u)
		ep := (*u.endpoints.Load())[0]
		ep.sweep(time.Now())
		if open(u) != 1 {
			t.Error("the connection is not kept")
		}
		ep.sweep(time.Now().Add(u.timeouts.idle))
		if open(u) != 0 {
			t.Error("the connection is kept")
		}
	})
	t.Run("when they are old", func(t *testing.T) {
		u := newGRPCUpstream(t, echo)
		finish(u)
		if !finish(u).Reused {
			t.Error("the connection is not reused")
		}
		ep := (*u.endpoints.Load())[0]
		ep.mu.Lock()
		ep.groups[""].h2[0].expires = time.Now()
		ep.mu.Unlock()
		if finish(u).Reused {
			t.Error("an old connection is reused")
		}
		ep.sweep(time.Now())
		if open(u) != 1 {
			t.Errorf("%d connections, want the new one", open(u))
		}
	})
}

// TestRefusedStreamIsSentAgain: the upstream says that it did nothing with the first stream.
func TestRefusedStreamIsSentAgain(t *testing.T) {
	var streams atomic.Int64
	url := serveRaw(t, func(_ int, c net.Conn, r *bufio.Reader) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(r, preface); err != nil {
			return
		}
		f := http2.NewFramer(c, r)
		_ = f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					_ = f.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				if streams.Add(1) == 1 {
					_ = f.WriteRSTStream(frame.StreamID, http2.ErrCodeRefusedStream)
					continue
				}
				var block bytes.Buffer
				_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
			}
		}
	})
	u := newUpstream(t, testConfig(url))
	r := newRequest("POST", "/", nil)
	r.Protocol = GRPC
	resp, a, err := u.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if a.Retries != 1 || streams.Load() != 2 {
		t.Errorf("got %+v after %d streams", a, streams.Load())
	}
}
