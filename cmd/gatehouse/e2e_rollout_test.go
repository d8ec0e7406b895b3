//go:build e2e

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/rollout"
	"gatehouse/mgmt/store"
	"gatehouse/proxy/config"
	"gatehouse/rules/revision"
)

// trialFleet is a trial ground with gateways in processes of their own, each started again when it ends, as systemd does.
type trialFleet struct {
	*trialGround
	gateways []*trialGateway
	number   uint64 // of the latest revision
}

// trialGateway is one of them.
type trialGateway struct {
	t       *testing.T
	binary  string
	args    []string
	address string

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	ending bool
	log    lockedBuffer
	done   sync.WaitGroup
}

func (g *trialGateway) start() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ending {
		return nil
	}
	cmd := exec.Command(g.binary, g.args...)
	cmd.Stderr = &g.log
	if err := cmd.Start(); err != nil {
		return err
	}
	g.cmd = cmd
	g.done.Go(func() {
		_ = cmd.Wait() // it may have been killed
		if err := g.start(); err != nil {
			g.t.Error(err)
		}
	})
	return nil
}

func (g *trialGateway) signal(s os.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Error(err)
	}
}

func (g *trialGateway) stop() {
	g.mu.Lock()
	g.ending = true
	_ = g.cmd.Process.Kill() // it may have ended
	g.mu.Unlock()
	g.done.Wait()
	if g.t.Failed() {
		lines := strings.Split(g.log.String(), "\n")
		g.t.Logf("the end of the log of %s:\n%s", g.address, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
}

func newTrialFleet(t *testing.T, n int) *trialFleet {
	t.Helper()
	f := &trialFleet{trialGround: newTrialGround(t), number: 1}
	binary := filepath.Join(t.TempDir(), "gatehouse")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	token := f.c.joinToken(n)
	for range n {
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		g := &trialGateway{t: t, binary: binary, address: address, args: []string{
			"gateway", "-manager", "https://" + f.m.gateways, "-join", "token", "-join-token-file", token, "-state-dir", filepath.Join(t.TempDir(), "state"),
			"-listener", "http=" + address, "-log-format", "json",
		}}
		if err := g.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.stop)
		f.gateways = append(f.gateways, g)
		f.visit(func() []string { return []string{address} })
	}
	f.eventually(5*time.Minute, "all serve", func() bool { return f.serving(fmt.Sprintf("edge/1 on %d", n)) })
	return f
}

// eventually is proxytest.Eventually for what takes long.
func (f *trialFleet) eventually(d time.Duration, what string, ok func() bool) {
	f.t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%s: not within %v\n%s", what, d, f.run(exitOK, "status"))
		}
	}
}

// serving says whether the status has that among what is served.
func (f *trialFleet) serving(what string) bool {
	return strings.Contains(f.run(exitOK, "status"), " serve "+what+"\n")
}

// settle waits until all gateways serve the latest revision.
func (f *trialFleet) settle() {
	f.t.Helper()
	f.eventually(2*time.Minute, "all serve the latest revision", func() bool { return f.serving(fmt.Sprintf("edge/%d on %d", f.number, len(f.gateways))) })
}

// try publishes a change of the policy, and wants the rollout to end so. while runs meanwhile, once a gateway serves the revision.
func (f *trialFleet) try(policy, state, says string, while func(*trialGateway)) {
	f.t.Helper()
	start := time.Now()
	f.save(f.configuration(policy))
	f.run(exitOK, "publish", "-group", "edge")
	f.number++
	if while != nil {
		while(f.first())
	}
	f.ends(start, state, says)
}

// first is the first gateway that serves the latest revision.
func (f *trialFleet) first() (first *trialGateway) {
	f.t.Helper()
	applied := fmt.Sprintf(`"message":"revision applied","revision":"edge/%d"`, f.number)
	f.eventually(time.Minute, "a gateway serves the revision", func() bool {
		for _, g := range f.gateways {
			if strings.Contains(g.log.String(), applied) {
				first = g
			}
		}
		return first != nil
	})
	return first
}

// ends wants the latest rollout to end so, and all gateways to serve what they served before or, of a good one, it.
func (f *trialFleet) ends(start time.Time, state, says string) {
	f.t.Helper()
	name := fmt.Sprintf("edge/%d", f.number)
	exit := exitFailed
	if state == "done" {
		exit = exitOK
	}
	text := f.run(exit, "rollout", "status", name, "-wait", "-timeout", "3m")
	took := time.Since(start)
	f.has(text, name+" "+state, says)
	if state == "halted" {
		f.has(f.run(exitOK, "rollout", "status", name, "-o", "json"), `"gateways": 1,`) // the first stage
		f.number++
	}
	f.settle()
	f.t.Logf("%s: %s after %v, all serve edge/%d after %v: %s", name, state, took.Round(time.Millisecond), f.number, time.Since(start).Round(time.Millisecond), says)
}

// spoilt is a revision of which something is spoilt behind the manager's back.
type spoilt struct {
	f    *trialFleet
	tx   *store.Tx
	r    publish.Revision
	head revision.Statement
}

