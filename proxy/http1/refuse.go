package http1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Bounds of what is done for a client whose request was refused.
const (
	refusalTimeout = 5 * time.Second
	lingerTimeout  = 500 * time.Millisecond
	lingerBytes    = 256 << 10
)

// SendRefusal writes a complete reply on a connection of which nobody else takes care, lets the client read it, and
// leaves it to the caller to close the connection.
func SendRefusal(c net.Conn, reply []byte) {
	c.SetDeadline(time.Now().Add(refusalTimeout))
	if _, err := c.Write(reply); err == nil {
		Linger(c)
	}
}

// Linger ends our side of c and reads on for a moment: closing with unread bytes would reset the connection and the
// client would lose the reply (RFC 9112, section 9.6).
func Linger(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		c.SetReadDeadline(time.Now().Add(lingerTimeout))
		_, _ = io.CopyN(io.Discard, c, lingerBytes)
	}
}

// PlainReply is a short reply with Connection: close.
func PlainReply(status int) []byte {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
}
