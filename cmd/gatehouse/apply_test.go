package main

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/proxy"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// TestApply plans, applies, publishes and exports against the manager's API, with the gateway's own proof.
func TestApply(t *testing.T) {
	db, vault := storetest.SQLite(t)(), secret.New(sealed.NewKey())
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := auth.New(auth.Options{DB: db, Vault: vault, ExternalURL: "http://127.0.0.1:9080", Hashing: auth.Hashing{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := api.New(api.Options{DB: db, Logger: zaptest.NewLogger(t), Auth: accounts, Publish: publish.New(publish.Options{
		Stack: "test", Signers: []revision.Signer{key}, Vault: vault, Prove: proxy.NewProver().Prove,
	})})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	text := ""
	grants := auth.Grants{Roles: map[string]auth.Role{auth.Everywhere: auth.Admin}, Protection: []string{auth.Everywhere}}
	if err := db.Write(t.Context(), func(tx *store.Tx) error {
		user, err := accounts.CreateUser(tx, "manager", "ann", "correct horse battery", grants)
		if err != nil {
			return err
		}
		_, text, err = accounts.CreateToken(tx, &auth.Principal{Kind: auth.KindUser, ID: user.ID, Name: "ann", Grants: grants}, "ci", grants, time.Hour)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	dir, token := t.TempDir(), tokenFile(t, text)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(exit int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		c := &cli{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
		if got := c.main(t.Context(), append(args, "-api", server.URL, "-token-file", token)); got != exit {
			t.Fatalf("%v: exit %d, not %d\n%s", args, got, exit, out.String())
		}
		return out.String()
	}
	has := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
	const app = "applications: [{ name: shop, hosts: [shop.example.com], upstream: 'http://shop.internal' }]\n"
	write("shop.yaml", app)
	write("policies.yaml", "policies: [{ name: default, seclang_file: own.conf }]\n")
	write("own.conf", "SecRule ARGS:own \"@streq x\" \"id:100,phase:2,deny\"\n")
	has(run(exitDiffer, "plan", "-f", dir, "-owner", "git:shop"), "+ application shop added", "+ policy default added", "2 differences")
	has(run(exitDiffer, "plan", "-f", dir, "-owner", "git:shop", "-o", "markdown"), "### Gatehouse plan: 2 differences", "- `+` application shop added")
	has(run(exitOK, "apply", "-f", dir, "-owner", "shop", "-publish", "-group", "edge", "-source", "commit 12"), "revision edge/1 published with 2 changes")
	has(run(exitOK, "plan", "-f", dir, "-owner", "git:shop", "-prune"), "no differences")
	write("own.conf", "SecRuleRemoveById 949110\n")
	has(run(exitFailed, "plan", "-f", dir, "-owner", "git:shop"), "own.conf:1", "949110")
	write("shop.yaml", strings.Replace(app, "}]", ", mode: blok }]", 1))
	has(run(exitFailed, "apply", "-f", dir, "-owner", "git:shop"), "shop.yaml:1:", `did you mean "block"?`)
	write("shop.yaml", strings.Replace(app, "}]", ", mode: block }]", 1))
	if err := errors.Join(os.Remove(filepath.Join(dir, "policies.yaml")), os.Remove(filepath.Join(dir, "own.conf"))); err != nil {
		t.Fatal(err)
	}
	has(run(exitFailed, "apply", "-f", dir, "-owner", "git:other"), "managed by git:shop")
	has(run(exitOK, "apply", "-f", dir, "-owner", "git:shop", "-prune"), "~ application shop: mode set to block", "- policy default removed")
	has(run(exitOK, "publish", "-group", "edge"), "revision edge/2 published with 2 changes")
	has(run(exitFailed, "publish", "-group", "edge"), "nothing to publish")
	has(run(exitOK, "export", "-of", "edge/1"), "SecRule ARGS:own")
	write("shop.yaml", run(exitOK, "export"))
	has(run(exitOK, "plan", "-f", filepath.Join(dir, "shop.yaml"), "-owner", "git:shop", "-prune"), "no differences")
	has(run(exitUsage, "apply", "-f", dir, "-owner", "git:shop", "-publish"), "belong together")
}