// poison publishes a revision and spoils it before any gateway is shown it.
func (f *trialFleet) poison(what, says string, spoil func(*spoilt) error) {
	f.t.Helper()
	start := time.Now()
	f.save(f.configuration(fmt.Sprintf(`, rules: [{ name: n%d, when: { path: "/n%d/**" }, then: block }]`, f.number, f.number)))
	stack, signers := f.m.settings.Stack, []revision.Signer{f.m.key}
	rollouts := rollout.New(rollout.Options{
		DB: f.m.db, Stack: stack, Signers: signers, Wake: []string{fleet.Topic},
		Gateways: func(tx *store.Tx, group string) (list []rollout.Status, err error) {
			gateways, err := fleet.Gateways(tx, fleet.Filter{Group: group})
			for _, g := range gateways {
				list = append(list, rollout.Status{Gateway: g.Name, Seen: g.Seen, Report: g.Report})
			}
			return list, err
		},
	})
	service := publish.New(publish.Options{Stack: stack, Signers: signers, Published: rollouts.Published})
	if err := f.m.db.Write(f.t.Context(), func(tx *store.Tx) error {
		r, err := service.Publish(tx, publish.Author{Name: "user:eve", Note: what}, "edge", nil)
		if err != nil {
			return err
		}
		return spoil(&spoilt{f: f, tx: tx, r: r, head: revision.Statement{
			Kind: revision.KindHead, Stack: stack, Group: "edge", Order: r.Order, Content: r.Hash, Time: time.Now().UTC().Truncate(time.Second),
		}})
	}); err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
	f.number++
	name := fmt.Sprintf("edge/%d", f.number)
	f.ends(start, "halted", says)
	for _, g := range f.gateways {
		if strings.Contains(g.log.String(), `"message":"revision applied","revision":"`+name+`"`) {
			f.t.Errorf("%s: a gateway has applied it", what)
		}
	}
}

func (s *spoilt) revisionFile() string {
	return fmt.Sprintf("edge/revisions/%d-%d.json", s.r.Order.Epoch, s.r.Order.Number)
}

func (s *spoilt) manifestFile() string {
	return "edge/objects/" + strings.TrimPrefix(s.r.Hash.String(), "sha256:")
}

// put puts something in the place of an object of the depot.
func (s *spoilt) put(name string, data []byte) error {
	n, err := s.tx.Exec("UPDATE depot SET data = $1 WHERE name = $2", data, name)
	if err == nil && n != 1 {
		err = fmt.Errorf("there is no %s", name)
	}
	return err
}

// sign puts another statement of the revision in its place.
func (s *spoilt) sign(change func(*revision.Statement), keys ...revision.Signer) error {
	statement := s.head
	statement.Kind = revision.KindRevision
	change(&statement)
	data, err := revision.Sign(s.tx.Context(), statement, keys...)
	if err != nil {
		return err
	}
	return s.put(s.revisionFile(), data)
}

// content makes it a revision of other content, signed as it should be.
func (s *spoilt) content(change func(main string) string) error {
	reader := revision.Reader{Depot: s.tx.Depot(), Stack: s.head.Stack, Group: "edge", Keys: []revision.PublicKey{s.f.m.key.Public()}}
	read, err := reader.Revision(s.tx.Context(), s.head)
	if err != nil {
		return err
	}
	files := maps.Clone(read.Files)
	files[config.BundleMain] = []byte(change(string(files[config.BundleMain])))
	built, err := revision.Build(revision.Content{Main: config.BundleMain, Files: files, CRS: read.Manifest.CRS})
	if err != nil {
		return err
	}
	if _, err := s.tx.Exec("DELETE FROM depot WHERE name = $1", s.revisionFile()); err != nil {
		return err
	}
	p := revision.Publisher{Depot: s.tx.Depot(), Stack: s.head.Stack, Group: "edge", Signers: []revision.Signer{s.f.m.key}}
	if err := p.Store(s.tx.Context(), built, s.r.Order); err != nil {
		return err
	}
	s.head.Content = built.Hash()
	return s.show(s.f.m.key)
}

// show signs the head that gateways are shown.
func (s *spoilt) show(key revision.PrivateKey) error {
	head, err := revision.Sign(s.tx.Context(), s.head, key)
	if err == nil {
		_, err = s.tx.Exec("UPDATE rollouts SET hash = $1, head = $2 WHERE number = $3", s.head.Content.String(), head, int64(s.r.Order.Number)) //nolint:gosec // small
	}
	return err
}

func squeezed(data []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(data, nil)
}

// replaced puts something into the configuration.
func replaced(from, to string) func(*spoilt) error {
	return func(s *spoilt) error {
		return s.content(func(main string) string {
			if !strings.Contains(main, from) {
				s.f.t.Errorf("the configuration has no %q:\n%s", from, main)
			}
			return strings.Replace(main, from, to, 1)
		})
	}
}

