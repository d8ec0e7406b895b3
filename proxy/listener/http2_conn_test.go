package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

var h2Request = []string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", "/"}

// TestHTTP2FieldsPassUnchanged shows that what is encoded anew is what the client sent, however its frames are cut.
func TestHTTP2FieldsPassUnchanged(t *testing.T) {
	headers := make(chan http.Header, 1)
	s, rec := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		headers <- r.Header
		w.Header()["Trailers"] = r.Trailer["X-End"]
	})
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	large := strings.Repeat("\x7e\xff", 12<<10)
	want := http.Header{"A": {"1", "2", ""}, "X-Large": {large, large}, "Cookie": {"a=b; c=d"}}
	list := append(slices.Clone(h2Request), "a", "1", "a", "2", "a", "", "x-large", large, "cookie", "a=b", "cookie", "c=d", "x-large", large, "gatehouse-stream", "7 refused", "trailer", "x-end")
	encode := func() []byte {
		block.Reset()
		for i := 0; i < len(list); i += 2 {
			if err := enc.WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1]}); err != nil {
				t.Fatal(err)
			}
		}
		return block.Bytes()
	}
	h := newH2(t, dial(t, s))
	for i, most := range []int{16 << 10, 1 << 10, 9999} { // the first fills the table that the others refer to
		id := uint32(2*i + 1)
		frames := slices.Collect(slices.Chunk(encode(), most))
		for j, part := range frames {
			var err error
			if last := j == len(frames)-1; j == 0 {
				err = h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: part[:len(part)-min(len(part)/2, 255)], PadLength: 200, Priority: http2.PriorityParam{StreamDep: 0, Weight: 3}})
				if err == nil {
					err = h.framer.WriteContinuation(id, last, part[len(part)-min(len(part)/2, 255):])
				}
			} else {
				err = h.framer.WriteContinuation(id, last, part)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		h.data(id, false, []byte("abc"))
		h.headers2(enc, &block, id, "x-end", "yes")
		if status := h.status(id); status != "200" {
			t.Fatalf("status %s", status)
		}
		if diff := cmp.Diff(want, <-headers); diff != "" {
			t.Errorf("frames of %d bytes: %s", most, diff)
		}
	}
	if rec.refusals() != nil || rec.faults() != nil {
		t.Errorf("reported %v %v", rec.refusals(), rec.faults())
	}
}

// headers2 sends a trailer with an encoder of the caller's.
func (h *h2) headers2(enc *hpack.Encoder, block *bytes.Buffer, id uint32, name, value string) {
	h.t.Helper()
	block.Reset()
	err := enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	if err == nil {
		err = h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestHTTP2RefusedAmongOthers shows that a malformed request harms no other on its connection, and that nothing of it
// is kept.
func TestHTTP2RefusedAmongOthers(t *testing.T) {
	conns := make(chan *http2Conn, 100)
	s, rec := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		conns <- FromContext(r.Context()).http2
		hello(w, r)
	})
	h := newH2(t, dial(t, s))
	h.headers(1, false, h2Request...)
	conn := <-conns
	for i := range uint32(50) {
		h.headers(3+4*i, i%2 == 0, append(slices.Clone(h2Request), "connection", "close", "x-new", fmt.Sprint(i))...)
		h.await(func(f http2.Frame) bool {
			r, ok := f.(*http2.RSTStreamFrame)
			return ok && r.StreamID == 3+4*i && r.ErrCode == http2.ErrCodeProtocol
		})
		h.headers(5+4*i, true, append(slices.Clone(h2Request), "x-new", fmt.Sprint(i))...)
		if body := h.body(5 + 4*i); body != "hello /" {
			t.Fatalf("got %q", body)
		}
	}
	h.data(1, true, []byte("late"))
	if body := h.body(1); body != "hello /" {
		t.Errorf("got %q", body)
	}
	if n := len(rec.refusals()); n != 50 || rec.faults() != nil {
		t.Errorf("%d refusals, faults %v", n, rec.faults())
	}
	eventually(t, "no stream is kept", func() bool { return conn.open() == 0 })
}

