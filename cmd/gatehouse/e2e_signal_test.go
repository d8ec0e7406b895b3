//go:build e2e

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load sends requests from n clients that keep their connections, until stop is called, which gives how many were sent
// and which failed. Every fourth is a POST, which no client repeats by itself.
func (p *process) load(n int) (sent *atomic.Int64, stop func() (failures []string)) {
	sent = &atomic.Int64{}
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
				if k%4 == 3 {
					response, err = client.Post(p.url+"/echo", "application/json", strings.NewReader(fmt.Sprintf(`{"client": %d, "request": %d}`, i, k)))
				} else {
					response, err = client.Get(fmt.Sprintf("%s/api/products?client=%d&request=%d", p.url, i, k))
				}
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
					if err == nil && response.StatusCode != http.StatusOK {
						err = fmt.Errorf("status %d", response.StatusCode)
					}
				}
				sent.Add(1)
				if err != nil {
					mu.Lock()
					failures = append(failures, err.Error())
					mu.Unlock()
				}
			}
		})
	}
	return sent, func() []string {
		close(done)
		clients.Wait()
		transport.CloseIdleConnections()
		return failures
	}
}

// testTerminate stops the gateway under load as an orchestrator does: SIGTERM, and clients stay away once readiness has
// failed. Requests that take long are answered to their end.
func (e *endToEnd) testTerminate(t *testing.T) {
	p := e.start(t, shopConfig, "-drain-delay", "4s")
	slow := make(chan error, 1)
	go func() { // ends after the drain delay
		status, text := p.get(p.url + "/slow?ms=6000")
		if status != http.StatusOK || !strings.Contains(text, "6000") {
			slow <- fmt.Errorf("the slow request got %d %s", status, text)
			return
		}
		slow <- nil
	}()
	p.eventually("the slow request is under way", func() bool {
		return p.metric(`gatehouse_upstream_connections{state="active",upstream="shop"}`) == 1
	})
	sent, stop := p.load(4)
	p.eventually("load", func() bool { return sent.Load() > 200 })
	p.signal(syscall.SIGTERM)
	begin := time.Now()
	p.eventually("readiness fails", func() bool {
		status, _ := p.get(p.url + "/.gatehouse/ready")
		return status == http.StatusServiceUnavailable
	})
	draining := sent.Load()
	p.eventually("requests are served while draining", func() bool { return sent.Load() > draining+50 })
	if failures := stop(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failures), sent.Load(), failures[0])
	}
	if time.Since(begin) > 4*time.Second {
		t.Fatal("the load did not end within the drain delay: this machine is too slow for the test")
	}
	if err := <-slow; err != nil {
		t.Error(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the gateway does not end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	t.Logf("%d requests, the end %v after SIGTERM", sent.Load(), time.Since(begin).Round(time.Millisecond))
	if c, err := net.Dial("tcp", p.addresses["HTTP"]); err == nil {
		c.Close()
		t.Error("somebody still listens")
	}
	records := p.read("access.jsonl")
	if n := strings.Count(records, `"path":"/api/products?`) + strings.Count(records, `"path":"/echo"`); int64(n) != sent.Load() {
		t.Errorf("%d records of %d requests", n, sent.Load())
	}
	if n := strings.Count(records, `"path":"/slow?ms=`); n != 1 {
		t.Errorf("%d records of the slow request", n)
	}
}

// testHangup changes the configuration 20 times under load and tells the gateway by SIGHUP. Each change is served, no
// request fails; a bad configuration changes nothing and says why.
func (e *endToEnd) testHangup(t *testing.T) {
	p := e.start(t, shopConfig, "-drain-delay", "1s")
	with := func(i int) string {
		return shopConfig + fmt.Sprintf("    rules:\n      - { name: rule-%d, when: { path: \"/closed/%d\" }, then: block }\n", i, i)
	}
	sent, stop := p.load(4)
	for i := range 20 {
		p.configure(with(i))
		p.signal(syscall.SIGHUP)
		p.eventually(fmt.Sprintf("configuration %d is served", i), func() bool {
			status, _ := p.get(fmt.Sprintf("%s/closed/%d", p.url, i))
			return status == http.StatusForbidden
		})
	}
	if status, _ := p.get(p.url + "/closed/18"); status != http.StatusNotFound {
		t.Errorf("the rule before the last gives %d", status)
	}
	p.configure(strings.Replace(with(20), "mode: block", "mode: blok", 1))
	p.signal(syscall.SIGHUP)
	p.eventually("the bad configuration is rejected", func() bool {
		return p.metric(`gatehouse_revision_apply_total{result="rejected"}`) >= 1
	})
	if status, _ := p.get(p.url + "/closed/19"); status != http.StatusForbidden {
		t.Errorf("after the bad configuration: %d", status)
	}
	if text := p.stderr.String(); !strings.Contains(text, `gatehouse.yaml:12:11: applications[0].mode: \"blok\" is not a mode`) {
		t.Errorf("the log does not say what is wrong:\n%s", text)
	}
	if applied := p.metric(`gatehouse_revision_apply_total{result="applied"}`); applied < 21 {
		t.Errorf("%v configurations were applied", applied)
	}
	failures := stop()
	t.Logf("%d requests during 20 reloads", sent.Load())
	if sent.Load() < 100 || len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %.1s", len(failures), sent.Load(), failures)
	}
}

// testRotation moves the record files away under load, as logrotate does, and has them opened anew by SIGHUP. No record
// is lost.
func (e *endToEnd) testRotation(t *testing.T) {
	p := e.start(t, shopConfig, "-drain-delay", "0s")
	sent, stop := p.load(2)
	p.eventually("load", func() bool { return sent.Load() > 100 })
	for i := range 3 {
		for _, name := range []string{"access.jsonl", "events.jsonl"} {
			if err := os.Rename(filepath.Join(p.dir, name), filepath.Join(p.dir, fmt.Sprintf("%s.%d", name, 3-i))); err != nil && name == "access.jsonl" {
				t.Fatal(err)
			}
		}
		before := sent.Load()
		p.signal(syscall.SIGHUP)
		p.eventually("records in the new file", func() bool { return strings.Count(p.read("access.jsonl"), "\n") > 50 && sent.Load() > before+100 })
		status, _ := p.get(p.url + attackQuery)
		if status != http.StatusForbidden {
			t.Fatalf("attack: %d", status)
		}
		p.eventually("the event in the new file", func() bool { return strings.Count(p.read("events.jsonl"), "\n") == 1 })
	}
	if failures := stop(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(failures), sent.Load(), failures[0])
	}
	if err := p.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	lines := 0
	for _, name := range []string{"access.jsonl", "access.jsonl.1", "access.jsonl.2", "access.jsonl.3"} {
		n := strings.Count(p.read(name), "\n")
		if n == 0 {
			t.Errorf("%s is empty", name)
		}
		lines += n
	}
	if want := int(sent.Load()) + 3; lines != want {
		t.Errorf("%d records of %d requests", lines, want)
	}
}
