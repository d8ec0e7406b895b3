package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy"
	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules"
)

// admission runs gateways with bounds of their own.
func admission(a proxy.Admission) proxytest.Options {
	return proxytest.Options{Change: func(o *proxyOptions) { o.Admission = a }}
}

// holding makes an upstream that answers requests to /hold only when release is closed, and tells when one has come.
func holding(t *testing.T) (upstream *proxytest.Upstream, reached, release chan struct{}) {
	upstream = proxytest.NewUpstream(t)
	reached, release = make(chan struct{}, 10), make(chan struct{})
	upstream.Answer = func(w io.Writer, r *http.Request, _ []byte) {
		if r.URL.Path == "/hold" {
			reached <- struct{}{}
			<-release
		}
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
	return upstream, reached, release
}

// wantShed checks a refusal by a lane: the reply, the event and the counter.
func wantShed(t *testing.T, g *proxytest.Gateway, response *http.Response, lane string, n int) {
	t.Helper()
	if response == nil {
		t.Fatal("no response")
	}
	if response.StatusCode != 503 || response.Header.Get("Retry-After") != "5" {
		t.Errorf("status %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
	e := g.WaitEvents(n)[n-1]
	if e.Reason != event.Shed || e.Verdict != event.Error || e.Status != 503 || !strings.Contains(e.Detail, "lane "+lane) {
		t.Errorf("event %s %s %d: %s", e.Verdict, e.Reason, e.Status, e.Detail)
	}
	_, page := g.Admin("/metrics")
	if got := metric(t, page, `gatehouse_shed_total{lane="`+lane+`"}`); got != float64(n) {
		t.Errorf("%v requests counted as shed by lane %s, want %d", got, lane, n)
	}
	if code, _ := g.Admin("/readyz"); code != 200 {
		t.Errorf("overload fails readiness: %d", code)
	}
}

// TestInflightBudget shows that a body for which there is no room is refused, in detect as in block, received or
// decoded, and that the room comes back.
func TestInflightBudget(t *testing.T) {
	for _, mode := range []string{"block", "detect"} {
		t.Run(mode, func(t *testing.T) {
			upstream, reached, release := holding(t)
			g := proxytest.Start(t, application(upstream.URL, mode, ""), admission(proxy.Admission{InflightBytes: 64 << 10}))
			body := `{"a":"` + strings.Repeat("x", 40<<10) + `"}`
			held := make(chan int)
			go func() {
				response, _ := proxytest.Raw(t, g.URL, post("/hold", "application/json", body))
				held <- response.StatusCode
			}()
			<-reached
			response, _ := proxytest.Raw(t, g.URL, post("/", "application/json", body))
			wantShed(t, g, response, "bytes", 1)
			response, _ = proxytest.Raw(t, g.URL, post("/", "application/json", gzipped(t, body), "Content-Encoding: gzip"))
			wantShed(t, g, response, "bytes", 2)
			if n := len(upstream.Requests()); n != 1 {
				t.Errorf("%d requests reached the upstream, want 1", n)
			}
			if status, _ := exchange(t, g.URL, post("/", "application/json", body[:1]+body[len(body)-1:])); status != 200 {
				t.Errorf("a body for which there is room: %d", status)
			}
			close(release)
			if status := <-held; status != 200 {
				t.Errorf("the first request: %d", status)
			}
			proxytest.Eventually(t, "room again", func() bool {
				response, _ := proxytest.Raw(t, g.URL, post("/", "application/json", body))
				return response != nil && response.StatusCode == 200
			})
		})
	}
}

// TestReplyBudget shows that a reply for which there is no room to inspect it is not delivered.
func TestReplyBudget(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20000\r\n\r\n"+strings.Repeat("x", 20000))
	}
	g := proxytest.Start(t, application(upstream.URL, "block", "    routes: [{ path: /, response: { inspect: true } }]\n"), admission(proxy.Admission{InflightBytes: 10 << 10}))
	response, _ := proxytest.Raw(t, g.URL, get("/"))
	wantShed(t, g, response, "bytes", 1)
}

// TestRequestsBudget shows the bound of requests at once.
func TestRequestsBudget(t *testing.T) {
	upstream, reached, release := holding(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""), admission(proxy.Admission{Requests: 1}))
	held := make(chan int)
	go func() {
		response, _ := proxytest.Raw(t, g.URL, get("/hold"))
		held <- response.StatusCode
	}()
	<-reached
	response, _ := proxytest.Raw(t, g.URL, get("/"))
	wantShed(t, g, response, "requests", 1)
	close(release)
	if status := <-held; status != 200 {
		t.Errorf("the first request: %d", status)
	}
	proxytest.Eventually(t, "room again", func() bool {
		status, _ := exchange(t, g.URL, get("/"))
		return status == 200
	})
}

// blocking is an engine that judges bodies only when release is closed.
type blocking struct {
	rules.Engine
	judging, release chan struct{}
}

func (b blocking) Load(p rules.Policy) (rules.RuleSet, error) {
	set, err := b.Engine.Load(p)
	return blockingSet{set, b}, err
}

type blockingSet struct {
	rules.RuleSet
	engine blocking
}

func (s blockingSet) Begin(r *rules.Request) rules.Transaction {
	return blockingTransaction{s.RuleSet.Begin(r), s.engine, r.Target == "/wait"}
}

type blockingTransaction struct {
	rules.Transaction
	engine blocking
	waits  bool
}

func (t blockingTransaction) RequestBody(b rules.Body) (*rules.Interruption, error) {
	if t.waits {
		t.engine.judging <- struct{}{}
		<-t.engine.release
	}
	return t.Transaction.RequestBody(b)
}

// TestInspectionLane shows that a large body waits for a place, and is refused if it gets none in time; small ones do
// not wait.
func TestInspectionLane(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	engine := blocking{proxytest.Compiled(t), make(chan struct{}), make(chan struct{})}
	g := proxytest.Start(t, application(upstream.URL, "block", ""), proxytest.Options{Change: func(o *proxyOptions) {
		o.Engine = engine
		o.Admission = proxy.Admission{LargeInspections: 1, Wait: 20 * time.Millisecond}
	}})
	large := strings.Repeat("x", 100<<10)
	held := make(chan int)
	go func() {
		response, _ := proxytest.Raw(t, g.URL, post("/wait", "text/plain", large))
		held <- response.StatusCode
	}()
	<-engine.judging
	response, _ := proxytest.Raw(t, g.URL, post("/", "text/plain", large))
	wantShed(t, g, response, "inspection", 1)
	if status, _ := exchange(t, g.URL, post("/", "text/plain", "small")); status != 200 {
		t.Errorf("a small body: %d", status)
	}
	close(engine.release)
	if status := <-held; status != 200 {
		t.Errorf("the first request: %d", status)
	}
	if status, _ := exchange(t, g.URL, post("/", "text/plain", large)); status != 200 {
		t.Errorf("after the first: %d", status)
	}
}

// slowly sends the beginning of a POST, and then a byte every few milliseconds until there is an answer.
func slowly(t *testing.T, g *proxytest.Gateway) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", g.Addr("").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\nbody")
	answered := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-answered:
				return
			case <-time.After(5 * time.Millisecond):
				io.WriteString(c, "x") // once the gateway has answered, it may close
			}
		}
	}()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	close(answered)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response
}

