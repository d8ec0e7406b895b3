package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// office is an API with real publishing, whose principals are the test's.
type office struct {
	t   *testing.T
	api *api.API
	who string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	db := storetest.SQLite(t)()
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	p := byHeader{}
	for name, grants := range map[string]auth.Grants{
		"admin":     {Roles: map[string]auth.Role{"*": auth.Admin}, Protection: []string{"*"}},
		"careful":   {Roles: map[string]auth.Role{"*": auth.Admin}},
		"editor":    {Roles: map[string]auth.Role{"*": auth.Editor}},
		"viewer":    {Roles: map[string]auth.Role{"*": auth.Viewer}},
		"shop":      {Roles: map[string]auth.Role{"shop": auth.Editor}},
		"publisher": {Roles: map[string]auth.Role{"*": auth.Publisher}, Groups: []string{"inner"}},
	} {
		p[name] = &auth.Principal{Kind: auth.KindUser, ID: name, Name: name, Grants: grants}
	}
	service := publish.New(publish.Options{Stack: "test", Signers: []revision.Signer{key}, Vault: secret.New(sealed.NewKey())})
	a, err := api.New(api.Options{DB: db, Authenticator: p, Publish: service})
	if err != nil {
		t.Fatal(err)
	}
	return &office{t: t, api: a, who: "admin"}
}

// as is the office for another principal.
func (o *office) as(who string) *office { return &office{t: o.t, api: o.api, who: who} }

// ask wants a status, and gives the answer. headers are names and values.
func (o *office) ask(status int, method, path, body string, headers ...string) (map[string]any, http.Header) {
	o.t.Helper()
	r := httptest.NewRequest(method, "/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Test-Principal", o.who)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	o.api.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Body)
	if w.Code != status {
		o.t.Fatalf("%s %s by %s: %d, not %d: %s", method, path, o.who, w.Code, status, text)
	}
	var out map[string]any
	if json.Unmarshal(text, &out) != nil {
		out = map[string]any{"text": string(text)}
	}
	return out, w.Header()
}

const (
	newOnly  = "If-None-Match"
	shopBody = `{"hosts":["shop.example.com"],"upstream":"http://shop.internal","mode":"block"}`
)

