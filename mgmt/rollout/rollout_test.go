package rollout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// fleet is a group of gateways that do what they are shown, and report it.
type fleet struct {
	t        *testing.T
	db       *store.DB
	key      revision.PrivateKey
	publish  *publish.Service
	rollouts *Service
	lease    store.Lease

	mu       sync.Mutex
	gateways map[string]*fakeGateway
}

type fakeGateway struct {
	status  Status
	windows map[revision.Order]*fleetapi.Window
	// answer changes what a request under a revision comes to; nil answers all well.
	answer func(o revision.Order, w *fleetapi.Window)
	deaf   bool // it takes nothing, and says nothing
}

func newFleet(t *testing.T, db *store.DB, n int) *fleet {
	t.Helper()
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, db: db, key: key, gateways: map[string]*fakeGateway{}}
	th := DefaultThresholds()
	th.Acknowledge, th.Silence = 2*time.Second, 2*time.Second
	f.rollouts = New(Options{
		DB: db, Logger: zaptest.NewLogger(t), Stack: "test", Signers: []revision.Signer{key}, Holder: "here", Thresholds: th,
		Gateways: func(*store.Tx, string) ([]Status, error) { return f.statuses(), nil },
		Rollback: func(tx *store.Tx, by publish.Author, name string) (publish.Revision, error) {
			r, _, err := f.publish.Rollback(tx, by, name)
			return r, err
		},
		Wake: []string{"fleet"},
	})
	f.publish = publish.New(publish.Options{Stack: "test", Signers: []revision.Signer{key}, Vault: secret.New(sealed.NewKey()), Published: f.rollouts.Published})
	for i := range n {
		f.join(fmt.Sprintf("gw-%02d", i))
	}
	f.release("one", stages, "1s") // the first of a group needs no rollout
	return f
}

func (f *fleet) join(name string) {
	f.gateways[name] = &fakeGateway{
		status:  Status{Gateway: name, Seen: time.Now(), Report: &fleetapi.Report{Boot: "boot", Ready: true, Memory: 100 << 20}},
		windows: map[revision.Order]*fleetapi.Window{},
	}
}

func (f *fleet) statuses() (list []Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(f.gateways)) {
		g := f.gateways[name]
		report := *g.status.Report
		report.Windows = slices.Clone(report.Windows)
		for i := range report.Windows {
			report.Windows[i].Added = slices.Clone(report.Windows[i].Added)
		}
		list = append(list, Status{name, g.status.Seen, &report})
	}
	return list
}

// stages of most tests.
const stages = `["1", "50%", "all"]`

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// release publishes something new.
func (f *fleet) release(what, stages, soak string) (name string) {
	f.t.Helper()
	f.must(f.db.Write(f.t.Context(), func(tx *store.Tx) error {
		by := publish.Author{Name: "user:ann", Owner: publish.OwnerUI}
		var edits []publish.Edit
		for key, text := range map[string]string{
			"applications/shop": `{"hosts":["shop.example.com"],"upstream":"http://shop.internal","owner":"` + what + `"}`,
			"listeners/http":    `{"address":":8080"}`,
			"groups/edge":       `{"listeners":["http"],"applications":["*"],"rollout":{"stages":` + stages + `,"soak":"` + soak + `"}}`,
		} {
			k, err := object.ParseKey(key)
			if err != nil {
				return err
			}
			body, err := object.ParseBody(text)
			if err != nil {
				return err
			}
			edits = append(edits, publish.Edit{Key: k, Body: body})
		}
		if _, err := f.publish.Save(tx, by, edits...); err != nil {
			return err
		}
		r, err := f.publish.Publish(tx, by, "edge", nil)
		name = r.Name
		return err
	}))
	return name
}

// heads are what each gateway is shown.
func (f *fleet) heads() map[string]revision.Statement {
	f.t.Helper()
	out := map[string]revision.Statement{}
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) error {
		head, err := f.rollouts.Heads(tx, "edge")
		if err != nil {
			return err
		}
		for name := range f.gateways {
			s, err := revision.Verify(head(name), revision.Want{Kind: revision.KindHead, Stack: "test", Group: "edge", Keys: []revision.PublicKey{f.key.Public()}})
			if err != nil {
				return err
			}
			out[name] = s
		}
		return nil
	}))
	return out
}

