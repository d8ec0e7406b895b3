package load

import (
	"bytes"
	"context"
	_ "embed" // the script
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/bench/mix"
)

//go:embed saturate.lua
var script []byte

// Wrk saturates servers: each of its connections sends the next request when the reply to the last is complete. It
// speaks HTTP/1.1.
type Wrk struct {
	script, requests string // files
}

// NewWrk writes what wrk reads into a directory.
func NewWrk(dir string, requests []mix.Request) (*Wrk, error) {
	w := &Wrk{script: filepath.Join(dir, "saturate.lua"), requests: filepath.Join(dir, "requests")}
	if err := os.WriteFile(w.script, script, 0o600); err != nil {
		return nil, err
	}
	f, err := os.Create(w.requests)
	if err != nil {
		return nil, err
	}
	for i := range requests {
		wire := requests[i].Wire()
		if _, err := fmt.Fprintf(f, "%d\n%s", len(wire), wire); err != nil {
			return nil, err
		}
	}
	return w, f.Close()
}

// Saturation is what came of sending as fast as a server answers.
type Saturation struct {
	Requests int
	Seconds  float64
	Latency  Latency
	// Refused is how many replies have a status of 400 and above, Failed how many requests had none.
	Refused, Failed int
}

// Saturate sends for a time over so many connections, from the first request on.
func (w *Wrk) Saturate(ctx context.Context, url string, connections int, how time.Duration) (Saturation, error) {
	seconds := max(1, int(how.Round(time.Second)/time.Second))
	cmd := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", seconds), "--timeout", "60s",
		"-s", w.script, url, w.requests)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Saturation{}, fmt.Errorf("wrk: %w\n%s%s", err, out, stderr.Bytes())
	}
	return parseWrk(string(out))
}

// parseWrk reads the line that the script writes.
func parseWrk(out string) (Saturation, error) {
	_, line, found := strings.Cut(out, "RESULT ")
	if !found {
		return Saturation{}, fmt.Errorf("wrk gave no result:\n%s", out)
	}
	var s Saturation
	var micros float64
	l := &s.Latency
	if _, err := fmt.Sscan(line, &s.Requests, &micros, &s.Refused, &s.Failed, &l.P50, &l.P90, &l.P99, &l.P999); err != nil {
		return Saturation{}, fmt.Errorf("read %q of wrk: %w", line, err)
	}
	s.Seconds = micros / 1e6
	return s, nil
}

// Check says what is wrong with the statuses when a mix was sent; empty if nothing. Of the requests that wrk counts, any
// of the connections may have had one that was sent but not answered, so the number of attacks is known but for those.
func (s Saturation) Check(m mix.Mix, inspects bool, connections int) string {
	if s.Failed > 0 {
		return fmt.Sprintf("%d requests of %d failed", s.Failed, s.Requests)
	}
	want := 0
	if inspects {
		want = m.Attacks(s.Requests)
	}
	if want == 0 && s.Refused > 0 && m.AttackPercent == 0 || !inspects && s.Refused > 0 {
		return fmt.Sprintf("%d benign requests of %d were refused", s.Refused, s.Requests)
	}
	if off := s.Refused - want; off > connections || -off > connections {
		return fmt.Sprintf("%d requests of %d were refused, and %d are attacks", s.Refused, s.Requests, want)
	}
	return ""
}
