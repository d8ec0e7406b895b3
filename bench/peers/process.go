// Package peers starts the servers that are compared: gateways and proxies, each on loopback in front of one backend, with
// the same number of workers and, if they inspect, the same release of CRS with the same settings.
package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Process is a server that runs.
type Process struct {
	Address string // HOST:PORT on loopback
	cmd     *exec.Cmd
	records string        // the file that gets its standard output
	ended   chan struct{} // closed when it has ended
}

// Usage is what a server and its workers have used since it began, and now hold.
func (p *Process) Usage() (Usage, error) { return usageOf("/proc", p.cmd.Process.Pid) }

// DropRecords empties the file of records, which the process goes on appending to.
func (p *Process) DropRecords() error { return os.Truncate(p.records, 0) }

// Records is how many bytes of records were written since they were dropped.
func (p *Process) Records() (int64, error) {
	info, err := os.Stat(p.records)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// patience is how long a server may take to start and to stop.
const patience = 60 * time.Second

// Stop ends the server and waits for it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(os.Interrupt) // when it has ended there is nobody to tell
	select {
	case <-p.ended:
	case <-time.After(patience / 10):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// run starts a command that serves on address and waits until it answers a request for host. Its output goes to files
// in dir.
func run(ctx context.Context, dir, address, url, host string, environment []string, name string, args ...string) (*Process, error) {
	p := &Process{Address: address, records: filepath.Join(dir, "stdout"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.records, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	messages, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer messages.Close()
	p.cmd = exec.CommandContext(ctx, name, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = dir, out, messages, append(os.Environ(), environment...)
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its messages
		close(p.ended)
	}()
	if err := p.answers(ctx, url, host); err != nil {
		p.Stop()
		text, _ := os.ReadFile(messages.Name()) // without it the error still says what is wrong
		return nil, fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(text))
	}
	return p, nil
}

// answers waits until the server answers with 200.
func (p *Process) answers(ctx context.Context, url, host string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trustAll(), DisableKeepAlives: true}}
	last := errors.New("not asked")
	for {
		select {
		case <-p.ended:
			return errors.New("ended at once")
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", last)
		case <-time.After(20 * time.Millisecond):
		}
		if last = ask(ctx, client, url, host); last == nil {
			return nil
		}
	}
}

func ask(ctx context.Context, client *http.Client, url, host string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return err
	}
	request.Host = host
	request.Header.Set("User-Agent", "Mozilla/5.0")
	request.Header.Set("Accept", "text/html")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	return nil
}

// freeAddress is an address on loopback that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