// TestDeadline shows that a request which is not taken in by its deadline is refused, although its client never stalls.
func TestDeadline(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "detect", ""), admission(proxy.Admission{Deadline: 100 * time.Millisecond}))
	wantShed(t, g, slowly(t, g), "deadline", 1)
	if n := len(upstream.Requests()); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// TestTrickle shows that a client which sends a body byte by byte is given up on, in the words for slow clients.
func TestTrickle(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""), admission(proxy.Admission{BodyGrace: 50 * time.Millisecond, BodyRate: 100_000}))
	if response := slowly(t, g); response.StatusCode != 408 {
		t.Errorf("status %d", response.StatusCode)
	}
	if e := g.WaitEvents(1)[0]; e.Reason != event.BodyTimeout {
		t.Errorf("event %s", e.Reason)
	}
}

// TestClientConnections shows the bound of connections of one client, and that a trusted proxy has none.
func TestClientConnections(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	open := func(t *testing.T, g *proxytest.Gateway) (c net.Conn, served bool) {
		t.Helper()
		c, err := net.Dial("tcp", g.Addr("").String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, get("/"))
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return c, false
		}
		response.Body.Close()
		return c, response.StatusCode == 200
	}
	bounds := admission(proxy.Admission{ClientConnections: 2})
	t.Run("a client", func(t *testing.T) {
		g := proxytest.Start(t, `listeners:
  - { name: http, address: "127.0.0.1:0", trusted_proxies: [192.0.2.0/24] }
`+application(upstream.URL, "disabled", ""), bounds)
		first, served := open(t, g)
		_, second := open(t, g)
		if !served || !second {
			t.Fatal("one of the first two connections was refused")
		}
		if _, third := open(t, g); third {
			t.Error("the third connection was served")
		}
		_, page := g.Admin("/metrics")
		if n := metric(t, page, `gatehouse_shed_total{lane="connections"}`); n != 1 {
			t.Errorf("%v connections counted as shed", n)
		}
		if n := metric(t, page, `gatehouse_refused_connections_total{cause="client_connections",listener="http"}`); n != 1 {
			t.Errorf("%v connections counted as refused", n)
		}
		first.Close()
		proxytest.Eventually(t, "room again", func() bool {
			_, served := open(t, g)
			return served
		})
	})
	t.Run("a trusted proxy", func(t *testing.T) {
		g := proxytest.Start(t, application(upstream.URL, "disabled", ""), bounds)
		for range 4 {
			if _, served := open(t, g); !served {
				t.Fatal("a connection was refused")
			}
		}
	})
	t.Run("clients behind a trusted proxy", func(t *testing.T) {
		g := proxytest.Start(t, `listeners:
  - { name: http, address: "127.0.0.1:0", proxy_protocol: required }
`+application(upstream.URL, "disabled", ""), bounds)
		from := func(client string) bool {
			c, err := net.Dial("tcp", g.Addr("").String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, "PROXY TCP4 "+client+" 192.0.2.1 40000 80\r\n"+get("/"))
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == 200
		}
		for i, want := range []bool{true, true, false} {
			if from("203.0.113.1") != want {
				t.Errorf("connection %d: served %v", i+1, !want)
			}
		}
		if !from("203.0.113.2") {
			t.Error("another client was refused")
		}
	})
}
