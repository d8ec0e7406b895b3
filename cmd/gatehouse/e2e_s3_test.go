//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/rules/revision/s3depot"
	"gatehouse/rules/revision/s3depot/s3test"
)

// fleetProcess is a gateway in a process of its own that reads no file of its own.
type fleetProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr lockedBuffer
	ended  chan struct{}
}

// gateway runs gatehouse gateway in a directory.
func (e *endToEnd) gateway(t *testing.T, dir string, args ...string) *fleetProcess {
	t.Helper()
	p := &fleetProcess{t: t, cmd: exec.Command(e.binary, append([]string{"gateway", "-drain-delay", "0s"}, args...)...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stderr = dir, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of the gateway:\n%s", p.stderr.String())
		}
	})
	return p
}

func (p *fleetProcess) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Error("the gateway does not end")
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// TestS3 runs gateways from a real S3 server: signed revisions, and a polled configuration, also with the server away.
func TestS3(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket("gatehouse")
	e := &endToEnd{binary: filepath.Join(t.TempDir(), "gatehouse")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", e.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	dir := t.TempDir()
	addresses := map[string]string{}
	for _, name := range []string{"HTTP", "ADMIN"} {
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		addresses[name] = address
	}
	configured := func(status int) string {
		return fmt.Sprintf(`admin: { address: %q }
listeners: [{ name: http, address: %q, trusted_hops: 0 }]
policies: [{ name: default, crs: { version: "4.25.0" } }]
logs: { access: none, events: none }
applications: [{ name: shop, hosts: ["*"], mode: disabled, upstream: "http://192.0.2.1", routes: [{ path: /, rewrite: { redirect: { to: "https://example.com/", status: %d } } }] }]
`, addresses["ADMIN"], addresses["HTTP"], status)
	}
	gatehouse := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), e.binary, args...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	build := func(status int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "g.yaml"), []byte(configured(status)), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(gatehouse("revision", "build", "-config", "g.yaml", "-key", "key.pem", "-group", "edge", "-to", "s3://gatehouse/prod"))
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	status := func() int {
		response, err := client.Get("http://" + addresses["HTTP"] + "/")
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	answers := func(what string, want int) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if status() == want {
				return
			}
		}
		t.Fatalf("%s: it never answered %d", what, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys.txt"), []byte(gatehouse("revision", "key", "-to", "key.pem")), 0o600); err != nil {
		t.Fatal(err)
	}

	build(301)
	flags := []string{"-revisions", "s3://gatehouse/prod", "-group", "edge", "-revision-key", "keys.txt", "-state-dir", "state"}
	g := e.gateway(t, dir, flags...)
	answers("from the bucket", 301)
	build(302)
	_ = g.cmd.Process.Signal(syscall.SIGHUP)
	answers("the next revision", 302)
	g.stop()
	server.Stop()
	g = e.gateway(t, dir, flags...)
	answers("started with the bucket away", 302)
	server.Run()
	build(307)
	answers("the bucket is there again, and is looked at every 15 s", 307)
	g.stop()

	depot, err := s3depot.Open(t.Context(), "s3://gatehouse/plain")
	if err != nil {
		t.Fatal(err)
	}
	if err := depot.Create(t.Context(), "g.yaml", []byte(configured(308))); err != nil {
		t.Fatal(err)
	}
	polled := []string{"-config", "s3://gatehouse/plain/g.yaml", "-state-dir", "polled"}
	g = e.gateway(t, dir, polled...)
	answers("a polled configuration", 308)
	g.stop()
	server.Stop()
	e.gateway(t, dir, polled...)
	answers("a polled configuration, with the bucket away", 308)
}
