package listener

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A client that stalls in its body is noticed on both protocols, also when the handler is already writing.
func TestBodyIdle(t *testing.T) {
	errs := make(chan error, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if _, again := r.Body.Read(make([]byte, 1)); !errors.Is(again, ErrBodyIdle) {
			err = fmt.Errorf("after %w: %w", err, again)
		}
		errs <- err
		w.WriteHeader(http.StatusRequestTimeout)
	}
	check := func(t *testing.T) {
		t.Helper()
		if err := <-errs; !errors.Is(err, ErrBodyIdle) || strings.HasPrefix(err.Error(), "after") {
			t.Errorf("got %v, want ErrBodyIdle", err)
		}
	}
	l := plain(withH2C, withTimeouts(time.Second, 5*time.Second, 100*time.Millisecond))
	t.Run("Content-Length", func(t *testing.T) {
		s, _ := serve(t, one(l), handler)
		c := dial(t, s)
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
		r := bufio.NewReader(c)
		if status, _, header := reply(t, r); status != 408 {
			t.Errorf("got %d %v", status, header)
		}
		check(t)
		atEnd(t, r)
	})
	t.Run("chunked", func(t *testing.T) {
		s, _ := serve(t, one(l), handler)
		c := dial(t, s)
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		reply(t, bufio.NewReader(c))
		check(t)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		s, _ := serve(t, one(l), handler)
		c := newH2(t, dial(t, s))
		c.headers(1, false, ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x")
		if got := c.status(1); got != "408" {
			t.Errorf("got %s", got)
		}
		check(t)
	})
}

// Pauses shorter than the limit are fine, however many there are.
func TestBodySlowButMoving(t *testing.T) {
	l := plain(withH2C, withTimeouts(time.Second, 5*time.Second, 300*time.Millisecond))
	handler := func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", b, err)
	}
	s, _ := serve(t, one(l), handler)
	t.Run("HTTP/1.1", func(t *testing.T) {
		c := dial(t, s)
		r := bufio.NewReader(c)
		for range 2 { // the connection is good for another request
			send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
			for i := range 8 {
				time.Sleep(60 * time.Millisecond)
				send(t, c, fmt.Sprint(i))
			}
			if status, body, _ := reply(t, r); status != 200 || body != "01234567 <nil>" {
				t.Errorf("got %d %q", status, body)
			}
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		c := newH2(t, dial(t, s))
		c.headers(1, false, ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x")
		for i := range 8 {
			time.Sleep(60 * time.Millisecond)
			c.data(1, i == 7, []byte(fmt.Sprint(i)))
		}
		if got := c.status(1); got != "200" {
			t.Errorf("got %s", got)
		}
		if got := c.body(1); got != "01234567 <nil>" {
			t.Errorf("got %q", got)
		}
	})
}

// A handler that is slow to read, or waits after the body, is not the client's fault.
func TestSlowHandlerIsNotIdle(t *testing.T) {
	l := plain(withH2C, withTimeouts(time.Second, 5*time.Second, 100*time.Millisecond))
	handler := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(250 * time.Millisecond)
		b, err := io.ReadAll(r.Body)
		time.Sleep(250 * time.Millisecond)
		if r.Context().Err() != nil {
			err = r.Context().Err()
		}
		fmt.Fprintf(w, "%s %v", b, err)
	}
	s, _ := serve(t, one(l), handler)
	c := dial(t, s)
	send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	if _, body, _ := reply(t, bufio.NewReader(c)); body != "abc <nil>" {
		t.Errorf("HTTP/1.1: %q", body)
	}
	h := newH2(t, dial(t, s))
	h.headers(1, false, ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x")
	h.data(1, true, []byte("abc"))
	if body := h.body(1); body != "abc <nil>" {
		t.Errorf("HTTP/2: %q", body)
	}
}

func TestSetBodyIdle(t *testing.T) {
	l := plain(withH2C, withTimeouts(time.Second, 5*time.Second, 50*time.Millisecond))
	handler := func(w http.ResponseWriter, r *http.Request) {
		SetBodyIdle(r, 0)
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", b, err)
	}
	s, _ := serve(t, one(l), handler)
	c := dial(t, s)
	send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	h := newH2(t, dial(t, s))
	h.headers(1, false, ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x")
	time.Sleep(200 * time.Millisecond)
	send(t, c, "abc")
	h.data(1, true, []byte("abc"))
	if _, body, _ := reply(t, bufio.NewReader(c)); body != "abc <nil>" {
		t.Errorf("HTTP/1.1: %q", body)
	}
	if body := h.body(1); body != "abc <nil>" {
		t.Errorf("HTTP/2: %q", body)
	}
}

// A handler that answers without reading the body does not make the server wait for a stalled client for ever.
func TestUnreadBody(t *testing.T) {
	s, _ := serve(t, one(plain(withTimeouts(time.Second, 5*time.Second, 100*time.Millisecond))), func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(403)
	})
	c := dial(t, s)
	send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
	r := bufio.NewReader(c)
	if status, _, _ := reply(t, r); status != 403 {
		t.Errorf("got %d", status)
	}
	atEnd(t, r)
}

// A transport may still read the body when the handler has returned: that must not touch the next request.
func TestLateRead(t *testing.T) {
	late := make(chan *http.Request, 1)
	s, _ := serve(t, one(plain()), func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.ReadFull(r.Body, make([]byte, 1))
			late <- r
		}
	})
	c := dial(t, s)
	r := bufio.NewReader(c)
	send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	reply(t, r)
	if n, err := (<-late).Body.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("late read: %d, %v", n, err)
	}
	send(t, c, request)
	if status, _, _ := reply(t, r); status != 200 {
		t.Errorf("next request: %d", status)
	}
}

