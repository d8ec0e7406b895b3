package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/managed"
	"gatehouse/proxy/proxytest"
)

// attackGateway sends a request that is refused, and gives the incident that the client sees.
func attackGateway(t *testing.T, g *managed.Gateway) string {
	t.Helper()
	response, err := http.Get("http://" + g.Server().Addr("").String() + "/search?q=1%27%20OR%201=1--%20&x=%3Cscript%3Ealert(1)%3C/script%3E")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Fatalf("an attack is answered with %d", response.StatusCode)
	}
	return response.Header.Get("X-Gatehouse-Incident")
}

// apiToken makes a token with a role everywhere, in a file.
func (c *operator) apiToken(role string) string {
	c.t.Helper()
	return c.token(role, map[string]any{"roles": map[string]string{"*": role}})
}

// token makes a token with grants, in a file.
func (c *operator) token(name string, grants map[string]any) string {
	c.t.Helper()
	var made struct{ Text string }
	c.into(http.MethodPost, "/tokens", map[string]any{"name": name, "expires_in": "1h", "grants": grants}, &made)
	file := filepath.Join(c.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(made.Text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file
}

// TestEventsCommand: what two gateways refuse is found, ranked, counted, followed and explained by the commands, within seconds.
func TestEventsCommand(t *testing.T) {
	m, stop := startManager(t, managerSettings(t, ""))
	defer stop()
	c := setUp(t, m)
	c.want(http.MethodPost, "/import", "", map[string]any{"owner": "ui", "configuration": edgeConfiguration(t, "one")})
	c.want(http.MethodPost, "/publish", "", map[string]any{"groups": []string{"edge"}})
	token := c.joinToken(2)
	first, _ := joinGateway(t, m, token, filepath.Join(t.TempDir(), "state"))
	second, stopSecond := joinGateway(t, m, token, filepath.Join(t.TempDir(), "state"))
	serve(t, []*managed.Gateway{first, second}, "one")
	ask := []string{"-token-file", c.apiToken("analyst"), "-api", m.url}
	with := func(args ...string) []string { return append(args, ask...) }

	start := time.Now()
	incidents := []string{attackGateway(t, first), attackGateway(t, second), attackGateway(t, second)}
	var list string
	proxytest.Eventually(t, "three events are listed", func() bool {
		list = commandWorks(t, with("events", "-since", "1h")...)
		return strings.Count(list, "\n") == 3
	})
	t.Logf("events of two gateways are listed %v after the attacks", time.Since(start))
	for _, id := range incidents {
		if !strings.Contains(list, id) {
			t.Errorf("%s is not listed:\n%s", id, list)
		}
	}
	for args, want := range map[string]int{
		"-app shop -verdict block -reason crs_score -client 127.0.0.0/8 -path /search -rule 942100,941100": 3,
		"-app shop -app other": 3,
		"-limit 2":             2,
		"-limit 0":             0,
		"-path /else*":         0,
		"-client 192.0.2.1":    0,
		"-rule 913100":         0,
		"-group other":         0,
		"-gateway " + first.Status().Gateway + " -group edge": 1,
		"-gateway " + second.Status().Gateway:                 2,
	} {
		if got := strings.Count(commandWorks(t, with(append([]string{"events"}, strings.Fields(args)...)...)...), "\n"); got != want {
			t.Errorf("events %s: %d lines, not %d", args, got, want)
		}
	}
	if top := commandWorks(t, with("events", "-top", "client")...); !strings.Contains(top, "3  last ") || !strings.Contains(top, "127.0.0.1") {
		t.Errorf("-top client: %s", top)
	}
	if counts := commandWorks(t, with("events", "-counts", "24h", "-o", "json")...); !strings.Contains(counts, `"reason":"crs_score","events":3,"sampled":0}`) {
		t.Errorf("-counts: %s", counts)
	}
	export := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(export, []byte(commandWorks(t, with("events", "-export")...)), 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile := commandWorks(t, "incident", incidents[1], "-events", export)
	if fromManager := commandWorks(t, with("incident", incidents[1])...); fromManager != fromFile || !strings.Contains(fromManager, "exclusions:") {
		t.Errorf("the manager says\n%s\nthe file says\n%s", fromManager, fromFile)
	}
	if report := commandWorks(t, "report", "-events", export); !strings.Contains(report, "shop") {
		t.Errorf("report: %s", report)
	}

	stopFollowing, lines := follow(t, with("events", "-follow", "-limit", "1", "-o", "json"))
	nextLine(t, lines, "") // of before
	start = time.Now()
	id := attackGateway(t, first)
	nextLine(t, lines, id)
	t.Logf("an event is followed %v after the attack", time.Since(start))
	id = attackGateway(t, second)
	stopSecond()
	nextLine(t, lines, id) // sent when the gateway ended
	stopFollowing()

	for want, args := range map[string][]string{
		"there is no event of incident": with("incident", "GH-0000-0000-0000"),
		"this needs the role analyst":   {"events", "-token-file", c.apiToken("viewer"), "-api", m.url},
		"is no address and no prefix":   with("events", "-client", "shop"),
		"expected value to be one of":   with("events", "-top", "password"),
		"must be whole minutes":         with("events", "-counts", "1s"),
		"invalid integer":               with("events", "-rule", "sqli"),
	} {
		if code, _, stderr := runCommand(t, "", args...); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("gatehouse %s: exit %d: %s; want %q", strings.Join(args, " "), code, stderr, want)
		}
	}
	for _, args := range [][]string{
		{"events"},
		with("events", "x"), with("events", "-follow", "-export"), with("events", "-limit", "-1"), with("events", "-follow", "-until", "1h"),
		with("incident", incidents[0], "-events", export),
	} {
		if code, _, stderr := runCommand(t, "", args...); code != exitUsage {
			t.Errorf("gatehouse %s: exit %d: %s", strings.Join(args, " "), code, stderr)
		}
	}
}

// follow runs a command until it is stopped, and gives its lines.
func follow(t *testing.T, args []string) (stop func(), lines *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		c := &cli{stdin: strings.NewReader(""), stdout: w, stderr: io.Discard, getenv: func(string) string { return "" }}
		done <- c.main(ctx, args)
		w.Close()
	}()
	return func() {
		cancel()
		_ = r.Close()
		if code := <-done; code != exitOK {
			t.Errorf("gatehouse %s: exit %d", strings.Join(args, " "), code)
		}
	}, bufio.NewScanner(r)
}

// nextLine reads an event, which is that of the incident.
func nextLine(t *testing.T, lines *bufio.Scanner, id string) {
	t.Helper()
	var e struct{ Incident string }
	if !lines.Scan() {
		t.Fatal("the output has ended")
	}
	if err := json.Unmarshal(lines.Bytes(), &e); err != nil || id != "" && e.Incident != id {
		t.Fatal(fmt.Errorf("%s is not the event of %s: %w", lines.Text(), id, err))
	}
}
