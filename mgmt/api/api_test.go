package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
)

// TestRoutesWithoutPermission keeps an API from starting.
func TestRoutesWithoutPermission(t *testing.T) {
	good := api.Route{Method: http.MethodGet, Path: "/things", ID: "list-things", Summary: "Things", Tag: "Things", Permission: api.Viewer}
	for name, change := range map[string]func(*api.Route){
		"no permission":              func(r *api.Route) { r.Permission = 0 },
		"an unknown permission":      func(r *api.Route) { r.Permission = api.Admin + 1 },
		"another negative one":       func(r *api.Route) { r.Permission = -2 },
		"no method":                  func(r *api.Route) { r.Method = "" },
		"a method in lower case":     func(r *api.Route) { r.Method = "get" },
		"a trailing slash":           func(r *api.Route) { r.Path = "/things/" },
		"a path with the rest":       func(r *api.Route) { r.Path = "/things/{rest...}" },
		"no ID":                      func(r *api.Route) { r.ID = "" },
		"an application that is not": func(r *api.Route) { r.Application = "application" },
		"public, for people":         func(r *api.Route) { r.Permission, r.PeopleOnly = api.Public, true },
		"twice":                      func(r *api.Route) {},
	} {
		t.Run(name, func(t *testing.T) {
			route := good
			change(&route)
			_, err := api.NewBare(api.Options{}, nil, func(a *api.API) {
				if name == "twice" {
					thing(a, good)
				}
				thing(a, route)
			})
			if err == nil || !strings.Contains(err.Error(), route.Path) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	if _, err := api.NewBare(api.Options{}, nil, func(a *api.API) { thing(a, good) }); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func thing(a *api.API, r api.Route) {
	api.Register(a, r, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
}

type saveThing struct {
	api.Condition
	Name string `path:"name"`
	Body struct {
		Count    int                     `json:"count" maximum:"10"`
		Parts    []struct{ Path string } `json:"parts,omitempty"`
		Password string                  `json:"password,omitempty" maxLength:"5"`
	}
}

type thingReply struct {
	ETag string `header:"ETag"`
	Body struct {
		Runs   int    `json:"runs"`
		Secret string `json:"secret,omitempty"`
	}
}

func (r *thingReply) Kept() *thingReply {
	kept := *r
	kept.Body.Secret = ""
	return &kept
}

// things is an API with a route of each sort, over a database.
func things(t *testing.T, db *store.DB) *api.API {
	t.Helper()
	runs := 0
	a, err := api.NewBare(api.Options{DB: db, Authenticator: askers()}, nil, func(a *api.API) {
		a.AllRoutes()
		api.Register(a, api.Route{
			Method: http.MethodPut, Path: "/things/{name}", ID: "put-thing", Summary: "Save", Tag: "Things", Permission: api.Editor, Condition: api.Required,
		}, func(_ context.Context, in *saveThing) (*thingReply, error) {
			tag := api.ETag(7)
			if in.Name == "missing" {
				tag = ""
			}
			return &thingReply{ETag: api.ETag(8)}, in.Check(tag)
		})
		api.Register(a, api.Route{
			Method: http.MethodPost, Path: "/things", ID: "post-thing", Summary: "Make", Tag: "Things", Permission: api.Editor,
		}, func(ctx context.Context, in *struct{ Body struct{ Fault string } }) (*thingReply, error) {
			return api.Write(ctx, db, func(*store.Tx) (*thingReply, error) {
				runs++
				out := &thingReply{}
				out.Body.Runs, out.Body.Secret = runs, "hush"
				if in.Body.Fault != "" {
					return nil, errors.New("password=" + in.Body.Fault)
				}
				return out, nil
			})
		})
		api.Register(a, api.Route{
			Method: http.MethodGet, Path: "/things", ID: "list-things", Summary: "List", Tag: "Things", Permission: api.Viewer,
		}, func(_ context.Context, in *struct{ api.Page }) (*api.ListReply[string], error) {
			if _, err := in.Keys(1); err != nil {
				return nil, err
			}
			return api.Paged(in.Page, strings.Split("abcdefghijkl", "")[:in.Limit+1], func(s string) string { return api.NewCursor(s) }), nil
		})
		api.RegisterStream(a, api.Route{
			Method: http.MethodGet, Path: "/things.jsonl", ID: "export-things", Summary: "Export", Tag: "Things", Permission: api.Viewer,
		}, "application/jsonl", func(context.Context, *struct{}) (api.Stream, error) {
			return func(w http.ResponseWriter, flush func()) error {
				_, err := io.WriteString(w, "{}\n")
				flush()
				return err
			}, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ask(t *testing.T, a *api.API, method, path, body string, headers ...string) (*httptest.ResponseRecorder, api.Problem) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Test-Principal", "user admin *")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	var p api.Problem
	if w.Code >= 400 {
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s %s: Content-Type %q", method, path, got)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Title == "" || p.Detail == "" {
			t.Errorf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w, p
}

// TestProblems has each fault named with its place, and nothing shown that must not be.
func TestProblems(t *testing.T) {
	a := things(t, storetest.SQLite(t)())
	match := []string{"If-Match", `"7"`}
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		location                 string
	}{
		{"a number that is too high", "PUT", "/api/v1/things/a", `{"count":11}`, match, 422, "body.count"},
		{"a key that is not known", "PUT", "/api/v1/things/a", `{"count":1,"colour":1}`, match, 422, "body.colour"},
		{"a type deep inside", "PUT", "/api/v1/things/a", `{"count":1,"parts":[{"Path":5}]}`, match, 422, "body.parts[0].Path"},
		{"a secret that is too long", "PUT", "/api/v1/things/a", `{"count":1,"password":"swordfish"}`, match, 422, "body.password"},
		{"not JSON", "PUT", "/api/v1/things/a", `{`, match, 400, ""},
		{"another format", "PUT", "/api/v1/things/a", `a: 1`, append([]string{"Content-Type", "application/yaml"}, match...), 415, ""},
		{"too much", "PUT", "/api/v1/things/a", `{"count":1,"x":"` + strings.Repeat("x", 2<<20) + `"}`, match, 413, ""},
		{"no condition", "PUT", "/api/v1/things/a", `{"count":1}`, nil, 428, ""},
		{"an old version", "PUT", "/api/v1/things/a", `{"count":1}`, []string{"If-Match", `"6"`}, 412, ""},
		{"a weak version", "PUT", "/api/v1/things/a", `{"count":1}`, []string{"If-Match", `W/"7"`}, 412, ""},
		{"new, and there", "PUT", "/api/v1/things/a", `{"count":1}`, []string{"If-None-Match", `*`}, 412, ""},
		{"any, and missing", "PUT", "/api/v1/things/missing", `{"count":1}`, []string{"If-Match", `*`}, 412, ""},
		{"the version", "PUT", "/api/v1/things/a", `{"count":1}`, match, 200, ""},
		{"one of the versions", "PUT", "/api/v1/things/a", `{"count":1}`, []string{"If-Match", `"5", "7"`}, 200, ""},
		{"new", "PUT", "/api/v1/things/missing", `{"count":1}`, []string{"If-None-Match", `*`}, 200, ""},
		{"a fault of the manager", "POST", "/api/v1/things", `{"Fault":"swordfish"}`, nil, 500, ""},
		{"a parameter that is not known", "GET", "/api/v1/things?colour=red", "", nil, 422, "query.colour"},
		{"a limit that is too high", "GET", "/api/v1/things?limit=1001", "", nil, 422, "query.limit"},
		{"a cursor of something else", "GET", "/api/v1/things?cursor=abc", "", nil, 422, "query.cursor"},
		{"nothing there", "GET", "/api/v1/nothing", "", nil, 404, ""},
		{"no such method", "DELETE", "/api/v1/things", "", nil, 405, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, p := ask(t, a, test.method, test.path, test.body, test.headers...)
			if w.Code != test.status {
				t.Errorf("the status is %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if test.location != "" && !slices.ContainsFunc(p.Errors, func(f api.Fault) bool { return f.Location == test.location && f.Message != "" }) {
				t.Errorf("no fault at %s: %s", test.location, w.Body)
			}
			if strings.Contains(w.Body.String(), "swordfish") {
				t.Errorf("the answer has the secret: %s", w.Body)
			}
		})
	}
}

// TestRepeated sends requests again, with and without a key.
func TestRepeated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a := things(t, open())
		for _, test := range []struct {
			key, who, path, body string
			status, runs         int
			replayed, secret     bool
		}{
			{"k1", "user admin *", "/api/v1/things", `{"Fault":""}`, 200, 1, false, true},
			{"k1", "user admin *", "/api/v1/things", `{"Fault":""}`, 200, 1, true, false},
			{"k1", "user admin *", "/api/v1/things", `{"Fault": ""}`, 422, 0, false, false},
			{"k1", "user editor *", "/api/v1/things", `{"Fault":""}`, 200, 2, false, true}, // somebody else's key
			{"k2", "user admin *", "/api/v1/things", `{"Fault":""}`, 200, 3, false, true},
			{"", "user admin *", "/api/v1/things", `{"Fault":""}`, 200, 4, false, true},
			{"", "user admin *", "/api/v1/things", `{"Fault":""}`, 200, 5, false, true},
			{"k3", "user admin *", "/api/v1/things", `{"Fault":"x"}`, 500, 0, false, false},
			{"k3", "user viewer *", "/api/v1/things", `{"Fault":""}`, 403, 0, false, false},
			{strings.Repeat("k", 201), "user admin *", "/api/v1/things", `{"Fault":""}`, 422, 0, false, false},
		} {
			headers := []string{"Test-Principal", test.who}
			if test.key != "" {
				headers = append(headers, "Idempotency-Key", test.key)
			}
			w, _ := ask(t, a, "POST", test.path, test.body, headers...)
			var got struct {
				Runs   int
				Secret string
			}
			_ = json.Unmarshal(w.Body.Bytes(), &got) // a problem has neither
			if w.Code != test.status || got.Runs != test.runs || (w.Header().Get("Idempotency-Replayed") == "true") != test.replayed || (got.Secret != "") != test.secret {
				t.Errorf("key %.5q by %s: %d %v %s; want %+v", test.key, test.who, w.Code, w.Header(), w.Body, test)
			}
		}
	})
}

// TestPages follows cursors to the end.
func TestPages(t *testing.T) {
	page := api.Page{Limit: 2}
	all := []string{"a", "b", "c", "d", "e"}
	var got []string
	for range 10 {
		keys, err := page.Keys(1)
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		if keys != nil {
			from = slices.Index(all, keys[0]) + 1
		}
		out := api.Paged(page, all[from:min(len(all), from+page.Limit+1)], func(s string) string { return api.NewCursor(s) })
		got = append(got, out.Body.Items...)
		if page.Cursor = out.Body.Next; page.Cursor == "" {
			break
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("the pages have %v", got)
	}
}

// TestDescription serves OpenAPI 3.1 with each route of the table, its permission and its problems, to anybody.
func TestDescription(t *testing.T) {
	a := things(t, storetest.SQLite(t)())
	w, _ := ask(t, a, "GET", "/api/openapi.json", "", "Test-Principal", "nobody")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string         `json:"operationId"`
			Permission  string         `json:"x-permission"`
			Responses   map[string]any `json:"responses"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("%d %.300s: %v", w.Code, w.Body, err)
	}
	n := 0
	for _, r := range a.Routes() {
		op := doc.Paths[r.FullPath()][strings.ToLower(r.Method)]
		if op.OperationID != r.ID || op.Permission != r.Permission.String() {
			t.Errorf("%s %s: %+v", r.Method, r.FullPath(), op)
		}
		n++
	}
	if n < 5 {
		t.Errorf("%d routes", n)
	}
	if w, _ := ask(t, a, "GET", "/api/v1/things.jsonl", ""); w.Body.String() != "{}\n" || w.Header().Get("Content-Type") != "application/jsonl" {
		t.Errorf("the stream: %d %v %s", w.Code, w.Header(), w.Body)
	}
}
