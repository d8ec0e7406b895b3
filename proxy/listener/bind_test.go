package listener

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = Listen(taken.Addr().String(), "admin.address")
	var bind *BindError
	if !errors.As(err, &bind) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v", err)
	}
	port := taken.Addr().(*net.TCPAddr).Port
	for _, want := range []string{fmt.Sprintf("port %d is in use", port), "admin.address"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	pid, name, found := portHolder("/proc", uint16(port))
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Log("no /proc: the holder cannot be known here")
	} else if !found || pid != os.Getpid() || name == "" {
		t.Errorf("holder %d %q %v", pid, name, found)
	}
}

func TestBindErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  BindError
		want string
	}{
		{"holder", BindError{":80", "admin.address", "nginx (process 7)", syscall.EADDRINUSE}, "listen on :80: port 80 is in use by nginx (process 7); stop it or change admin.address"},
		{"unknown holder", BindError{":80", "-address", "", syscall.EADDRINUSE}, "listen on :80: port 80 is in use by another process; stop it or change -address"},
		{"permission", BindError{":80", "k", "", syscall.EACCES}, "listen on :80: no permission for port 80; ports below 1024 need CAP_NET_BIND_SERVICE: grant it or change k"},
		{"address", BindError{"1.2.3.4:80", "k", "", syscall.EADDRNOTAVAIL}, "listen on 1.2.3.4:80: this host does not have that address; change k"},
		{"other", BindError{"x", "k", "", errors.New("missing port")}, "listen on x (k): missing port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.err.Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// The tables as the kernel writes them: only a socket that listens on the port counts.
func TestPortHolder(t *testing.T) {
	proc := t.TempDir()
	mkdir := func(path string) {
		if err := os.MkdirAll(filepath.Join(proc, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mkdir("net")
	mkdir("17/fd")
	mkdir("18/fd")
	header := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	write(t, filepath.Join(proc, "net/tcp"), []byte(header+
		"   0: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0 20 4 30 10 -1\n"+
		"   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 112 1 0 100 0 0 10 0\n"))
	write(t, filepath.Join(proc, "net/tcp6"), []byte(header+
		"   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 113 1 0 100 0 0 10 0\n"))
	write(t, filepath.Join(proc, "17/comm"), []byte("nginx\n"))
	write(t, filepath.Join(proc, "18/comm"), []byte("other\n"))
	for path, target := range map[string]string{"17/fd/3": "socket:[113]", "17/fd/4": "/dev/null", "18/fd/5": "socket:[111]"} {
		if err := os.Symlink(target, filepath.Join(proc, path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		port  uint16
		pid   int
		name  string
		found bool
	}{
		{80, 17, "nginx", true},
		{8080, 0, "", false}, // only connected
		{8081, 0, "", false}, // nobody has it that we may see
		{81, 0, "", false},
	} {
		pid, name, found := portHolder(proc, test.port)
		if pid != test.pid || name != test.name || found != test.found {
			t.Errorf("port %d: got %d %q %v", test.port, pid, name, found)
		}
	}
	if _, _, found := portHolder(filepath.Join(proc, "missing"), 80); found {
		t.Error("found without /proc")
	}
}