// A client that does not read is cut off, and the handler gets an error.
func TestSlowReader(t *testing.T) {
	errs := make(chan error, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		block := bytes.Repeat([]byte("x"), 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				errs <- err
				return
			}
		}
	}
	s, _ := serve(t, one(plain(withH2C, withTimeouts(time.Second, 5*time.Second, 100*time.Millisecond))), handler)
	t.Run("HTTP/1.1", func(t *testing.T) {
		c := dial(t, s)
		send(t, c, request)
		if err := <-errs; err == nil {
			t.Error("no error")
		}
	})
	t.Run("HTTP/2 window", func(t *testing.T) {
		c := newH2(t, dial(t, s)) // which never opens its window again
		c.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x")
		if err := <-errs; err == nil {
			t.Error("no error")
		}
		// The connection lives on.
		c.headers(3, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x")
		<-errs
	})
}

// Small replies that a client never takes do not stay either.
func TestSlowReaderOfASmallReply(t *testing.T) {
	s, _ := serve(t, one(plain(withH2C, withTimeouts(time.Second, 5*time.Second, 100*time.Millisecond))), hello)
	c := newH2(t, dial(t, s), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.headers(1, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x")
	c.await(func(f http2.Frame) bool {
		reset, ok := f.(*http2.RSTStreamFrame)
		return ok && reset.StreamID == 1
	})
}

// A slow reader that does read gets everything.
func TestSlowReaderButMoving(t *testing.T) {
	const size = 16 << 20
	s, _ := serve(t, one(plain(withTimeouts(time.Second, 5*time.Second, 200*time.Millisecond))), func(w http.ResponseWriter, _ *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), size))
	})
	c := dial(t, s)
	send(t, c, "GET / HTTP/1.0\r\n\r\n")
	total := 0
	for buf := make([]byte, 64<<10); ; {
		n, err := c.Read(buf)
		total += n
		if err != nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if total < size {
		t.Errorf("got %d of %d", total, size)
	}
}

// h2 is an HTTP/2 client on frames.
type h2 struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	buf    bytes.Buffer
	enc    *hpack.Encoder
}

func newH2(t *testing.T, c net.Conn, settings ...http2.Setting) *h2 {
	t.Helper()
	send(t, c, http2.ClientPreface)
	h := &h2{t: t, conn: c, framer: http2.NewFramer(c, c)}
	h.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.enc = hpack.NewEncoder(&h.buf)
	if err := h.framer.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return h
}

// encode appends a header list to h.buf.
func (h *h2) encode(fields []string) {
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
}

func (h *h2) headers(stream uint32, end bool, fields ...string) {
	h.t.Helper()
	h.buf.Reset()
	h.encode(fields)
	block := h.buf.Bytes()
	first := min(len(block), 16<<10)
	err := h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block[:first], EndStream: end, EndHeaders: first == len(block)})
	for block = block[first:]; err == nil && len(block) > 0; {
		n := min(len(block), 16<<10)
		err = h.framer.WriteContinuation(stream, n == len(block), block[:n])
		block = block[n:]
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *h2) data(stream uint32, end bool, p []byte) {
	h.t.Helper()
	if err := h.framer.WriteData(stream, end, p); err != nil {
		h.t.Fatal(err)
	}
}

// await reads frames until one is what the caller waits for.
func (h *h2) await(is func(http2.Frame) bool) {
	h.t.Helper()
	for {
		f, err := h.framer.ReadFrame()
		if err != nil {
			h.t.Fatalf("read frame: %v", err)
		}
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			h.framer.WriteSettingsAck()
		}
		if is(f) {
			return
		}
	}
}

func (h *h2) status(stream uint32) (status string) {
	h.t.Helper()
	h.await(func(f http2.Frame) bool {
		if m, ok := f.(*http2.MetaHeadersFrame); ok && m.StreamID == stream {
			status = m.PseudoValue("status")
			return true
		}
		return false
	})
	return status
}

func (h *h2) body(stream uint32) string {
	h.t.Helper()
	var b strings.Builder
	h.await(func(f http2.Frame) bool {
		d, ok := f.(*http2.DataFrame)
		if ok && d.StreamID == stream {
			b.Write(d.Data())
		}
		return f.Header().StreamID == stream && f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().Type != http2.FrameWindowUpdate
	})
	return b.String()
}
