package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/store"
)

// identities is a real identity provider with two people, test-user@HOST in groups and test-user2 in none.
type identities struct {
	*storage.Storage
	server *httptest.Server
	// tamper changes the answers of the provider on their way to the manager.
	mu     sync.Mutex // guards tamper and groups
	tamper func(path string, body []byte) []byte
	groups []string
}

// SetUserinfoFromToken adds the claim groups.
func (i *identities) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if subject == "id1" {
		info.AppendClaims("groups", i.groups)
	}
	return i.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin)
}

// RoundTrip is the way between manager and provider.
func (i *identities) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tamper == nil {
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	body = i.tamper(r.URL.Path, body)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return response, err
}

func newIdentities(t *testing.T) (*identities, auth.OIDC) {
	t.Helper()
	i := &identities{groups: []string{"staff", "waf-editors"}}
	var handler http.Handler
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(i.server.Close)
	storage.RegisterClients(storage.WebClient("gatehouse", "hush", siteURL+auth.CallbackPath))
	i.Storage = storage.NewStorage(storage.NewUserStore(i.server.URL))
	handler = exampleop.SetupServer(i.server.URL, i, slog.New(slog.DiscardHandler), false)
	return i, auth.OIDC{
		Issuer: i.server.URL, ClientID: "gatehouse", ClientSecret: "hush", Claim: "groups",
		Roles:  map[string]auth.Role{"staff": auth.Viewer, "waf-editors": auth.Editor},
		Client: &http.Client{Transport: i, Timeout: 10 * time.Second},
	}
}

// begin begins a sign-in at the manager, and gives its cookie and where it sends the browser.
func (s *site) begin() (cookie, target string) {
	s.t.Helper()
	w := s.want(http.StatusSeeOther, nil, s.request("GET", "/api/v1/session/oidc", ""))
	for _, c := range w.Result().Cookies() {
		if c.Name == "__Host-gatehouse-oidc" && c.HttpOnly && c.Secure && c.Path == "/" {
			return c.Name + "=" + c.Value, w.Header().Get("Location")
		}
	}
	s.t.Fatalf("no cookie: %v", w.Header())
	return "", ""
}

// signIn is somebody who signs in at the provider, and gives where it sends the browser back to.
func (i *identities) signIn(t *testing.T, target, user string) *url.URL {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	next := func(response *http.Response, err error) *url.URL {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		u, err := response.Location()
		if err != nil {
			body, _ := io.ReadAll(response.Body)
			t.Fatalf("%s: %s: %v", response.Status, body, err)
		}
		return u
	}
	page := next(client.Get(target))
	callback := next(client.PostForm(i.server.URL+"/login/username", url.Values{
		"id": {page.Query().Get("authRequestID")}, "username": {user}, "password": {"verysecure"},
	}))
	return next(client.Get(callback.String()))
}

func (i *identities) ann() string { return "test-user@127.0.0.1" }

// back is the browser coming back to the manager.
func (s *site) back(u *url.URL, cookie string) *http.Request {
	return s.request("GET", u.RequestURI(), "", with(cookie), header("Sec-Fetch-Site", "cross-site"))
}

// TestOIDC signs in through a real provider, and again with other groups.
func TestOIDC(t *testing.T) {
	i, options := newIdentities(t)
	s := newSite(t, options)
	s.user(auth.Admin)
	for _, want := range []string{"editor", "viewer"} {
		cookie, target := s.begin()
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || len(q.Get("state")) < 40 || len(q.Get("nonce")) < 40 || q.Get("response_type") != "code" {
			t.Errorf("the provider is asked %v", q)
		}
		w := s.want(http.StatusSeeOther, nil, s.back(i.signIn(t, target, i.ann()), cookie))
		if w.Header().Get("Location") != "/" {
			t.Errorf("on to %q", w.Header().Get("Location"))
		}
		var me struct {
			Name    string
			Highest string `json:"highest_role"`
		}
		session := cookieOf(t, w)
		s.want(200, &me, whoami(session)(s))
		if me.Name != i.ann() || me.Highest != want {
			t.Errorf("whoami: %+v, want %s", me, want)
		}
		s.want(409, nil, s.request("POST", "/api/v1/session/totp", "", with(session)))
		i.mu.Lock()
		i.groups = []string{"staff"}
		i.mu.Unlock()
	}
}

