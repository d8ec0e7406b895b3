package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/rollout"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// TestRolloutsAPI: rollouts are listed page by page, told what to do by who may publish to their group, and their end is told.
func TestRolloutsAPI(t *testing.T) {
	db := storetest.SQLite(t)()
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	var service *publish.Service
	rollouts := rollout.New(rollout.Options{
		DB: db, Stack: "test", Signers: []revision.Signer{key},
		Gateways: func(*store.Tx, string) ([]rollout.Status, error) {
			return []rollout.Status{{Gateway: "gw", Seen: time.Now()}}, nil
		},
		Rollback: func(tx *store.Tx, by publish.Author, name string) (publish.Revision, error) {
			r, _, err := service.Rollback(tx, by, name)
			return r, err
		},
	})
	service = publish.New(publish.Options{Stack: "test", Signers: []revision.Signer{key}, Vault: secret.New(sealed.NewKey()), Published: rollouts.Published})
	everywhere := map[string]auth.Role{"*": auth.Publisher}
	people := byHeader{
		"admin": {Kind: auth.KindUser, ID: "admin", Name: "admin", Grants: auth.Grants{Roles: map[string]auth.Role{"*": auth.Admin}, Protection: []string{"*"}}},
		"ann":   {Kind: auth.KindUser, ID: "ann", Name: "ann", Grants: auth.Grants{Roles: everywhere}},
		"inner": {Kind: auth.KindUser, ID: "inner", Name: "inner", Grants: auth.Grants{Roles: everywhere, Groups: []string{"inner"}}},
	}
	a, err := api.New(api.Options{DB: db, Authenticator: people, Publish: service, Rollouts: rollouts})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, api: a, who: "admin"}
	_, h := o.ask(200, "PUT", "/applications/shop", shopBody, newOnly, "*")
	o.ask(200, "POST", "/publish", `{"groups":["edge"]}`)
	o.ask(200, "PUT", "/applications/shop", strings.Replace(shopBody, `"mode"`, `"owner":"team","mode"`, 1), "If-Match", h.Get("ETag"))
	o.ask(200, "POST", "/publish", `{"groups":["edge"]}`)

	page, _ := o.ask(200, "GET", "/rollouts?group=edge&limit=1", "")
	latest := page["items"].([]any)[0].(map[string]any)
	if latest["revision"] != "edge/2" || latest["state"] != "running" || latest["base"] != "edge/1-1" {
		t.Errorf("%v", latest)
	}
	next, _ := o.ask(200, "GET", fmt.Sprintf("/rollouts?group=edge&limit=1&cursor=%v", page["next"]), "")
	if first := next["items"].([]any)[0].(map[string]any); first["revision"] != "edge/1" || first["state"] != "done" || next["next"] != nil {
		t.Errorf("%v", next)
	}
	if open, _ := o.ask(200, "GET", "/rollouts?open=true", ""); len(open["items"].([]any)) != 1 {
		t.Errorf("%v", open)
	}
	id := latest["id"].(string)
	for _, order := range []string{"pause", "resume", "advance", "abort"} {
		o.as("inner").ask(403, "POST", "/rollouts/"+id+"/"+order, "")
	}
	o.as("ann").ask(200, "POST", "/rollouts/"+id+"/pause", "")
	o.as("ann").ask(409, "POST", "/rollouts/"+id+"/pause", "")
	o.as("ann").ask(200, "POST", "/rollouts/"+id+"/resume", "")
	if got, _ := o.as("ann").ask(200, "POST", "/rollouts/"+id+"/advance", ""); got["advance"] != true {
		t.Errorf("%v", got)
	}
	status, _ := o.ask(200, "GET", "/status", "")
	group := status["groups"].([]any)[0].(map[string]any)
	if group["revision"] != "edge/2" || group["all"] != "edge/1" || group["rollout"].(map[string]any)["id"] != id {
		t.Errorf("%v", status)
	}
	if got, _ := o.as("ann").ask(200, "POST", "/rollouts/"+id+"/abort", "", "Idempotency-Key", "k"); got["state"] != "aborted" || got["back"] != "edge/3" {
		t.Errorf("%v", got)
	}
	if got, h := o.as("ann").ask(200, "POST", "/rollouts/"+id+"/abort", "", "Idempotency-Key", "k"); got["back"] != "edge/3" || h.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%v", got)
	}
	o.as("ann").ask(409, "POST", "/rollouts/"+id+"/abort", "")
	o.ask(404, "GET", "/rollouts/rol_none", "")
	o.ask(404, "POST", "/rollouts/rol_none/pause", "")
}