// live lets every gateway take what it is shown, answer requests, and report; then the judge looks.
func (f *fleet) live(requests int64) {
	f.t.Helper()
	for name, head := range f.heads() {
		f.mu.Lock()
		g := f.gateways[name]
		r := g.status.Report
		if !g.deaf {
			if head.Order.Compare(r.Serving.Revision) < 0 {
				f.t.Errorf("gateway %s serves %s and is shown %s", name, r.Serving.Revision, head.Order)
			}
			r.Serving.Revision, r.Serving.Hash = head.Order, head.Content
			w := g.windows[head.Order]
			if w == nil {
				w = &fleetapi.Window{Revision: head.Order, Application: "shop", Added: make([]int64, len(fleetapi.LatencyBounds)+1)}
				g.windows[head.Order] = w
			}
			w.Requests += requests
			w.Added[1] += requests
			if g.answer != nil {
				g.answer(head.Order, w)
			}
			r.Windows = nil
			for _, w := range g.windows {
				r.Windows = append(r.Windows, *w)
			}
			r.Sequence++
			g.status.Seen = time.Now()
		}
		f.mu.Unlock()
	}
	f.look()
}

// look has the judge look once.
func (f *fleet) look() {
	f.t.Helper()
	_, err := f.rollouts.lookAt(f.t.Context(), &f.lease)
	f.must(err)
}

// latest is the latest rollout but for those of rollbacks.
func (f *fleet) latest(revision string) (r Rollout) {
	f.t.Helper()
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) error {
		list, err := List(tx, Filter{Group: "edge"})
		for _, x := range list {
			if x.Revision == revision {
				r, err = f.rollouts.Get(tx, x.ID)
			}
		}
		return err
	}))
	return r
}

// serving counts the gateways by the number that they serve.
func (f *fleet) serving() map[uint64]int {
	out := map[uint64]int{}
	for _, g := range f.statuses() {
		out[g.Report.Serving.Revision.Number]++
	}
	return out
}

func (f *fleet) want(name string, state State, by map[uint64]int) Rollout {
	f.t.Helper()
	r := f.latest(name)
	if got := f.serving(); r.State != state || !maps.Equal(got, by) {
		f.t.Fatalf("%s is %s (%s, %+v), served by %v; want %s, %v", name, r.State, r.Reason, r.Judgement, got, state, by)
	}
	return r
}

// bucket is the number of the head that a new instance boots from.
func (f *fleet) bucket() (n uint64) {
	f.must(f.db.Read(f.t.Context(), func(tx *store.Tx) error {
		head, err := f.rollouts.publisher(tx, "edge").Head(tx.Context())
		n = head.Order.Number
		return err
	}))
	return n
}

// TestStaged: a good revision reaches one gateway, half of them, and all, each after its soak; the bucket's head moves last.
func TestStaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		f := newFleet(t, open(), 6)
		f.live(100)
		f.want("edge/1", Done, map[uint64]int{1: 6})
		name := f.release("two", stages, "1s")
		f.look()
		f.live(200)
		f.want(name, Running, map[uint64]int{1: 5, 2: 1})
		f.live(200)
		f.want(name, Running, map[uint64]int{1: 5, 2: 1})
		time.Sleep(1100 * time.Millisecond)
		f.live(200) // the stage ends
		f.live(200)
		f.want(name, Running, map[uint64]int{1: 3, 2: 3})
		if n := f.bucket(); n != 1 {
			t.Errorf("a new instance boots from revision %d", n)
		}
		time.Sleep(1100 * time.Millisecond)
		f.live(200)
		f.live(200)
		f.want(name, Running, map[uint64]int{2: 6})
		f.join("gw-new")
		f.live(10)
		if r := f.want(name, Running, map[uint64]int{2: 7}); r.Judgement.Gateways != 7 {
			t.Errorf("a gateway that came in the last stage is not judged: %+v", r.Judgement)
		}
		time.Sleep(1100 * time.Millisecond)
		f.live(200)
		r := f.want(name, Done, map[uint64]int{2: 7})
		if n := f.bucket(); n != 2 || r.Base != "edge/1-1" {
			t.Errorf("a new instance boots from revision %d; before it was %s", n, r.Base)
		}
		var log []string
		f.must(f.db.Read(t.Context(), func(tx *store.Tx) error {
			for e, err := range tx.AuditLog(0, 1000) {
				if err != nil {
					return err
				}
				if strings.HasPrefix(e.Action, "rollout.") {
					log = append(log, e.Action)
				}
			}
			return nil
		}))
		if !slices.Equal(log, []string{"rollout.stage", "rollout.stage", "rollout.stage", "rollout.done"}) {
			t.Error(log)
		}
	})
}

