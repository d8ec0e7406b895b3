package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
)

// TestAccounts goes from an empty manager to users, tokens, a second factor and the log of all that.
func TestAccounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		s := &site{t: t}
		s.open(open(), siteURL, auth.OIDC{})
		s.accounts()
	})
}

func (s *site) accounts() {
	t := s.t
	var methods struct {
		NeedsSetup bool `json:"needs_setup"`
	}
	s.want(200, &methods, s.request("GET", "/api/v1/session/methods", ""))
	if !methods.NeedsSetup {
		t.Error("a new manager needs no setup")
	}
	link, err := s.auth.SetupLink(t.Context())
	if err != nil || !strings.HasPrefix(link, siteURL+"/setup#") {
		t.Fatalf("%s, %v", link, err)
	}
	body, _ := json.Marshal(map[string]string{"token": link, "name": "ann", "password": password})
	w := s.want(204, nil, s.request("POST", "/api/v1/setup", string(body)))
	if c := w.Header().Get("Set-Cookie"); !strings.HasPrefix(c, "__Host-gatehouse=") || !strings.Contains(c, "; Path=/;") ||
		!strings.Contains(c, "; HttpOnly") || !strings.Contains(c, "; Secure") || !strings.Contains(c, "; SameSite=Lax") || strings.Contains(c, "Domain") {
		t.Errorf("the cookie is %s", c)
	}
	ann := cookieOf(t, w)
	if _, err := s.auth.SetupLink(t.Context()); err == nil {
		t.Error("a second setup")
	}
	var me struct {
		Name    string
		Highest string `json:"highest_role"`
	}
	s.want(200, &me, s.request("GET", "/api/v1/session", "", with(ann)))
	if me.Name != "ann" || me.Highest != "admin" {
		t.Errorf("whoami: %+v", me)
	}
	// A user, without a password at first.
	s.want(201, nil, s.request("POST", "/api/v1/users", `{"name":"bob","grants":{"roles":{"shop":"editor"}}}`, with(ann)))
	var reset struct{ Link string }
	s.want(200, &reset, s.request("POST", "/api/v1/users/bob/reset", "", with(ann)))
	body, _ = json.Marshal(map[string]string{"token": reset.Link, "password": password})
	bob := cookieOf(t, s.want(204, nil, s.request("POST", "/api/v1/setup", string(body))))
	s.want(403, nil, s.request("GET", "/api/v1/users", "", with(bob)))
	w = s.want(200, nil, s.request("GET", "/api/v1/users/bob", "", with(ann)))
	tag := w.Header().Get("ETag")
	disable := `{"grants":{"roles":{"shop":"viewer"}},"disabled":true}`
	s.want(428, nil, s.request("PUT", "/api/v1/users/bob", disable, with(ann)))
	s.want(200, nil, s.request("PUT", "/api/v1/users/bob", disable, with(ann), header("If-Match", tag)))
	s.want(412, nil, s.request("PUT", "/api/v1/users/bob", disable, with(ann), header("If-Match", tag)))
	s.want(401, nil, s.request("GET", "/api/v1/session", "", with(bob)))
	// Tokens.
	text := s.token(ann, "ci", asAdmin, "24h")
	s.want(200, &me, s.request("GET", "/api/v1/session", "", bearer(text)))
	if me.Name != "ci" {
		t.Errorf("whoami of the token: %+v", me)
	}
	var tokens struct{ Items []auth.Token }
	s.want(200, &tokens, s.request("GET", "/api/v1/tokens", "", with(ann)))
	if len(tokens.Items) != 1 || tokens.Items[0].User != "ann" || tokens.Items[0].Used.IsZero() {
		t.Errorf("tokens: %+v", tokens)
	}
	// A second factor.
	var start struct{ Secret string }
	s.want(200, &start, s.request("POST", "/api/v1/session/totp", "", with(ann)))
	code := func() string {
		code, err := totp.GenerateCode(start.Secret, s.db.Now())
		if err != nil {
			t.Fatal(err)
		}
		return `{"code":"` + code + `"}`
	}
	var recovery struct {
		Codes []string `json:"recovery_codes"`
	}
	s.want(200, &recovery, s.request("PUT", "/api/v1/session/totp", code(), with(ann)))
	if len(recovery.Codes) != 10 {
		t.Errorf("recovery codes: %q", recovery.Codes)
	}
	w = s.want(401, nil, s.request("POST", "/api/v1/session", loginBody("ann", password, "")))
	if !strings.Contains(w.Body.String(), `"totp_required"`) {
		t.Errorf("without a code: %s", w.Body)
	}
	s.want(204, nil, s.request("POST", "/api/v1/session", loginBody("ann", password, recovery.Codes[0])))
	now, _ := totp.GenerateCode(start.Secret, s.db.Now().Add(30*time.Second)) // the one before was used
	s.want(204, nil, s.request("POST", "/api/v1/session", loginBody("ann", password, now)))
	s.want(204, nil, s.request("PUT", "/api/v1/session/password", `{"current":"`+password+`","password":"another good one"}`, with(ann)))
	s.want(200, nil, s.request("GET", "/api/v1/session", "", with(ann)))
	s.want(204, nil, s.request("DELETE", "/api/v1/tokens/ci", "", with(ann)))
	s.want(401, nil, s.request("GET", "/api/v1/session", "", bearer(text)))
	s.audited(ann, text, start.Secret, recovery.Codes[1], reset.Link)
	s.want(204, nil, s.request("DELETE", "/api/v1/session", "", with(ann)))
	s.want(401, nil, s.request("GET", "/api/v1/session", "", with(ann)))
}

