package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/fleetapi"
)

// emergencyConfig has one application; its listener takes the client from X-Forwarded-For of loopback.
func emergencyConfig(upstream, mode string) string {
	return "listeners:\n  - { name: http, address: \"127.0.0.1:0\", trusted_hops: 1 }\n" + application(upstream, mode, `    routes:
      - { path: "/" }
      - { path: "/off/", mode: disabled }
      - { path: "/tuning/", mode: detect }
`)
}

func newAction(id string, kind fleetapi.ActionKind, change func(*fleetapi.Action)) fleetapi.Action {
	now := time.Now()
	a := fleetapi.Action{ID: id, Kind: kind, Reason: "attack", Author: "user:ada", Created: now, Expires: now.Add(time.Hour)}
	change(&a)
	return a
}

func apply(t *testing.T, g *proxytest.Gateway, list ...fleetapi.Action) {
	t.Helper()
	if err := g.ApplyActions(&fleetapi.Actions{Format: 1, Actions: list}); err != nil {
		t.Fatal(err)
	}
}

// TestEmergencyActions shows each kind in its forms with real sockets: who is refused, who is not, what the event says, and the end.
func TestEmergencyActions(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, emergencyConfig(upstream.URL, "detect"))
	ask := func(client, path string, headers ...string) int {
		t.Helper()
		status, _ := exchange(t, g.URL, get(path, append([]string{"X-Forwarded-For: " + client}, headers...)...))
		return status
	}
	want := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: status %d, not %d", what, got, want)
		}
	}
	apply(t, g, newAction("act_v4", fleetapi.ActionBlock, func(a *fleetapi.Action) {
		a.Clients = []string{"203.0.113.0/25", "::ffff:198.51.100.7", "2001:db8:1::/48"}
	}), newAction("act_path", fleetapi.ActionBlock, func(a *fleetapi.Action) {
		a.Application, a.Path, a.Header, a.Value = "shop", "/login/**", "X-Bot", "evil"
	}), newAction("act_elsewhere", fleetapi.ActionBlock, func(a *fleetapi.Action) {
		a.Application, a.Clients = "other", []string{"192.0.2.1"}
	}))
	want("IPv4 prefix, in detect", ask("203.0.113.127", "/"), 403)
	want("beside the prefix", ask("203.0.113.128", "/"), 200)
	want("IPv4-mapped action", ask("198.51.100.7", "/"), 403)
	want("IPv4-mapped client", ask("::ffff:203.0.113.1", "/"), 403)
	want("IPv6", ask("2001:db8:1:2::3", "/"), 403)
	want("beside IPv6", ask("2001:db8:2::3", "/"), 200)
	want("another application", ask("192.0.2.1", "/"), 200)
	want("path and header", ask("192.0.2.2", "/LOGIN/a", "X-Bot: evil"), 403)
	want("path without header", ask("192.0.2.2", "/login/a"), 200)
	want("header elsewhere", ask("192.0.2.2", "/", "X-Bot: evil"), 200)
	want("in mode disabled nothing is refused", ask("203.0.113.1", "/off/x"), 200)
	events := g.WaitEvents(5)
	e := events[0]
	if e.Reason != event.Action || e.Verdict != event.Block || !strings.Contains(e.Detail, "act_v4") || !strings.Contains(e.Detail, "attack") {
		t.Errorf("event %+v", e)
	}
	_, page := g.Admin("/metrics")
	if n := metric(t, page, `gatehouse_verdicts_total{application="shop",reason="action",verdict="block"}`); n != 5 {
		t.Errorf("%v refusals are counted", n)
	}

	apply(t, g, newAction("act_limit", fleetapi.ActionLimit, func(a *fleetapi.Action) {
		a.Clients, a.Rate, a.Burst = []string{"203.0.113.0/24"}, 0.001, 2
	}))
	for i, status := range []int{200, 200, 429, 429} {
		want(fmt.Sprintf("request %d of one client", i), ask("203.0.113.9", "/"), status)
	}
	want("another client has a bucket of its own", ask("203.0.113.10", "/"), 200)
	want("clients beside", ask("203.0.114.1", "/"), 200)

	const attack = "/.git/config"
	want("detect", ask("192.0.2.9", attack), 200)
	apply(t, g, newAction("act_mode", fleetapi.ActionMode, func(a *fleetapi.Action) {
		a.Application, a.Mode, a.Force, a.Expires = "shop", "block", true, time.Now().Add(1500*time.Millisecond)
	}))
	want("mode block", ask("192.0.2.9", attack), 403)
	want("a route's own mode gives way", ask("192.0.2.9", "/tuning/.git/config"), 403)
	want("a disabled route stays so", ask("192.0.2.9", "/off/.git/config"), 200)
	proxytest.Eventually(t, "the action expires by itself", func() bool { return ask("192.0.2.9", attack) == 200 })
	apply(t, g)
}

