//go:build unix

package upstream

import (
	"errors"
	"syscall"
)

// silent reports whether a socket is open with nothing to read. On an idle HTTP/1.1 connection anything else means
// that it must not be used again.
func silent(rc syscall.RawConn) bool {
	if rc == nil {
		return true
	}
	quiet := false
	var b [1]byte
	err := rc.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true
	})
	return err == nil && quiet
}