// TestHalted: each way to be bad ends at the first stage, with the content before it as a new revision that all get.
func TestHalted(t *testing.T) {
	second := revision.Order{Number: 2}
	only := func(do func(w *fleetapi.Window)) func(*fleet, *fakeGateway) {
		return func(_ *fleet, g *fakeGateway) {
			g.answer = func(o revision.Order, w *fleetapi.Window) {
				if o.Number == second.Number {
					do(w)
				}
			}
		}
	}
	for name, bad := range map[string]func(*fleet, *fakeGateway){
		"blocked":      only(func(w *fleetapi.Window) { w.Blocked = w.Requests }),
		"own_5xx":      only(func(w *fleetapi.Window) { w.Own5xx = w.Requests / 10 }),
		"upstream_5xx": only(func(w *fleetapi.Window) { w.Upstream5xx = w.Requests / 2 }),
		"slower":       only(func(w *fleetapi.Window) { clear(w.Added); w.Added[8] = w.Requests }),
		"memory":       func(_ *fleet, g *fakeGateway) { g.status.Report.Memory = 600 << 20 },
		"restarted":    func(_ *fleet, g *fakeGateway) { g.status.Report.Boot = "again" },
		"silent":       func(_ *fleet, g *fakeGateway) { g.deaf = true },
		"refused": func(f *fleet, g *fakeGateway) {
			g.deaf = true
			head := f.heads()[g.status.Gateway]
			f.said(g.status.Gateway, &fleetapi.Report{Refused: []fleetapi.Refusal{{Kind: revision.KindRevision, Order: head.Order, Hash: head.Content, Reason: "no memory for it"}}})
		},
		"crashed": func(f *fleet, g *fakeGateway) {
			head := f.heads()[g.status.Gateway]
			g.status.Report.Boot = "again"
			f.said(g.status.Gateway, &fleetapi.Report{Crashed: &fleetapi.Refusal{Kind: revision.KindRevision, Order: head.Order, Hash: head.Content, Reason: "the process ended"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, storetest.SQLite(t)(), 6)
			f.live(100)
			rev := f.release("two", stages, "1h")
			f.look()
			f.live(100)
			var canary string
			for name, head := range f.heads() {
				if head.Order.Number == 2 {
					canary = name
				}
			}
			bad(f, f.gateways[canary])
			for range 70 {
				if f.live(100); f.latest(rev).State != Running {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			r := f.latest(rev)
			if r.State != Halted || r.Judgement.Cause != name || r.Back != "edge/3" || r.Judgement.Gateways != 1 {
				t.Fatalf("%s: %s, %+v, taken back by %q", rev, r.State, r.Judgement, r.Back)
			}
			f.gateways[canary].deaf = false
			f.live(100)
			f.want("edge/3", Done, map[uint64]int{3: 6})
			if n := f.bucket(); n != 3 {
				t.Errorf("a new instance boots from revision %d", n)
			}
			f.must(f.db.Read(t.Context(), func(tx *store.Tx) error {
				pending, err := publish.Changes(tx, publish.ChangeFilter{Pending: "edge"})
				if len(pending) == 0 {
					t.Error("the change that was taken back is not pending again")
				}
				return err
			}))
		})
	}
}

// said has the service take a report, and waits until it is written.
func (f *fleet) said(gateway string, r *fleetapi.Report) {
	f.t.Helper()
	f.rollouts.Reported(gateway, "edge", r)
	select {
	case no := <-f.rollouts.refusals:
		f.must(f.rollouts.writeRefusals(f.t.Context(), no))
	default:
		f.t.Fatal("nothing was noted")
	}
}

// TestOutage: the upstream fails for the whole fleet in the middle of a rollout, and it goes on.
func TestOutage(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 6)
	f.live(100)
	name := f.release("two", stages, "1s")
	f.look()
	f.live(100)
	for _, g := range f.gateways {
		g.answer = func(_ revision.Order, w *fleetapi.Window) { w.Upstream5xx = w.Requests * 9 / 10 }
	}
	for range 60 {
		if f.live(200); f.latest(name).State == Done {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.want(name, Done, map[uint64]int{2: 6})
}

// TestOutageSeenLate: one gateway reports the outage of all before the others do; that halts nothing.
func TestOutageSeenLate(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 6)
	f.live(500)
	name := f.release("two", stages, "1h")
	f.look()
	f.live(100)
	fails := func(_ revision.Order, w *fleetapi.Window) { w.Upstream5xx += 100 }
	for _, g := range f.gateways {
		if g.status.Report.Serving.Revision.Number == 2 {
			g.answer = fails
		}
	}
	f.live(100)
	f.live(100)
	if r := f.latest(name); r.State != Running {
		t.Fatalf("%s: %s", r.State, r.Reason)
	}
	for _, g := range f.gateways {
		g.answer = fails
	}
	for range 10 {
		f.live(100)
	}
	f.want(name, Running, map[uint64]int{1: 5, 2: 1})
	for _, g := range f.gateways { // the upstream is back, but not where the revision says
		if g.status.Report.Serving.Revision.Number == 1 {
			g.answer = nil
		}
	}
	for range 20 {
		f.live(100)
	}
	f.want(name, Halted, map[uint64]int{3: 6})
}

// TestBlip: what befell one gateway for a moment is not held against the revision for the rest of the stage.
func TestBlip(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 6)
	f.live(500)
	name := f.release("two", stages, "1s")
	f.look()
	f.live(100)
	blip := true
	for _, g := range f.gateways {
		if g.status.Report.Serving.Revision.Number == 2 {
			g.answer = func(_ revision.Order, w *fleetapi.Window) {
				if blip {
					w.Upstream5xx += 100
				}
			}
		}
	}
	f.live(100)
	blip = false
	for range 20 {
		if f.live(100); f.latest(name).Stage > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if r := f.latest(name); r.State != Running || r.Stage != 1 {
		t.Errorf("%s, stage %d: %+v", r.State, r.Stage, r.Judgement)
	}
}

// TestWaitsAndOrders: without requests a stage waits and asks; operators pause, resume, advance and abort.
func TestWaitsAndOrders(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		f := newFleet(t, open(), 4)
		f.live(1)
		order := func(do func(*store.Tx, string) (Rollout, error), name string) error {
			return f.db.Write(t.Context(), func(tx *store.Tx) error { _, err := do(tx, f.latest(name).ID); return err })
		}
		ann := publish.Author{Name: "user:ann"}
		pause := func(tx *store.Tx, id string) (Rollout, error) { return f.rollouts.Pause(tx, ann, id) }
		resume := func(tx *store.Tx, id string) (Rollout, error) { return f.rollouts.Resume(tx, ann, id) }
		advance := func(tx *store.Tx, id string) (Rollout, error) { return f.rollouts.Advance(tx, ann, id) }
		abort := func(tx *store.Tx, id string) (Rollout, error) { return f.rollouts.Abort(tx, ann, id) }

		name := f.release("two", stages, "1ms")
		f.look()
		f.live(10)
		f.live(10)
		r := f.want(name, Waiting, map[uint64]int{1: 3, 2: 1})
		if r.Judgement.Cause != "requests" || !strings.Contains(r.Reason, "too few") {
			t.Errorf("%+v", r)
		}
		f.live(200) // there they are
		f.must(order(pause, name))
		f.live(200)
		f.live(200)
		f.want(name, Paused, map[uint64]int{1: 2, 2: 2})
		if err := order(pause, name); err == nil {
			t.Error("paused twice")
		}
		f.must(order(resume, name))
		if err := order(resume, name); err == nil {
			t.Error("resumed twice")
		}
		f.live(200)
		f.live(200)
		f.want(name, Done, map[uint64]int{2: 4})
		if err := order(abort, name); err == nil {
			t.Error("aborted after its end")
		}

		name = f.release("three", stages, "1h")
		f.look()
		f.live(1)
		f.must(order(advance, name))
		f.live(1)
		f.live(1)
		f.want(name, Running, map[uint64]int{2: 2, 3: 2})
		f.must(order(abort, name))
		f.live(1)
		if r := f.want(name, Aborted, map[uint64]int{4: 4}); r.Back != "edge/4" {
			t.Errorf("%+v", r)
		}
		if err := f.db.Write(t.Context(), func(tx *store.Tx) error { _, err := f.rollouts.Pause(tx, ann, "rol_none"); return err }); err == nil {
			t.Error("a rollout that is not there was paused")
		}
	})
}

// TestAtOnce: a group whose only stage is all has it at once, and it is over when all serve it, with traffic or without.
func TestAtOnce(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 3)
	f.live(1)
	name := f.release("two", `["all"]`, "1h")
	f.look()
	f.live(0)
	f.want(name, Done, map[uint64]int{2: 3})
}