// poisons are ways to spoil a revision, with what the gateway says. Those of TestPoison in proxy/managed are more.
func poisons(other revision.PrivateKey) map[string]struct {
	says  string
	spoil func(*spoilt) error
} {
	type kind = struct {
		says  string
		spoil func(*spoilt) error
	}
	same := func(*revision.Statement) {}
	policy := func(directive string) func(*spoilt) error {
		return func(s *spoilt) error {
			return s.content(func(main string) string {
				return strings.Replace(main, "policies:\n", "policies:\n  - name: poison\n    seclang: |\n      "+directive+"\n", 1) + "\n"
			})
		}
	}
	return map[string]kind{
		"signed with another key": {"signed", func(s *spoilt) error { return s.sign(same, other) }},
		"not signed": {"sign", func(s *spoilt) error {
			return s.put(s.revisionFile(), fmt.Appendf(nil, `{"statement":%q,"signatures":[]}`, s.head.Encode()))
		}},
		"of another group": {"group", func(s *spoilt) error { return s.sign(func(x *revision.Statement) { x.Group = "inner" }, s.f.m.key) }},
		"of another stack": {"stack", func(s *spoilt) error { return s.sign(func(x *revision.Statement) { x.Stack = "other" }, s.f.m.key) }},
		"an older number":  {"it is revision", func(s *spoilt) error { return s.sign(func(x *revision.Statement) { x.Order.Number-- }, s.f.m.key) }},
		"two of one number": {"two revisions", func(s *spoilt) error {
			return s.sign(func(x *revision.Statement) { x.Content = revision.HashOf(nil) }, s.f.m.key)
		}},
		"no statement":               {"refuses it", func(s *spoilt) error { return s.put(s.revisionFile(), []byte("{}")) }},
		"a manifest that was cut":    {"refuses it", func(s *spoilt) error { return s.put(s.manifestFile(), squeezed([]byte("{}"))[:4]) }},
		"a manifest that is another": {"it was changed", func(s *spoilt) error { return s.put(s.manifestFile(), squeezed([]byte("{}"))) }},
		"a zip bomb":                 {"refuses it", func(s *spoilt) error { return s.put(s.manifestFile(), squeezed(make([]byte, 1<<28))) }},
		"a head of another key":      {"refuses it", func(s *spoilt) error { return s.show(other) }},
		"an unknown directive":       {"SecNonsense", policy("SecNonsense On")},
		"a bad pattern":              {"rx", policy(`SecRule ARGS \"@rx (\" \"id:1,deny\"`)},
		"an unknown mode":            {"blok", replaced("mode: block", "mode: blok")},
		"not YAML":                   {"refuses it", replaced("policies:", "policies: [")},
	}
}

// TestFleetRollout rolls revisions out to gateways in processes of their own. FLEET=20 has 20 of them, and all cases.
func TestFleetRollout(t *testing.T) {
	size, _ := strconv.Atoi(os.Getenv("FLEET"))
	f := newTrialFleet(t, max(size, 2))
	if size > 0 {
		f.stages = `[1, "10%", "50%", all]`
	}
	other, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	rule := func(path string) string {
		return fmt.Sprintf(`, rules: [{ name: one, when: { path: "/%s/**" }, then: block, stage: enforce }]`, path)
	}
	f.try(rule("one"), "done", "", nil)
	all := poisons(other)
	names := slices.Sorted(maps.Keys(all))
	if size == 0 {
		names = []string{"an unknown directive"}
	}
	for _, name := range names {
		f.poison(name, all[name].says, all[name].spoil)
	}
	kill := func(g *trialGateway) {
		time.Sleep(200 * time.Millisecond) // of requests
		g.signal(syscall.SIGKILL)
	}
	f.try(rule("killed"), "halted", "the process ended while revision", kill)
	if size == 0 {
		return
	}
	f.try(blockAll, "halted", "100 % of the requests are blocked", nil)
	shop := f.shop.URL
	f.shop.URL = f.other.URL
	f.try(rule("upstream"), "halted", "5xx by the upstream", nil)
	f.shop.URL = shop
	f.try(rule("partitioned"), "halted", "has been silent for", func(g *trialGateway) {
		g.signal(syscall.SIGSTOP)
		time.AfterFunc(time.Minute, func() { g.signal(syscall.SIGCONT) })
	})
	f.try(rule("outage"), "done", "", func(*trialGateway) { f.out.Store(true) })
	f.out.Store(false)
	f.try(rule("last"), "done", "", nil)
	f.try(slowPolicy(), "halted", "inspection takes up to", nil)
	t.Logf("%d gateways, %d kinds of poison, %d revisions", len(f.gateways), len(names), f.number)
}

// slowPolicy is right, and takes long.
func slowPolicy() string {
	var b strings.Builder
	b.WriteString(`, seclang: "`)
	for i := range 120 { // the text of a visit matches each, so that no shortcut is left
		fmt.Fprintf(&b, `SecRule REQUEST_HEADERS \"@rx (?:words.{1,%d}123.{1,90}){2}words\" \"id:%d,phase:1,pass,nolog\"\n`, 100+i, 50000+i)
	}
	return b.String() + `"`
}
