// Package s3test runs a real S3 server on loopback for tests: versitygw, built from its own module at a pinned version.
package s3test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// Server is a running server. A client of the AWS SDK finds it by Environment.
type Server struct {
	Endpoint string
	Dir      string // where it keeps its objects
	t        testing.TB
	binary   string
	address  string
	command  *exec.Cmd
}

// Credentials of the server's only account.
const (
	AccessKey = "gatehouse-test"
	SecretKey = "gatehouse-test-secret"
)

// Start runs a server until the test ends. It sets the environment of the process to it.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, binary: build(t), Dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Endpoint = "http://" + s.address
	for name, value := range s.Environment() {
		t.Setenv(name, value)
	}
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

// Environment is what the SDK reads.
func (s *Server) Environment() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": s.Endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	}
}

// Run starts the server again after Stop, with the objects that it had.
func (s *Server) Run() {
	s.t.Helper()
	s.command = exec.CommandContext(context.Background(), s.binary, "--port", s.address, "--access", AccessKey, "--secret", SecretKey, "--region", "us-east-1", "--quiet", "posix", s.Dir)
	s.command.Stdout, s.command.Stderr = io.Discard, os.Stderr
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal is for the death of the thread
	err := s.command.Start()
	runtime.UnlockOSThread()
	if err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(s.Endpoint)
		if err == nil {
			_ = response.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			return
		}
	}
	s.t.Fatal("the S3 server does not come up")
}

// Stop ends the server.
func (s *Server) Stop() {
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	s.command = nil
}

// Bucket makes a bucket.
func (s *Server) Bucket(name string) {
	s.t.Helper()
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o755); err != nil { // that is what a bucket is to it
		s.t.Fatal(err)
	}
}

// build builds the server once for all test processes.
func build(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	module := filepath.Join(filepath.Dir(file), "..", "..", "..", "..", ".ci", "versitygw")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "gatehouse-versitygw-v1.8.0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "versitygw")
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err == nil {
		return binary
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	command := exec.Command("go", "build", "-o", binary+".new", "github.com/versity/versitygw/cmd/versitygw")
	command.Dir, command.Env = module, append(os.Environ(), "GOFLAGS=-pgo=off")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build versitygw: %v\n%s", err, out)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		t.Fatal(fmt.Errorf("build versitygw: %w", err))
	}
	return binary
}
