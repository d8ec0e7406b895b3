package proxy_test

import (
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/proxy/proxytest"
)

// attack is a client of HTTP/2 that does one thing as often as it can.
type attack struct {
	framer *http2.Framer
	stream uint32
	list   []byte
}

var attacks = []struct {
	name string
	send func(a *attack) error
}{
	{"rapid reset", func(a *attack) error {
		a.stream += 2
		if err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.list, EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return a.framer.WriteRSTStream(a.stream, http2.ErrCodeCancel)
	}},
	{"resets by the gateway", func(a *attack) error {
		a.stream += 2
		if err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.list, EndHeaders: true}); err != nil {
			return err
		}
		return a.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, a.stream, make([]byte, 4))
	}},
	{"CONTINUATION", func(a *attack) error {
		if a.stream == 1 { // of a list that never ends
			a.stream += 2
			return a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.list, EndStream: true})
		}
		return a.framer.WriteContinuation(a.stream, false, []byte("\x00\x01a\x01b"))
	}},
	{"SETTINGS", func(a *attack) error {
		return a.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	}},
	{"PING", func(a *attack) error { return a.framer.WritePing(false, [8]byte{}) }},
	{"header bomb", func(a *attack) error { // one byte for each field of 4 KiB
		a.stream += 2
		list := append([]byte{0x40, 1, 'a', 0x7f, 0x81, 0x1e}, strings.Repeat("b", 4000)...)
		list = append(list, strings.Repeat("\xbe", 10<<10)...)
		return a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: list, EndHeaders: true, EndStream: true})
	}},
}

// run attacks until end is closed, on one connection after the other.
func runAttack(address string, send func(*attack) error, end <-chan struct{}, connections *atomic.Int64) {
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		connections.Add(1)
		var list strings.Builder
		encoder := hpack.NewEncoder(&list)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "shop.example.com"}, {":path", "/"}} {
			encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		stopped := make(chan struct{})
		go func() {
			select {
			case <-end:
				conn.Close()
			case <-stopped:
			}
		}()
		reading := make(chan struct{})
		a := &attack{framer: http2.NewFramer(conn, conn), stream: 1, list: []byte(list.String())}
		go func() { // until the gateway has ended the connection: replies must not hold it up
			defer close(reading)
			for {
				f, err := a.framer.ReadFrame()
				if err != nil {
					return
				}
				if _, ok := f.(*http2.GoAwayFrame); ok {
					conn.Close()
					return
				}
			}
		}()
		conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err = conn.Write([]byte(http2.ClientPreface)); err == nil {
			err = a.framer.WriteSettings()
		}
		for err == nil {
			err = send(a)
		}
		conn.Close()
		<-reading
		close(stopped)
		select {
		case <-end:
			return
		default:
		}
	}
}

// TestFloods shows that a gateway which is flooded over HTTP/2 goes on serving others: of a probe's 10 requests a second,
// 99.9 % get their answer within two seconds. FLOOD_TIME is how long each flood lasts, a second by default.
func TestFloods(t *testing.T) {
	long := time.Second
	if text := os.Getenv("FLOOD_TIME"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""))
	// Another client than the attackers: over the share of one client, that one alone is refused.
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Timeout: patience * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext}}
	defer client.CloseIdleConnections()
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			end := make(chan struct{})
			var attackers sync.WaitGroup
			var connections atomic.Int64
			for range 2 {
				attackers.Go(func() { runAttack(g.Addr("").String(), tt.send, end, &connections) })
			}
			var probes sync.WaitGroup
			var answered atomic.Int64
			sent := 0
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for begin := time.Now(); time.Since(begin) < long || connections.Load() < 4 && time.Since(begin) < 20*time.Second; <-tick.C {
				sent++
				probes.Go(func() {
					response, err := client.Get(g.URL + "/probe")
					if err != nil {
						t.Log(err)
						return
					}
					response.Body.Close()
					if response.StatusCode != http.StatusOK {
						t.Logf("a probe is answered by %s", response.Status)
						return
					}
					answered.Add(1)
				})
			}
			probes.Wait()
			close(end)
			attackers.Wait()
			if float64(answered.Load()) < 0.999*float64(sent) {
				t.Errorf("%d of %d probes were answered", answered.Load(), sent)
			}
			t.Logf("%d of %d probes were answered, %d connections attacked", answered.Load(), sent, connections.Load())
			if connections.Load() < 4 {
				t.Errorf("%d connections attacked: the gateway did not end one", connections.Load())
			}
		})
	}
}
