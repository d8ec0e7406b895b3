package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/proxytest"
)

// load sends requests from n clients until stop is called, which gives how many were sent and which failed.
func load(t *testing.T, url string, n int) (stop func() (sent int64, failures []string)) {
	t.Helper()
	var sent atomic.Int64
	var mu sync.Mutex // guards failures
	var failures []string
	done := make(chan struct{})
	var clients sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for i := range n {
		clients.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-done:
					return
				default:
				}
				var response *http.Response
				var err error
				if k%4 == 3 { // a POST is never repeated by the client: a lost one is seen
					response, err = client.Post(url+"/form", "application/x-www-form-urlencoded", strings.NewReader(fmt.Sprintf("client=%d&request=%d", i, k)))
				} else {
					response, err = client.Get(fmt.Sprintf("%s/page/%d?client=%d", url, k, i))
				}
				sent.Add(1)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
					if err == nil && response.StatusCode != http.StatusOK {
						err = fmt.Errorf("status %d", response.StatusCode)
					}
				}
				if err != nil {
					mu.Lock()
					failures = append(failures, err.Error())
					mu.Unlock()
				}
			}
		})
	}
	return func() (int64, []string) {
		close(done)
		clients.Wait()
		transport.CloseIdleConnections()
		return sent.Load(), failures
	}
}

// TestReloadUnderLoad changes the configuration 200 times under load, every second time to something invalid: no
// request fails, bad configurations are rejected with a message, and goroutines and memory stay flat.
func TestReloadUnderLoad(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	good := func(i int) string {
		return application(upstream.URL, "block", fmt.Sprintf("    rules:\n      - { name: rule-%d, when: { path: \"/never/%d\" }, then: block }\n", i%7, i%7))
	}
	bad := []string{
		application(upstream.URL, "blok", ""),
		"applications:\n  - hosts: [a]\n    upstream: [\n",
		application("ftp://127.0.0.1", "block", ""),
		application(upstream.URL, "block", "    policy: nowhere\n"),
	}
	g := proxytest.Start(t, good(0), proxytest.Options{Change: func(o *proxyOptions) {
		quietWatch(o)
		o.Stdout = io.Discard // records of this many requests would be most of the heap
	}})
	for i := range 10 { // settle
		g.Configure(good(i))
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	stop := load(t, g.URL, 4)
	rejected := 0
	for i := range reloads {
		if i%2 == 0 {
			g.Configure(good(i))
			if err := g.Reload(); err != nil {
				t.Errorf("reload %d: %v", i, err)
			}
			continue
		}
		g.Configure(bad[i/2%len(bad)])
		err := g.Reload()
		if err == nil {
			t.Errorf("reload %d: the bad configuration was applied", i)
			continue
		}
		rejected++
		if !strings.Contains(err.Error(), "gatehouse.yaml:") {
			t.Errorf("reload %d: the message names no place: %v", i, err)
		}
	}
	sent, failures := stop()
	t.Logf("%d requests during %d reloads, %d of them rejected", sent, reloads, rejected)
	if sent < 100 {
		t.Errorf("only %d requests were sent", sent)
	}
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failures), sent, failures[0])
	}
	proxytest.Eventually(t, "goroutines flat", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	upstream.Forget()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	status, page := g.Admin("/status")
	if status != 200 || !strings.Contains(page, "last_reload") {
		t.Errorf("/status %d %s", status, page)
	}
}

// TestDrainUnderLoad stops the gateway under load: clients are told to close their connections, and no request fails.
func TestDrainUnderLoad(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""), proxytest.Options{NoClose: true, Change: func(o *proxyOptions) { o.DrainDelay = 500 * time.Millisecond }})
	stop := load(t, g.URL, 4)
	time.Sleep(300 * time.Millisecond)
	stopped := make(chan error, 1)
	go func() { stopped <- g.Stop(context.Background()) }()
	proxytest.Eventually(t, "readiness fails first", func() bool {
		status, text := g.Admin("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "draining")
	})
	time.Sleep(200 * time.Millisecond) // a load balancer has taken the instance out of service by now
	sent, failures := stop()
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	t.Logf("%d requests while draining", sent)
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failures), sent, failures[0])
	}
}

// TestFileChangeReloads shows that a changed file is taken up without a signal, and that a bad one changes nothing.
func TestFileChangeReloads(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	attack := get("/?q=%3Cscript%3Ealert(1)%3C/script%3E")
	if status, _ := exchange(t, g.URL, attack); status != 403 {
		t.Fatalf("block: %d", status)
	}
	g.Configure(application(upstream.URL, "detect", ""))
	proxytest.Eventually(t, "mode detect is served", func() bool { status, _ := exchange(t, g.URL, attack); return status == 200 })
	g.Configure(application(upstream.URL, "nonsense", ""))
	proxytest.Eventually(t, "the rejection is counted", func() bool {
		_, page := g.Admin("/metrics")
		return strings.Contains(page, `gatehouse_revision_apply_total{result="rejected"} 1`)
	})
	if status, _ := exchange(t, g.URL, attack); status != 200 {
		t.Errorf("after the bad file: %d, want the old mode's 200", status)
	}
}

// TestRemovedListener shows that a connection of a listener that a reload has taken away still knows its proxies:
// the client is the one that X-Forwarded-For names, not the load balancer.
func TestRemovedListener(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	listeners := func(names ...string) string {
		text := "listeners:\n"
		for _, name := range names {
			text += fmt.Sprintf("  - { name: %s, address: \"127.0.0.1:0\", trusted_hops: 1, trusted_proxies: [127.0.0.0/8] }\n", name)
		}
		return text
	}
	app := application(upstream.URL, "block", "")
	g := proxytest.Start(t, listeners("old", "kept")+app, proxytest.Options{Change: func(o *proxyOptions) {
		o.DrainIdle, o.WatchInterval = 10*time.Second, time.Hour
	}})
	c, err := net.Dial("tcp", g.Addr("old").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reader := bufio.NewReader(c)
	for _, gone := range []bool{false, true} {
		if gone {
			g.Configure(listeners("kept") + app)
			if err := g.Reload(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.WriteString(c, get("/", "X-Forwarded-For: 192.0.2.7")); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := upstream.Last(t).Parsed.Header.Get("X-Real-Ip"); got != "192.0.2.7" {
			t.Errorf("removed %v: the client is %s", gone, got)
		}
	}
}
