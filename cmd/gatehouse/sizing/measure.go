// Package sizing measures what a gateway costs with a configuration and requests of the operator's own, and says how many
// instances a rate of requests takes.
package sizing

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/rules"
)

// Options are what is measured.
type Options struct {
	Config   *config.Loaded
	Engine   rules.Engine // judges, as in a gateway; it stays the caller's
	Requests [][]byte     // raw HTTP/1.1, complete
	Time     time.Duration
	// Reply is the size of the bodies that the upstream answers with, in bytes.
	Reply int
	// Profile, if it is not nil, gets a CPU profile of the measurement, in the format of pprof.
	Profile io.Writer
	// Progress is told what is done next; nil is not told.
	Progress func(what string)
}

// Measured is what came of it.
type Measured struct {
	Requests int           // that were answered
	CPU      time.Duration // of the gateway, a request
	Statuses map[int]int   // requests by the status of the reply
	Memory   int64         // bytes of the process at the end, client and upstream included
}

// connections is how many clients ask at once.
const connections = 16

// Measure sends the requests over and over through a gateway on loopback with the configuration, whose listeners are replaced
// by one in clear, whose upstreams by one that answers at once, and whose rate limits are left out: all requests come from one
// client. What client and upstream take is measured without the gateway, and taken off.
func Measure(ctx context.Context, o Options) (Measured, error) {
	if len(o.Requests) == 0 {
		return Measured{}, errors.New("there are no requests to send")
	}
	say := o.Progress
	if say == nil {
		say = func(string) {}
	}
	stub, err := startUpstream(o.Reply)
	if err != nil {
		return Measured{}, err
	}
	defer stub.close()
	say("starting the gateway")
	g, err := startGateway(o, stub.address())
	if err != nil {
		return Measured{}, err
	}
	say("measuring client and upstream without the gateway")
	alone, err := drive(ctx, stub.address(), o.Requests, o.Time/4)
	if err != nil {
		return Measured{}, errors.Join(err, g.Stop(context.WithoutCancel(ctx)))
	}
	say("warming up")
	address := g.Addr("").String()
	_, err = drive(ctx, address, o.Requests, o.Time/4)
	var through run
	if err == nil {
		say("measuring")
		through, err = o.measure(ctx, address)
	}
	memory := resident()
	if err := errors.Join(err, g.Stop(context.WithoutCancel(ctx))); err != nil {
		return Measured{}, err
	}
	return Measured{Requests: through.requests, CPU: max(through.cpu-alone.cpu, 0), Statuses: through.statuses, Memory: memory}, nil
}

// measure drives the gateway, and profiles it if that is asked for.
func (o *Options) measure(ctx context.Context, address string) (run, error) {
	if o.Profile != nil {
		if err := pprof.StartCPUProfile(o.Profile); err != nil {
			return run{}, err
		}
		defer pprof.StopCPUProfile()
	}
	return drive(ctx, address, o.Requests, o.Time)
}