// TestSuperseded: what some gateways were shown is never taken from them by number, and they come first in the next rollout.
func TestSuperseded(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 6)
	f.live(100)
	two := f.release("two", stages, "1h")
	f.look()
	f.live(100)
	f.want(two, Running, map[uint64]int{1: 5, 2: 1})
	three := f.release("three", stages, "1h")
	f.live(100)
	f.want(two, Superseded, map[uint64]int{1: 5, 2: 1})
	f.live(100)
	f.want(three, Running, map[uint64]int{1: 5, 3: 1})
	if r := f.latest(three); r.Base != "edge/1-1" {
		t.Errorf("%+v", r)
	}
}

// TestTwoManagers: two judge one database, one of them at a time, and the other goes on when it is gone.
func TestTwoManagers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		f := newFleet(t, db, 4)
		f.live(100)
		other := New(f.rollouts.o)
		other.o.Holder = "there"
		name := f.release("two", stages, "1s")
		f.look()
		if _, err := other.lookAt(t.Context(), &store.Lease{}); err == nil || !strings.Contains(err.Error(), store.ErrLeaseLost.Error()) {
			t.Errorf("two judge at once: %v", err)
		}
		f.lease.Until = db.Now().Add(time.Second)
		if f.look(); f.lease.Until.Sub(db.Now()) < leaseHold/2 {
			t.Error("the lease is not prolonged in time")
		}
		stale := f.lease
		f.must(db.Release(t.Context(), f.lease))
		f.rollouts, f.lease = other, store.Lease{}
		f.live(200)
		f.live(200)
		f.want(name, Running, map[uint64]int{1: 3, 2: 1})
		wrote := false
		if err := other.carryOut(t.Context(), stale, func(*store.Tx) error { wrote = true; return nil }); err == nil || wrote {
			t.Error("a manager whose lease is over has written")
		}
	})
}

