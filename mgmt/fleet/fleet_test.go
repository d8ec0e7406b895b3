package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// poll asks for the state, with the tag that is known.
func (m *member) poll(tag string, wait time.Duration) (status int, state fleetapi.State, newTag string) {
	m.s.t.Helper()
	header := http.Header{"Prefer": {fmt.Sprintf("wait=%d", int(wait.Seconds()))}}
	if tag != "" {
		header.Set("If-None-Match", tag)
	}
	status, body, answer := m.s.send(m.client, http.MethodGet, fleetapi.PathState, nil, header)
	if status == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &state); err != nil {
			m.s.t.Fatal(err)
		}
	}
	if answer != nil {
		newTag = answer.Get("ETag")
	}
	return status, state, newTag
}

// number is that of the revision of a state's head.
func (s *site) number(state fleetapi.State, group string) uint64 {
	s.t.Helper()
	head, err := revision.Verify(state.Head, revision.Want{Kind: revision.KindHead, Stack: "prod", Group: group, Keys: []revision.PublicKey{s.key.Public()}})
	if err != nil {
		s.t.Fatal(err)
	}
	return head.Order.Number
}

// run does the background work of the service.
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

// TestPoll: a poll is answered at once with what is new, waits for what is not there yet, and hears nothing of other groups.
func TestPoll(t *testing.T) {
	s := newSite(t)
	s.run()
	_, token := s.token("edge", time.Hour, 1)
	g := s.join(token)
	status, state, tag := g.poll("", 0)
	if status != http.StatusOK || state.Head != nil || state.ReportEvery != 10 || state.Trial != 60 {
		t.Fatalf("before anything is published: %d %+v", status, state)
	}
	if status, _, _ := g.poll(tag, 0); status != http.StatusNotModified {
		t.Errorf("nothing is new, and the answer is %d", status)
	}
	type answer struct {
		status int
		state  fleetapi.State
		tag    string
		after  time.Duration
	}
	answers := make(chan answer, 1)
	wait := func(tag string) {
		start := time.Now()
		go func() {
			var a answer
			a.status, a.state, a.tag = g.poll(tag, 20*time.Second)
			a.after = time.Since(start)
			answers <- a
		}()
	}
	wait(tag)
	time.Sleep(50 * time.Millisecond)
	s.publish("inner", 7) // another group's: the poll goes on
	select {
	case a := <-answers:
		t.Fatalf("another group's revision ended the poll: %+v", a)
	case <-time.After(200 * time.Millisecond):
	}
	s.publish("edge", 1)
	a := <-answers
	if a.status != http.StatusOK || s.number(a.state, "edge") != 1 || a.after > 5*time.Second {
		t.Fatalf("after a publish: %+v", a)
	}
	wait(a.tag)
	time.Sleep(50 * time.Millisecond)
	s.write(func(tx *store.Tx) error {
		_, err := s.service.RevokeGateway(tx, "user:ann", g.credentials.Gateway, "stolen")
		return err
	})
	if a := <-answers; a.status != http.StatusForbidden || a.after > 5*time.Second {
		t.Errorf("a poll of a gateway that is revoked: %+v", a)
	}
	if status, body := g.ask(http.MethodGet, fleetapi.PathTrust+"?hash="+s.service.TrustHash().String(), nil); status != http.StatusOK {
		t.Errorf("trust: %d %s", status, body)
	} else if _, err := revision.ParseTrust([]byte(body), s.service.TrustHash()); err != nil {
		t.Error(err)
	}
	if status, _ := g.ask(http.MethodGet, fleetapi.PathTrust+"?hash="+revision.HashOf([]byte("x")).String(), nil); status != http.StatusNotFound {
		t.Errorf("the trust bundle of another hash: %d", status)
	}
}

