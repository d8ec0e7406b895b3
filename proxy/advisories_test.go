package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/proxy/proxytest"
)

// advisory is a published hole of a gateway, of its rules or of what it is built of, and what becomes of it here.
type advisory struct {
	ids  string // separated by spaces, where one request shows several
	what string
	// requests are sent one after the other, each on a connection of its own and as these very bytes.
	requests []string
	want     fate
	// upstream looks at the request that was forwarded, and says what is wrong with it.
	upstream func(proxytest.Received) string
	// reply looks at the reply, and says what is wrong with it.
	reply func(*http.Response, string) string
	// answer is what the upstream answers, instead of 200 and ok.
	answer func(w io.Writer, r *http.Request, body []byte)
}

// fate is what is to become of the requests of an advisory.
type fate int

const (
	refusedUnseen fate = iota // refused with 4xx or by closing the connection; the upstream sees nothing
	forwarded                 // passed on as one request, which upstream looks at
	survived                  // answered in time in whatever way; what is forwarded is one request at most
)

// within is how much time of a processor a request of an advisory may take: those are small, and none may hold the gateway
// up. The process does nothing else meanwhile.
var within = map[bool]time.Duration{true: 15 * time.Second, false: 2 * time.Second}[raceSample > 1]

// marker stands in what an attacker wants to reach the upstream past the gateway. It never does.
const marker = "smuggled"

// advisoryGateway is the configuration that the advisories meet.
const advisoryGateway = `
listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 0, h2c: true, timeouts: { header: 1s, body_idle: 300ms } }
upstreams:
  - { name: origin, url: "%s", allow_loopback: true, timeouts: { first_byte: 2s } }
applications:
  - name: shop
    hosts: [shop.example.com]
    mode: block
    upstream: origin
    routes:
      - { path: /, response: { inspect: true } }
      - { path: /ws, traffic: [websocket] }
      - { path: /admin, methods: [GET, POST] }
    rules:
      - { name: no-admin, when: { path: ["/admin", "/admin/**"] }, then: block }
`

// TestAdvisories sends the requests of published advisories of Coraza, CRS, ModSecurity, Go, Traefik, Caddy, Pingora and
// nginx to a gateway. What they did there does not happen here.
func TestAdvisories(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	var answer func(w io.Writer, r *http.Request, body []byte)
	upstream.Answer = func(w io.Writer, r *http.Request, body []byte) {
		if answer != nil && r.URL.Path != "/probe" {
			answer(w, r, body)
			return
		}
		fmt.Fprint(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")
	}
	g := proxytest.Start(t, fmt.Sprintf(advisoryGateway, upstream.URL))
	ids := map[string]bool{}
	passed, all := 0, 0
	for _, list := range [][]advisory{framingAdvisories, pathAdvisories(), headerAdvisories(), bodyAdvisories(), multipartAdvisories(), loadAdvisories()} {
		for _, a := range list {
			for id := range strings.FieldsSeq(a.ids) {
				if ids[id] {
					t.Errorf("%s is in the tables twice", id)
				}
				ids[id] = true
				all++
			}
			if t.Run(a.ids, func(t *testing.T) {
				answer = a.answer
				for i, request := range a.requests {
					if i > 0 && raceSample > 1 {
						break // the full run sends them all
					}
					a.send(t, g, upstream, request)
				}
			}) {
				passed += len(strings.Fields(a.ids))
			}
		}
	}
	if status, _ := exchange(t, g.URL, get("/probe")); status != 200 {
		t.Errorf("in the end a request got %d", status)
	}
	for _, r := range upstream.Requests() {
		if strings.Contains(r.Line(), marker) {
			t.Errorf("the upstream got %q", r.Line())
		}
	}
	if all < 60 {
		t.Errorf("%d advisories, want at least 60", all)
	}
	t.Logf("%d of %d advisories", passed, all)
}

// send sends one request and looks at what becomes of it.
func (a advisory) send(t *testing.T, g *proxytest.Gateway, upstream *proxytest.Upstream, request string) {
	t.Helper()
	name := a.what + ": " + abbreviated(request)
	before := len(upstream.Requests())
	start := processorTime(t)
	response, body := sendBytes(t, g.URL, request)
	if took := processorTime(t) - start; took > within {
		t.Errorf("%s: took %v", name, took)
	}
	seen := upstream.Requests()[before:]
	status := 0
	if response != nil {
		status = response.StatusCode
	}
	switch a.want {
	case refusedUnseen:
		if status != 0 && (status < 400 || status > 499) {
			t.Errorf("%s: status %d, want a refusal", name, status)
		}
		if len(seen) != 0 {
			t.Errorf("%s: the upstream got %q", name, seen[0].Head)
		}
	case forwarded:
		if status != 200 || len(seen) != 1 {
			t.Errorf("%s: status %d, %d requests reached the upstream", name, status, len(seen))
		}
	case survived:
		if len(seen) > 1 {
			t.Errorf("%s: %d requests reached the upstream", name, len(seen))
		}
	}
	if a.upstream != nil && len(seen) > 0 {
		if wrong := a.upstream(seen[0]); wrong != "" {
			t.Errorf("%s: %s in\n%s", name, wrong, seen[0].Head)
		}
	}
	if a.reply != nil && response != nil {
		if wrong := a.reply(response, body); wrong != "" {
			t.Errorf("%s: %s: %v %s", name, wrong, response.Header, body)
		}
	}
}

// sendBytes sends a request while it reads: a gateway may answer, and close, before it has all.
func sendBytes(t *testing.T, target, request string) (*http.Response, string) {
	t.Helper()
	if len(request) < 1<<16 {
		return proxytest.Raw(t, target, request)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(target, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(c, request) // the gateway need not take it all
	}()
	response, body := readReply(c)
	c.Close()
	<-written
	return response, body
}

// processorTime is the time of a processor that this process has taken.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func abbreviated(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return fmt.Sprintf("%q", s)
}