// location is where an answer says the first fault is.
func location(answer map[string]any) string {
	list, _ := answer["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprint(list[0].(map[string]any)["location"])
}

// TestObjectsAPI: objects and their parts are read and saved under conditions, and refusals name the field.
func TestObjectsAPI(t *testing.T) {
	o := newOffice(t)
	o.ask(428, "PUT", "/applications/shop", shopBody)
	_, h := o.ask(200, "PUT", "/applications/shop", shopBody, newOnly, "*")
	tag := h.Get("ETag")
	o.ask(412, "PUT", "/applications/shop", shopBody, newOnly, "*")
	bad, _ := o.ask(422, "PUT", "/applications/shop", strings.Replace(shopBody, "block", "blok", 1), "If-Match", tag)
	if location(bad) != "body.mode" {
		t.Errorf("%v", bad)
	}
	_, h = o.as("shop").ask(200, "PATCH", "/applications/shop", `{"owner":"team","replies":{"contact":"ops"}}`, "If-Match", tag)
	o.ask(412, "PATCH", "/applications/shop", `{"owner":"x"}`, "If-Match", tag)
	tag = h.Get("ETag")
	got, _ := o.as("shop").ask(200, "GET", "/applications/shop", "")
	if body := got["body"].(map[string]any); body["owner"] != "team" || body["mode"] != "block" || got["owner"] != "ui" {
		t.Errorf("%v", got)
	}
	_, h = o.ask(200, "POST", "/applications/shop/routes", `{"path":"/api"}`, "If-Match", tag)
	tag = h.Get("ETag")
	bad, _ = o.ask(422, "POST", "/applications/shop/routes", `{"path":"api"}`, "If-Match", tag)
	if location(bad) != "body.path" {
		t.Errorf("%v", bad)
	}
	list, _ := o.ask(200, "GET", "/applications/shop/routes", "")
	id := list["items"].([]any)[0].(map[string]any)["id"].(string)
	_, h = o.ask(200, "PUT", "/applications/shop/routes/"+id, `{"path":"/api","mode":"block"}`, "If-Match", tag)
	_, h = o.ask(200, "DELETE", "/applications/shop/routes/"+id, "", "If-Match", h.Get("ETag"))
	exclusion := `{"name":"notes","rules":[942100],"path":"/notes","targets":["form:note"],"reason":"r","owner":"o"}`
	_, h = o.ask(200, "POST", "/applications/shop/exclusions", exclusion, "If-Match", h.Get("ETag"))
	bad, _ = o.ask(422, "PUT", "/applications/shop/exclusions/notes", strings.Replace(exclusion, "942100", "949110", 1), "If-Match", h.Get("ETag"))
	if location(bad) != "body.rules[0]" {
		t.Errorf("%v", bad)
	}
	o.ask(404, "DELETE", "/applications/shop/exclusions/none", "", "If-Match", h.Get("ETag"))
	bad, _ = o.as("careful").ask(403, "PATCH", "/applications/shop", `{"mode":"detect"}`, "If-Match", h.Get("ETag"))
	if bad["type"] != "protection" {
		t.Errorf("%v", bad)
	}
	o.as("shop").ask(403, "PUT", "/applications/other", shopBody, newOnly, "*")
	o.as("editor").ask(403, "PUT", "/groups/edge", `{"listeners":["http"],"applications":["*"]}`, newOnly, "*")
	o.ask(200, "PUT", "/applications/other", strings.Replace(shopBody, "shop.ex", "other.ex", 1), newOnly, "*")
	o.ask(200, "PUT", "/lists/office", `{"addresses":["192.0.2.0/24"]}`, newOnly, "*")
	if list, _ := o.as("shop").ask(200, "GET", "/applications", ""); len(list["items"].([]any)) != 1 {
		t.Errorf("the editor of one application sees %v", list)
	}
	page, _ := o.ask(200, "GET", "/applications?limit=1", "")
	next, _ := o.ask(200, "GET", "/applications?limit=1&cursor="+page["next"].(string), "")
	if next["items"].([]any)[0].(map[string]any)["name"] != "shop" || next["next"] != nil {
		t.Errorf("%v, then %v", page, next)
	}
	_, h = o.ask(200, "GET", "/applications/other", "")
	o.ask(200, "DELETE", "/applications/other", "", "If-Match", h.Get("ETag"))
	o.ask(404, "GET", "/applications/other", "")
}

// TestPublishAPI: from a change to a revision and back.
func TestPublishAPI(t *testing.T) {
	o := newOffice(t)
	saved, _ := o.ask(200, "PUT", "/applications/shop", shopBody, newOnly, "*")
	o.as("publisher").ask(403, "POST", "/publish", `{"groups":["edge"]}`)
	first, _ := o.ask(200, "POST", "/publish", `{"groups":["edge","inner"],"note":"first"}`, "Idempotency-Key", "1")
	again, h := o.ask(200, "POST", "/publish", `{"groups":["edge","inner"],"note":"first"}`, "Idempotency-Key", "1")
	if h.Get("Idempotency-Replayed") != "true" || fmt.Sprint(first) != fmt.Sprint(again) {
		t.Errorf("%v, then %v", first, again)
	}
	_, h = o.ask(200, "GET", "/applications/shop", "")
	second, _ := o.ask(200, "PATCH", "/applications/shop?note=why", `{"owner":"team"}`, "If-Match", h.Get("ETag"))
	pending, _ := o.ask(200, "GET", "/changes?pending=edge", "")
	items := pending["items"].([]any)
	if len(items) != 1 || items[0].(map[string]any)["id"] != second["change"] || !strings.Contains(fmt.Sprint(items), "application shop: owner set to team") {
		t.Errorf("%v", pending)
	}
	o.ask(200, "POST", "/publish", fmt.Sprintf(`{"groups":["edge"],"changes":[%q]}`, second["change"]))
	diff, _ := o.ask(200, "GET", "/diff?from=edge/1&to=edge/2", "")
	if !strings.Contains(fmt.Sprint(diff), "owner set to team") {
		t.Errorf("%v", diff)
	}
	revision, _ := o.ask(200, "GET", "/revisions/edge/1", "")
	if len(revision["taken"].([]any)) != 1 {
		t.Errorf("a rollback would take %v", revision["taken"])
	}
	o.ask(200, "POST", "/promote", `{"from":"edge","to":"inner"}`)
	undone, _ := o.ask(200, "POST", fmt.Sprintf("/changes/%s/undo", second["change"]), `{"groups":["edge"]}`)
	if len(undone["revisions"].([]any)) != 1 || undone["change"] == "" {
		t.Errorf("%v", undone)
	}
	o.ask(200, "POST", "/rollback", `{"revision":"edge/2"}`)
	list, _ := o.ask(200, "GET", "/revisions/edge?limit=3", "")
	if len(list["items"].([]any)) != 3 || list["next"] == nil {
		t.Errorf("%v", list)
	}
	rest, _ := o.ask(200, "GET", "/revisions/edge?limit=3&cursor="+list["next"].(string), "")
	if len(rest["items"].([]any)) != 1 {
		t.Errorf("%v", rest)
	}
	one, _ := o.ask(200, "GET", fmt.Sprintf("/changes/%s", saved["change"]), "")
	if fmt.Sprint(one["groups"]) != "[edge inner]" {
		t.Errorf("%v", one)
	}
	third, _ := o.ask(200, "PUT", "/lists/l", `{"addresses":["192.0.2.1"]}`, newOnly, "*")
	o.as("shop").ask(403, "POST", fmt.Sprintf("/changes/%s/discard", third["change"]), "")
	o.ask(200, "POST", fmt.Sprintf("/changes/%s/discard", third["change"]), "")
	o.ask(404, "GET", "/lists/l", "")
	o.as("editor").ask(403, "POST", "/groups/edge/credential", "")
	credential, _ := o.ask(200, "POST", "/groups/edge/credential", "", "Idempotency-Key", "c")
	if _, err := sealed.ParseKey(fmt.Sprint(credential["key"])); err != nil {
		t.Error(err)
	}
	if again, _ := o.ask(200, "POST", "/groups/edge/credential", "", "Idempotency-Key", "c"); again["key"] != nil {
		t.Error("the key was kept")
	}
	if releases, _ := o.ask(200, "GET", "/crs/releases", ""); len(releases["releases"].([]any)) == 0 {
		t.Error("there is no release")
	}
}

// TestImportAPI: a plan changes nothing, an import touches and prunes what its owner has, and an export can be imported.
func TestImportAPI(t *testing.T) {
	o := newOffice(t)
	o.ask(200, "PUT", "/lists/mine", `{"addresses":["192.0.2.1"]}`, newOnly, "*")
	request := func(more, configuration string) string {
		text, _ := json.Marshal(configuration)
		return fmt.Sprintf(`{"owner":"git:shop","configuration":%s%s}`, text, more)
	}
	const yaml = "applications: [{ name: shop, hosts: [shop.example.com], upstream: 'http://shop.internal' }]\nlists: [{ name: office, addresses: [192.0.2.0/24] }]\n"
	plan, _ := o.as("viewer").ask(200, "POST", "/plan", request("", yaml))
	if len(plan["differences"].([]any)) != 2 || len(plan["changes"].([]any)) != 0 {
		t.Errorf("%v", plan)
	}
	o.ask(404, "GET", "/applications/shop", "")
	o.as("viewer").ask(403, "POST", "/import", request("", yaml))
	done, _ := o.ask(200, "POST", "/import", request("", yaml))
	if len(done["changes"].([]any)) != 2 {
		t.Errorf("%v", done)
	}
	if again, _ := o.ask(200, "POST", "/import", request(`,"prune":true`, yaml)); len(again["changes"].([]any)) != 0 {
		t.Errorf("%v", again)
	}
	bad, _ := o.ask(422, "POST", "/import", request("", strings.Replace(yaml, "upstream", "upstreem", 1)))
	if location(bad) != "applications/shop.upstreem" {
		t.Errorf("%v", bad)
	}
	o.ask(409, "POST", "/import", request("", "lists: [{ name: mine, addresses: [192.0.2.9] }]\n"))
	o.ask(422, "POST", "/import", request("", "certificates: [{ name: x, cert_file: a, key_file: b }]\n"))
	o.as("editor").ask(403, "POST", "/import", request("", "admin: { address: '127.0.0.1:9082' }\n"))
	pruned, _ := o.ask(200, "POST", "/import", request(`,"prune":true`, strings.Split(yaml, "\n")[0]))
	if text := fmt.Sprint(pruned["differences"]); !strings.Contains(text, "list office removed") || strings.Contains(text, "mine") {
		t.Errorf("%v", pruned)
	}
	exported, h := o.ask(200, "GET", "/export", "")
	text := fmt.Sprint(exported["text"])
	if h.Get("Content-Type") != "application/yaml" || !strings.Contains(text, "name: shop") {
		t.Errorf("%v", exported)
	}
	plan, _ = o.ask(200, "POST", "/plan", strings.Replace(request(`,"takeover":true`, text), "git:shop", "ui", 1))
	if len(plan["differences"].([]any)) != 0 {
		t.Errorf("an export is another: %v", plan)
	}
}