// TestEmergencyRule leaves a rule out until the action expires, without anybody doing anything.
func TestEmergencyRule(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, emergencyConfig(upstream.URL, "block"))
	attack := func() int {
		status, _ := exchange(t, g.URL, get("/.git/config"))
		return status
	}
	if attack() != 403 {
		t.Fatal("the attack is not refused")
	}
	disable := newAction("act_rule", fleetapi.ActionDisable, func(a *fleetapi.Action) {
		a.Application, a.Rule, a.Expires = "shop", 930130, time.Now().Add(3*time.Second)
	})
	apply(t, g, disable)
	if attack() != 200 {
		t.Error("the rule is not left out")
	}
	if err := g.Reload(); err != nil || attack() != 200 {
		t.Errorf("a reload brings the rule back: %v", err)
	}
	proxytest.Eventually(t, "the rule is back", func() bool { return attack() == 403 })
	evaluation := newAction("act_eval", fleetapi.ActionDisable, func(a *fleetapi.Action) { a.Application, a.Rule = "shop", 949110 })
	if err := g.ApplyActions(&fleetapi.Actions{Format: 1, Actions: []fleetapi.Action{evaluation}}); err == nil {
		t.Error("the rule that refuses by score can be left out")
	}
}

// TestEmergencyGuard: what is refused always, and what is refused without force; and the answers to questions.
func TestEmergencyGuard(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, emergencyConfig(upstream.URL, "block"))
	for i := range 200 {
		client := "192.0.2.1"
		if i%5 == 0 {
			client = "203.0.113.5"
		}
		if status, _ := exchange(t, g.URL, get("/", "X-Forwarded-For: "+client)); status != 200 {
			t.Fatal(status)
		}
	}
	block := newAction("act_1", fleetapi.ActionBlock, func(a *fleetapi.Action) { a.Application, a.Clients = "shop", []string{"203.0.113.0/24"} })
	proxytest.Eventually(t, "the requests are remembered", func() bool {
		x := g.AnswerQuestion(&fleetapi.Question{ID: "q", Action: block})
		return x.ID == "q" && x.Requests == 200 && x.Hit == 40 && x.Refusal == ""
	})
	try := func(change func(*fleetapi.Action)) error {
		a := block
		change(&a)
		return g.ApplyActions(&fleetapi.Actions{Format: 1, Actions: []fleetapi.Action{a}})
	}
	for _, x := range []struct {
		what   string
		change func(*fleetapi.Action)
		want   string
	}{
		{"a fifth of the requests", func(*fleetapi.Action) {}, "force"},
		{"a trusted proxy", func(a *fleetapi.Action) { a.Clients, a.Force = []string{"127.0.0.1"}, true }, "trusted proxies"},
		{"a network with a trusted proxy", func(a *fleetapi.Action) { a.Clients, a.Force = []string{"172.0.0.0/8"}, true }, "trusted proxies"},
		{"a mapped trusted proxy", func(a *fleetapi.Action) { a.Clients, a.Force = []string{"::ffff:10.1.2.3"}, true }, "trusted proxies"},
		{"a wide prefix", func(a *fleetapi.Action) { a.Clients, a.Force = []string{"64.0.0.0/7"}, true }, "wider than /8"},
		{"a wide IPv6 prefix", func(a *fleetapi.Action) { a.Clients, a.Force = []string{"2001::/18"}, true }, "wider than /19"},
		{"everybody", func(a *fleetapi.Action) { a.Clients, a.Force = nil, true }, "every request"},
	} {
		if err := try(x.change); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", x.what, err)
		}
	}
	if err := try(func(a *fleetapi.Action) { a.Force = true }); err != nil {
		t.Errorf("with force: %v", err)
	}
	if x := g.AnswerQuestion(&fleetapi.Question{ID: "p", Action: newAction("x", fleetapi.ActionBlock, func(a *fleetapi.Action) { a.Clients = []string{"127.0.0.1"} })}); !strings.Contains(x.Refusal, "trusted") {
		t.Errorf("%+v", x)
	}
}
