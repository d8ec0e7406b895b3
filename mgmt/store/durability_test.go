package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
)

// The steps at which a manager is killed.
const (
	stepBeforeCommit = "before commit"
	stepAfterCommit  = "after commit"
	stepBeforeBucket = "before the bucket"
	stepBeforeAck    = "before the answer"
	stepAnytime      = "at any time"
)

var killSteps = []string{stepBeforeCommit, stepAfterCommit, stepBeforeBucket, stepBeforeAck, stepAnytime}

// durabilityKills is how many managers are killed on each database: DURABILITY says it, `make durability` sets it.
func durabilityKills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("DURABILITY")
	if text == "" {
		return len(killSteps)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("DURABILITY=%q is not a number of kills", text)
	}
	return n
}

// childEnv tells a test process that it is a manager to be killed, and how.
const childEnv = "GATEHOUSE_TEST_DURABILITY"

// child is what the process that is killed is told.
type child struct {
	URL, File, Bucket, Key string
	First                  uint64 // the number of the revision to begin with: it may have been published already
	Step                   string
	After                  int // how often the step is passed before the kill
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var c child
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		if err := c.run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run publishes one revision after the other, and says so on stdout once each is acknowledged, until it dies.
func (c child) run() error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: c.URL, File: c.File})
	if err != nil {
		return err
	}
	key, err := revision.ParsePrivateKey([]byte(c.Key))
	if err != nil {
		return err
	}
	o := &store.Outbox{
		DB: db, Bucket: revision.Dir(c.Bucket), Holder: "manager", Stack: "test", Step: c.at,
		Keys: func(context.Context) ([]revision.PublicKey, error) { return []revision.PublicKey{key.Public()}, nil },
	}
	for n := c.First; ; n++ {
		if err := publishOnce(ctx, db, key, n, c.at); err != nil {
			return err
		}
		c.at(stepAfterCommit)
		if err := o.Carry(ctx); err != nil {
			return err
		}
		c.at(stepBeforeAck)
		fmt.Println(n)
	}
}

// kills counts how often the step was passed.
var kills int

func (c child) at(step string) {
	if step != c.Step {
		return
	}
	if kills++; kills > c.After {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// publishOnce publishes revision n unless that was done already, as the API does for a request with an idempotency key: the key, the
// revision and the audit entry are one transaction.
func publishOnce(ctx context.Context, db *store.DB, key revision.PrivateKey, n uint64, at func(string)) error {
	built, err := revision.Build(revision.Content{Main: "gatehouse.yaml", Files: map[string][]byte{"gatehouse.yaml": fmt.Appendf(nil, "revision %d\n", n)}})
	if err != nil {
		return err
	}
	return db.Write(ctx, func(tx *store.Tx) error {
		_, _, err := tx.Idempotent(store.Request{Actor: "user:ann", Key: fmt.Sprint(n), Hash: "publish"}, func() ([]byte, error) {
			p := revision.Publisher{Depot: tx.Depot(), Stack: "test", Group: "edge", Signers: []revision.Signer{key}}
			if err := p.Publish(tx.Context(), built, revision.Order{Epoch: 1, Number: n}); err != nil {
				return nil, err
			}
			return []byte("{}"), tx.Audit("user:ann", "revision.publish", fmt.Sprint("revisions/", n), nil)
		})
		at(stepBeforeCommit)
		return err
	})
}

// TestKills kills managers at named steps, and goes on with the request that got no answer: nothing acknowledged is lost, and each is
// done once.
func TestKills(t *testing.T) {
	for kind, options := range map[string]func(*testing.T) store.Options{"sqlite": sqliteOptions, "postgres": storetest.PostgresOptions} {
		t.Run(kind, func(t *testing.T) {
			o := options(t)
			s := newSite(t)
			pem, err := s.key.EncodePEM()
			if err != nil {
				t.Fatal(err)
			}
			db := openStore(t, o)
			s.use(db)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same kills each time
			acknowledged, counts := uint64(0), map[string]int{}
			for n := range durabilityKills(t) {
				c := child{
					URL: o.URL, File: o.File, Bucket: s.dir, Key: string(pem),
					First: acknowledged + 1, Step: killSteps[n%len(killSteps)], After: random.IntN(6),
				}
				acknowledged = c.start(t, acknowledged, time.Duration(random.IntN(150))*time.Millisecond)
				counts[c.Step]++
			}
			t.Logf("%d revisions acknowledged; kills: %v", acknowledged, counts)
			if acknowledged == 0 {
				t.Fatal("nothing was published")
			}
			checkPublished(t, s, openStore(t, o), acknowledged)
		})
	}
}

// start runs the process until it dies, and gives the last number that it acknowledged.
func (c child) start(t *testing.T, last uint64, life time.Duration) uint64 {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if c.Step == stepAnytime {
		time.AfterFunc(100*time.Millisecond+life, func() { _ = cmd.Process.Kill() })
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil || n != last+1 {
			t.Fatalf("after %d it acknowledged %q", last, lines.Text())
		}
		last = n
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process did not die by the kill at %q: %v\n%s", c.Step, err, stderr.String())
	}
	return last
}

// checkPublished wants every acknowledged revision once, and at most one that was not.
func checkPublished(t *testing.T, s *site, db *store.DB, acknowledged uint64) {
	t.Helper()
	if err := publishOnce(t.Context(), db, s.key, acknowledged+1, func(string) {}); err != nil {
		t.Fatal(err)
	}
	read(t, db, func(tx *store.Tx) error {
		seen := map[string]int{}
		for e, err := range tx.AuditAll() {
			if err != nil {
				return err
			}
			seen[e.Object]++
		}
		for n := uint64(1); n <= acknowledged+1; n++ {
			if got := seen[fmt.Sprint("revisions/", n)]; got != 1 {
				t.Errorf("revision %d was published %d times", n, got)
			}
		}
		if len(seen) != int(acknowledged)+1 { //nolint:gosec // small
			t.Errorf("%d revisions are in the audit log, not %d", len(seen), acknowledged+1)
		}
		_, err := store.VerifyAudit(tx.AuditAll(), nil, "test", nil)
		return err
	})
	write(t, db, func(tx *store.Tx) error { // whoever had the lease is dead
		_, err := tx.Exec("UPDATE leases SET until = 1")
		return err
	})
	if err := s.outbox(db, "next").Carry(t.Context()); err != nil {
		t.Error(err)
	}
	s.want(acknowledged+1, fmt.Sprintf("revision %d\n", acknowledged+1))
	if n := s.waiting(db); n != 0 {
		t.Errorf("%d objects still wait for the bucket", n)
	}
}
