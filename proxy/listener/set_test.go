package listener

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

func commit(t *testing.T, s *Set, cfg Config) {
	t.Helper()
	plan, err := s.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	plan.Commit()
}

func get(t *testing.T, c net.Conn, r *bufio.Reader) string {
	t.Helper()
	send(t, c, request)
	_, body, _ := reply(t, r)
	return body
}

func TestReloadKeepsSocketAndConnections(t *testing.T) {
	s, rec := serve(t, one(plain()), func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, FromContext(r.Context()).Listener)
	})
	address := s.Addr("http").String()
	old := dial(t, s)
	oldReader := bufio.NewReader(old)
	if got := get(t, old, oldReader); got != "http" {
		t.Fatalf("got %q", got)
	}

	changed := plain(withTimeouts(50*time.Millisecond, time.Second, time.Second))
	changed.Name = "web"
	commit(t, s, one(changed))
	if got := s.Addr("web"); got == nil || got.String() != address {
		t.Fatalf("address %v, want %s", got, address)
	}
	if got := get(t, old, oldReader); got != "http" {
		t.Errorf("old connection: %q", got)
	}
	c := dial(t, s)
	if got := get(t, c, bufio.NewReader(c)); got != "web" {
		t.Errorf("new connection: %q", got)
	}
	// The new header timeout holds for new connections.
	c = dial(t, s)
	send(t, c, "GET")
	if status, _, _ := reply(t, bufio.NewReader(c)); status != 408 {
		t.Errorf("got %d", status)
	}
	if got := rec.refusals(); len(got) != 1 || got[0].info.Listener != "web" {
		t.Errorf("reported %+v", got)
	}

	l := s.listeners[0]
	if n := len(l.liveGenerations()); n != 2 {
		t.Errorf("%d generations, want 2", n)
	}
	old.Close()
	eventually(t, "the old generation has ended", func() bool { return len(l.liveGenerations()) == 1 })
	commit(t, s, one(changed)) // nothing has changed
	if n := len(l.liveGenerations()); n != 1 {
		t.Errorf("%d generations after a reload without changes", n)
	}
}

func TestReloadFromHTTPToHTTPS(t *testing.T) {
	ca := newCA(t)
	s, _ := serve(t, one(plain()), hello)
	address := s.Addr("http").String()
	commit(t, s, secure(ca.files(t, "shop", "shop.example.com")))
	if got := s.Addr("http").String(); got != address {
		t.Errorf("address %s, want %s", got, address)
	}
	if _, err := handshake(t, s, ca.pool, "shop.example.com"); err != nil {
		t.Error(err)
	}
}