func (c *http2Conn) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// TestHTTP2StreamsAreLetGo shows that streams are forgotten however they end, and that what is normal is not reported.
func TestHTTP2StreamsAreLetGo(t *testing.T) {
	conns := make(chan *http2Conn, 1)
	release := make(chan struct{})
	s, rec := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/conn":
			conns <- FromContext(r.Context()).http2
		case "/wait":
			<-r.Context().Done()
		case "/hold":
			<-release
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/read":
			hello(w, r)
		}
	})
	h := newH2(t, dial(t, s))
	path := func(p string, more ...string) []string {
		return append([]string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", p}, more...)
	}
	h.headers(1, true, path("/conn")...)
	conn := <-conns
	h.headers(3, false, path("/wait")...) // the client cancels
	if err := h.framer.WriteRSTStream(3, http2.ErrCodeCancel); err != nil {
		t.Fatal(err)
	}
	h.headers(5, false, path("/early")...) // the reply comes before the body
	h.status(5)
	h.await(func(f http2.Frame) bool { return f.Header().Type == http2.FrameRSTStream && f.Header().StreamID == 5 })
	h.data(5, true, []byte("late"))
	h.headers(7, false, path("/abort")...)
	h.headers(9, false, path("/read")...)
	h.data(9, false, []byte("a"))
	h.headers(9, true, "x-end", "yes")
	h.headers(11, false, path("/hold")...) // the client ends before the handler
	h.data(11, true, nil)
	h.headers(13, true, path("/head", "connection", "x")...)
	close(release)
	h.status(13)
	eventually(t, "no stream is kept", func() bool { return conn.open() == 0 })
	if faults := rec.faults(); faults != nil {
		t.Errorf("reported %v", faults)
	}
	if n := len(rec.refusals()); n != 1 {
		t.Errorf("%d refusals", n)
	}
}

// TestHTTP2Resets shows which resets of the server's own are reported, each once.
func TestHTTP2Resets(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(h *h2)
		want string
	}{
		{"DATA after the end", func(h *h2) { h.headers(1, true, h2Request...); h.data(1, true, []byte("x")) }, "http stream_STREAM_CLOSED"},
		{"HEADERS after the end", func(h *h2) { h.headers(1, true, h2Request...); h.headers(1, true, "x-a", "b") }, "http stream_STREAM_CLOSED"},
		{"window that does not grow", func(h *h2) {
			h.headers(1, true, h2Request...)
			h.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4))
		}, "http stream_PROTOCOL_ERROR"},
		{"window that overflows", func(h *h2) {
			h.headers(1, true, h2Request...)
			h.framer.WriteWindowUpdate(1, 1<<31-1)
		}, "http stream_FLOW_CONTROL_ERROR"},
		{"too many streams", func(h *h2) {
			h.await(func(f http2.Frame) bool {
				settings, ok := f.(*http2.SettingsFrame)
				return ok && settings.IsAck()
			})
			for i := range uint32(http2Streams + 1) {
				h.headers(2*i+1, true, h2Request...)
			}
		}, "http stream_PROTOCOL_ERROR"},
		{"body too long, which the handler does not read", func(h *h2) {
			h.headers(1, false, append(slices.Clone(h2Request), "content-length", "1")...)
			h.data(1, false, []byte("12"))
		}, "http stream_PROTOCOL_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, rec := serve(t, one(plain(withH2C)), func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			h := newH2(t, dial(t, s))
			tt.send(h)
			h.await(func(f http2.Frame) bool { return f.Header().Type == http2.FrameRSTStream })
			eventually(t, "the report", func() bool { return slices.Equal(rec.faults(), []string{tt.want}) })
			h.conn.Close()
			eventually(t, "the end", func() bool { return s.Status()[0].Connections == 0 })
			if faults := rec.faults(); len(faults) != 1 || rec.refusals() != nil {
				t.Errorf("reported %v, refusals %v", faults, rec.refusals())
			}
		})
	}
}