// TestDrained: a gateway that says that it ends does not halt anything, and counts again when it is back.
func TestDrained(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 3)
	f.live(100)
	name := f.release("two", `["1", "all"]`, "1h")
	f.look()
	f.live(100)
	for _, g := range f.gateways {
		if g.status.Report.Serving.Revision.Number == 2 {
			g.status.Report.Draining = true
			f.live(1)
			f.live(1)
			g.status.Report.Boot, g.status.Report.Draining = "again", false
		}
	}
	f.live(1)
	f.live(1)
	f.want(name, Running, map[uint64]int{1: 2, 2: 1})
	if j := f.latest(name).Judgement; j.Outcome != goOn || j.Gateways != 1 {
		t.Errorf("%+v", j)
	}
}

// TestStuck: if what was there before cannot be published again, the rollout is halted all the same.
func TestStuck(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 3)
	f.live(100)
	f.rollouts.o.Rollback = func(*store.Tx, publish.Author, string) (publish.Revision, error) {
		return publish.Revision{}, problem.New(problem.Invalid, "this version cannot read it")
	}
	name := f.release("two", stages, "1h")
	f.look()
	f.live(100)
	for _, g := range f.gateways {
		if g.status.Report.Serving.Revision.Number == 2 {
			g.answer = func(_ revision.Order, w *fleetapi.Window) { w.Blocked = w.Requests }
		}
	}
	for range 6 {
		f.live(100)
	}
	if r := f.want(name, Halted, map[uint64]int{1: 2, 2: 1}); !strings.Contains(r.Reason, "cannot read it") {
		t.Errorf("%+v", r)
	}
}

// TestHeadsStayFresh: the head of a rollout that takes long is signed anew.
func TestHeadsStayFresh(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 2)
	f.live(100)
	f.release("two", stages, "24h")
	f.look()
	r := f.latest("edge/2")
	f.must(f.db.Write(t.Context(), func(tx *store.Tx) error {
		r.headAt = r.headAt.Add(-2 * headAge)
		return r.write(tx)
	}))
	time.Sleep(1100 * time.Millisecond) // statements have whole seconds
	f.look()
	if now := f.latest("edge/2"); bytes.Equal(now.head, r.head) || now.headAt.Equal(r.headAt) {
		t.Error("it was not")
	}
	f.live(1)
}

// TestOwnPast: a gateway that is alone is compared with what it did in the hour before, not with all of its life.
func TestOwnPast(t *testing.T) {
	f := newFleet(t, storetest.SQLite(t)(), 1)
	for _, g := range f.gateways {
		g.answer = func(_ revision.Order, w *fleetapi.Window) { w.Blocked = min(w.Requests, 10_000) }
	}
	f.live(10_000) // long ago all was blocked
	f.rollouts.sampled = time.Time{}
	f.look()
	f.live(5_000)
	name := f.release("two", stages, "1s")
	f.look()
	for range 40 {
		if f.live(200); f.latest(name).State != Running {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	r := f.latest(name)
	if r.State != Halted || r.Judgement.Cause != "blocked" || !r.Judgement.OwnPast {
		t.Errorf("%s: %+v", r.State, r.Judgement)
	}
	if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), `"head"`) {
		t.Errorf("%s %v", text, err)
	}
}