func TestReloadAddsAndRemoves(t *testing.T) {
	first, second := plain(), plain()
	second.Name = "second"
	s, _ := serve(t, Config{Listeners: []config.Listener{first, second}}, hello)
	addr1, addr2 := s.Addr("http").String(), s.Addr("second").String()
	c := dial(t, s)
	r := bufio.NewReader(c)
	get(t, c, r)

	third := plain()
	third.Name, third.Address = "third", "127.0.0.2:0"
	commit(t, s, Config{Listeners: []config.Listener{second, third}})
	if got := s.Addr("second").String(); got != addr2 {
		t.Errorf("second moved from %s to %s", addr2, got)
	}
	if s.Addr("http") != nil {
		t.Error("the removed listener is still listed")
	}
	for _, name := range []string{"second", "third"} {
		response, err := http.Get("http://" + s.Addr(name).String())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	// The removed one takes nothing new and lets go of idle connections.
	atEnd(t, r)
	eventually(t, "the removed listener has closed", func() bool {
		c, err := net.Dial("tcp", addr1)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

func TestPlanThatFailsChangesNothing(t *testing.T) {
	s, _ := serve(t, one(plain()), hello)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, second, third := plain(), plain(), plain()
	free.Name, free.Address = "free", "127.0.0.2:0"
	second.Name, second.Address = "second", taken.Addr().String()
	third.Name, third.Address = "third", "192.0.2.1:80"
	_, err = s.Prepare(Config{Listeners: []config.Listener{plain(), free, second, third}})
	if err == nil {
		t.Fatal("no error")
	}
	_, port, _ := net.SplitHostPort(second.Address)
	for _, want := range []string{
		"port " + port + " is in use by this process already; change listeners[2].address (listener \"second\")",
		"listen on 192.0.2.1:80: this host does not have that address; change listeners[3].address",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if got := s.Status(); len(got) != 1 || got[0].Name != "http" {
		t.Errorf("listeners %+v", got)
	}
	c := dial(t, s)
	if got := get(t, c, bufio.NewReader(c)); got != "hello /p" {
		t.Errorf("got %q", got)
	}
}

func TestDiscard(t *testing.T) {
	s, _ := serve(t, one(plain()), hello)
	extra := plain()
	extra.Name, extra.Address = "extra", "127.0.0.2:0"
	plan, err := s.Prepare(Config{Listeners: []config.Listener{plain(), extra}})
	if err != nil {
		t.Fatal(err)
	}
	address := plan.places[1].listener.tcp.Addr().String()
	plan.Discard()
	if l, err := net.Listen("tcp", address); err != nil {
		t.Errorf("the address is still bound: %v", err)
	} else {
		l.Close()
	}
	c := dial(t, s)
	if got := get(t, c, bufio.NewReader(c)); got != "hello /p" {
		t.Errorf("got %q", got)
	}
}

func TestSameAddress(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{":80", ":80", true},
		{":80", "[::]:80", true},
		{":80", ":81", false},
		{":80", "0.0.0.0:80", false},
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"bad", ":80", false},
	} {
		if got := sameAddress(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

// load sends requests until stop is closed: on kept connections, and on a new one for each. Failed requests are
// counted, except that a connection may be refused once draining has begun.
type load struct {
	clients   sync.WaitGroup
	stop      chan struct{}
	done      atomic.Int64
	failed    atomic.Int64
	firstFail atomic.Pointer[error]
	dials     atomic.Int64 // of clients of HTTP/2
	dropped   atomic.Int64 // connections of HTTP/1.1 that the server has closed, or said that it would
	draining  atomic.Bool
}

func (l *load) run(client *http.Client, url string, body bool) {
	l.clients.Go(func() {
		defer client.CloseIdleConnections()
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			var content io.Reader
			if body {
				content = io.MultiReader(strings.NewReader("body")) // without GetBody: cannot be sent twice
			}
			request, _ := http.NewRequest(map[bool]string{true: "POST", false: "GET"}[body], url, content)
			response, err := client.Do(request)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.Close {
					l.dropped.Add(1)
				}
			}
			if err != nil {
				var op *net.OpError
				if l.draining.Load() && errors.As(err, &op) && op.Op == "dial" {
					return
				}
				l.failed.Add(1)
				l.firstFail.CompareAndSwap(nil, &err)
			}
			l.done.Add(1)
		}
	})
}

// dialHTTP1 opens a connection whose end is counted if it comes from the server. Connections are not: the client opens
// another one on its own when the body of a request was not written 50 ms after the reply, as it sees it.
func (l *load) dialHTTP1(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: c, dropped: &l.dropped}, nil
}

func (l *load) dialHTTP2(ctx context.Context, network, address string) (net.Conn, error) {
	l.dials.Add(1)
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

type watchedConn struct {
	net.Conn
	dropped *atomic.Int64
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, net.ErrClosed) { // which is what the client's own end gives
		c.dropped.Add(1)
	}
	return n, err
}

func (l *load) clientsOf(kind string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(kind != "h2c")
	protocols.SetUnencryptedHTTP2(kind == "h2c")
	dial := l.dialHTTP1
	if kind == "h2c" {
		dial = l.dialHTTP2
	}
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{Protocols: protocols, DialContext: dial, DisableKeepAlives: kind == "close"},
	}
}

func startLoad(url string, kinds ...string) *load {
	l := &load{stop: make(chan struct{})}
	for _, kind := range kinds {
		for i := range 4 {
			l.run(l.clientsOf(kind), url, i%2 == 0)
		}
	}
	return l
}

func (l *load) check(t *testing.T, least int64) {
	t.Helper()
	l.clients.Wait()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, first: %v", n, l.done.Load(), *l.firstFail.Load())
	}
	if n := l.done.Load(); n < least {
		t.Errorf("only %d requests", n)
	}
}

func TestReloadUnderLoad(t *testing.T) {
	s, _ := serve(t, one(plain(withH2C)), hello)
	l := startLoad("http://"+s.Addr("http").String()+"/", "keep", "h2c")
	for i := range 100 {
		changed := plain(withH2C)
		changed.Timeouts.Header += config.Duration(time.Duration(i%3) * time.Second)
		if i%2 == 1 {
			bad := plain()
			bad.Name, bad.Address = "bad", "192.0.2.1:80"
			if _, err := s.Prepare(Config{Listeners: []config.Listener{changed, bad}}); err == nil {
				t.Fatal("an address of another host was bound")
			}
			continue
		}
		commit(t, s, one(changed))
		time.Sleep(5 * time.Millisecond)
	}
	close(l.stop)
	l.check(t, 100)
	if n, dropped := l.dials.Load(), l.dropped.Load(); n != 4 || dropped != 0 {
		t.Errorf("4 clients of HTTP/2 opened %d connections, %d of HTTP/1.1 were dropped", n, dropped)
	}
	eventually(t, "old generations have ended", func() bool { return len(s.listeners[0].liveGenerations()) == 1 })
}

func TestShutdownUnderLoad(t *testing.T) {
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			s, _ := serve(t, one(plain(withH2C)), hello)
			l := startLoad("http://"+s.Addr("http").String()+"/", "keep", "close", "h2c")
			eventually(t, "requests flow", func() bool { return l.done.Load() > 200 })
			l.draining.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			close(l.stop)
			l.check(t, 200)
		})
	}
}

