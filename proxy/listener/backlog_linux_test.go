package listener

import (
	"net"
	"testing"
	"time"
)

// Once new connections are refused, those that the kernel has completed can still be accepted.
func TestRefuseNew(t *testing.T) {
	l, err := Listen("127.0.0.1:0", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := refuseNew(l); err != nil {
		t.Fatalf("refuse: %v", err)
	}
	if c, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond); err == nil {
		c.Close()
		t.Error("a new connection was set up")
	}
	if !connectionWaits(l) {
		t.Error("the connection from before does not wait")
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if connectionWaits(l) {
		t.Error("another connection waits")
	}
	// And they are whole: the filter passes everything else.
	send(t, before, "ping")
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4)
	if _, err := c.Read(buf); err != nil || string(buf) != "ping" {
		t.Errorf("got %q, %v", buf, err)
	}
}