// TestAway moves the clock by 72 hours and by 20 days with the manager away: gateways renew and go on, and none is retired. With the
// manager up, one that stays away is retired, and has to join again.
func TestAway(t *testing.T) {
	s := newSite(t)
	_, token := s.token("edge", time.Hour, 2)
	g, gone := s.join(token), s.join(token)
	ahead := time.Duration(0)
	for _, away := range []time.Duration{72 * time.Hour, 20 * 24 * time.Hour} {
		ahead += away
		s.ahead.Store(int64(ahead))
		s.open() // the manager returns
		s.count(time.Minute, 3)
		if status, body := g.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusUnauthorized || !strings.Contains(body, fleetapi.ProblemExpired) {
			t.Fatalf("after %v: %d %s", away, status, body)
		}
		g.reconnect()
		status, body := g.ask(http.MethodPost, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: requestFor(t, g.key)})
		if status != http.StatusOK {
			t.Fatalf("renew after %v: %d %s", away, status, body)
		}
		name := g.credentials.Gateway
		if g.take(body); g.credentials.Gateway != name || g.credentials.Group != "edge" {
			t.Errorf("it was %s, and is %+v", name, g.credentials)
		}
		if status, body := g.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusOK {
			t.Fatalf("after it has renewed: %d %s", status, body)
		}
		s.service.flush(t.Context())
	}
	// The other one stays away while the manager is up.
	day := 24 * time.Hour
	for range 7 {
		if list := s.list(); len(list) != 2 {
			t.Fatalf("there are %+v", list)
		}
		ahead += day
		s.ahead.Store(int64(ahead))
		g.take(s.must(g, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: requestFor(t, g.key)}))
		s.must(g, fleetapi.PathReport, fleetapi.Report{Boot: "b", Sequence: int64(ahead)})
		s.service.flush(t.Context())
		s.count(day, 1)
	}
	if list := s.list(); len(list) != 1 || list[0].Name != g.credentials.Gateway {
		t.Errorf("there are %+v", list)
	}
	gone.reconnect()
	if status, body := gone.ask(http.MethodPost, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: requestFor(t, gone.key)}); status != http.StatusForbidden || !strings.Contains(body, fleetapi.ProblemRetired) {
		t.Errorf("the one that was retired: %d %s", status, body)
	}
}

// reconnect has the gateway ask the service as it is now.
func (m *member) reconnect() {
	m.client = m.s.client(pair(m.credentials.Certificate, m.key))
}

func (s *site) must(m *member, path string, body any) string {
	s.t.Helper()
	status, answer := m.ask(http.MethodPost, path, body)
	if status >= http.StatusBadRequest || status == 0 {
		s.t.Fatalf("%s: %d %s", path, status, answer)
	}
	return answer
}

// count does rounds of counting who is away.
func (s *site) count(interval time.Duration, rounds int) {
	s.t.Helper()
	for range rounds {
		s.write(func(tx *store.Tx) error { return s.service.countAway(tx, interval) })
	}
}

