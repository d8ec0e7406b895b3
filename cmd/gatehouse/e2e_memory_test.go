//go:build e2e

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/shop"
)

// memoryBudget is what a gateway with memoryLimit as GOMEMLIMIT may have resident: what the runtime does not count, above
// all the pages of the binary, comes on top of the limit.
const (
	memoryLimit  = "384MiB"
	memoryBudget = 512 * mib
)

// memoryLoad is how many of each there are at once.
type memoryLoad struct{ uploads, idle, slow, sockets int }

// testMemory puts everything on a gateway that takes memory: uploads of 12 MB, connections that are idle, uploads that
// trickle, WebSockets. Its resident memory stays within the budget, the uploads arrive, and the connections are still
// served in the end. MEMORY=long is the load that is promised; without it, it is a small one.
func (e *endToEnd) testMemory(t *testing.T) {
	load := memoryLoad{uploads: 4, idle: 500, slow: 20, sockets: 100}
	if os.Getenv("MEMORY") == "long" {
		load = memoryLoad{uploads: 12, idle: 10_000, slow: 200, sockets: 1000}
	}
	t.Setenv("GOMEMLIMIT", memoryLimit)
	p := e.start(t, strings.Replace(shopConfig, "h2c: true }", "timeouts: { idle: 10m } }", 1)+`    routes:
      - { path: /, traffic: [auto, websocket], body: { max_bytes: 16MiB } }
`, "-drain-delay", "0s", "-drain-timeout", "1s")
	before := p.memory("VmRSS")
	peak := p.watchMemory()
	m := &memoryClients{t: t, address: p.addresses["HTTP"], done: make(chan struct{})}
	m.each(load.idle, func() {
		m.keep(m.exchange("GET /api/products HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n", http.StatusOK))
	})
	m.each(load.sockets, func() {
		m.exchange("GET /ws HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\nAccept: */*\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", http.StatusSwitchingProtocols)
	})
	m.each(load.slow, m.slowUpload)
	m.each(load.uploads, m.upload)
	if m.failed() {
		m.end()
		peak()
		return
	}
	t.Logf("%d bytes of bodies are held", int64(p.metric("gatehouse_inflight_bytes")))
	for _, c := range m.idle[:100] { // they are not forgotten
		fmt.Fprint(c, "GET /api/products HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("a connection that was idle: %v", err)
		}
		response.Body.Close()
	}
	m.end()
	most := peak()
	t.Logf("%d MiB resident at first, %d MiB at most, of %d", before/mib, most/mib, memoryBudget/mib)
	if most > memoryBudget {
		t.Errorf("%d MiB resident, more than the budget of %d MiB", most/mib, memoryBudget/mib)
	}
}

// memoryClients are the clients of testMemory.
type memoryClients struct {
	t       *testing.T
	address string
	done    chan struct{} // closed when slow clients end
	slow    sync.WaitGroup

	mu    sync.Mutex // guards all below
	conns []net.Conn
	idle  []net.Conn
	err   error
}

// each calls f n times, some at once, and waits.
func (m *memoryClients) each(n int, f func()) {
	var wg sync.WaitGroup
	places := make(chan struct{}, 16)
	for range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			f()
		})
	}
	wg.Wait()
}

// dial opens a connection that stays open until the end.
func (m *memoryClients) dial() net.Conn {
	c, err := net.Dial("tcp", m.address)
	if err != nil {
		m.fail(err)
		return nil
	}
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, c)
	return c
}

// exchange sends a request on a connection of its own and wants a status. It gives the connection, or nil.
func (m *memoryClients) exchange(request string, status int) net.Conn {
	c := m.dial()
	if c == nil {
		return nil
	}
	io.WriteString(c, request)
	return m.answer(c, status)
}

func (m *memoryClients) answer(c net.Conn, status int) net.Conn {
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		m.fail(err)
		return nil
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		m.fail(fmt.Errorf("status %d, want %d", response.StatusCode, status))
		return nil
	}
	if status == http.StatusOK {
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			m.fail(err)
		}
	}
	return c
}

func (m *memoryClients) keep(c net.Conn) {
	if c != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.idle = append(m.idle, c)
	}
}

// upload sends 12 MB of octets.
func (m *memoryClients) upload() {
	const size = 12_000_000
	if c := m.dial(); c != nil {
		fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\nAccept: */*\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := io.Copy(c, shop.NewDownload(size)); err != nil {
			m.fail(err)
		}
		m.answer(c, http.StatusOK)
	}
}

// slowUpload sends the beginning of a long body at once and the rest slowly, in the background.
func (m *memoryClients) slowUpload() {
	c := m.dial()
	if c == nil {
		return
	}
	fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\nAccept: */*\r\nContent-Type: application/octet-stream\r\nContent-Length: 10000000\r\n\r\n")
	if _, err := io.Copy(c, shop.NewDownload(250<<10)); err != nil {
		m.fail(err)
	}
	m.slow.Go(func() {
		for {
			select {
			case <-m.done:
				return
			case <-time.After(100 * time.Millisecond):
				if _, err := c.Write(make([]byte, 1000)); err != nil {
					m.fail(err)
					return
				}
			}
		}
	})
}

func (m *memoryClients) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// failed reports the last failure.
func (m *memoryClients) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		m.t.Errorf("a client: %v", m.err)
	}
	return m.err != nil
}

// end closes all connections.
func (m *memoryClients) end() {
	close(m.done)
	m.slow.Wait()
	for _, c := range m.conns {
		c.Close()
	}
}
