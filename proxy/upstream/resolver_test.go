package upstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// nameServer is a DNS server with a zone that tests change.
type nameServer struct {
	addr string

	mu    sync.Mutex // guards the following
	zone  map[string][]string
	rcode int
	asked []string
	tcp   int
	cut   bool // answers over UDP are truncated
	mute  bool
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{zone: map[string][]string{}}
	var pc net.PacketConn
	var l net.Listener
	for range 20 { // a port that is free for both
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		_ = pc.Close()
	}
	if l == nil {
		t.Fatal("no port is free for both UDP and TCP")
	}
	s.addr = pc.LocalAddr().String()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait) // runs after both shutdowns
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: s}, {Listener: l, Handler: s}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { _ = srv.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	return s
}

// set replaces the records of a name; each is what stands behind the name, such as "1 IN A 127.0.0.2".
func (s *nameServer) set(name string, records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name] = records
}

func (s *nameServer) change(f func(s *nameServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mute {
		return
	}
	m := new(dns.Msg).SetReply(q)
	m.Rcode = s.rcode
	name := dns.CanonicalName(q.Question[0].Name)
	s.asked = append(s.asked, name+" "+dns.TypeToString[q.Question[0].Qtype])
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	if !udp {
		s.tcp++
	}
	records, known := s.zone[name]
	if !known && m.Rcode == dns.RcodeSuccess {
		m.Rcode = dns.RcodeNameError
	}
	for next := name; m.Rcode == dns.RcodeSuccess; records = s.zone[next] {
		alias := ""
		for _, r := range records {
			rr, err := dns.NewRR(next + " " + r)
			if err != nil {
				panic(err)
			}
			if c, ok := rr.(*dns.CNAME); ok {
				alias = c.Target
				m.Answer = append(m.Answer, rr)
			} else if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if alias == "" || strings.HasPrefix(alias, "far.") {
			break
		}
		next = alias
	}
	if s.cut && udp {
		m.Truncated, m.Answer = true, nil
	}
	_ = w.WriteMsg(m)
}

func TestLookup(t *testing.T) {
	s := newNameServer(t)
	other := newNameServer(t)
	mute := newNameServer(t)
	mute.change(func(s *nameServer) { s.mute = true })
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n10.9.9.9\tFixed.example alias # note\n::1 fixed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.set("both.example.", "60 IN A 10.0.0.2", "60 IN A 10.0.0.1", "20 IN AAAA fd00::1", "60 IN A 10.0.0.1")
	s.set("alias.example.", "5 IN CNAME middle.example.")
	s.set("middle.example.", "300 IN CNAME end.example.")
	s.set("end.example.", "60 IN A 10.0.0.3")
	s.set("away.example.", "7 IN CNAME far.example.")
	s.set("far.example.", "9 IN A 10.0.0.4")
	s.set("loop.example.", "9 IN CNAME far.loop.")
	s.set("far.loop.", "9 IN CNAME far.loop2.")
	s.set("far.loop2.", "9 IN CNAME far.loop.")
	s.set("empty.example.")
	s.set("db.corp.internal.", "60 IN A 10.0.0.5")
	s.set("zero.example.", "0 IN A 10.0.0.6")
	s.set("long.example.", "86400 IN A 10.0.0.6")
	servers := func(list ...*nameServer) ResolverOptions {
		o := ResolverOptions{Hosts: hosts, Timeout: 200 * time.Millisecond}
		for _, s := range list {
			o.Servers = append(o.Servers, s.addr)
		}
		return o
	}
	tests := []struct {
		name, host string
		o          ResolverOptions
		setup      func(s *nameServer)
		want       []string
		refresh    time.Duration
		fail       string
	}{
		{name: "both families, sorted, once, smallest TTL", host: "both.example", want: []string{"10.0.0.1", "10.0.0.2", "fd00::1"}, refresh: 20 * time.Second},
		{name: "aliases in one answer", host: "alias.example", want: []string{"10.0.0.3"}, refresh: 5 * time.Second},
		{name: "an alias without its address", host: "away.example", want: []string{"10.0.0.4"}, refresh: 7 * time.Second},
		{name: "aliases in a circle", host: "loop.example", fail: "more than 8 aliases"},
		{name: "no records", host: "empty.example", fail: "no such host"},
		{name: "no such name", host: "nothing.example", fail: "no such host"},
		{name: "hosts file", host: "fixed.example", want: []string{"10.9.9.9", "::1"}, refresh: 30 * time.Second},
		{name: "TTL 0 is at least a second", host: "zero.example", want: []string{"10.0.0.6"}, refresh: time.Second},
		{name: "long TTL is at most 30 s", host: "long.example", want: []string{"10.0.0.6"}, refresh: 30 * time.Second},
		{name: "truncated: TCP", host: "zero.example", setup: func(s *nameServer) { s.cut = true }, want: []string{"10.0.0.6"}, refresh: time.Second},
		{name: "server failure", host: "zero.example", setup: func(s *nameServer) { s.rcode = dns.RcodeServerFailure }, fail: "SERVFAIL"},
		{name: "the next server after one that is silent", host: "zero.example", o: servers(mute, s), want: []string{"10.0.0.6"}, refresh: time.Second},
		{name: "every server silent", host: "zero.example", o: servers(mute), fail: "timeout"},
		{name: "a server's no is an answer", host: "zero.example", o: servers(other, s), fail: "no such host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s.change(func(s *nameServer) { s.rcode, s.cut, s.tcp = dns.RcodeSuccess, false, 0 })
			if test.setup != nil {
				s.change(test.setup)
			}
			if test.o.Servers == nil {
				test.o = servers(s)
			}
			got, err := newResolver(test.o).lookup(context.Background(), test.host)
			if test.fail != "" {
				if err == nil || !strings.Contains(err.Error(), test.fail) {
					t.Fatalf("got %v, %v, want an error with %q", got, err, test.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, texts(got.addrs)); diff != "" || got.refresh() != test.refresh {
				t.Errorf("refresh %s, want %s; addresses (-want +got):\n%s", got.refresh(), test.refresh, diff)
			}
			s.change(func(s *nameServer) {
				if s.cut && s.tcp == 0 {
					t.Error("TCP was not used")
				}
			})
		})
	}
}

func texts(addrs []netip.Addr) []string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

func TestSearchList(t *testing.T) {
	s := newNameServer(t)
	host, port, _ := net.SplitHostPort(s.addr)
	s.set("db.two.internal.", "60 IN A 10.0.0.5")
	s.set("a.b.c.", "60 IN A 10.0.0.6")
	conf := &dns.ClientConfig{Servers: []string{net.JoinHostPort(host, port)}, Search: []string{"one.internal", "two.internal"}, Ndots: 1, Attempts: 1}
	r := newResolver(ResolverOptions{Hosts: "/nonexistent"})
	for name, want := range map[string][]string{"db": {"db.one.internal.", "db.two.internal."}, "a.b.c": {"a.b.c."}} {
		s.change(func(s *nameServer) { s.asked = nil })
		for _, full := range conf.NameList(name) {
			if a, err := r.lookupName(context.Background(), conf, full); err != nil {
				t.Fatal(err)
			} else if len(a.addrs) > 0 {
				break
			}
		}
		s.change(func(s *nameServer) {
			for _, w := range want {
				if !strings.Contains(strings.Join(s.asked, ";"), w) {
					t.Errorf("%s: %v asked, want %v", name, s.asked, want)
				}
			}
			if len(s.asked) != 2*len(want) {
				t.Errorf("%s: %v asked, want %v", name, s.asked, want)
			}
		})
	}
	dir := t.TempDir()
	resolv := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(resolv, []byte("search one.internal two.internal\nnameserver 192.0.2.1\nnameserver fd00::53\noptions ndots:2 attempts:3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := newResolver(ResolverOptions{ResolvConf: resolv}).config()
	if err != nil {
		t.Fatal(err)
	}
	want := &dns.ClientConfig{
		Servers: []string{"192.0.2.1:53", "[fd00::53]:53"}, Search: []string{"one.internal", "two.internal"},
		Port: "53", Ndots: 2, Timeout: 5, Attempts: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// sameServers serves on several addresses of loopback with one port.
func sameServers(t *testing.T, ips ...string) (port string, hits []*atomic.Int64) {
	t.Helper()
	port = "0"
	for _, ip := range ips {
		n := new(atomic.Int64)
		s := serve(t, net.JoinHostPort(ip, port), func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			_, _ = io.WriteString(w, ip)
		})
		_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
		hits = append(hits, n)
	}
	return port, hits
}

// TestAddressesMoveUnderLoad moves a name with a TTL of 3 seconds to another address and back while requests are sent:
// none fails, and TTL + 2 s after each move none goes to the address that was left.
func TestAddressesMoveUnderLoad(t *testing.T) {
	const limit = 3*time.Second + 2*time.Second
	s := newNameServer(t)
	port, hits := sameServers(t, "127.0.0.2", "127.0.0.3")
	s.set("app.example.", "3 IN A 127.0.0.2")
	r := newRegistry(t, Options{Resolver: ResolverOptions{Servers: []string{s.addr}, Hosts: "/nonexistent"}})
	u := acquire(t, r, testConfig("http://app.example:"+port), nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent, failed atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := get(u); err != nil {
					failed.Add(1)
					t.Error(err)
				}
				sent.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	eventually(t, "the first address is used", func() bool { return hits[0].Load() > 20 })
	for from, address := range []string{"127.0.0.3", "127.0.0.2"} {
		to := 1 - from
		s.set("app.example.", "3 IN A "+address)
		time.Sleep(limit)
		left, used := hits[from].Load(), hits[to].Load()
		eventually(t, "the new address is used", func() bool { return hits[to].Load() > used+50 })
		if got := hits[from].Load() - left; got != 0 {
			t.Errorf("move to %s: %d requests went to the old address", address, got)
		}
		if n := len(u.Status().Addresses); n != 1 {
			t.Errorf("move to %s: %d addresses are known", address, n)
		}
	}
	close(stop)
	wg.Wait()
	if failed.Load() != 0 || sent.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}

func TestRequestInFlightOutlivesItsAddress(t *testing.T) {
	s := newNameServer(t)
	release := make(chan struct{})
	a := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "late")
	})
	_, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	s.set("app.example.", "1 IN A 127.0.0.2")
	r := newRegistry(t, Options{Resolver: ResolverOptions{Servers: []string{s.addr}, Hosts: "/nonexistent"}})
	u := acquire(t, r, testConfig("http://app.example:"+port), nil)
	resp, _, err := u.RoundTrip(newRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	s.set("app.example.", "1 IN A 127.0.0.3")
	eventually(t, "the old address drains", func() bool {
		a := u.Status().Addresses
		return len(a) == 2 && a[1].State == Draining && a[1].InFlight == 1
	})
	close(release)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "late" {
		t.Fatalf("got %q, %v", b, err)
	}
	_ = resp.Body.Close()
	if n := len(u.Status().Addresses); n != 1 {
		t.Errorf("%d addresses remain, want 1", n)
	}
}

func TestStaleAnswerStaysInUse(t *testing.T) {
	s := newNameServer(t)
	port, _ := sameServers(t, "127.0.0.2")
	s.set("app.example.", "1 IN A 127.0.0.2")
	r := newRegistry(t, Options{Resolver: ResolverOptions{Servers: []string{s.addr}, Hosts: "/nonexistent"}})
	u := acquire(t, r, testConfig("http://app.example:"+port), nil)
	mustGet(t, u)
	s.change(func(s *nameServer) { s.rcode = dns.RcodeServerFailure })
	eventually(t, "the answer is stale", func() bool { return u.Status().Hosts[0].Stale })
	mustGet(t, u)
	h := u.Status().Hosts[0]
	if h.Age <= 0 || !strings.Contains(h.Error, "SERVFAIL") || fmt.Sprint(h.Addresses) != "[127.0.0.2]" {
		t.Errorf("status: %+v", h)
	}
	s.change(func(s *nameServer) { s.rcode = dns.RcodeSuccess })
	eventually(t, "the answer is fresh", func() bool { return !u.Status().Hosts[0].Stale })
}

func TestNoAddress(t *testing.T) {
	s := newNameServer(t)
	r := newRegistry(t, Options{Resolver: ResolverOptions{Servers: []string{s.addr}, Hosts: "/nonexistent"}})
	u := acquire(t, r, testConfig("http://nothing.example"), nil)
	_, a, err := get(u)
	e := wantKind(t, err, Unreachable, http.StatusBadGateway)
	if e.Step != StepResolve || a.Sent || !strings.Contains(e.Error(), "no such host") {
		t.Errorf("got %v, %+v", e, a)
	}
	s.set("nothing.example.", "1 IN A 169.254.169.254", "1 IN A 127.0.0.1", "1 IN A 224.0.0.1", "1 IN AAAA fd00:ec2::254")
	c := testConfig("http://nothing.example")
	c.AllowLoopback = false
	u = acquire(t, r, c, nil)
	_, a, err = get(u)
	wantKind(t, err, Refused, http.StatusBadGateway)
	if a.Sent || a.Retries != 0 {
		t.Errorf("attempt: %+v", a)
	}
	for _, addr := range u.Status().Addresses {
		if addr.State != RefusedBy || addr.LastError == "" {
			t.Errorf("status: %+v", addr)
		}
	}
}

func TestAddressPolicy(t *testing.T) {
	admin := func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:9081"), netip.MustParseAddrPort("10.1.1.1:9082")}
	}
	tests := []struct {
		addr     string
		loopback loopback
		refused  bool
	}{
		{"10.0.0.1:80", loopbackRefused, false},
		{"[fd00::1]:80", loopbackRefused, false},
		{"169.254.169.254:80", loopbackAllowed, true},
		{"[::ffff:169.254.169.254]:80", loopbackAllowed, true},
		{"[64:ff9b::169.254.169.254]:80", loopbackAllowed, true},
		{"[fe80::1]:80", loopbackAllowed, true},
		{"[fd00:ec2::254]:80", loopbackAllowed, true},
		{"[fd00:ec2::253]:80", loopbackRefused, false},
		{"127.0.0.1:80", loopbackRefused, true},
		{"127.8.8.8:80", loopbackRefused, true},
		{"[::1]:80", loopbackRefused, true},
		{"[::ffff:127.0.0.1]:80", loopbackRefused, true},
		{"127.0.0.1:80", loopbackAllowed, false},
		{"0.0.0.0:80", loopbackAllowed, true},
		{"[::]:80", loopbackAllowed, true},
		{"224.0.0.1:80", loopbackAllowed, true},
		{"[ff02::1]:80", loopbackAllowed, true},
		{"255.255.255.255:80", loopbackAllowed, true},
		{"127.0.0.1:9081", loopbackAllowed, true},
		{"10.1.1.1:9082", loopbackAllowed, true},
		{"10.1.1.2:9082", loopbackAllowed, false},
		{"10.1.1.2:9081", loopbackAllowed, false},
	}
	for _, test := range tests {
		err := addressPolicy{loopback: test.loopback, admin: admin}.check(netip.MustParseAddrPort(test.addr))
		if (err != nil) != test.refused {
			t.Errorf("%s: got %v, refused should be %t", test.addr, err, test.refused)
		}
	}
}
