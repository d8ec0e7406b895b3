package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/proxy/proxytest"
	"gatehouse/rules"
	"gatehouse/rules/crs/regress"
	"gatehouse/rules/engine"
)

// watching is an engine that keeps the result of the last transaction.
type watching struct {
	rules.Engine
	mu            sync.Mutex // guards all below
	begun, closed int
	last          *rules.Result
}

// logPhase5 shows the matches of the summary in phase 5, which the product leaves out of its records: the scores are
// there already.
const logPhase5 = "SecDefaultAction \"phase:5,log,auditlog,pass\"\n"

// Load puts the settings that the tests expect in front of the policy's own text.
func (w *watching) Load(p rules.Policy) (rules.RuleSet, error) {
	p.Sources = append([]rules.Source{{Name: "settings of the tests", Text: regress.Settings + logPhase5}}, p.Sources...)
	set, err := w.Engine.Load(p)
	return watchedSet{set, w}, err
}

type watchedSet struct {
	rules.RuleSet
	w *watching
}

func (s watchedSet) Begin(r *rules.Request) rules.Transaction {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.begun++
	return &watchedTransaction{s.RuleSet.Begin(r), s.w}
}

type watchedTransaction struct {
	rules.Transaction
	w *watching
}

func (t *watchedTransaction) Close() *rules.Result {
	result := t.Transaction.Close()
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.closed++
	t.w.last = result
	return result
}

// take gives the result of the transaction that has begun since the last call, nil if none has.
func (w *watching) take(t *testing.T, before int) *rules.Result {
	t.Helper()
	var result *rules.Result
	proxytest.Eventually(t, "the transaction is closed", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		result = nil
		if w.begun > before {
			result = w.last
		}
		return w.begun == w.closed
	})
	return result
}

// TestCRSRegression sends every regression test of the embedded CRS release as bytes through a gateway with CRS's own
// setup, at paranoia level 4 in mode detect, and compares which rules match. Tests that need the HTTP server to be more
// lenient than the gateway are listed with the reason.
func TestCRSRegression(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of requests: not with -short")
	}
	origin := httptest.NewServer(regress.Upstream())
	defer origin.Close()
	w := &watching{Engine: engine.New(engine.Options{})}
	g := proxytest.Start(t, fmt.Sprintf(`
listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 0, timeouts: { header: 1s, body_idle: 1s } }
upstreams:
  - { name: origin, url: "%s", allow_loopback: true }
policies:
  - name: stock
    crs: { setup: stock, paranoia: 4 }
applications:
  - name: crs
    hosts: ["*"]
    mode: detect
    policy: stock
    upstream: origin
    routes:
      - { path: /, encoded_slash: allow, response: { inspect: true, types: [text/html, text/plain, application/json, application/octet-stream] } }
`, origin.URL), proxytest.Options{Change: func(o *proxyOptions) { o.Engine = w; quietWatch(o) }})
	cases, err := regress.Cases("")
	if err != nil {
		t.Fatal(err)
	}
	exceptions := readExceptions(t, "testdata/crs-exceptions.txt")
	passed, start := 0, time.Now()
	if raceSample > 1 {
		cases = every(cases, raceSample)
		clear(exceptions) // the full run looks at them
	}
	for _, c := range cases {
		var wrong []string
		for _, stage := range c.Stages {
			w.mu.Lock()
			before := w.begun
			w.mu.Unlock()
			outcome := regress.Outcome{Status: send(t, g.Addr("").String(), stage.Request)}
			if result := w.take(t, before); result != nil {
				outcome.Matches = result.Matches
			}
			wrong = append(wrong, stage.Expect.Check(outcome)...)
		}
		reason, listed := exceptions[c.ID]
		delete(exceptions, c.ID)
		switch {
		case len(wrong) == 0 && listed:
			t.Errorf("%s passes, but is listed as an exception: %s", c.ID, reason)
		case len(wrong) == 0:
			passed++
		case !listed:
			t.Errorf("%s: %s", c.ID, strings.Join(wrong, "; "))
		}
	}
	for id := range exceptions {
		t.Errorf("the exception %s is no test", id)
	}
	share := 100 * float64(passed) / float64(len(cases))
	t.Logf("%d of %d tests pass (%.2f %%) in %v", passed, len(cases), share, time.Since(start).Round(time.Second))
	if raceSample == 1 && len(cases) < 4000 {
		t.Errorf("only %d tests ran", len(cases))
	}
	if share < 99 {
		t.Errorf("%.2f %% pass, want at least 99 %%", share)
	}
}

// every gives each nth case that is no exception.
func every(cases []regress.Case, n int) []regress.Case {
	var list []regress.Case
	for i := 0; i < len(cases); i += n {
		if cases[i].Rule/1000 != 920 { // where the exceptions are
			list = append(list, cases[i])
		}
	}
	return list
}

// send writes a request as bytes and gives the status of the reply, 0 if there was none.
func send(t *testing.T, address string, request []byte) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(request); err != nil {
		return 0
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && err != io.EOF {
		return 0
	}
	var status int
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
		if _, err := fmt.Sscanf(line, "HTTP/1.0 %d", &status); err != nil {
			return 0
		}
	}
	return status
}

// readExceptions reads lines of a test's ID and the reason why it cannot pass.
func readExceptions(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	exceptions := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		id, reason, _ := strings.Cut(line, " ")
		if reason == "" {
			t.Fatalf("%s: %s has no reason", name, id)
		}
		exceptions[id] = reason
	}
	return exceptions
}
