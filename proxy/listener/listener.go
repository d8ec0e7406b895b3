package listener

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
)

// Listener is one socket and its connections. A Set owns it.
type Listener struct {
	set *Set
	tcp *net.TCPListener
	tls *tls.Config

	accepting sync.WaitGroup // the accept loop
	settingUp sync.WaitGroup // connections that no server has yet; only accept adds to it
	serving   sync.WaitGroup // the servers' Serve
	handlers  atomic.Int64   // running handlers
	draining  chan struct{}  // closed when the drain begins
	changed   chan struct{}  // gets a value when a connection or a handler has ended

	mu          sync.Mutex // guards all below
	started     bool
	current     *generation
	generations map[*generation]bool // those with connections, and the current one
	conns       map[*conn]bool
}

func newListener(s *Set, tcp *net.TCPListener) *Listener {
	l := &Listener{
		set: s, tcp: tcp,
		draining:    make(chan struct{}),
		changed:     make(chan struct{}, 1),
		generations: map[*generation]bool{},
		conns:       map[*conn]bool{},
	}
	l.tls = l.tlsConfig()
	return l
}

// apply makes cfg the settings of connections accepted from now on.
func (l *Listener) apply(cfg config.Listener) {
	g := newGeneration(l, cfg)
	l.mu.Lock()
	old := l.current
	l.current = g
	l.generations[g] = true
	started := l.started
	l.mu.Unlock()
	if started {
		g.start()
	}
	if old != nil {
		l.release(old)
	}
}

// start accepts connections until the drain.
func (l *Listener) start() {
	l.mu.Lock()
	l.started = true
	g := l.current
	l.mu.Unlock()
	g.start()
	l.accepting.Go(l.accept)
}

func (l *Listener) config() config.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current.cfg
}

func (l *Listener) isDraining() bool {
	select {
	case <-l.draining:
		return true
	default:
		return false
	}
}

// accept takes connections until the socket is closed.
func (l *Listener) accept() {
	var pause time.Duration
	for {
		tcp, err := l.tcp.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			c := l.track(tcp)
			l.settingUp.Go(func() { l.setUp(c) })
		case errors.Is(err, net.ErrClosed):
			return
		case l.isDraining():
			if !errors.Is(err, os.ErrDeadlineExceeded) || !connectionWaits(l.tcp) {
				l.tcp.Close()
				return
			}
			l.tcp.SetDeadline(time.Now().Add(acceptMore))
		default:
			// Out of file descriptors or memory: that may pass.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			l.set.log.Warn("accept", zap.String("listener", l.config().Name), zap.Error(err), zap.Duration("retry_in", pause))
			select {
			case <-time.After(pause):
			case <-l.draining:
			}
		}
	}
}

// track makes a connection of the current generation.
func (l *Listener) track(tcp *net.TCPConn) *conn {
	c := &conn{Conn: tcp, owner: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.current
	g.refs++
	c.gen = g
	c.info = &ConnInfo{
		ID:       l.set.nextID.Add(1),
		Listener: g.cfg.Name,
		Addresses: clientip.Addresses{
			Peer:   addrPort(tcp.RemoteAddr()),
			Client: addrPort(tcp.RemoteAddr()),
			Server: addrPort(tcp.LocalAddr()),
		},
		draining: l.draining,
		closed:   make(chan struct{}),
		bodyIdle: g.cfg.Timeouts.BodyIdle.D(),
	}
	l.conns[c] = true
	return c
}

func (l *Listener) untrack(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.release(c.gen)
	l.wake()
}

// release gives a reference to g back; a generation without any ends.
func (l *Listener) release(g *generation) {
	l.mu.Lock()
	g.refs--
	unused := g.refs == 0
	if unused {
		delete(l.generations, g)
	}
	l.mu.Unlock()
	if unused {
		g.close()
	}
}

// wake lets the drain look again.
func (l *Listener) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *Listener) connections() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		list = append(list, c)
	}
	return list
}

func (l *Listener) liveGenerations() []*generation {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*generation, 0, len(l.generations))
	for g := range l.generations {
		list = append(list, g)
	}
	return list
}

func (l *Listener) connectionCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// discard closes a listener that was never started.
func (l *Listener) discard() { l.tcp.Close() }
