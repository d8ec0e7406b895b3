package action

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// site is a service whose gateways the test plays.
type site struct {
	t         *testing.T
	db        *store.DB
	key       revision.PrivateKey
	service   *Service
	connected []string
}

func newSite(t *testing.T, db *store.DB) *site {
	t.Helper()
	s := &site{t: t, db: db, connected: []string{"gw-1", "gw-2", "gw-3"}}
	var err error
	if s.key, err = revision.NewPrivateKey(); err != nil {
		t.Fatal(err)
	}
	s.service = New(Options{
		DB: db, Logger: zaptest.NewLogger(t), Stack: "prod", Signer: s.key, FleetTopic: "fleet", Holder: "one", Patience: 300 * time.Millisecond,
		Connected: func(*store.Tx, string) ([]string, error) { return s.connected, nil },
	})
	return s
}

// run does the background work.
func (s *site) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.service.Run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
}

func (s *site) write(do func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(s.t.Context(), do); err != nil {
		s.t.Fatal(err)
	}
}

// add adds a block of a client.
func (s *site) add(client string) (a Action) {
	s.t.Helper()
	s.write(func(tx *store.Tx) (err error) {
		x := fleetapi.Action{
			ID: store.NewID("act", tx.Now()), Kind: fleetapi.ActionBlock, Clients: []string{client}, Reason: "test", Author: "user:ann",
			Created: tx.Now(), Expires: tx.Now().Add(time.Hour),
		}
		if err := Check(&x); err != nil {
			return err
		}
		a, err = s.service.Add(tx, x, "edge")
		return err
	})
	return a
}

// shown is the order of what a gateway is shown and the clients that it has, or zero if nothing new is.
func (s *site) shown(gateway string) (order revision.Order, clients string) {
	s.t.Helper()
	s.write(func(tx *store.Tx) error {
		give, err := s.service.Shown(tx, "edge")
		if err != nil {
			return err
		}
		signed := give(gateway)
		if signed == nil {
			return nil
		}
		statement, err := revision.Verify(signed.Statement, revision.Want{Kind: revision.KindActions, Stack: "prod", Group: "edge", Keys: []revision.PublicKey{s.key.Public()}})
		if err != nil {
			return err
		}
		var set fleetapi.Actions
		if err := signed.Open(statement, &set); err != nil {
			return err
		}
		var all []string
		for _, a := range set.Actions {
			all = append(all, a.Clients...)
		}
		order, clients = statement.Order, strings.Join(all, " ")
		return set.Check()
	})
	return order, clients
}

// says reports that a gateway has a set in force, or that it refuses one.
func (s *site) says(gateway string, order revision.Order, refusal string) {
	r := &fleetapi.Report{Serving: fleetapi.Serving{Actions: order.Number}}
	if refusal != "" {
		r.Serving.Actions = 0
		r.Refused = []fleetapi.Refusal{{Kind: revision.KindRevision, Order: order, Reason: "something else"}, {Kind: fleetapi.KindActions, Order: order, Reason: refusal}}
	}
	s.service.Reported(gateway, "edge", r)
}

func (s *site) wait(id, status string) Action {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	a, err := s.service.Wait(ctx, id)
	if err != nil || a.Status != status {
		s.t.Fatalf("it is %+v, %v, and should be %s", a, err, status)
	}
	return a
}

// TestFirst: one gateway gets an action before the others; when it has it, all do; what it refuses is taken back; where it is silent,
// another one is asked, and after some all get it.
func TestFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		s := newSite(t, open())
		s.run()
		a := s.add("192.0.2.1")
		first, clients := s.shown("gw-1")
		if first.Number != 1 || clients != "192.0.2.1" || a.Status != pending {
			t.Fatalf("gw-1 is shown %v %s of %+v", first, clients, a)
		}
		if order, _ := s.shown("gw-2"); order.Number != 0 {
			t.Errorf("gw-2 is shown %v before gw-1 has it", order)
		}
		s.says("gw-2", first, "") // that it cannot have is no answer of gw-1
		s.says("gw-1", first, "")
		s.wait(a.ID, inForce)
		if order, _ := s.shown("gw-2"); order != first {
			t.Errorf("gw-2 is shown %v", order)
		}

		bad := s.add("192.0.2.2")
		second, _ := s.shown("gw-1")
		s.says("gw-1", second, "it would block everything")
		if a := s.wait(bad.ID, Refused); !strings.Contains(a.Why, "gw-1: it would block everything") {
			t.Errorf("why: %s", a.Why)
		}
		third, clients := s.shown("gw-2")
		if third.Number <= second.Number || clients != "192.0.2.1" {
			t.Errorf("after it was taken back gw-2 is shown %v %s", third, clients)
		}

		silent := s.add("192.0.2.3")
		s.wait(silent.ID, inForce)
		fourth, clients := s.shown("gw-3")
		if clients != "192.0.2.1 192.0.2.3" {
			t.Errorf("after three were silent gw-3 is shown %s", clients)
		}
		s.write(func(tx *store.Tx) error { _, err := s.service.Undo(tx, "user:ann", silent.ID); return err })
		s.wait(silent.ID, Undone)
		fifth, clients := s.shown("gw-2")
		if fifth.Number <= fourth.Number || clients != "192.0.2.1" {
			t.Errorf("after it was undone gw-2 is shown %v %s", fifth, clients)
		}
		s.connected = nil
		if a := s.add("192.0.2.4"); a.Status != inForce {
			t.Errorf("with no gateway connected it is %s", a.Status)
		}
	})
}

