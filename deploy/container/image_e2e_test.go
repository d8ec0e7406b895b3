//go:build e2e

package container

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// largest is how many bytes the image may have.
const largest = 60_000_000

// TestImage builds the image as `make image` does, and runs the gateway from its root file system as its user.
func TestImage(t *testing.T) {
	if _, err := exec.LookPath("buildah"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("buildah is not installed: apt-get install buildah")
		}
		t.Skip("buildah is not installed: apt-get install buildah")
	}
	if os.Getuid() != 0 {
		t.Skip("building an image and changing its root needs root")
	}
	b := &builder{t: t, storage: t.TempDir()}
	const name = "localhost/gatehouse:test"
	if _, err := os.Stat("../../bin/gatehouse"); err != nil {
		b.make("build")
	}
	b.make("-o", "build", "image", "IMAGE="+name, "VERSION=v0-test")
	checkImage(t, b.buildah("inspect", "--type", "image", name))

	container := strings.TrimSpace(b.buildah("from", "--pull-never", name))
	root := strings.TrimSpace(b.buildah("mount", container))
	size := sizeOf(t, root)
	t.Logf("the image has %.1f MB", float64(size)/1e6)
	if size > largest {
		t.Errorf("the image has %d bytes, want at most %d", size, largest)
	}
	runGateway(t, root)
}

type builder struct {
	t       *testing.T
	storage string
}

func (b *builder) run(dir, program string, args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "STORAGE_DRIVER=vfs", "CONTAINERS_STORAGE_CONF="+b.config())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s %q: %v\n%s%s", program, args, err, out, stderr.String())
	}
	return string(out)
}

// config is a storage of the test's own.
func (b *builder) config() string {
	file := filepath.Join(b.storage, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", b.storage+"/graph", b.storage+"/run")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return file
}

func (b *builder) make(args ...string) string    { return b.run("../..", "make", args...) }
func (b *builder) buildah(args ...string) string { return b.run(".", "buildah", args...) }

// checkImage checks what the image says of itself.
func checkImage(t *testing.T, inspected string) {
	t.Helper()
	var image struct {
		Docker struct {
			Config struct {
				User        string
				Entrypoint  []string
				Cmd         []string
				Labels      map[string]string
				Healthcheck *struct{ Test []string }
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(inspected), &image); err != nil {
		t.Fatal(err)
	}
	c := image.Docker.Config
	if c.User != "65532:65532" {
		t.Errorf("the user is %q, want one who is not root", c.User)
	}
	if got := fmt.Sprint(c.Entrypoint, c.Cmd); got != "[/gatehouse] [gateway -config /etc/gatehouse]" {
		t.Errorf("it runs %s", got)
	}
	if c.Healthcheck == nil || fmt.Sprint(c.Healthcheck.Test) != "[CMD /gatehouse healthcheck]" {
		t.Errorf("its health check is %+v", c.Healthcheck)
	}
	for label, want := range map[string]string{"title": "Gatehouse", "version": "v0-test", "licenses": "Apache-2.0"} {
		if got := c.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

func sizeOf(t *testing.T, root string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(root, func(_ string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

const configuration = `listeners:
  - { name: http, address: "%s" }
admin: { address: "127.0.0.1:9081" }
applications:
  - hosts: ["*"]
    upstream: http://shop.example.com
`

// runGateway runs the gateway with the image as its root, as the image's user, asks for its health, and ends it.
func runGateway(t *testing.T, root string) {
	t.Helper()
	if c, err := net.DialTimeout("tcp", "127.0.0.1:9081", time.Second); err == nil {
		_ = c.Close()
		t.Fatal("port 9081, which the image's health check asks, is in use")
	}
	text := fmt.Sprintf(configuration, "127.0.0.1:0")
	if err := os.WriteFile(filepath.Join(root, "etc/gatehouse/gatehouse.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	command := func(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.CommandContext(ctx, "/gatehouse", args...)
		cmd.Dir = "/var/lib/gatehouse"
		cmd.Env = []string{"TMPDIR=/tmp"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		return cmd, &out
	}
	ask := func() (string, error) {
		cmd, out := command(t.Context(), "healthcheck")
		err := cmd.Run()
		return out.String(), err
	}
	if out, err := ask(); err == nil {
		t.Errorf("nothing runs, and the health check says: %s", out)
	}
	gateway, out := command(t.Context(), "gateway", "-config", "/etc/gatehouse")
	gateway.Cancel = func() error { return gateway.Process.Signal(syscall.SIGTERM) }
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := gateway.Wait(); err != nil {
			t.Errorf("the gateway ended with %v:\n%s", err, out)
		}
	}()
	deadline := time.Now().Add(time.Minute)
	for {
		text, err := ask()
		if err == nil {
			t.Log("healthcheck:", strings.TrimSpace(text))
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway is not healthy: %v %s\n%s", err, text, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