// idTokenPart changes the claims or the head of the ID token in an answer.
func idTokenPart(part int, change func(map[string]any)) func(string, []byte) []byte {
	return func(_ string, body []byte) []byte {
		var answer map[string]any
		if json.Unmarshal(body, &answer) != nil {
			return body
		}
		token, ok := answer["id_token"].(string)
		if !ok {
			return body
		}
		parts := strings.Split(token, ".")
		raw, _ := base64.RawURLEncoding.DecodeString(parts[part])
		var values map[string]any
		_ = json.Unmarshal(raw, &values) // an ID token is JSON
		change(values)
		raw, _ = json.Marshal(values)
		parts[part] = base64.RawURLEncoding.EncodeToString(raw)
		if values["alg"] == "none" {
			parts[2] = ""
		}
		answer["id_token"] = strings.Join(parts, ".")
		body, _ = json.Marshal(answer)
		return body
	}
}

// TestOIDCAbuse tries to get in by the way of the provider: what the browser brings, what an answer on the way says, and who it is of.
func TestOIDCAbuse(t *testing.T) {
	i, options := newIdentities(t)
	s := newSite(t, options)
	s.user(auth.Admin)
	var firstToken string
	flow := func(change func(u *url.URL, cookie *string)) func() *http.Request {
		return func() *http.Request {
			cookie, target := s.begin()
			u := i.signIn(t, target, i.ann())
			change(u, &cookie)
			return s.back(u, cookie)
		}
	}
	set := func(name, value string) func() *http.Request {
		return flow(func(u *url.URL, _ *string) {
			q := u.Query()
			if q.Set(name, value); value == "" {
				q.Del(name)
			}
			u.RawQuery = q.Encode()
		})
	}
	tampered := func(tamper func(string, []byte) []byte) func() *http.Request {
		return flow(func(*url.URL, *string) {
			i.mu.Lock()
			i.tamper = tamper
			i.mu.Unlock()
		})
	}
	claim := func(name string, value any) func() *http.Request {
		return tampered(idTokenPart(1, func(c map[string]any) { c[name] = value }))
	}
	replace := func(from, to string) func(string, []byte) []byte {
		return func(_ string, body []byte) []byte { return bytes.ReplaceAll(body, []byte(from), []byte(to)) }
	}
	cases := map[string]func() *http.Request{
		"no state":                 set("state", ""),
		"another state":            set("state", strings.Repeat("A", 43)),
		"no code":                  set("code", ""),
		"another code":             set("code", "x"),
		"the provider of somebody": set("iss", "https://evil.example"),
		"two states":               flow(func(u *url.URL, _ *string) { u.RawQuery += "&state=x" }),
		"two codes":                flow(func(u *url.URL, _ *string) { u.RawQuery += "&code=x" }),
		"no cookie":                flow(func(_ *url.URL, c *string) { *c = "" }),
		"made-up cookie":           flow(func(_ *url.URL, c *string) { *c = "__Host-gatehouse-oidc=" + strings.Repeat("A", 43) }),
		"another browser's cookie": flow(func(_ *url.URL, c *string) { *c, _ = s.begin() }),
		"two cookies":              flow(func(_ *url.URL, c *string) { *c += "; __Host-gatehouse-oidc=x" }),
		"after ten minutes":        flow(func(*url.URL, *string) { s.advance(10 * time.Minute) }),
		"the attacker's code (CSRF)": func() *http.Request {
			victim, target := s.begin()
			attackers, theirs := s.begin()
			_ = attackers
			u, mine := i.signIn(t, theirs, i.ann()), i.signIn(t, target, i.ann())
			q := mine.Query()
			q.Set("code", u.Query().Get("code")) // with the victim's own state: PKCE
			mine.RawQuery = q.Encode()
			return s.back(mine, victim)
		},
		"twice": func() *http.Request {
			cookie, target := s.begin()
			u := i.signIn(t, target, i.ann())
			s.want(http.StatusSeeOther, nil, s.back(u, cookie))
			return s.back(u, cookie)
		},
		"refused by the provider": flow(func(u *url.URL, _ *string) {
			u.RawQuery = "error=access_denied&state=" + u.Query().Get("state")
		}),
		"to another host": func() *http.Request {
			cookie, target := s.begin()
			r := s.back(i.signIn(t, target, i.ann()), cookie)
			r.Host = "evil.example"
			return r
		},
		"somebody in no group": func() *http.Request {
			cookie, target := s.begin()
			return s.back(i.signIn(t, target, "test-user2"), cookie)
		},
		"a token without signature": tampered(idTokenPart(0, func(h map[string]any) { h["alg"] = "none" })),
		"a token by HMAC":           tampered(idTokenPart(0, func(h map[string]any) { h["alg"] = "HS256" })),
		"a token of another key":    tampered(idTokenPart(0, func(h map[string]any) { h["kid"] = "other" })),
		"a token with more rights":  claim("groups", []string{"waf-editors"}),
		"a token of somebody else":  claim("sub", "id2"),
		"a token for another site":  claim("aud", []string{"other"}),
		"a token from elsewhere":    claim("iss", "https://evil.example"),
		"a token that has ended":    claim("exp", 1),
		"a token of another sign-in": tampered(func(_ string, body []byte) []byte {
			var answer map[string]any
			if json.Unmarshal(body, &answer) != nil || answer["id_token"] == nil {
				return body
			}
			answer["id_token"] = firstToken
			body, _ = json.Marshal(answer)
			return body
		}),
		"no token": tampered(replace(`"id_token"`, `"no_token"`)),
		"the words of another user": tampered(func(_ string, body []byte) []byte {
			return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(`"sub":"id1"`), []byte(`"sub":"id2"`)), []byte(i.ann()), []byte("mallory"))
		}),
		"groups as an object":              tampered(replace(`"groups":["staff","waf-editors"]`, `"groups":{"staff":true}`)),
		"groups with the name in a longer": tampered(replace(`"groups":["staff","waf-editors"]`, `"groups":["staff-x","x-waf-editors"]`)),
		"a disabled account": func() *http.Request {
			s.change(i.ann(), `{"grants":`+asViewer+`,"disabled":true}`)
			return flow(func(*url.URL, *string) {})()
		},
		"an account of that name that was made here": func() *http.Request {
			admin := s.login(s.user(auth.Admin))
			s.do(s.request("DELETE", "/api/v1/users/"+i.ann(), "", with(admin), header("If-Match", "*")))
			s.write(func(tx *store.Tx) error {
				_, err := s.auth.CreateUser(tx, "manager", i.ann(), password, auth.Grants{Roles: map[string]auth.Role{"*": auth.Admin}})
				return err
			})
			return flow(func(*url.URL, *string) {})()
		},
		"its password here": func() *http.Request {
			return s.request("POST", "/api/v1/session", loginBody(i.ann(), "verysecure", ""))
		},
	}
	// A good one first, whose token is kept.
	i.tamper = func(_ string, body []byte) []byte {
		var answer struct {
			Token string `json:"id_token"`
		}
		if json.Unmarshal(body, &answer) == nil && answer.Token != "" {
			firstToken = answer.Token
		}
		return body
	}
	s.want(http.StatusSeeOther, nil, flow(func(*url.URL, *string) {})())
	i.tamper = nil
	accepted := 0
	for name, attempt := range cases {
		if strings.HasPrefix(name, "a disabled") || strings.HasPrefix(name, "an account") {
			continue // they change the account
		}
		w := s.do(attempt())
		i.tamper = nil
		if w.Code < 400 || w.Code >= 500 || strings.Contains(strings.Join(w.Header()["Set-Cookie"], ""), "gatehouse=") {
			accepted++
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
	for _, name := range []string{"a disabled account", "an account of that name that was made here"} {
		if w := s.do(cases[name]()); w.Code != http.StatusForbidden {
			accepted++
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	t.Logf("%d cases, %d accepted", len(cases), accepted)
}
