//go:build !linux

package listener

import (
	"errors"
	"net"
)

// refuseNew is only known on Linux; elsewhere a connection opened in the moment of closing may be reset.
func refuseNew(*net.TCPListener) error { return errors.ErrUnsupported }

// connectionWaits is only known on Linux.
func connectionWaits(*net.TCPListener) bool { return false }
