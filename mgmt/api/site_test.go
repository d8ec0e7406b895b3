package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/rules/sealed"
)

const (
	siteURL  = "https://manager.example.com"
	password = "correct horse battery"
)

// site is an API with real accounts, whose clock is the test's.
type site struct {
	t     *testing.T
	db    *store.DB
	auth  *auth.Service
	api   *api.API
	ahead atomic.Int64 // how far its clock is
	users int
}

func newSite(t *testing.T, oidc auth.OIDC) *site {
	t.Helper()
	return newSiteAt(t, siteURL, oidc)
}

func newSiteAt(t *testing.T, url string, oidc auth.OIDC) *site {
	t.Helper()
	s := &site{t: t}
	db, err := store.Open(t.Context(), store.Options{File: t.TempDir() + "/manager.db", Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s.open(db, url, oidc)
	return s
}

// open makes the API of a database.
func (s *site) open(db *store.DB, url string, oidc auth.OIDC) {
	s.t.Helper()
	s.db = db
	service, err := auth.New(auth.Options{
		DB: s.db, Vault: secret.New(sealed.NewKey()), ExternalURL: url, OIDC: oidc, Hashing: auth.Hashing{Memory: 64, Passes: 1, Threads: 1},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.use(service)
}

func (s *site) advance(d time.Duration) { s.ahead.Add(int64(d)) }

func (s *site) write(do func(*store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(context.Background(), do); err != nil {
		s.t.Fatal(err)
	}
}

// user makes an account with the role everywhere.
func (s *site) user(role auth.Role) string {
	s.t.Helper()
	return s.userWith(auth.Grants{Roles: map[string]auth.Role{auth.Everywhere: role}})
}

func (s *site) userWith(grants auth.Grants) string {
	s.t.Helper()
	s.users++
	name := fmt.Sprintf("user%d", s.users)
	s.write(func(tx *store.Tx) error {
		_, err := s.auth.CreateUser(tx, "manager", name, password, grants)
		return err
	})
	return name
}

// request makes a request as a browser on the manager's pages would, each from its own address. change is done to it last.
func (s *site) request(method, path, body string, change ...func(*http.Request)) *http.Request {
	s.users++
	r := httptest.NewRequest(method, siteURL+path, strings.NewReader(body))
	r.URL.Scheme, r.URL.Host = "", "" // as a server sees it
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1234", s.users>>16&255, s.users>>8&255, s.users&255)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", siteURL)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

func (s *site) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	return w
}

// want sends a request that must have the status, and reads the answer.
func (s *site) want(status int, out any, r *http.Request) *httptest.ResponseRecorder {
	s.t.Helper()
	w := s.do(r)
	if w.Code != status {
		s.t.Fatalf("%s %s: %d %s; want %d", r.Method, r.URL, w.Code, w.Body, status)
	}
	if out != nil {
		if err := json.NewDecoder(w.Body).Decode(out); err != nil && err != io.EOF {
			s.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	return w
}

func loginBody(name, password, code string) string {
	data, _ := json.Marshal(map[string]string{"name": name, "password": password, "code": code})
	return string(data)
}

// login gives the cookie of a new session.
func (s *site) login(name string) string {
	s.t.Helper()
	w := s.want(http.StatusNoContent, nil, s.request("POST", "/api/v1/session", loginBody(name, password, "")))
	return cookieOf(s.t, w)
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if strings.HasSuffix(c.Name, "gatehouse") {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("no cookie: %v", w.Header())
	return ""
}

func with(cookie string) func(*http.Request) { return header("Cookie", cookie) }

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Del("Origin")
		r.Header.Del("Sec-Fetch-Site")
	}
}

// token makes a token with the cookie's session.
func (s *site) token(cookie, name, grants, life string) string {
	s.t.Helper()
	var out struct{ Text string }
	s.want(http.StatusCreated, &out, s.request("POST", "/api/v1/tokens", tokenBody(name, grants, life), with(cookie)))
	return out.Text
}

func tokenBody(name, grants, life string) string {
	return fmt.Sprintf(`{"name":%q,"grants":%s,"expires_in":%q}`, name, grants, life)
}

const (
	asViewer = `{"roles":{"*":"viewer"}}`
	asAdmin  = `{"roles":{"*":"admin"}}`
)

// use has the API work on another service.
func (s *site) use(service *auth.Service) {
	s.t.Helper()
	a, err := api.New(api.Options{DB: s.db, Auth: service})
	if err != nil {
		s.t.Fatal(err)
	}
	s.auth, s.api = service, a
}

type siteKey struct{}

// withSite has a request go to another site than the one that all share.
func withSite(ctx context.Context, s *site) context.Context {
	return context.WithValue(ctx, siteKey{}, s)
}

func siteOf(ctx context.Context, s *site) *site {
	if other, ok := ctx.Value(siteKey{}).(*site); ok {
		return other
	}
	return s
}