// TestHTTP2MalformedBody shows what a handler learns of a malformed body; once it has asked, nothing else reports it.
func TestHTTP2MalformedBody(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(h *h2)
		want string
	}{
		{"too long", func(h *h2) { h.data(1, false, []byte("123456")) }, "the body is longer than its content-length"},
		{"too short", func(h *h2) { h.data(1, true, []byte("123")) }, "the body is shorter than its content-length"},
		{"too short before a trailer", func(h *h2) { h.data(1, false, []byte("123")); h.headers(1, true, "x-a", "b") }, "the body is shorter than its content-length"},
		{"trailer with a pseudo-header field", func(h *h2) { h.headers(1, true, ":path", "/") }, "the trailer has a pseudo-header field"},
		{"large trailer", func(h *h2) { h.headers(1, true, "x-a", strings.Repeat("a", 70<<10)) }, "the trailer is larger than 64 KiB"},
		{"cancelled", func(h *h2) { h.framer.WriteRSTStream(1, http2.ErrCodeCancel) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			failed := make(chan error, 1)
			reading := make(chan struct{})
			s, rec := serve(t, one(plain(withH2C)), func(_ http.ResponseWriter, r *http.Request) {
				close(reading)
				_, err := io.Copy(io.Discard, r.Body)
				failed <- err
				got <- MalformedBody(r)
			})
			h := newH2(t, dial(t, s))
			h.headers(1, false, append(slices.Clone(h2Request), "content-length", "5")...)
			<-reading
			tt.send(h)
			if err := <-failed; err == nil || errors.Is(err, ErrBodyMalformed) != (tt.want != "") {
				t.Errorf("error %v", err)
			}
			if problem := <-got; problem != tt.want {
				t.Errorf("got %q, want %q", problem, tt.want)
			}
			h.conn.Close()
			eventually(t, "the end", func() bool { return s.Status()[0].Connections == 0 && s.handlersRunning() == 0 })
			if rec.faults() != nil || rec.refusals() != nil {
				t.Errorf("reported %v, refusals %v", rec.faults(), rec.refusals())
			}
		})
	}
}

// handlersRunning counts the handlers of all listeners.
func (s *Set) handlersRunning() (n int64) {
	for _, l := range s.listeners {
		n += l.handlers.Load()
	}
	return n
}

// TestHTTP2Cipher shows that a cipher suite which HTTP/2 forbids ends the connection.
func TestHTTP2Cipher(t *testing.T) {
	ca := newCA(t)
	s, rec := serve(t, secure(ca.files(t, "shop", "shop.example.com")), hello)
	for _, tt := range []struct {
		cipher uint16
		fails  bool
	}{{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false}, {tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, true}} {
		c := tls.Client(dial(t, s), &tls.Config{RootCAs: ca.pool, ServerName: "shop.example.com", NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tt.cipher}})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if !tt.fails {
			h := newH2(t, c)
			h.headers(1, true, h2Request...)
			if body := h.body(1); body != "hello /" {
				t.Errorf("got %q", body)
			}
			continue
		}
		eventually(t, "the failure is reported", func() bool { return slices.Equal(rec.failures(), []Failure{TLSBadClientHello}) })
	}
}

// TestFrameWatch shows that frames are recognised however writes cut them.
func TestFrameWatch(t *testing.T) {
	var stream bytes.Buffer
	f := http2.NewFramer(&stream, nil)
	f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 14})
	f.WriteData(9, true, []byte("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x01")) // looks like a frame
	f.WriteRSTStream(7, http2.ErrCodeInternal)
	f.WriteData(9, true, nil)
	f.WriteRSTStream(5, http2.ErrCodeProtocol)
	f.WriteGoAway(9, http2.ErrCodeNo, nil)
	f.WriteGoAway(9, http2.ErrCodeEnhanceYourCalm, []byte("debug data that is longer"))
	for _, size := range []int{1, 3, 13, 1 << 10} {
		rec := &recorder{}
		var sent bytes.Buffer
		c := newHTTP2Conn(writeOnly{&sent}, &ConnInfo{Listener: "l"}, rec.hooks())
		c.streams[7] = &http2Stream{id: 7, resets: true, refusal: &http2Refusal{status: 400, resets: true}}
		for part := range slices.Chunk(bytes.Clone(stream.Bytes()), size) {
			if n, err := c.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if want := []string{"l stream_PROTOCOL_ERROR", "l conn_ENHANCE_YOUR_CALM"}; !slices.Equal(rec.http2, want) {
			t.Errorf("pieces of %d: reported %v, want %v", size, rec.http2, want)
		}
		want := bytes.Replace(stream.Bytes(), []byte{0, 0, 0, 7, 0, 0, 0, 2}, []byte{0, 0, 0, 7, 0, 0, 0, 1}, 1)
		if !bytes.Equal(sent.Bytes(), want) {
			t.Errorf("pieces of %d: sent %x, want %x", size, sent.Bytes(), want)
		}
	}
}

// readOnly is a connection that gives bytes.
type readOnly struct {
	writeOnly
	io.Reader
}