// TestTwoAtOnce: the latest of two that nobody has applied yet is taken back first, and the other one is tried alone.
func TestTwoAtOnce(t *testing.T) {
	s := newSite(t, storetest.SQLite(t)())
	s.service.o.Patience = time.Minute
	s.run()
	one, two := s.add("192.0.2.1"), s.add("192.0.2.2")
	order, _ := s.shown("gw-1")
	s.says("gw-1", order, "no")
	s.wait(two.ID, Refused)
	if order, clients := s.shown("gw-2"); order.Number != 0 {
		t.Errorf("gw-2 is shown %v %s, and nobody has applied it", order, clients)
	}
	order, clients := s.shown("gw-1")
	if clients != "192.0.2.1" {
		t.Errorf("gw-1 is shown %s", clients)
	}
	s.says("gw-1", order, "")
	s.wait(one.ID, inForce)
}

// TestAsk: the answers of all gateways are added up; one that does not answer is waited for as long as the patience lasts; what any
// refuses is refused.
func TestAsk(t *testing.T) {
	s := newSite(t, storetest.SQLite(t)())
	s.run()
	x := fleetapi.Action{ID: "preview", Kind: fleetapi.ActionBlock, Clients: []string{"192.0.2.0/24"}, Reason: "test"}
	answered := func(answers map[string]fleetapi.Answer) Share {
		t.Helper()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				var questions []fleetapi.Question
				_ = s.db.Read(t.Context(), func(tx *store.Tx) (err error) { questions, err = s.service.Questions(tx, "edge"); return err })
				if len(questions) == 1 {
					for gateway, a := range answers {
						a.ID = questions[0].ID
						report := &fleetapi.Report{Answers: []fleetapi.Answer{a}}
						s.service.Reported(gateway, "edge", report)
						s.service.Reported(gateway, "edge", report) // as every report says it again
					}
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		share, err := s.service.Ask(t.Context(), x, []string{"edge"})
		if err != nil {
			t.Fatal(err)
		}
		<-done
		return share
	}
	share := answered(map[string]fleetapi.Answer{"gw-1": {Requests: 1000, Hit: 10}, "gw-2": {Requests: 500, Hit: 500}, "gw-3": {Requests: 500, Hit: 9000}})
	if share.Requests != 2000 || share.Hit != 1010 || share.Answered != 3 || share.Gateways != 3 {
		t.Errorf("the share is %+v", share)
	}
	if err := Guard(share, false); err == nil || !strings.Contains(err.Error(), "50 %") {
		t.Errorf("half of the requests: %v", err)
	}
	if err := Guard(share, true); err != nil {
		t.Errorf("forced: %v", err)
	}
	if share := answered(map[string]fleetapi.Answer{"gw-1": {Requests: 1000, Hit: 90}}); share.Answered != 1 || Guard(share, false) != nil {
		t.Errorf("one of three has answered: %+v", share)
	}
	share = answered(map[string]fleetapi.Answer{"gw-1": {Refusal: "these are trusted proxies"}})
	if err := Guard(share, true); err == nil || !strings.Contains(err.Error(), "trusted proxies") {
		t.Errorf("what a gateway refuses always: %v", err)
	}
	s.service.Reported("gw-1", "edge", &fleetapi.Report{Answers: []fleetapi.Answer{{ID: "ask_never", Requests: 1}}})
	s.connected = nil
	if share, err := s.service.Ask(t.Context(), x, []string{"edge"}); err != nil || share.Gateways != 0 || Guard(share, false) != nil {
		t.Errorf("with no gateway: %+v, %v", share, err)
	}
	var n int64
	s.write(func(tx *store.Tx) error {
		return tx.Get(store.Row(&n), "SELECT (SELECT COUNT(*) FROM action_questions) + (SELECT COUNT(*) FROM action_answers)")
	})
	if n != 0 {
		t.Errorf("%d rows of questions are left", n)
	}
}
