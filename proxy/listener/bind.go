package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// BindError says why an address cannot be listened on, and what to change.
type BindError struct {
	Address string // as configured
	Key     string // the flag or configuration key that sets the address
	Holder  string // who has the port, if that could be found out
	Err     error
}

// Error names the address, the holder of the port and the key.
func (e *BindError) Error() string {
	_, port, _ := net.SplitHostPort(e.Address)
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		holder := "another process"
		switch e.Holder {
		case "":
		case thisProcess:
			return fmt.Sprintf("listen on %s: port %s is in use by this process already; change %s, or restart if it is to take over an overlapping address", e.Address, port, e.Key)
		default:
			holder = e.Holder
		}
		return fmt.Sprintf("listen on %s: port %s is in use by %s; stop it or change %s", e.Address, port, holder, e.Key)
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("listen on %s: no permission for port %s; ports below 1024 need CAP_NET_BIND_SERVICE: grant it or change %s", e.Address, port, e.Key)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("listen on %s: this host does not have that address; change %s", e.Address, e.Key)
	}
	return fmt.Sprintf("listen on %s (%s): %v", e.Address, e.Key, e.Err)
}

// Unwrap returns the system's error.
func (e *BindError) Unwrap() error { return e.Err }

// Listen binds a TCP address. key is the flag or configuration key that sets it, for the error, which is a
// *BindError. SO_REUSEADDR is set, as always in package net. Multipath TCP is off: its sockets take no filter, see
// refuseNew.
func Listen(address, key string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", address) // without a name to resolve, this does not wait
	if err != nil {
		bindErr := &BindError{Address: address, Key: key, Err: err}
		if errors.Is(err, syscall.EADDRINUSE) {
			bindErr.Holder = holderOf(address)
		}
		return nil, bindErr
	}
	return l.(*net.TCPListener), nil
}

// thisProcess is the holder of a port that one of our own listeners has.
const thisProcess = "this process"

// holderOf describes the process that listens on address's port, or returns "".
func holderOf(address string) string {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return ""
	}
	pid, name, found := portHolder("/proc", uint16(port))
	switch {
	case !found:
		return ""
	case pid == os.Getpid():
		return thisProcess
	}
	return fmt.Sprintf("%s (process %d)", name, pid)
}
