package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt"
	"gatehouse/mgmt/store"
)

// commandWorks is runCommand for one that must succeed.
func commandWorks(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := runCommand(t, "", args...)
	if code != exitOK {
		t.Fatalf("gatehouse %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

func writeTestFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTokenAndAudit sets up a manager, makes tokens by password and by token, and reads and verifies the log of that.
func TestTokenAndAudit(t *testing.T) {
	dir := t.TempDir()
	anchor := filepath.Join(dir, "anchor.jsonl")
	config := writeTestFile(t, "manager.yaml", "data: "+dir+"\napi: { address: 127.0.0.1:0 }\nadmin: { address: 127.0.0.1:0 }\n"+
		"gateways: { address: 127.0.0.1:0, names: [localhost] }\naudit: { anchor: "+anchor+" }\n")
	settings, err := mgmt.LoadSettings(config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := mgmt.New(t.Context(), mgmt.Options{Settings: settings, Logger: zaptest.NewLogger(t), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	defer func() { _ = server.Stop(context.Background()) }()
	var link struct{ Link string }
	if err := json.Unmarshal([]byte(commandWorks(t, "manager", "setup", "-config", config, "-o", "json")), &link); err != nil {
		t.Fatal(err)
	}
	api := "http://" + server.APIAddr().String()
	const password = "correct horse battery"
	body, _ := json.Marshal(map[string]string{"token": link.Link, "name": "ann", "password": password})
	response, err := http.Post(api+"/api/v1/setup", "application/json", bytes.NewReader(body))
	if err != nil || response.StatusCode != http.StatusNoContent {
		t.Fatalf("%v: %v", response, err)
	}
	_ = response.Body.Close()

	passwordFile := writeTestFile(t, "password", password+"\n")
	first := commandWorks(t, "token", "create", "first", "-role", "admin", "-protection", "-for", "1h", "-user", "ann", "-password-file", passwordFile, "-api", api)
	token := writeTestFile(t, "token", first)
	asAdmin := []string{"-token-file", token, "-api", api}
	with := func(args ...string) []string { return append(args, asAdmin...) }
	second := commandWorks(t, with("token", "create", "second", "-role", "editor", "-app", "shop", "-app", "blog", "-group", "edge", "-o", "json")...)
	for _, want := range []string{`"text": "ght_`, `"shop": "editor"`, `"blog": "editor"`, `"edge"`} {
		if !strings.Contains(second, want) {
			t.Errorf("the token has no %s: %s", want, second)
		}
	}
	for want, args := range map[string][]string{
		"is not a role":                      with("token", "create", "x", "-role", "owner"),
		"there is a token \"first\" already": with("token", "create", "first", "-role", "viewer"),
		"the password or the code is wrong":  {"token", "create", "x", "-role", "viewer", "-user", "ann", "-password-file", token, "-api", api},
		"is not good":                        {"audit", "list", "-token-file", writeTestFile(t, "t", "ght_"+strings.Repeat("A", 43)), "-api", api},
	} {
		if code, _, stderr := runCommand(t, "", args...); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("gatehouse %s: exit %d: %s; want %q", strings.Join(args, " "), code, stderr, want)
		}
	}
	for _, args := range [][]string{
		{"token", "create", "x"},
		with("token", "create", "-role", "viewer"), with("token", "create", "x", "-role", "viewer", "-user", "ann"),
		{"audit", "verify"},
		with("audit", "verify", "-anchor", anchor), with("audit", "list", "x"), with("audit", "list", "-since", "yesterday"),
	} {
		if code, _, stderr := runCommand(t, "", args...); code != exitUsage {
			t.Errorf("gatehouse %s: exit %d: %s", strings.Join(args, " "), code, stderr)
		}
	}
	list := commandWorks(t, with("audit", "list", "-action", "token.*", "-actor", "user:ann", "-since", "1h")...)
	if !strings.Contains(list, "token.create") || !strings.Contains(list, "tokens/first") || strings.Contains(list, "tokens/second") || strings.Count(list, "\n") != 1 {
		t.Errorf("the list is\n%s", list)
	}
	verifyLog(t, api, token, anchor)
}

// verifyLog verifies the log as it is, and after each way to change it.
func verifyLog(t *testing.T, api, token, anchor string) {
	t.Helper()
	log := commandWorks(t, "audit", "export", "-token-file", token, "-api", api)
	lines := strings.SplitAfter(strings.TrimSuffix(log, "\n"), "\n")
	var key string
	for _, line := range lines {
		var e store.Entry
		var detail struct{ Public string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Action == "key.make" {
			if err := json.Unmarshal(e.Detail, &detail); err != nil {
				t.Fatal(err)
			}
			key = writeTestFile(t, "key", detail.Public+"\n")
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the manager writes it in the background
		if data, _ := os.ReadFile(anchor); len(data) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no anchor was written")
		}
	}
	commandWorks(t, "audit", "verify", "-token-file", token, "-api", api)
	anchored := []string{"-anchor", anchor, "-revision-key", key}
	out := commandWorks(t, append([]string{"audit", "verify", "-token-file", token, "-api", api}, anchored...)...)
	if !strings.Contains(out, "1 signed heads") {
		t.Errorf("verified: %s", out)
	}
	for want, text := range map[string]string{
		"was edited":    strings.Replace(log, "user:ann", "user:bob", 1),
		"were taken":    strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""),
		"was cut":       "",
		"read the log:": log[:len(log)-10],
	} {
		code, _, stderr := runCommand(t, "", append([]string{"audit", "verify", "-log", writeTestFile(t, "log", text)}, anchored...)...)
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d: %s", want, code, stderr)
		}
	}
	empty := writeTestFile(t, "anchor", "")
	if code, _, stderr := runCommand(t, "", "audit", "verify", "-log", writeTestFile(t, "log", log), "-anchor", empty, "-revision-key", key); code != exitFailed || !strings.Contains(stderr, "there is no head") {
		t.Errorf("an empty anchor: exit %d: %s", code, stderr)
	}
}
