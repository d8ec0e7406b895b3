//go:build e2e

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/proxy/event"
)

// TestEndToEnd runs the built binary with real clients in front of the demo shop.
func TestEndToEnd(t *testing.T) {
	e := &endToEnd{binary: filepath.Join(t.TempDir(), "gatehouse")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", e.binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"curl", e.testCurl},
		{"curl with TLS", e.testCurlTLS},
		{"h2load", e.testH2load},
		{"large bodies", e.testLargeBodies},
		{"memory", e.testMemory},
		{"memory limit of the cgroup", e.testCgroup},
		{"SIGTERM under load", e.testTerminate},
		{"SIGHUP under load", e.testHangup},
		{"log rotation", e.testRotation},
		{"browser", e.testBrowser},
	} {
		t.Run(test.name, test.run)
	}
}

// endToEnd is what the end-to-end tests share.
type endToEnd struct {
	binary string
}

// need gives the path of a program. Without it a test is skipped on a developer's machine, and fails in CI.
func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		text := fmt.Sprintf("%s is not installed: apt-get install %s", program, debianPackage)
		if os.Getenv("CI") == "true" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	return path
}

// shopConfig is a gateway in front of the shop, in mode block. Its records are in access.jsonl and events.jsonl.
const shopConfig = `listeners:
  - { name: http, address: "${HTTP}", trusted_hops: 0, h2c: true }
admin: { address: "${ADMIN}" }
logs: { access: access.jsonl, events: events.jsonl }
policies:
  - { name: default, crs: { version: "4.25.0" } }
upstreams:
  - { name: shop, url: "${SHOP}", allow_loopback: true }
applications:
  - name: shop
    hosts: ["*"]
    mode: block
    upstream: shop
`

// process is a gateway in a process of its own.
type process struct {
	t         *testing.T
	dir       string
	addresses map[string]string // of the configuration's ${NAME}
	url       string            // of ${HTTP}
	cmd       *exec.Cmd
	stderr    lockedBuffer
	ended     chan struct{} // closed when the process has ended
	err       error         // of Wait; read after ended
	curls     int           // requests by curl
}

// start runs a gateway in a directory of its own. It ends with the test.
func (e *endToEnd) start(t *testing.T, config string, flags ...string) *process {
	t.Helper()
	p := e.prepare(t)
	p.launch(e, config, flags...)
	return p
}

// prepare makes the directory of a gateway that is launched later. ${HTTP}, ${HTTPS} and ${ADMIN} of its configuration
// are free addresses, ${SHOP} is the URL of a demo shop.
func (e *endToEnd) prepare(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), addresses: map[string]string{"SHOP": startShop(t)}, ended: make(chan struct{})}
	for _, name := range []string{"HTTP", "HTTPS", "ADMIN"} {
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		p.addresses[name] = address
	}
	p.url = "http://" + p.addresses["HTTP"]
	return p
}

// launch runs the gateway and waits until it is ready.
func (p *process) launch(e *endToEnd, config string, flags ...string) {
	p.t.Helper()
	p.configure(config)
	p.cmd = exec.Command(e.binary, append([]string{"gateway", "-config", "gatehouse.yaml"}, flags...)...)
	p.cmd.Dir, p.cmd.Stderr = p.dir, &p.stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		if err := p.stop(); err != nil {
			p.t.Errorf("the gateway ended with %v", err)
		}
		if p.t.Failed() {
			p.t.Logf("log of the gateway:\n%s", p.stderr.String())
		}
	})
	p.eventually("the gateway is ready", func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("the gateway ended: %v\n%s", p.err, p.stderr.String())
		default:
		}
		status, _ := p.get("http://" + p.addresses["ADMIN"] + "/readyz")
		return status == http.StatusOK
	})
}

// configure writes gatehouse.yaml in one step.
func (p *process) configure(text string) {
	p.t.Helper()
	text = os.Expand(text, func(name string) string { return p.addresses[name] })
	path := filepath.Join(p.dir, "gatehouse.yaml")
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		p.t.Fatal(err)
	}
}

// write puts a file beside the configuration.
func (p *process) write(name string, content []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// read gives a file of the gateway's directory, nothing if there is none.
func (p *process) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	return string(text)
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v: %v", s, err)
	}
}

// stop ends the gateway as systemd and Kubernetes do and gives what it ended with. It may have ended already.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return p.err
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may end right now
	select {
	case <-p.ended:
		return p.err
	case <-time.After(45 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return errors.New("no end within 45 s of SIGTERM")
	}
}

// get gives a status and body, 0 if there is no answer.
func (p *process) get(url string) (int, string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(text)
}

// metric is a line of /metrics: the value of a series, written as there; 0 if it is not there.
func (p *process) metric(series string) float64 {
	p.t.Helper()
	_, page := p.get("http://" + p.addresses["ADMIN"] + "/metrics")
	for line := range strings.Lines(page) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			var f float64
			if _, err := fmt.Sscan(value, &f); err != nil {
				p.t.Fatalf("%s: %v", line, err)
			}
			return f
		}
	}
	return 0
}

// event waits for the event with an incident ID.
func (p *process) event(incident string) *event.Event {
	p.t.Helper()
	var found *event.Event
	p.eventually("the event "+incident, func() bool {
		for e, err := range event.ReadEvents(strings.NewReader(p.read("events.jsonl")), nil) {
			if err == nil && e.Incident == incident { // the last line may be half written
				found = e
			}
		}
		return found != nil
	})
	return found
}

// eventually waits for a condition.
func (p *process) eventually(what string, condition func() bool) {
	p.t.Helper()
	wait(p.t, what, condition)
}

// wait waits for a condition.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// lockedBuffer is a buffer that a process writes and a test reads.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