// audited has the log name what was done, and none of the secrets, which are nowhere in the database either.
func (s *site) audited(cookie string, secrets ...string) {
	t := s.t
	t.Helper()
	w := s.want(200, nil, s.request("GET", "/api/v1/audit/export", "", with(cookie)))
	var actions []string
	for line := range strings.Lines(w.Body.String()) {
		var e store.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		actions = append(actions, e.Action)
	}
	for _, want := range []string{
		"setup.link", "user.create", "user.login", "user.reset", "user.update", "token.create", "token.revoke", "user.totp_start", "user.totp", "user.password",
	} {
		if !slices.Contains(actions, want) {
			t.Errorf("the log has no %s: %v", want, actions)
		}
	}
	var list struct {
		Items []store.Entry
		Next  string
	}
	s.want(200, &list, s.request("GET", "/api/v1/audit?action=user.*&limit=2", "", with(cookie)))
	if len(list.Items) != 2 || list.Next == "" || list.Items[0].Action != "user.create" {
		t.Errorf("the first page: %+v", list)
	}
	var verified struct {
		OK      bool
		Entries int
	}
	s.want(200, &verified, s.request("GET", "/api/v1/audit/verify", "", with(cookie)))
	if !verified.OK || verified.Entries != len(actions) {
		t.Errorf("verified: %+v of %d", verified, len(actions))
	}
	_, secret, _ := strings.Cut(cookie, "=")
	for _, secret := range append(secrets, secret, password, "another good one") {
		if _, after, ok := strings.Cut(secret, "#"); ok {
			secret = after
		}
		if s.db.Kind() == "sqlite" {
			s.inNoTable(secret)
		}
	}
}

// inNoTable looks for a text in every column of every table.
func (s *site) inNoTable(text string) {
	t := s.t
	t.Helper()
	err := s.db.Read(t.Context(), func(tx *store.Tx) error {
		var tables []string
		if err := tx.Query(func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			tables = append(tables, name)
			return err
		}, "SELECT name FROM sqlite_master WHERE type = 'table'"); err != nil {
			return err
		}
		seen := 0
		for _, table := range tables {
			var columns []string
			if err := tx.Query(func(scan func(...any) error) error {
				var name string
				err := scan(&name)
				columns = append(columns, name)
				return err
			}, "SELECT name FROM pragma_table_info($1)", table); err != nil {
				return err
			}
			for _, column := range columns {
				var n int
				if err := tx.Get(store.Row(&n), "SELECT count(*) FROM "+table+" WHERE instr(CAST("+column+" AS TEXT), $1) > 0", text); err != nil {
					return err
				}
				seen++
				if n > 0 {
					t.Errorf("%s.%s has a secret in clear: %.4s...", table, column, text)
				}
			}
		}
		if seen < 30 {
			t.Errorf("only %d columns were looked at", seen)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLoopback signs in by plain HTTP where that is the manager's own host.
func TestLoopback(t *testing.T) {
	s := newSiteAt(t, "http://127.0.0.1:9080", auth.OIDC{})
	s.user(auth.Admin)
	for _, host := range []string{"127.0.0.1:9080", "localhost:9080", "[::1]:9080"} {
		at := func(r *http.Request) { r.Host = host; r.Header.Set("Origin", "http://"+host) }
		w := s.want(204, nil, s.request("POST", "/api/v1/session", loginBody("user1", password, ""), at))
		if c := w.Header().Get("Set-Cookie"); !strings.HasPrefix(c, "gatehouse=") || strings.Contains(c, "Secure") {
			t.Errorf("the cookie is %s", c)
		}
		s.want(204, nil, s.request("DELETE", "/api/v1/session", "", with(cookieOf(t, w)), at))
	}
	for _, url := range []string{"http://manager.example.com", "ftp://127.0.0.1", "manager.example.com"} {
		if _, err := auth.New(auth.Options{DB: s.db, ExternalURL: url}); err == nil || !strings.Contains(err.Error(), "api.external_url") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
