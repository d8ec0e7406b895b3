package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// replyBody is what the upstream answers where it can.
var replyBody = strings.Repeat("0123456789", 1000)

// fault is one way in which an upstream, or the network before it, fails or does what is seldom done.
type fault struct {
	name string
	// toxic is what toxiproxy does to the connection, in the JSON of its API; empty for nothing.
	toxic string
	// answer writes the reply to a request of which the head was read.
	answer func(c net.Conn, body io.Reader)
	status int
	reason event.Reason // of the event, empty for none
	cut    bool         // the reply must not look whole
	// unseen says that no request reaches the upstream.
	unseen  bool
	trailer string
}

func whole(c net.Conn, body io.Reader) {
	io.Copy(io.Discard, body)
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(replyBody), replyBody)
}

// written answers with a head and the reply's body after it.
func written(head string) func(net.Conn, io.Reader) {
	return func(c net.Conn, body io.Reader) {
		io.Copy(io.Discard, body)
		io.WriteString(c, head+replyBody)
		c.Close()
	}
}

const lengthHead = "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"

var upstreamFaults = []fault{
	{name: "latency", toxic: `{"type": "latency", "attributes": {"latency": 100}}`, answer: whole, status: 200},
	{
		name: "slow-close", toxic: `{"type": "slow_close", "attributes": {"delay": 100}}`, status: 200,
		answer: written("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
	},
	{
		name: "reset-request", toxic: `{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 0}}`,
		answer: whole, status: 502, reason: event.UpstreamError, unseen: true,
	},
	{name: "reset-reply", toxic: `{"type": "reset_peer", "attributes": {"timeout": 0}}`, answer: whole, status: 502, reason: event.UpstreamError},
	{name: "reset-midway", status: 200, cut: true, reason: event.UpstreamError, answer: func(c net.Conn, body io.Reader) {
		io.Copy(io.Discard, body)
		io.WriteString(c, lengthHead+replyBody[:5000])
		time.Sleep(50 * time.Millisecond) // so that half of it arrives
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}},
	{name: "truncated-head", toxic: `{"type": "limit_data", "attributes": {"bytes": 20}}`, answer: whole, status: 502, reason: event.UpstreamError},
	{name: "truncated-body", toxic: `{"type": "limit_data", "attributes": {"bytes": 5000}}`, answer: whole, status: 200, cut: true, reason: event.UpstreamError},
	{
		name: "truncated-chunks", status: 200, cut: true, reason: event.UpstreamError,
		answer: written("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n2711\r\n"),
	},
	{name: "half-open", toxic: `{"type": "timeout", "attributes": {"timeout": 0}}`, answer: whole, status: 504, reason: event.UpstreamTimeout},
	{name: "early-reply", status: 413, answer: func(c net.Conn, _ io.Reader) {
		fmt.Fprintf(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(replyBody), replyBody)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}},
	{name: "informational", status: 200, answer: func(c net.Conn, body io.Reader) {
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
		whole(c, body)
	}},
	{
		name: "unasked-switch", status: 502, reason: event.UpstreamError,
		answer: written("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
	},
	{name: "trailers", status: 200, trailer: "1", answer: func(c net.Conn, body io.Reader) {
		io.Copy(io.Discard, body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n", len(replyBody), replyBody)
	}},
	{
		name: "oversized-head", status: 502, reason: event.UpstreamError,
		answer: written("HTTP/1.1 200 OK\r\nX-Large: " + strings.Repeat("a", 40<<10) + "\r\nContent-Length: 10000\r\n\r\n"),
	},
}

// ledger counts how often each request reached an upstream, by an identifier of its own.
type ledger struct {
	mu   sync.Mutex // guards seen
	seen map[string]int
}

func (l *ledger) count(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[id]
}

// serve reads requests and answers them as the fault wants.
func (l *ledger) serve(c net.Conn, f *fault) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.seen[request.Header.Get("X-Ledger")]++
		l.mu.Unlock()
		f.answer(c, request.Body)
	}
}

// faultyUpstream starts an upstream with a fault and gives its URL.
func faultyUpstream(t *testing.T, server *toxiproxy.ApiServer, f *fault, l *ledger) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			serving.Go(func() { l.serve(c, f) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	if f.toxic == "" {
		return "http://" + listener.Addr().String()
	}
	proxy := toxiproxy.NewProxy(server, f.name, "127.0.0.1:0", listener.Addr().String())
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(f.toxic)); err != nil {
		t.Fatal(err)
	}
	return "http://" + proxy.Listen
}

// readingClient reads replies to their end.
type readingClient struct{ *http.Client }

// read gives the reply, an empty one if there is none, and as much of its body as came before the error.
func (c readingClient) read(request *http.Request) (*http.Response, []byte, error) {
	response, err := c.Do(request)
	if err != nil {
		return &http.Response{}, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response, content, err
}

// TestUpstreamFaults sends requests of four methods to upstreams that fail in every way: the client gets the right status, a
// reply that was cut is never delivered as whole, and no POST reaches an upstream twice.
func TestUpstreamFaults(t *testing.T) {
	l := &ledger{seen: map[string]int{}}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	var upstreams, routes strings.Builder
	for i := range upstreamFaults {
		f := &upstreamFaults[i]
		fmt.Fprintf(&upstreams, "  - { name: %s, url: \"%s\", allow_loopback: true, timeouts: { first_byte: 500ms } }\n", f.name, faultyUpstream(t, server, f, l))
		fmt.Fprintf(&routes, "      - { path: /%s, upstream: %s }\n", f.name, f.name)
	}
	g := proxytest.Start(t, "upstreams:\n"+upstreams.String()+"applications:\n  - name: shop\n    hosts: [\"*\"]\n    mode: block\n    routes:\n"+routes.String())
	transport := &http.Transport{DisableKeepAlives: true}
	client := readingClient{&http.Client{Transport: transport, Timeout: 20 * time.Second}}
	for _, f := range upstreamFaults {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			t.Run(f.name+"/"+method, func(t *testing.T) {
				var body io.Reader = http.NoBody
				if method == "POST" || method == "PUT" {
					body = strings.NewReader(strings.Repeat("upload ", 60_000))
				}
				id := f.name + "-" + method
				request, err := http.NewRequestWithContext(t.Context(), method, g.URL+"/"+f.name, body)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("X-Ledger", id)
				request.Header.Set("Content-Type", "text/plain")
				before := len(g.Events())
				response, content, err := client.read(request)
				if response.StatusCode != f.status && !(f.cut && err != nil && response.StatusCode == 0) { // not even the head
					t.Errorf("status %d, want %d: %.200s %v", response.StatusCode, f.status, content, err)
				}
				switch {
				case f.cut && err == nil:
					t.Errorf("a reply of which %d bytes came looks whole", len(content))
				case !f.cut && err != nil:
					t.Errorf("the reply was cut: %v", err)
				case !f.cut && f.reason == "" && string(content) != replyBody:
					t.Errorf("%d bytes of the reply, want %d", len(content), len(replyBody))
				case f.reason != "" && !f.cut && (strings.Contains(string(content), replyBody[:100]) || response.Header.Get("X-Gatehouse-Incident") == ""):
					t.Errorf("not a reply of the gateway: %v %.100s", response.Header, content)
				}
				if got := response.Trailer.Get("X-Sum"); got != f.trailer {
					t.Errorf("trailer %q", got)
				}
				seen := l.count(id)
				switch {
				case f.unseen && seen > 0, !f.unseen && seen == 0, seen > 3, method == "POST" && seen > 1:
					t.Errorf("the request reached the upstream %d times", seen)
				}
				if f.reason == "" {
					return
				}
				if e := g.WaitEvents(before + 1)[before]; e.Reason != f.reason || e.Verdict != event.Error {
					t.Errorf("event %s %s: %s", e.Verdict, e.Reason, e.Detail)
				}
			})
		}
	}
}
