package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

var (
	startOnce sync.Once
	startErr  error
	serverDir string
	databases atomic.Int64
)

// newDatabase makes a database on the process's server and gives its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	bin := programs(t)
	startOnce.Do(func() { startErr = startServer(bin) })
	if startErr != nil {
		t.Fatal(startErr)
	}
	name := fmt.Sprintf("test%d", databases.Add(1))
	db, err := sql.Open("pgx", databaseURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // it was used for one statement
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return databaseURL(name)
}

// programs is where PostgreSQL's are. Without them the test is skipped, and fails in CI.
func programs(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("PostgreSQL is not installed")
		}
		t.Skip("PostgreSQL is not installed")
	}
	return filepath.Dir(found[len(found)-1])
}

func databaseURL(name string) string { return urlOf(name, serverDir) }

// urlOf names a database on the servers with the sockets in these directories: the first one that takes writes.
func urlOf(name string, dirs ...string) string {
	q := url.Values{"host": {strings.Join(dirs, ",")}, "user": {"postgres"}}
	return "postgres:///" + name + "?" + q.Encode()
}

// startServer starts the server that all tests of the process share.
func startServer(bin string) error {
	s, err := newServer(bin)
	if err != nil {
		return err
	}
	serverDir = s.dir
	if err := s.run("initdb", "-D", s.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"); err != nil {
		return err
	}
	return s.start("-c", "fsync=off")
}

// server is one that listens on a socket in a directory of its own only, and dies with this process. PostgreSQL refuses to run as
// root: then it runs as the user postgres.
type server struct {
	bin, dir string
	as       *syscall.SysProcAttr
	process  *exec.Cmd
}

func newServer(bin string) (*server, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, dir: dir, as: &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}}
	if os.Getuid() != 0 {
		return s, nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids of the system
	return s, os.Chown(dir, uid, gid)
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) command(program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...)
	c.SysProcAttr, c.Dir = s.as, s.dir
	return c
}

func (s *server) run(program string, args ...string) error {
	if out, err := s.command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func (s *server) start(settings ...string) error {
	args := append([]string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "log_min_messages=fatal"}, settings...)
	s.process = s.command("postgres", args...)
	if err := s.process.Start(); err != nil {
		return err
	}
	return waitForServer(s.dir)
}

func waitForServer(dir string) error {
	db, err := sql.Open("pgx", urlOf("postgres", dir))
	if err != nil {
		return err
	}
	defer db.Close() // it was used to ask
	for range 200 {
		if err = db.PingContext(context.Background()); err == nil {
			return nil
		}
		pause()
	}
	return fmt.Errorf("PostgreSQL does not start: %w", err)
}

func pause() { time.Sleep(50 * time.Millisecond) }