func (c readOnly) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// FuzzHTTP2Input feeds clients' bytes: what reaches the server is whole frames with header lists that decode, one in
// one piece, and it is the same however reads cut it.
func FuzzHTTP2Input(f *testing.F) {
	seed := func(write func(fr *http2.Framer)) {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		write(http2.NewFramer(&b, nil))
		f.Add(b.Bytes())
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(h2Request); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: h2Request[i], Value: h2Request[i+1]})
	}
	seed(func(fr *http2.Framer) {
		fr.WriteSettings()
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), PadLength: 3, Priority: http2.PriorityParam{Weight: 1}})
		fr.WriteContinuation(1, true, nil)
		fr.WriteDataPadded(1, false, []byte("abc"), []byte{0})
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true})
		fr.WriteRSTStream(1, http2.ErrCodeCancel)
	})
	seed(func(fr *http2.Framer) { fr.WriteContinuation(1, true, []byte{0x80}); fr.WritePing(false, [8]byte{}) })
	f.Fuzz(func(t *testing.T, input []byte) {
		read := func(r io.Reader) []byte {
			c := newHTTP2Conn(readOnly{writeOnly{io.Discard}, r}, &ConnInfo{}, Hooks{})
			out, _ := io.ReadAll(c)
			return out
		}
		whole := read(bytes.NewReader(input))
		if cut := read(iotest.OneByteReader(bytes.NewReader(input))); !bytes.Equal(whole, cut) {
			t.Fatalf("read at once %x, by bytes %x", whole, cut)
		}
		rest, ok := bytes.CutPrefix(whole, []byte(http2Preface))
		if !ok {
			if len(whole) > 0 {
				t.Fatalf("no preface: %x", whole)
			}
			return
		}
		fr := http2.NewFramer(nil, bytes.NewReader(rest))
		fr.AllowIllegalReads = true
		dec := hpack.NewDecoder(4096, nil)
		for {
			frame, err := fr.ReadFrame()
			if err != nil {
				return
			}
			h, ok := frame.(*http2.HeadersFrame)
			if !ok {
				continue
			}
			list := bytes.Clone(h.HeaderBlockFragment())
			for ended := h.HeadersEnded(); !ended; {
				next, err := fr.ReadFrame()
				if err != nil {
					t.Fatalf("a header list is not continued: %v", err)
				}
				c := next.(*http2.ContinuationFrame)
				list, ended = append(list, c.HeaderBlockFragment()...), c.HeadersEnded()
			}
			fields, err := dec.DecodeFull(list)
			if err != nil {
				return // the fault that ends a connection whose own list does not decode
			}
			if h.StreamID%2 == 1 && len(fields) > 0 && fields[0].Name == ":method" {
				if last := fields[len(fields)-1]; last.Name != markField {
					t.Fatalf("no mark: %v", fields)
				}
			}
		}
	})
}

// TestHTTP2NoPreface shows that a client that does not speak HTTP/2 after all is reported.
func TestHTTP2NoPreface(t *testing.T) {
	for input, want := range map[string][]string{
		"":                              nil,
		"PRI * HTTP/2.0\r\n":            nil, // broken off
		"GET / HTTP/1.1\r\n":            {" conn_PROTOCOL_ERROR"},
		"GET / HTTP/1.1\r\nHost: x\r\n": {" conn_PROTOCOL_ERROR"},
	} {
		rec := &recorder{}
		c := newHTTP2Conn(readOnly{writeOnly{io.Discard}, strings.NewReader(input)}, &ConnInfo{}, rec.hooks())
		if out, _ := io.ReadAll(c); len(out) > 0 || !slices.Equal(rec.http2, want) {
			t.Errorf("%q: read %q, reported %v", input, out, rec.http2)
		}
	}
}

// TestHTTP2Host shows that handlers find the host in one place, however the client has named it.
func TestHTTP2Host(t *testing.T) {
	s, _ := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v %v", r.Host, r.Header["Host"], r.Header["X-A"])
	})
	for _, fields := range [][]string{
		{":authority", "a.example", "x-a", "b"},
		{"x-a", "b", "host", "a.example"},
		{":authority", "", "x-a", "b", "host", "a.example"},
		{":authority", "a.example", "host", "a.example", "x-a", "b"},
		{":authority", "a.example", "host", "A.EXAMPLE", "x-a", "b"},
	} {
		h := newH2(t, dial(t, s))
		h.headers(1, true, append([]string{":method", "GET", ":scheme", "http", ":path", "/"}, fields...)...)
		if got := h.body(1); got != "a.example [] [b]" {
			t.Errorf("%q: got %s", fields, got)
		}
	}
}
