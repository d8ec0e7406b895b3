package listener

import (
	"io"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/net/http2"
)

// floods are frames of which no connection takes many.
var floods = []struct {
	name, detail string
	send         func(h *h2, i int) error
}{
	{"rapid reset", http2Paces[paceResets].detail, func(h *h2, i int) error {
		id := uint32(2*i + 1)
		if err := h.request(id, true, h2Request...); err != nil {
			return err
		}
		return h.framer.WriteRSTStream(id, http2.ErrCodeCancel)
	}},
	{"resets by the server", http2Paces[paceResets].detail, func(h *h2, i int) error {
		id := uint32(2*i + 1)
		if err := h.request(id, false, h2Request...); err != nil {
			return err
		}
		return h.framer.WriteRawFrame(http2.FrameWindowUpdate, 0, id, []byte{0, 0, 0, 0}) // an increment of 0: PROTOCOL_ERROR
	}},
	{"refused requests", http2Paces[paceResets].detail, func(h *h2, i int) error {
		return h.request(uint32(2*i+1), true, append(slices.Clone(h2Request), "connection", "close")...)
	}},
	{"SETTINGS", http2Paces[paceSettings].detail, func(h *h2, _ int) error { return h.framer.WriteSettings() }},
	{"PING", http2Paces[pacePings].detail, func(h *h2, _ int) error { return h.framer.WritePing(false, [8]byte{}) }},
	{"WINDOW_UPDATE", http2Paces[paceWindows].detail, func(h *h2, _ int) error { return h.framer.WriteWindowUpdate(0, 1) }},
	{"PRIORITY", http2Paces[paceOthers].detail, func(h *h2, i int) error {
		return h.framer.WritePriority(uint32(2*i+1), http2.PriorityParam{Weight: 1})
	}},
	{"unknown frames", http2Paces[paceOthers].detail, func(h *h2, _ int) error { return h.framer.WriteRawFrame(0x10, 0, 0, []byte("x")) }},
	{"DATA without data", http2Paces[paceEmpty].detail, func(h *h2, i int) error {
		if i == 0 {
			if err := h.request(1, false, h2Request...); err != nil {
				return err
			}
		}
		return h.framer.WriteData(1, false, nil)
	}},
}

// request sends a header list, as headers does, and gives the error: the connection may end at any time.
func (h *h2) request(id uint32, end bool, fields ...string) error {
	h.buf.Reset()
	h.encode(fields)
	return h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.buf.Bytes(), EndStream: end, EndHeaders: true})
}

// TestHTTP2Floods shows that a connection which is flooded with cheap frames ends with ENHANCE_YOUR_CALM and is reported
// once, by that.
func TestHTTP2Floods(t *testing.T) {
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			s, rec := serve(t, one(plain(withH2C)), func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				<-r.Context().Done() // a reset finds the stream open
			})
			h := newH2(t, dial(t, s))
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for i := range 20_000 {
					if tt.send(h, i) != nil {
						return
					}
				}
			}()
			code := http2.ErrCodeNo
			for {
				f, err := h.framer.ReadFrame()
				if err != nil && code == http2.ErrCodeNo {
					t.Fatalf("no GOAWAY: %v", err)
				}
				if g, ok := f.(*http2.GoAwayFrame); ok {
					code = g.ErrCode
				}
				if err != nil || code != http2.ErrCodeNo {
					break
				}
			}
			h.conn.Close()
			<-stopped
			faults := slices.DeleteFunc(rec.faults(), func(s string) bool { return s == "http stream_PROTOCOL_ERROR" || s == "http stream_REFUSED_STREAM" })
			if code != http2.ErrCodeEnhanceYourCalm || !slices.Equal(faults, []string{"http conn_ENHANCE_YOUR_CALM"}) {
				t.Errorf("GOAWAY %s, reported %v", code, faults)
			}
			rec.mu.Lock()
			defer rec.mu.Unlock()
			if !slices.Contains(rec.details, tt.detail) { // the server has bounds of its own
				t.Errorf("reported %q, want %q", rec.details[len(rec.details)-1], tt.detail)
			}
		})
	}
}

// TestHTTP2Pace shows how many frames of each kind a connection takes at once.
func TestHTTP2Pace(t *testing.T) {
	for _, tt := range []struct {
		name string
		head frameHeader
		kind int
	}{
		{"reset", frameHeader{kind: frameRSTStream}, paceResets},
		{"SETTINGS", frameHeader{kind: frameSettings}, paceSettings},
		{"PING", frameHeader{kind: framePing}, pacePings},
		{"WINDOW_UPDATE", frameHeader{kind: frameWindowUpdate}, paceWindows},
		{"empty DATA", frameHeader{kind: frameData}, paceEmpty},
		{"PRIORITY", frameHeader{kind: 2}, paceOthers},
		{"unknown", frameHeader{kind: 0xbe}, paceOthers},
	} {
		var f floodWatch
		n := 0
		for detail := ""; detail == "" && n < 10_000; n++ {
			detail = f.see(tt.head, true)
		}
		if least := http2Paces[tt.kind].burst; float64(n) <= least || float64(n) > 1.5*least+10 {
			t.Errorf("%s: the connection ended at frame %d, want one a little over %.0f", tt.name, n, least)
		}
	}
	var f floodWatch
	for range 10_000 {
		if detail := f.see(frameHeader{kind: frameData, length: 1}, true) + f.see(frameHeader{kind: frameData, flags: flagEndStream}, true); detail != "" {
			t.Fatal(detail)
		}
	}
}

// TestHTTP2Busy shows that what busy clients do is no flood: giving up on a whole page at once, resets beside as many
// answers, and a window update and a PING for each DATA frame of a download.
func TestHTTP2Busy(t *testing.T) {
	const size = 40 << 20
	s, rec := serve(t, one(plain(withH2C)), func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			<-r.Context().Done()
		case "/download":
			piece := make([]byte, 64<<10)
			for range size / len(piece) {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
	})
	h := newH2(t, dial(t, s), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	path := func(p string) []string {
		return []string{":method", "GET", ":scheme", "http", ":authority", "x", ":path", p}
	}
	id := uint32(1)
	for range 240 {
		h.headers(id, true, path("/wait")...)
		id += 2
	}
	for i := uint32(1); i < id; i += 2 {
		if err := h.framer.WriteRSTStream(i, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		h.headers(id, true, path("/")...)
		if status := h.status(id); status != "200" {
			t.Fatalf("status %s", status)
		}
		h.headers(id+2, true, path("/wait")...)
		if err := h.framer.WriteRSTStream(id+2, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
		id += 4
	}
	h.headers(id, true, path("/download")...)
	received := 0
	h.await(func(f http2.Frame) bool {
		d, ok := f.(*http2.DataFrame)
		if !ok || d.StreamID != id {
			if g, ok := f.(*http2.GoAwayFrame); ok {
				t.Fatalf("GOAWAY %s", g.ErrCode)
			}
			return false
		}
		n := len(d.Data())
		if received += n; n > 0 {
			h.framer.WriteWindowUpdate(0, uint32(n))
			h.framer.WriteWindowUpdate(id, uint32(n))
			h.framer.WritePing(false, [8]byte{})
		}
		return d.StreamEnded()
	})
	if received != size || rec.faults() != nil {
		t.Errorf("%d bytes received; reported %v", received, rec.faults())
	}
}