func (s *site) list() (list []Gateway) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), func(tx *store.Tx) (err error) {
		list, err = Gateways(tx, Filter{Group: "edge"})
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// TestReports: the latest report counts, whatever order they come in; a later epoch than the database knows raises it, and one that
// nobody can have made does not.
func TestReports(t *testing.T) {
	s := newSite(t)
	_, token := s.token("edge", time.Hour, 1)
	g := s.join(token)
	report := func(sequence int64, epoch, number uint64) {
		t.Helper()
		s.must(g, fleetapi.PathReport, fleetapi.Report{
			Boot: "b", Sequence: sequence, Ready: true, Serving: fleetapi.Serving{Revision: revision.Order{Epoch: epoch, Number: number}},
			Refused: []fleetapi.Refusal{{Reason: strings.Repeat("x", 100_000)}},
		})
	}
	epoch := func() (n uint64) {
		t.Helper()
		if err := s.db.Read(t.Context(), func(tx *store.Tx) (err error) { n, err = tx.Epoch(); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	report(2, 1, 42)
	s.service.flush(t.Context())
	report(1, 1, 41)
	s.service.flush(t.Context())
	r := s.list()[0].Report
	if r == nil || r.Serving.Revision.Number != 42 || len(r.Refused[0].Reason) > maxReason+3 {
		t.Fatalf("the report is %.300v", r)
	}
	if got := epoch(); got != 1 {
		t.Errorf("the epoch is %d", got)
	}
	report(3, 9, 1)
	s.service.flush(t.Context())
	if got := epoch(); got != 10 {
		t.Errorf("a gateway has epoch 9, and the epoch is %d", got)
	}
	report(4, uint64(time.Now().Add(48*time.Hour).Unix()), 1) //nolint:gosec // a time after 1970
	s.service.flush(t.Context())
	if got := epoch(); got != 10 {
		t.Errorf("a gateway tells stories, and the epoch is %d", got)
	}
}

// TestStore does what needs a database on both: tokens, gateways, and who ends.
func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		s := &site{t: t, db: open()}
		var err error
		if s.key, err = revision.NewPrivateKey(); err != nil {
			t.Fatal(err)
		}
		s.open()
		id, text := s.token("edge", time.Hour, 2)
		s.join(text)
		s.join(text)
		s.write(func(tx *store.Tx) error {
			tokens, err := Tokens(tx, "", 10)
			if err != nil || len(tokens) != 1 || tokens[0].ID != id || tokens[0].Used != 2 || tokens[0].Expires.Sub(tokens[0].Made) != time.Hour {
				t.Errorf("tokens: %+v, %v", tokens, err)
			}
			return err
		})
		s.service.flush(t.Context())
		list := s.list()
		if len(list) != 2 || list[0].Seen.IsZero() || list[0].JoinedBy != "token:"+id || list[0].Name >= list[1].Name {
			t.Fatalf("gateways: %+v", list)
		}
		s.write(func(tx *store.Tx) error {
			if _, err := s.service.RevokeGateway(tx, "user:ann", list[0].Name, "old"); err != nil {
				return err
			}
			ended, err := Gateways(tx, Filter{Ended: true})
			if err != nil || len(ended) != 1 || ended[0].Ended != Revoked || ended[0].EndedAt.IsZero() {
				t.Errorf("ended: %+v, %v", ended, err)
			}
			return err
		})
		err = s.db.Write(t.Context(), func(tx *store.Tx) error { _, err := s.service.RevokeGateway(tx, "user:ann", "none", ""); return err })
		if err == nil || !strings.Contains(err.Error(), "no gateway none") {
			t.Errorf("revoke one that is not there: %v", err)
		}
	})
}

// TestTurn: what costs much waits for its turn, is told to come again if that takes long, and costs polls nothing.
func TestTurn(t *testing.T) {
	s := newSite(t)
	_, token := s.token("edge", time.Hour, 2)
	g := s.join(token)
	s.service.turn = 50 * time.Millisecond
	for range cap(s.service.busy) {
		s.service.busy <- struct{}{}
	}
	data, err := json.Marshal(fleetapi.RenewRequest{CSR: requestFor(t, g.key)})
	if err != nil {
		t.Fatal(err)
	}
	status, body, header := s.send(g.client, http.MethodPost, fleetapi.PathRenew, data, nil)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(body, fleetapi.ProblemBusy) {
		t.Errorf("with no turn free: %d %s %v", status, body, header)
	}
	if status, _, _ := g.poll("", 0); status != http.StatusOK {
		t.Errorf("a poll is answered with %d", status)
	}
	s.service.turn = 10 * time.Second
	go func() {
		time.Sleep(50 * time.Millisecond)
		<-s.service.busy
	}()
	if status, body, _ := s.send(g.client, http.MethodPost, fleetapi.PathRenew, data, nil); status != http.StatusOK {
		t.Errorf("with a turn soon: %d %s", status, body)
	}
}

// TestIssueBeforehand: a gateway that was taken in beforehand has its place, and what cannot be is refused by field.
func TestIssueBeforehand(t *testing.T) {
	s := newSite(t)
	key := newKey(t)
	var credentials fleetapi.Credentials
	s.write(func(tx *store.Tx) (err error) {
		credentials, err = s.service.IssueCertificate(tx, "user:ann", "edge", "gw.example.com", requestFor(t, key), time.Hour)
		return err
	})
	m := &member{s: s, key: key, credentials: credentials}
	m.reconnect()
	if status, body := m.ask(http.MethodGet, fleetapi.PathState, nil); status != http.StatusOK {
		t.Errorf("it gets %d %s", status, body)
	}
	for want, issue := range map[string]func(tx *store.Tx) error{
		"body.group": func(tx *store.Tx) error {
			_, err := s.service.IssueCertificate(tx, "user:ann", "../edge", "x", requestFor(t, key), time.Hour)
			return err
		},
		"body.expires_in": func(tx *store.Tx) error {
			_, err := s.service.IssueCertificate(tx, "user:ann", "edge", "x", requestFor(t, key), 1000*time.Hour)
			return err
		},
		"body.csr": func(tx *store.Tx) error {
			_, err := s.service.IssueCertificate(tx, "user:ann", "edge", "x", []byte("x"), time.Hour)
			return err
		},
		"body.uses": func(tx *store.Tx) error {
			_, _, err := s.service.CreateToken(tx, "user:ann", "edge", "", time.Hour, 0)
			return err
		},
	} {
		if err := s.db.Write(t.Context(), issue); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
