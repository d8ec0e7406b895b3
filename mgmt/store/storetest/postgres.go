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
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(programs) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("PostgreSQL is not installed")
		}
		t.Skip("PostgreSQL is not installed")
	}
	startOnce.Do(func() { startErr = startServer(filepath.Dir(programs[len(programs)-1])) })
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

func databaseURL(name string) string {
	q := url.Values{"host": {serverDir}, "user": {"postgres"}}
	return "postgres:///" + name + "?" + q.Encode()
}

// startServer starts a server that listens on a socket in a directory of its own only, and dies with this process. PostgreSQL
// refuses to run as root: then it runs as the user postgres.
func startServer(bin string) error {
	var err error
	if serverDir, err = os.MkdirTemp("", "pg"); err != nil {
		return err
	}
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids of the system
		if err := os.Chown(serverDir, uid, gid); err != nil {
			return err
		}
	}
	data := filepath.Join(serverDir, "data")
	initdb := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
	initdb.SysProcAttr = as
	initdb.Dir = serverDir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	server := exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), "-D", data, "-k", serverDir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-c", "log_min_messages=fatal")
	server.SysProcAttr = as
	server.Dir = serverDir
	if err := server.Start(); err != nil {
		return err
	}
	return waitForServer()
}

func waitForServer() error {
	db, err := sql.Open("pgx", databaseURL("postgres"))
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
