package storetest

import (
	"database/sql"
	"os"
	"syscall"
	"testing"

	"gatehouse/mgmt/store"
)

// Pair is a PostgreSQL with a synchronous standby: what is committed on one is on the disk of both.
type Pair struct {
	t                *testing.T
	primary, standby *server
}

// NewPair starts both.
func NewPair(t *testing.T) *Pair {
	t.Helper()
	bin := programs(t)
	p := &Pair{t: t}
	p.primary = p.server(bin)
	p.check(p.primary.run("initdb", "-D", p.primary.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"))
	p.check(p.primary.start())
	p.follow(bin)
	return p
}

func (p *Pair) server(bin string) *server {
	s, err := newServer(bin)
	p.check(err)
	p.t.Cleanup(func() {
		if s.process != nil {
			_ = s.process.Process.Signal(syscall.SIGQUIT)
			_ = s.process.Wait()
		}
		_ = os.RemoveAll(s.dir)
	})
	return s
}

// follow starts a standby of the primary, for which the primary waits from then on.
func (p *Pair) follow(bin string) {
	p.standby = p.server(bin)
	p.check(p.standby.run("pg_basebackup", "-h", p.primary.dir, "-U", "postgres", "-D", p.standby.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync"))
	p.check(p.standby.start())
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		p.exec(p.primary, statement)
	}
	p.until(p.primary, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
}

// Options name a database on whichever of the two takes writes.
func (p *Pair) Options() store.Options {
	return store.Options{URL: urlOf("postgres", p.primary.dir, p.standby.dir)}
}

// Promote stops the primary hard, without any farewell, and makes the standby the primary.
func (p *Pair) Promote() {
	p.t.Helper()
	p.check(p.primary.run("pg_ctl", "stop", "-D", p.primary.data(), "-m", "immediate", "-s"))
	_ = p.primary.process.Wait()
	p.primary.process = nil
	// The new one is alone: it waits for no standby of its own.
	p.check(p.standby.run("pg_ctl", "promote", "-D", p.standby.data(), "-s"))
	p.primary, p.standby = p.standby, p.primary
}

// Rejoin gives the primary a new standby in the place of the one that was stopped.
func (p *Pair) Rejoin() {
	p.t.Helper()
	p.follow(p.primary.bin)
}

func (p *Pair) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *Pair) exec(s *server, statement string) {
	p.t.Helper()
	db, err := sql.Open("pgx", urlOf("postgres", s.dir))
	p.check(err)
	defer db.Close() // it was used for one statement
	_, err = db.ExecContext(p.t.Context(), statement)
	p.check(err)
}

// until asks until the answer is true.
func (p *Pair) until(s *server, question string) {
	p.t.Helper()
	db, err := sql.Open("pgx", urlOf("postgres", s.dir))
	p.check(err)
	defer db.Close() // it was used to ask
	for range 400 {
		yes := false
		if err = db.QueryRowContext(p.t.Context(), question).Scan(&yes); err == nil && yes {
			return
		}
		pause()
	}
	p.t.Fatalf("%s does not come true: %v", question, err)
}
