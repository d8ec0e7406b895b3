package http1

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// stallWriter writes in pieces, each of which the client must take within idle. 0 is for ever.
type stallWriter struct {
	conn    net.Conn
	idle    time.Duration
	writeBy atomic.Int64 // the write deadline, in nanoseconds of Unix time; 0 if it must be set anew
}

const stallPiece = 64 << 10

// Write implements io.Writer.
func (w *stallWriter) Write(p []byte) (int, error) {
	written := 0
	for {
		w.extend()
		n, err := w.conn.Write(p[written:min(written+stallPiece, len(p))])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// extend moves the deadline. It is a timer: a deadline that is late enough stays.
func (w *stallWriter) extend() {
	if w.idle <= 0 {
		return
	}
	now := time.Now()
	if w.writeBy.Load() < now.Add(w.idle).UnixNano() {
		t := now.Add(w.idle + w.idle/8)
		w.writeBy.Store(t.UnixNano())
		w.conn.SetWriteDeadline(t)
	}
}

func (w *stallWriter) setDeadline(t time.Time) error {
	w.writeBy.Store(t.UnixNano())
	if t.IsZero() {
		w.writeBy.Store(0)
	}
	return w.conn.SetWriteDeadline(t)
}

// clock is the value of Date, which changes every second.
type clock struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[clock]

// date is the current value of Date (RFC 9110, section 6.6.1).
func date() string {
	t := time.Now()
	c := lastDate.Load()
	if c == nil || c.second != t.Unix() {
		c = &clock{t.Unix(), t.UTC().Format(http.TimeFormat)}
		lastDate.Store(c)
	}
	return c.text
}