func TestShutdownClosesIdleConnections(t *testing.T) {
	s, _ := serve(t, one(plain()), hello)
	used, unused := dial(t, s), dial(t, s)
	r := bufio.NewReader(used)
	get(t, used, r)
	begin := time.Now()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	atEnd(t, r)
	atEnd(t, unused)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("second call: %v", err)
	}
	if _, err := s.Prepare(one(plain())); !errors.Is(err, ErrClosed) {
		t.Errorf("Prepare: %v", err)
	}
}

// A request that comes on an idle connection while it drains is answered, and told that it was the last.
func TestRequestDuringDrain(t *testing.T) {
	s, err := New(one(plain()), Options{Handler: http.HandlerFunc(hello), DrainIdle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	c := dial(t, s)
	r := bufio.NewReader(c)
	get(t, c, r)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	eventually(t, "the drain has begun", func() bool { return s.listeners[0].isDraining() })
	send(t, c, request)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	if response.StatusCode != 200 || !response.Close {
		t.Errorf("got %d, Connection: close %v", response.StatusCode, response.Close)
	}
	atEnd(t, r)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOff(t *testing.T) {
	started := make(chan struct{}, 1)
	s, _ := serve(t, one(plain()), func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-r.Context().Done()
	})
	c := dial(t, s)
	send(t, c, request)
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := s.Shutdown(ctx)
	var cut *CutError
	if !errors.As(err, &cut) || cut.Connections != 1 || cut.Listener != "http" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A hijacked connection belongs to its handler; it lives through reloads, hears of the drain, and is counted until it
// closes.
func TestHijack(t *testing.T) {
	s, rec := serve(t, one(plain(withTimeouts(50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond))), func(w http.ResponseWriter, r *http.Request) {
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Time{})
		send(t, c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		go func() {
			<-FromContext(r.Context()).Draining()
			c.SetReadDeadline(time.Now())
		}()
		io.Copy(c, buf)
		send(t, c, "bye")
	})
	c := dial(t, s)
	r := bufio.NewReader(c)
	send(t, c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if status, _, _ := reply(t, r); status != 101 {
		t.Fatalf("got %d", status)
	}
	commit(t, s, one(plain()))
	time.Sleep(150 * time.Millisecond) // longer than every timeout
	send(t, c, "echo")
	echo := make([]byte, 4)
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "echo" {
		t.Fatalf("got %q, %v", echo, err)
	}
	if n := s.Status()[0].Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(r); err != nil || string(rest) != "bye" {
		t.Errorf("got %q, %v", rest, err)
	}
	if got := rec.refusals(); len(got) != 0 {
		t.Errorf("reported %+v", got)
	}
}

func TestShutdownWithoutStart(t *testing.T) {
	s, err := New(one(plain()), Options{Handler: http.HandlerFunc(hello)})
	if err != nil {
		t.Fatal(err)
	}
	address := s.Addr("http").String()
	commit(t, s, one(plain(withH2C)))
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("tcp", address); err != nil {
		t.Errorf("the address is still bound: %v", err)
	} else {
		l.Close()
	}
}
