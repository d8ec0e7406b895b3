package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/managed"
	"gatehouse/proxy/proxytest"
)

// from is a client at an address of this host.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// gets is the status that a client gets from a gateway.
func gets(t *testing.T, client *http.Client, g *managed.Gateway, path string) int {
	t.Helper()
	r, err := client.Get("http://" + g.Server().Addr("").String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode
}

// runs runs a command, and gives its exit code and what it printed.
func runs(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	c := &cli{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
	exit := c.main(t.Context(), args)
	return exit, out.String()
}

// TestNight rehearses an attack at night on five gateways: it is found with events, throttled with limit, blocked with block, and the
// block undone, each step timed; an action that would hit more than a tenth of the traffic is refused without -force, and one on trusted
// proxies always.
func TestNight(t *testing.T) {
	m, stop := startManager(t, managerSettings(t, ""))
	defer stop()
	c := setUp(t, m)
	configuration := strings.Replace(edgeConfiguration(t, "one"), "trusted_hops: 0", `trusted_hops: 0, trusted_proxies: ["127.9.0.0/16"]`, 1)
	c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": configuration})
	c.want(http.MethodPost, "/publish", "", map[string]any{"groups": []string{"edge"}})
	exit, text := runs(t, "token", "create", "-join", "-group", "edge", "-uses", "5", "-note", "tonight", "-token-file", c.apiToken("admin"), "-api", m.url)
	if exit != exitOK {
		t.Fatalf("token create -join: exit %d\n%s", exit, text)
	}
	token := tokenFile(t, text)
	var gateways []*managed.Gateway
	for i := range 5 {
		g, _ := joinGateway(t, m, token, filepath.Join(t.TempDir(), fmt.Sprintf("state%d", i)))
		gateways = append(gateways, g)
	}
	serve(t, gateways, "one")
	proxytest.Eventually(t, "all are known to serve", func() bool {
		serving := 0
		for _, g := range c.gateways() {
			if g.Status == "serving" {
				serving++
			}
		}
		return serving == len(gateways)
	})
	with := []string{"-token-file", c.apiToken("analyst"), "-api", m.url}

	// Visitors, and one who attacks: a twentieth of the requests.
	attacker := from(t, "127.0.0.66")
	for _, g := range gateways {
		for v := range 19 {
			visitor := from(t, fmt.Sprintf("127.1.0.%d", 10+v))
			for range 4 {
				if status := gets(t, visitor, g, "/products"); status != http.StatusOK {
					t.Fatalf("a visitor gets %d", status)
				}
			}
			visitor.CloseIdleConnections()
		}
		for range 4 {
			if status := gets(t, attacker, g, "/login?user=1%27%20OR%201=1--%20"); status != http.StatusForbidden {
				t.Fatalf("the attack is answered with %d", status)
			}
		}
	}
	step := func(name string, do func()) {
		t.Helper()
		start := time.Now()
		do()
		t.Logf("%s: %v", name, time.Since(start).Round(time.Millisecond))
	}
	command := func(exit int, args ...string) string {
		t.Helper()
		got, out := runs(t, append(args, with...)...)
		if got != exit {
			t.Fatalf("%q: exit %d, not %d\n%s", args, got, exit, out)
		}
		return out
	}
	everywhere := func(client *http.Client, want int) {
		t.Helper()
		for i, g := range gateways {
			if status := gets(t, client, g, "/login"); status != want {
				t.Errorf("gateway %d answers %d, not %d", i, status, want)
			}
		}
	}
	step("found with events", func() {
		proxytest.Eventually(t, "the attacker is the top client", func() bool {
			top := command(exitOK, "events", "-since", "15m", "-top", "client")
			return strings.Contains(top, "127.0.0.66") && strings.Contains(top, "20  last ")
		})
	})
	visitor := from(t, "127.1.0.10")
	everywhere(attacker, http.StatusOK) // what it asks now is no attack
	step("throttled with limit", func() {
		out := command(exitOK, "limit", "127.0.0.66", "-rate", "0.01", "-burst", "1", "-app", "shop", "-reason", "SQL injection", "-for", "1h")
		if !strings.Contains(out, "on 5 of 5 gateways") || !strings.Contains(out, "would have hit") {
			t.Errorf("limit says %s", out)
		}
	})
	everywhere(attacker, http.StatusOK) // one is free
	everywhere(attacker, http.StatusTooManyRequests)
	var block string
	step("blocked with block", func() {
		out := command(exitOK, "block", "127.0.0.66/32", "-app", "shop", "-for", "2h", "-reason", "SQL injection")
		if !strings.Contains(out, "on 5 of 5 gateways") {
			t.Errorf("block says %s", out)
		}
		block = regexp.MustCompile(`act_[0-9a-z]+`).FindString(out)
	})
	everywhere(attacker, http.StatusForbidden)
	everywhere(visitor, http.StatusOK)
	if list := command(exitOK, "actions"); !strings.Contains(list, block) || !strings.Contains(list, "block 127.0.0.66/32 on shop") || strings.Count(list, "\n") != 3 {
		t.Errorf("actions lists %s", list)
	}
	step("block undone", func() { command(exitOK, "actions", "undo", block) })
	everywhere(attacker, http.StatusTooManyRequests) // the limit is still there

	for _, refused := range []struct {
		args []string
		want string
	}{
		{[]string{"block", "127.1.0.0/16", "-reason", "all visitors"}, "more than 10 %"},
		{[]string{"limit", "-path", "/**", "-rate", "1", "-reason", "everything"}, "more than 10 %"},
		{[]string{"block", "127.9.0.7", "-reason", "the load balancer", "-force"}, "trusted prox"},
		{[]string{"block", "0.0.0.0/0", "-reason", "all", "-force"}, "wider than /8"},
		{[]string{"block", "127.0.0.66", "-app", "none", "-reason", "x"}, "no application"},
		{[]string{"block", "127.0.0.66", "-reason", "x", "-for", "1000h"}, "168h"},
		{[]string{"mode", "shop", "detect", "-reason", "x"}, "role"},
		{[]string{"rule", "942100", "disable", "-app", "shop", "-reason", "x"}, "role"},
	} {
		if out := command(exitFailed, refused.args...); !strings.Contains(out, refused.want) {
			t.Errorf("%q is refused with %s", refused.args, out)
		}
	}
	everywhere(visitor, http.StatusOK)
	step("forced", func() { command(exitOK, "block", "127.1.0.0/16", "-reason", "all visitors", "-force") })
	everywhere(visitor, http.StatusForbidden)

	// What changes protection needs more.
	with[1] = c.token("guard", map[string]any{"roles": map[string]string{"*": "publisher"}, "protection": []string{"shop"}})
	somebody := from(t, "127.0.0.2")
	attacked := func(want int) {
		t.Helper()
		for _, g := range gateways {
			if status := gets(t, somebody, g, "/search?q=1%27%20OR%201=1--%20"); status != want {
				t.Errorf("an attack is answered with %d, not %d", status, want)
			}
		}
	}
	attacked(http.StatusForbidden)
	out := command(exitOK, "mode", "shop", "detect", "-for", "30m", "-reason", "the checkout is refused")
	attacked(http.StatusOK)
	command(exitOK, "actions", "undo", regexp.MustCompile(`act_[0-9a-z]+`).FindString(out))
	attacked(http.StatusForbidden)
	if out := command(exitFailed, "rule", "949110", "disable", "-app", "shop", "-reason", "it blocks"); !strings.Contains(out, "949110") {
		t.Errorf("leaving out the rule that blocks: %s", out)
	}
	command(exitOK, "rule", "942100", "disable", "-app", "shop", "-reason", "order notes")
	for _, usage := range [][]string{{"block", "-reason", "x"}, {"block", "127.0.0.1"}, {"limit", "127.0.0.1", "-reason", "x"}, {"mode", "shop", "off", "-reason", "x"}, {"rule", "x", "disable", "-app", "shop", "-reason", "x"}, {"actions", "undo"}} {
		command(exitUsage, usage...)
	}
}
