//go:build unix

package upstream

import (
	"errors"
	"syscall"
)

// probe looks at a socket that nobody reads. It is not for concurrent use.
type probe struct {
	conn  syscall.RawConn  // nil if the socket has none
	peek  func(fd uintptr) // made once for all looks
	quiet bool
	b     [1]byte
}

func (p *probe) open(conn syscall.RawConn) {
	p.conn = conn
	p.peek = func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), p.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		p.quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
	}
}

// silent reports whether the socket is open with nothing to read. On an idle HTTP/1.1 connection anything else means
// that it must not be used again. A deadline that has passed does not matter.
func (p *probe) silent() bool {
	if p.conn == nil {
		return true
	}
	p.quiet = false
	return p.conn.Control(p.peek) == nil && p.quiet
}
