package managed

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// actionConfig trusts no proxy but one that is not here, so that loopback is a client.
func actionConfig(upstream string) map[string][]byte {
	files := configFor(upstream)
	text := string(files["gatehouse.yaml"])
	files["gatehouse.yaml"] = []byte(strings.Replace(text, "trusted_hops: 0", "trusted_hops: 0, trusted_proxies: [192.0.2.1/32]", 1))
	return files
}

// sayActions signs actions as a number of the epoch 1.
func (m *manager) sayActions(key revision.PrivateKey, group string, number uint64, list ...fleetapi.Action) *fleetapi.Signed {
	m.t.Helper()
	s, err := fleetapi.Sign(context.Background(), fleetapi.KindActions, testStack, group, revision.Order{Epoch: 1, Number: number}, time.Now(),
		fleetapi.Actions{Format: 1, Actions: list}, key)
	if err != nil {
		m.t.Fatal(err)
	}
	m.say(func(st *fleetapi.State) { st.Actions = s })
	return s
}

func blockLoopback(id string) fleetapi.Action {
	now := time.Now()
	return fleetapi.Action{ID: id, Kind: fleetapi.ActionBlock, Clients: []string{"127.0.0.1"}, Reason: "test", Author: "user:ada", Created: now, Expires: now.Add(time.Hour)}
}

// TestActions: signed actions act within a moment, survive a restart with the manager away, and nothing that is forged, of another
// group, changed or older moves them.
func TestActions(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, actionConfig(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	refused := func(g *running) bool { return g.get() != "first" }
	if refused(g) {
		t.Fatal("refused without an action")
	}
	start := time.Now()
	older := m.sayActions(m.key, testGroup, 4)
	block := m.sayActions(m.key, testGroup, 5, blockLoopback("act_1"))
	eventually(t, "the block acts", func() bool { return refused(g) })
	t.Logf("signed to acting: %v", time.Since(start))
	eventually(t, "it is reported", func() bool { return m.report().Serving.Actions == 5 })

	stranger, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	changed := *block
	changed.Document = []byte(`{"format":1,"actions":[]}`)
	wide := blockLoopback("act_2")
	wide.Clients = []string{"10.0.0.0/7"}
	proxies := blockLoopback("act_3")
	proxies.Clients = []string{"192.0.2.0/24"}
	for _, x := range []struct {
		say  func()
		want string
	}{
		{func() { m.say(func(s *fleetapi.State) { s.Actions = older }) }, "older"},
		{func() { m.say(func(s *fleetapi.State) { s.Actions = &changed }) }, "not the signed one"},
		{func() { m.sayActions(m.key, testGroup, 5) }, "two revisions"},
		{func() { m.sayActions(stranger, testGroup, 6) }, "none of these keys"},
		{func() { m.sayActions(m.key, "other", 7) }, "group other"},
		{func() { m.sayActions(m.key, testGroup, 8, wide) }, "wider than /8"},
		{func() { m.sayActions(m.key, testGroup, 9, proxies) }, "trusted proxies"},
	} {
		x.say()
		eventually(t, "refused: "+x.want, func() bool {
			for _, r := range m.refusals() {
				if r.Kind == fleetapi.KindActions && strings.Contains(r.Reason, x.want) {
					return true
				}
			}
			return false
		})
		if !refused(g) {
			t.Fatalf("%s: the block is gone", x.want)
		}
	}
	g.stop()
	m.stop() // the manager is away
	again := run(t, o)
	again.serves(1)
	if !refused(again) {
		t.Error("after a restart the block is gone")
	}
	again.takeActions(older)
	if !refused(again) {
		t.Error("after a restart an older set is taken")
	}
	m.start(strings.TrimPrefix(o.Managers[0], "https://"))
	m.sayActions(m.key, testGroup, 10)
	eventually(t, "undone", func() bool { return !refused(again) })
	again.stop()
	file := filepath.Join(o.StateDir, actionsName)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestActionsDisable: a rule that an action leaves out is left out after a restart too, before the first request.
func TestActionsDisable(t *testing.T) {
	m := newManager(t)
	m.publish(1, 0, actionConfig(upstreamOf(t, "first")))
	o := optionsFor(t, m)
	g := run(t, o)
	g.serves(1)
	attack := func(g *running) int {
		response, err := http.Get("http://" + g.Server().Addr("").String() + "/.git/config")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	if code := attack(g); code != 403 {
		t.Fatalf("status %d", code)
	}
	a := blockLoopback("act_1")
	a.Kind, a.Clients, a.Application, a.Rule = fleetapi.ActionDisable, nil, "shop", 930130
	m.sayActions(m.key, testGroup, 1, a)
	eventually(t, "the rule is left out", func() bool { return attack(g) == 200 })
	m.say(func(s *fleetapi.State) { s.Questions = []fleetapi.Question{{ID: "q", Action: a}} })
	eventually(t, "the question is answered", func() bool {
		r := m.report()
		return len(r.Answers) == 1 && r.Answers[0].ID == "q" && r.Answers[0].Hit > 0 && r.Answers[0].Requests > r.Answers[0].Hit
	})
	g.stop()
	m.stop()
	again := run(t, o)
	again.serves(1)
	if code := attack(again); code != 200 {
		t.Errorf("after a restart: status %d", code)
	}
}