// startGateway runs the gateway.
func startGateway(o Options, upstream string) (*proxy.Server, error) {
	loaded := Isolated(o.Config, upstream)
	s, err := proxy.New(proxy.Options{
		Load:   func() (*config.Loaded, error) { return loaded, nil },
		Logger: zap.NewNop(), Stdout: io.Discard, Engine: o.Engine, WatchInterval: 24 * time.Hour, DrainTimeout: time.Second,
		DrainIdle: time.Millisecond, Admission: proxy.Admission{ClientRequests: 10_000},
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	return s, nil
}

// Isolated is a configuration without the world around it: with one listener on loopback, all upstreams at the address, and
// without certificates and rate limits.
func Isolated(l *config.Loaded, upstream string) *config.Loaded {
	out, c := *l, *l.Config
	listener := config.Listener{Name: "http", Address: "127.0.0.1:0", Protocol: config.ProtocolHTTP, ProxyProtocol: config.PROXYNone, TrustedHops: new(int)}
	if len(c.Listeners) > 0 {
		first := c.Listeners[0]
		listener.Name, listener.Timeouts = first.Name, first.Timeouts
	}
	c.Listeners, c.Certificates = []config.Listener{listener}, nil
	c.Admin.Address = "127.0.0.1:0"
	c.Logs.Access.To, c.Logs.Events.To = shown(c.Logs.Access.To), shown(c.Logs.Events.To)
	upstreams := make([]config.Upstream, len(c.Upstreams))
	for i, u := range c.Upstreams {
		u.URLs, u.AllowLoopback, u.Health, u.TLS = []string{"http://" + upstream}, true, config.Health{}, config.UpstreamTLS{}
		upstreams[i] = u
	}
	c.Upstreams = upstreams
	policies := make([]config.Policy, len(c.Policies))
	for i, p := range c.Policies {
		p.RateLimits = nil
		policies[i] = p
	}
	c.Policies = policies
	out.Config = &c
	return &out
}

// shown is where records go: nowhere if they go nowhere, else to who throws them away when they are made.
func shown(to string) string {
	if to == "none" || to == "" {
		return "none"
	}
	return "stdout"
}

// run is what a drive came to.
type run struct {
	requests int
	cpu      time.Duration // of the process, a request
	statuses map[int]int
}

// drive asks for some time, each connection for the next request that nobody has asked for.
func drive(ctx context.Context, address string, requests [][]byte, for_ time.Duration) (run, error) {
	ctx, cancel := context.WithTimeout(ctx, for_)
	defer cancel()
	var next atomic.Int64
	var mu sync.Mutex // guards statuses and errs
	statuses := map[int]int{}
	var errs []error
	runtime.GC()
	before := used()
	var clients sync.WaitGroup
	for range connections {
		clients.Go(func() {
			c := client{address: address, statuses: map[int]int{}}
			err := c.ask(ctx, func() []byte { return requests[int(next.Add(1)-1)%len(requests)] })
			mu.Lock()
			defer mu.Unlock()
			for status, n := range c.statuses {
				statuses[status] += n
			}
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	clients.Wait()
	took := used() - before
	total := 0
	for _, n := range statuses {
		total += n
	}
	if total == 0 {
		return run{}, errors.Join(append(errs, errors.New("no request was answered"))...)
	}
	return run{total, took / time.Duration(total), statuses}, errors.Join(errs...)
}

// client asks on one connection, and on another when that is closed.
type client struct {
	address  string
	conn     net.Conn
	reader   *bufio.Reader
	statuses map[int]int
}

// ask asks until ctx ends.
func (c *client) ask(ctx context.Context, next func() []byte) error {
	defer c.close()
	for ctx.Err() == nil {
		if c.conn == nil {
			conn, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", c.address)
			if err != nil {
				return err
			}
			c.conn, c.reader = conn, bufio.NewReaderSize(conn, 16<<10)
		}
		request := next()
		_ = c.conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, writeErr := c.conn.Write(request)
		reply, err := http.ReadResponse(c.reader, requestOf(request))
		if err != nil {
			return fmt.Errorf("no reply: %w", errors.Join(err, writeErr))
		}
		if reply.StatusCode != http.StatusSwitchingProtocols {
			_, err = io.Copy(io.Discard, reply.Body)
		}
		if err := errors.Join(err, reply.Body.Close()); err != nil {
			return fmt.Errorf("read the reply: %w", err)
		}
		c.statuses[reply.StatusCode]++
		if reply.Close || writeErr != nil || reply.StatusCode == http.StatusSwitchingProtocols {
			c.close()
		}
	}
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// requestOf tells http.ReadResponse whether the reply has a body.
func requestOf(raw []byte) *http.Request {
	if bytes.HasPrefix(raw, []byte("HEAD ")) {
		return &http.Request{Method: http.MethodHead}
	}
	return nil
}

// upstream answers every request at once.
type upstream struct {
	listener net.Listener
	answer   []byte
	mu       sync.Mutex // guards conns
	conns    map[net.Conn]bool
	done     sync.WaitGroup
}

func startUpstream(size int) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{listener: l, conns: map[net.Conn]bool{}}
	u.answer = append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", size), bytes.Repeat([]byte("x"), size)...)
	u.done.Go(u.accept)
	return u, nil
}

func (u *upstream) address() string { return u.listener.Addr().String() }

func (u *upstream) accept() {
	for {
		c, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.conns[c] = true
		u.mu.Unlock()
		u.done.Go(func() {
			defer func() {
				c.Close()
				u.mu.Lock()
				defer u.mu.Unlock()
				delete(u.conns, c)
			}()
			u.serve(c)
		})
	}
}

func (u *upstream) serve(c net.Conn) {
	r := bufio.NewReaderSize(c, 16<<10)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		answer := u.answer
		if request.Method == http.MethodHead {
			answer = answer[:bytes.Index(answer, []byte("\r\n\r\n"))+4]
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func (u *upstream) close() {
	u.listener.Close()
	u.mu.Lock()
	for c := range u.conns {
		c.Close()
	}
	u.mu.Unlock()
	u.done.Wait()
}

// used is the processor time of the process so far.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory of the process, 0 if that cannot be read.
func resident() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss * 1024
}
