//go:build e2e

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/shop"
)

const (
	gib = int64(1) << 30
	mib = int64(1) << 20
)

// testLargeBodies sends 1 GiB up and takes 1 GiB down: the bytes arrive as they were sent, the gateway's memory hardly
// grows, and what was not inspected is counted to the byte.
func (e *endToEnd) testLargeBodies(t *testing.T) {
	curl := need(t, "curl", "curl")
	p := e.start(t, shopConfig+`    routes:
      - { path: /, body: { max_bytes: 2GiB } }
`, "-drain-delay", "0s")

	hash := sha256.New()
	if _, err := io.Copy(hash, shop.NewDownload(gib)); err != nil {
		t.Fatal(err)
	}
	want := hex.EncodeToString(hash.Sum(nil))
	// The memory of a gateway that has served a while: pools and buffers are there.
	for range 50 {
		if status, _ := p.get(p.url + "/download?bytes=3000000"); status != 200 {
			t.Fatalf("warm-up: %d", status)
		}
	}
	skipped := func(cause string) int64 {
		return int64(p.metric(fmt.Sprintf(`gatehouse_uninspected_bytes_total{application="shop",cause=%q}`, cause)))
	}
	run := func(stdin io.Reader, stdout io.Writer, args ...string) error {
		cmd := exec.CommandContext(t.Context(), curl, append([]string{"-q", "-sS", "--fail", "--noproxy", "*", "--max-time", "120"}, args...)...)
		var stderr lockedBuffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("curl: %w: %s", err, stderr.String())
		}
		return nil
	}
	up := func(t *testing.T, args ...string) {
		before := skipped("inspect_limit")
		var answer lockedBuffer
		args = append(args, "-X", "POST", "-H", "Content-Type: application/octet-stream", "-T", "-", p.url+"/echo")
		if err := run(shop.NewDownload(gib), &answer, args...); err != nil {
			t.Fatal(err)
		}
		var got shop.Echo
		if err := json.Unmarshal([]byte(answer.String()), &got); err != nil {
			t.Fatalf("%v: %s", err, answer.String())
		}
		if got.Body.Bytes != gib || got.Body.SHA256 != want {
			t.Errorf("%d bytes with digest %s arrived, want %d with %s", got.Body.Bytes, got.Body.SHA256, gib, want)
		}
		p.eventually("the bytes beyond the first MiB are counted", func() bool { return skipped("inspect_limit") == before+gib-mib })
	}
	down := func(t *testing.T, args ...string) {
		before := skipped("response")
		hash := sha256.New()
		if err := run(nil, hash, append(args, fmt.Sprintf("%s/download?bytes=%d", p.url, gib))...); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(hash.Sum(nil)); got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
		p.eventually("the bytes are counted", func() bool { return skipped("response") == before+gib })
	}
	for _, tt := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"upload by HTTP/1.1, chunked", func(t *testing.T) { up(t) }},
		{"download by HTTP/1.1", func(t *testing.T) { down(t) }},
		{"upload by HTTP/2", func(t *testing.T) { up(t, "--http2-prior-knowledge") }},
		{"download by HTTP/2", func(t *testing.T) { down(t, "--http2-prior-knowledge") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			idle := p.memory("VmRSS")
			peak := p.watchMemory()
			start := time.Now()
			tt.run(t)
			took := time.Since(start)
			grown := peak() - idle
			t.Logf("%.0f MiB/s, %d MiB resident when idle, %d MiB more at most", float64(gib/mib)/took.Seconds(), idle/mib, grown/mib)
			if grown >= 64*mib {
				t.Errorf("resident memory grew by %d MiB", grown/mib)
			}
		})
	}
}

// memory reads a field of /proc/PID/status that is in kB, in bytes.
func (p *process) memory(field string) int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		value, found := strings.CutPrefix(line, field+":")
		if !found {
			continue
		}
		kB, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		return kB << 10
	}
	p.t.Fatalf("no %s in %s", field, text)
	return 0
}

// watchMemory samples the resident memory until peak is called, which gives the most that was seen, by the samples and
// by the kernel where it lets us reset its mark.
func (p *process) watchMemory() (peak func() int64) {
	p.t.Helper()
	reset := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0) == nil
	var most atomic.Int64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if now := p.memory("VmRSS"); now > most.Load() {
				most.Store(now)
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 {
		close(done)
		<-ended
		if reset {
			return max(most.Load(), p.memory("VmHWM"))
		}
		return most.Load()
	}
}
