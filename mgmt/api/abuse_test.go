package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/store"
)

// abuse is an attempt to do what one may not. It gives the request that must not be accepted.
type abuse struct {
	name    string
	attempt func(s *site) *http.Request
}

// asBrowser sends a request with the session of a fresh admin, changed.
func asBrowser(method, path, body string, change ...func(*http.Request)) func(s *site) *http.Request {
	return func(s *site) *http.Request {
		cookie := s.login(s.user(auth.Admin))
		return s.request(method, path, body, append([]func(*http.Request){with(cookie)}, change...)...)
	}
}

func newUserBody(s *site) string {
	s.users++
	return fmt.Sprintf(`{"name":"made%d","grants":{"roles":{"*":"admin"}}}`, s.users)
}

// fromPage sends what a page may send to make a user, with the session of an admin, changed.
func fromPage(change ...func(*http.Request)) func(s *site) *http.Request {
	return func(s *site) *http.Request {
		return asBrowser("POST", "/api/v1/users", newUserBody(s), change...)(s)
	}
}

func twice(name, first, second string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = []string{first, second} }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

// csrf are requests that somebody else's page makes a browser send.
func csrf() []abuse {
	evil := "https://evil.example"
	var list []abuse
	for name, change := range map[string][]func(*http.Request){
		"another origin":               {header("Origin", evil)},
		"origin null":                  {header("Origin", "null")},
		"no origin":                    {header("Origin", "")},
		"no origin, nothing":           {header("Origin", ""), header("Sec-Fetch-Site", "")},
		"origin by http":               {header("Origin", "http://manager.example.com")},
		"origin with another port":     {header("Origin", siteURL+":8443")},
		"origin of a subdomain":        {header("Origin", "https://x.manager.example.com")},
		"origin with the name in it":   {header("Origin", siteURL+".evil.example")},
		"origin with user":             {header("Origin", "https://manager.example.com@evil.example")},
		"origin with a path":           {header("Origin", siteURL+"/")},
		"two origins":                  {twice("Origin", siteURL, evil)},
		"two origins, the other way":   {twice("Origin", evil, siteURL)},
		"origins in a list":            {header("Origin", siteURL+" "+evil)},
		"cross-site":                   {header("Sec-Fetch-Site", "cross-site")},
		"same-site":                    {header("Sec-Fetch-Site", "same-site")},
		"none":                         {header("Sec-Fetch-Site", "none")},
		"an unknown site":              {header("Sec-Fetch-Site", "maybe")},
		"two sites":                    {twice("Sec-Fetch-Site", "same-origin", "cross-site")},
		"another host (rebinding)":     {host("evil.example"), header("Origin", evil)},
		"another host, right origin":   {host("evil.example")},
		"a host with another port":     {host("manager.example.com:444")},
		"a referer instead of origin":  {header("Origin", ""), header("Referer", siteURL+"/users")},
		"another address, right names": {func(r *http.Request) { r.URL.Scheme, r.URL.Host = "https", "evil.example" }},
	} {
		list = append(list, abuse{"csrf: make a user: " + name, fromPage(change...)})
	}
	for name, change := range map[string]func(*http.Request){
		"cross-site": header("Sec-Fetch-Site", "cross-site"), "same-site": header("Sec-Fetch-Site", "same-site"), "another origin": header("Origin", evil),
		"another host": host("evil.example"),
	} {
		list = append(
			list,
			abuse{"csrf: read users: " + name, asBrowser("GET", "/api/v1/users", "", change)},
			abuse{"csrf: read with HEAD: " + name, asBrowser("HEAD", "/api/v1/users", "", change)},
			abuse{"csrf: sign out: " + name, asBrowser("DELETE", "/api/v1/session", "", change)},
			abuse{"csrf: sign in as the attacker: " + name, func(s *site) *http.Request {
				return s.request("POST", "/api/v1/session", loginBody(s.user(auth.Viewer), password, ""), change)
			}},
		)
	}
	return append(
		list,
		abuse{"csrf: a form", fromPage(header("Content-Type", "text/plain"))},
		abuse{"csrf: a form of fields", fromPage(header("Content-Type", "application/x-www-form-urlencoded"))},
		abuse{"csrf: another method in a header", asBrowser("GET", "/api/v1/session", "", header("Origin", evil), header("X-HTTP-Method-Override", "DELETE"))},
		abuse{"csrf: preflight", asBrowser("OPTIONS", "/api/v1/users", "", header("Origin", evil))},
	)
}

func whoami(cookie string) func(s *site) *http.Request {
	return func(s *site) *http.Request { return s.request("GET", "/api/v1/session", "", with(cookie)) }
}

// sessions are cookies that are no session, or not any more.
func sessions() []abuse {
	later := func(d time.Duration, change ...func(s *site, name, cookie string)) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			name := s.user(auth.Admin)
			cookie := s.login(name)
			for _, c := range change {
				c(s, name, cookie)
			}
			s.advance(d)
			return whoami(cookie)(s)
		}
	}
	list := []abuse{
		{"session: none", whoami("")},
		{"session: empty", whoami("__Host-gatehouse=")},
		{"session: made up", whoami("__Host-gatehouse=" + strings.Repeat("A", 43))},
		{"session: a pattern", whoami("__Host-gatehouse=%")},
		{"session: SQL", whoami(`__Host-gatehouse=' OR '1'='1`)},
		{"session: after 30 minutes without use", later(30*time.Minute + time.Second)},
		{"session: after 12 hours of use", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Viewer))
			for range 12*3 - 1 {
				s.advance(20 * time.Minute)
				s.want(200, nil, whoami(cookie)(s))
			}
			s.advance(20 * time.Minute)
			return whoami(cookie)(s)
		}},
		{"session: after signing out", later(0, func(s *site, _, cookie string) {
			s.want(204, nil, s.request("DELETE", "/api/v1/session", "", with(cookie)))
		})},
		{"session: from before signing in again", later(0, func(s *site, name, cookie string) {
			s.want(204, nil, s.request("POST", "/api/v1/session", loginBody(name, password, ""), with(cookie)))
		})},
		{"session: set by somebody before signing in", func(s *site) *http.Request {
			fixed := "__Host-gatehouse=" + strings.Repeat("B", 43)
			s.want(204, nil, s.request("POST", "/api/v1/session", loginBody(s.user(auth.Viewer), password, ""), with(fixed)))
			return whoami(fixed)(s)
		}},
		{"session: from before the password was changed elsewhere", later(0, func(s *site, name, _ string) {
			other := s.login(name)
			s.want(204, nil, s.request("PUT", "/api/v1/session/password", `{"current":"`+password+`","password":"another good one"}`, with(other)))
		})},
		{"session: of a disabled account", later(0, func(s *site, name, _ string) {
			s.change(name, `{"grants":`+asViewer+`,"disabled":true}`)
		})},
		{"session: of an account that was disabled and enabled", later(0, func(s *site, name, _ string) {
			s.change(name, `{"grants":`+asViewer+`,"disabled":true}`)
			s.change(name, `{"grants":`+asViewer+`}`)
		})},
		{"session: of a removed account", later(0, func(s *site, name, _ string) {
			admin := s.login(s.user(auth.Admin))
			s.want(204, nil, s.request("DELETE", "/api/v1/users/"+name, "", with(admin), header("If-Match", "*")))
		})},
		{"session: of an account that was reset", later(0, func(s *site, name, _ string) {
			if _, err := s.auth.ResetUser(s.t.Context(), name); err != nil {
				s.t.Fatal(err)
			}
		})},
		{"session: ended by an admin", later(0, func(s *site, name, _ string) {
			admin := s.login(s.user(auth.Admin))
			var all struct{ Items []auth.Session }
			s.want(200, &all, s.request("GET", "/api/v1/sessions?all=true", "", with(admin)))
			for _, x := range all.Items {
				if x.User == name {
					s.want(204, nil, s.request("DELETE", "/api/v1/sessions/"+x.ID, "", with(admin)))
				}
			}
		})},
		{"session: its hash instead of it", func(s *site) *http.Request {
			s.login(s.user(auth.Admin))
			var hash string
			s.write(func(tx *store.Tx) error {
				return tx.Get(store.Row(&hash), "SELECT hash FROM sessions ORDER BY created DESC LIMIT 1")
			})
			return whoami("__Host-gatehouse=" + hash)(s)
		}},
		{"session: its ID instead of it", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Admin))
			var me struct{ Session string }
			s.want(200, &me, whoami(cookie)(s))
			return whoami("__Host-gatehouse=" + me.Session)(s)
		}},
		{"session: as a token", func(s *site) *http.Request {
			_, secret, _ := strings.Cut(s.login(s.user(auth.Admin)), "=")
			return s.request("GET", "/api/v1/session", "", bearer(secret))
		}},
		{"session: with a token that is not good", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Admin))
			return s.request("GET", "/api/v1/session", "", bearer("ght_x"), with(cookie))
		}},
		{"session: under the name for plain HTTP", func(s *site) *http.Request {
			return whoami(strings.TrimPrefix(s.login(s.user(auth.Admin)), "__Host-"))(s)
		}},
		{"session: two cookies", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Admin))
			return whoami(cookie + "; __Host-gatehouse=x")(s)
		}},
		{"session: in the query", func(s *site) *http.Request {
			return s.request("GET", "/api/v1/session?"+s.login(s.user(auth.Admin)), "")
		}},
		{"session: ends somebody else's", func(s *site) *http.Request {
			var me struct{ Session string }
			s.want(200, &me, whoami(s.login(s.user(auth.Admin)))(s))
			return s.request("DELETE", "/api/v1/sessions/"+me.Session, "", with(s.login(s.user(auth.Publisher))))
		}},
		{"session: lists everybody's", func(s *site) *http.Request {
			return s.request("GET", "/api/v1/sessions?all=true", "", with(s.login(s.user(auth.Publisher))))
		}},
	}
	return list
}

// change gives an account other grants.
func (s *site) change(name, body string) {
	s.t.Helper()
	admin := s.login(s.user(auth.Admin))
	s.want(200, nil, s.request("PUT", "/api/v1/users/"+name, body, with(admin), header("If-Match", "*")))
}

// tokens are API tokens that are not good, or are used for more than they are for.
func tokens() []abuse {
	made := func(grants, life string, change func(s *site, user, text string) *http.Request) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			user := s.user(auth.Admin)
			cookie := s.login(user)
			text := s.token(cookie, "token-of-"+user, grants, life)
			return change(s, user, text)
		}
	}
	use := func(s *site, text string) *http.Request { return s.request("GET", "/api/v1/session", "", bearer(text)) }
	text := func(change func(string) string) func(s *site) *http.Request {
		return made(asViewer, "1h", func(s *site, _, text string) *http.Request { return use(s, change(text)) })
	}
	with := func(grants, method, path, body string, change ...func(*http.Request)) func(s *site) *http.Request {
		return made(grants, "1h", func(s *site, _, text string) *http.Request {
			return s.request(method, path, body, append([]func(*http.Request){bearer(text)}, change...)...)
		})
	}
	asked := func(by auth.Grants, body string) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			cookie := s.login(s.userWith(by))
			s.users++
			return s.request("POST", "/api/v1/tokens", strings.ReplaceAll(body, "NAME", fmt.Sprintf("asked%d", s.users)), header("Cookie", cookie))
		}
	}
	editor := auth.Grants{Roles: map[string]auth.Role{"shop": auth.Editor}, Groups: []string{"edge"}}
	return []abuse{
		{"token: after its time", made(asViewer, "1h", func(s *site, _, text string) *http.Request { s.advance(time.Hour); return use(s, text) })},
		{"token: cut", text(func(t string) string { return t[:len(t)-1] })},
		{"token: longer", text(func(t string) string { return t + "A" })},
		{"token: one letter changed", text(func(t string) string { return t[:10] + map[bool]string{true: "A", false: "B"}[t[10] != 'A'] + t[11:] })},
		{"token: in upper case", text(strings.ToUpper)},
		{"token: without its prefix", text(func(t string) string { return strings.TrimPrefix(t, "ght_") })},
		{"token: as a join token", text(func(t string) string { return "ghj_" + strings.TrimPrefix(t, "ght_") })},
		{"token: empty", text(func(string) string { return "" })},
		{"token: a pattern", text(func(string) string { return "ght_" + strings.Repeat("%", 43) })},
		{"token: two", text(func(t string) string { return t + ", Bearer " + t })},
		{"token: revoked", made(asViewer, "1h", func(s *site, user, text string) *http.Request {
			s.want(204, nil, s.request("DELETE", "/api/v1/tokens/token-of-"+user, "", bearer(text)))
			return use(s, text)
		})},
		{"token: made with one that was revoked", made(asAdmin, "1h", func(s *site, user, text string) *http.Request {
			var child struct{ Text string }
			s.want(201, &child, s.request("POST", "/api/v1/tokens", tokenBody("child-of-"+user, asViewer, "1h"), bearer(text)))
			s.want(204, nil, s.request("DELETE", "/api/v1/tokens/token-of-"+user, "", bearer(text)))
			return use(s, child.Text)
		})},
		{"token: made with one that has ended", made(asAdmin, "1h", func(s *site, user, text string) *http.Request {
			var child struct{ Text string }
			s.want(201, &child, s.request("POST", "/api/v1/tokens", tokenBody("child-of-"+user, asViewer, "1000h"), bearer(text)))
			s.advance(time.Hour)
			return use(s, child.Text)
		})},
		{"token: of a disabled account", made(asAdmin, "1h", func(s *site, user, text string) *http.Request {
			s.change(user, `{"grants":`+asAdmin+`,"disabled":true}`)
			return use(s, text)
		})},
		{"token: of an account that was reset", made(asAdmin, "1h", func(s *site, user, text string) *http.Request {
			if _, err := s.auth.ResetUser(s.t.Context(), user); err != nil {
				s.t.Fatal(err)
			}
			return use(s, text)
		})},
		{"token: of an account that is not admin any more", made(asAdmin, "1h", func(s *site, user, text string) *http.Request {
			s.change(user, `{"grants":`+asViewer+`}`)
			return s.request("GET", "/api/v1/users", "", bearer(text))
		})},
		{"token: beyond its role", with(asViewer, "GET", "/api/v1/users", "")},
		{"token: beyond its application", with(`{"roles":{"shop":"publisher"}}`, "GET", "/api/v1/audit", "")},
		{"token: beyond its role, by another path", with(asViewer, "GET", "/api/v1//users", "")},
		{"token: beyond its role, by an escaped path", with(asViewer, "GET", "/api/v1/%75sers", "")},
		{"token: beyond its role, by dots", with(asViewer, "GET", "/api/v1/session/../users", "")},
		{"token: changes a password", with(asAdmin, "PUT", "/api/v1/session/password", `{"current":"`+password+`","password":"another good one"}`)},
		{"token: begins a second factor", with(asAdmin, "POST", "/api/v1/session/totp", "")},
		{"token: signs out", with(asAdmin, "DELETE", "/api/v1/session", "")},
		{"token: lists sessions", with(asAdmin, "GET", "/api/v1/sessions?all=true", "")},
		{"token: makes a greater one", with(asViewer, "POST", "/api/v1/tokens", tokenBody("greater", asAdmin, "1h"))},
		{"token: makes one for another application", with(`{"roles":{"shop":"editor"}}`, "POST", "/api/v1/tokens", tokenBody("other", `{"roles":{"other":"viewer"}}`, "1h"))},
		{"token: by Basic", made(asAdmin, "1h", func(s *site, _, text string) *http.Request {
			return s.request("GET", "/api/v1/session", "", func(r *http.Request) { r.SetBasicAuth("x", text) })
		})},
		{"token: in the query", made(asAdmin, "1h", func(s *site, _, text string) *http.Request {
			return s.request("GET", "/api/v1/session?access_token="+text, "")
		})},
		{"token: as a cookie", made(asAdmin, "1h", func(s *site, _, text string) *http.Request { return whoami("__Host-gatehouse=" + text)(s) })},
		{"token: two headers", made(asAdmin, "1h", func(s *site, _, text string) *http.Request {
			return s.request("GET", "/api/v1/session", "", twice("Authorization", "Bearer "+text, "Bearer x"))
		})},
		{"token: asked for more than one's role", asked(editor, tokenBody("NAME", `{"roles":{"shop":"publisher"},"groups":["edge"]}`, "1h"))},
		{"token: asked for all applications", asked(editor, tokenBody("NAME", `{"roles":{"*":"viewer"},"groups":["edge"]}`, "1h"))},
		{"token: asked for the permission protection", asked(editor, tokenBody("NAME", `{"roles":{"shop":"editor"},"protection":["shop"],"groups":["edge"]}`, "1h"))},
		{"token: asked for another group", asked(editor, tokenBody("NAME", `{"roles":{"shop":"editor"},"groups":["other"]}`, "1h"))},
		{"token: asked without a group", asked(editor, tokenBody("NAME", `{"roles":{"shop":"editor"}}`, "1h"))},
		{"token: asked for ever", asked(editor, tokenBody("NAME", `{"roles":{"shop":"editor"},"groups":["edge"]}`, "100000h"))},
		{"token: asked for no time", asked(editor, tokenBody("NAME", `{"roles":{"shop":"editor"},"groups":["edge"]}`, "-1h"))},
		{"token: asked without a role", asked(editor, tokenBody("NAME", `{"roles":{}}`, "1h"))},
		{"token: asked for an unknown role", asked(editor, tokenBody("NAME", `{"roles":{"shop":"owner"},"groups":["edge"]}`, "1h"))},
		{"token: revokes somebody else's", made(asAdmin, "1h", func(s *site, user, _ string) *http.Request {
			cookie := s.login(s.user(auth.Publisher))
			return s.request("DELETE", "/api/v1/tokens/token-of-"+user, "", header("Cookie", cookie))
		})},
		{"token: the same request again, for its text", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Admin))
			again := func() *http.Request {
				return s.request("POST", "/api/v1/tokens", tokenBody("replayed", asViewer, "1h"), header("Cookie", cookie), header("Idempotency-Key", "k"))
			}
			s.want(201, nil, again())
			var second struct{ Text string }
			s.want(201, &second, again())
			return use(s, second.Text)
		}},
	}
}

// logins are attempts to get in, and to set up what is set up.
func logins() []abuse {
	in := func(name, password, code string) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			name := strings.ReplaceAll(name, "NAME", s.user(auth.Admin))
			return s.request("POST", "/api/v1/session", loginBody(name, password, code))
		}
	}
	throttled := func(times int, name func(s *site, i int) string, from func(*http.Request)) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			user := s.user(auth.Admin)
			for i := range times {
				s.do(s.request("POST", "/api/v1/session", loginBody(strings.ReplaceAll(name(s, i), "NAME", user), "wrong password", ""), from))
			}
			return s.request("POST", "/api/v1/session", loginBody(user, password, ""), from)
		}
	}
	factor := func(change func(s *site, name, secret string, recovery []string) *http.Request) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			name := s.user(auth.Admin)
			secret, recovery := s.secondFactor(s.login(name))
			s.advance(5 * time.Minute)
			return change(s, name, secret, recovery)
		}
	}
	code := func(s *site, secret string, at time.Duration) string {
		code, _ := totp.GenerateCode(secret, s.db.Now().Add(at))
		return code
	}
	signIn := func(s *site, name, code string) *http.Request {
		return s.request("POST", "/api/v1/session", loginBody(name, password, code))
	}
	link := func(change func(s *site, name, link string) *http.Request) func(s *site) *http.Request {
		return func(s *site) *http.Request {
			name := s.user(auth.Admin)
			link, err := s.auth.ResetUser(s.t.Context(), name)
			if err != nil {
				s.t.Fatal(err)
			}
			return change(s, name, link)
		}
	}
	redeem := func(s *site, link, name, password string) *http.Request {
		data, _ := json.Marshal(map[string]string{"token": link, "name": name, "password": password})
		return s.request("POST", "/api/v1/setup", string(data))
	}
	same := func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }
	return []abuse{
		{"login: wrong password", in("NAME", "wrong password", "")},
		{"login: empty password", in("NAME", "", "")},
		{"login: nobody", in("nobody", password, "")},
		{"login: the decoy", in("", password, "")},
		{"login: the name in another case", in("USER1", password, "")},
		{"login: a pattern", in("%", password, "")},
		{"login: SQL", in("NAME' --", password, "")},
		{"login: a null", in("NAME\x00", password, "")},
		{"login: a password with more behind", in("NAME", password+"\x00", "")},
		{"login: a password in another case", in("NAME", strings.ToUpper(password), "")},
		{"login: an endless password", in("NAME", strings.Repeat("x", 5000), "")},
		{"login: an object for a password", func(s *site) *http.Request {
			return s.request("POST", "/api/v1/session", `{"name":"`+s.user(auth.Admin)+`","password":{"$ne":""}}`)
		}},
		{"login: an account without a password", func(s *site) *http.Request {
			s.write(func(tx *store.Tx) error {
				_, err := s.auth.CreateUser(tx, "manager", "fresh", "", auth.Grants{Roles: map[string]auth.Role{"*": auth.Viewer}})
				return err
			})
			return s.request("POST", "/api/v1/session", loginBody("fresh", "", ""))
		}},
		{"login: a disabled account", func(s *site) *http.Request {
			name := s.user(auth.Admin)
			s.change(name, `{"grants":`+asViewer+`,"disabled":true}`)
			return signIn(s, name, "")
		}},
		{"login: right, after 6 wrong ones on the account", throttled(6, func(*site, int) string { return "NAME" }, func(*http.Request) {})},
		{"login: right, after 51 wrong ones from the address", throttled(51, func(_ *site, i int) string { return fmt.Sprintf("guess%d", i) }, same)},
		{"login: right, after 51 from the same IPv6 network", throttled(51, func(_ *site, i int) string { return fmt.Sprintf("guess6-%d", i) }, func(r *http.Request) {
			r.RemoteAddr = fmt.Sprintf("[2001:db8::%x]:1", time.Now().UnixNano()&0xffff)
		})},
		{"login: right, after 6 wrong ones, with another address named in headers", throttled(6, func(*site, int) string { return "NAME" }, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", r.RemoteAddr)
		})},
		{"factor: no code", factor(func(s *site, name, _ string, _ []string) *http.Request { return signIn(s, name, "") })},
		{"factor: a wrong code", factor(func(s *site, name, secret string, _ []string) *http.Request {
			return signIn(s, name, code(s, secret, 10*time.Minute))
		})},
		{"factor: an old code", factor(func(s *site, name, secret string, _ []string) *http.Request {
			return signIn(s, name, code(s, secret, -90*time.Second))
		})},
		{"factor: a code twice", factor(func(s *site, name, secret string, _ []string) *http.Request {
			now := code(s, secret, 0)
			s.want(204, nil, signIn(s, name, now))
			return signIn(s, name, now)
		})},
		{"factor: the code before one that was used", factor(func(s *site, name, secret string, _ []string) *http.Request {
			s.want(204, nil, signIn(s, name, code(s, secret, 0)))
			return signIn(s, name, code(s, secret, -30*time.Second))
		})},
		{"factor: a recovery code twice", factor(func(s *site, name, _ string, recovery []string) *http.Request {
			s.want(204, nil, signIn(s, name, recovery[0]))
			return signIn(s, name, recovery[0])
		})},
		{"factor: somebody else's recovery code", factor(func(s *site, _, _ string, recovery []string) *http.Request {
			other := s.user(auth.Admin)
			s.secondFactor(s.login(other))
			return signIn(s, other, recovery[0])
		})},
		{"factor: guessing", factor(func(s *site, name, secret string, _ []string) *http.Request {
			for range 6 {
				s.do(signIn(s, name, "000000"))
			}
			return signIn(s, name, code(s, secret, 0))
		})},
		{"factor: taken away without a code", factor(func(s *site, name, secret string, _ []string) *http.Request {
			cookie := cookieOf(s.t, s.want(204, nil, signIn(s, name, code(s, secret, 0))))
			return s.request("DELETE", "/api/v1/session/totp", `{"code":"000000"}`, with(cookie))
		})},
		{"factor: made anew over one that is in use", factor(func(s *site, name, secret string, _ []string) *http.Request {
			cookie := cookieOf(s.t, s.want(204, nil, signIn(s, name, code(s, secret, 0))))
			return s.request("POST", "/api/v1/session/totp", "", with(cookie))
		})},
		{"factor: confirmed with a wrong code", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Admin))
			s.want(200, nil, s.request("POST", "/api/v1/session/totp", "", with(cookie)))
			return s.request("PUT", "/api/v1/session/totp", `{"code":"000000"}`, with(cookie))
		}},
		{"password: changed without the one before", func(s *site) *http.Request {
			return asBrowser("PUT", "/api/v1/session/password", `{"current":"wrong password","password":"another good one"}`)(s)
		}},
		{"password: guessed with a session", func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Admin))
			for range 6 {
				s.do(s.request("PUT", "/api/v1/session/password", `{"current":"wrong password","password":"another good one"}`, with(cookie)))
			}
			return s.request("PUT", "/api/v1/session/password", `{"current":"`+password+`","password":"another good one"}`, with(cookie))
		}},
		{"password: too short", asBrowser("PUT", "/api/v1/session/password", `{"current":"`+password+`","password":"short"}`)},
		{"password: the account's name in it", asBrowser("POST", "/api/v1/users", `{"name":"carol","password":"carol-carol-carol","grants":`+asViewer+`}`)},
		{"link: made up", link(func(s *site, name, _ string) *http.Request { return redeem(s, strings.Repeat("A", 43), name, password) })},
		{"link: empty", link(func(s *site, name, _ string) *http.Request { return redeem(s, "", name, password) })},
		{"link: after 15 minutes", link(func(s *site, name, link string) *http.Request {
			s.advance(15 * time.Minute)
			return redeem(s, link, name, password)
		})},
		{"link: twice", link(func(s *site, name, link string) *http.Request {
			s.want(204, nil, redeem(s, link, name, password))
			return redeem(s, link, name, "another good one")
		})},
		{"link: the one before", link(func(s *site, name, link string) *http.Request {
			if _, err := s.auth.ResetUser(s.t.Context(), name); err != nil {
				s.t.Fatal(err)
			}
			return redeem(s, link, name, password)
		})},
		{"link: for another account", link(func(s *site, _, link string) *http.Request { return redeem(s, link, s.user(auth.Viewer), password) })},
		{"link: a bad password", link(func(s *site, name, link string) *http.Request { return redeem(s, link, name, "short") })},
		{"link: the old password meanwhile", link(func(s *site, name, _ string) *http.Request { return signIn(s, name, "") })},
		{"users: the last admin gives up", func(s *site) *http.Request {
			s = newSite(s.t, auth.OIDC{})
			name := s.user(auth.Admin)
			r := s.request("PUT", "/api/v1/users/"+name, `{"grants":`+asViewer+`}`, with(s.login(name)), header("If-Match", "*"))
			return r.WithContext(withSite(r.Context(), s))
		}},
		{"users: an admin of one application", asBrowser("POST", "/api/v1/users", `{"name":"dave","grants":{"roles":{"shop":"admin"}}}`)},
		{"users: makes one as publisher", func(s *site) *http.Request {
			return s.request("POST", "/api/v1/users", newUserBody(s), with(s.login(s.user(auth.Publisher))))
		}},
		{"users: raises itself", func(s *site) *http.Request {
			name := s.user(auth.Publisher)
			return s.request("PUT", "/api/v1/users/"+name, `{"grants":`+asAdmin+`}`, with(s.login(name)), header("If-Match", "*"))
		}},
	}
}

// secondFactor sets one up, and gives its secret and recovery codes.
func (s *site) secondFactor(cookie string) (secret string, recovery []string) {
	s.t.Helper()
	var start struct{ Secret string }
	s.want(200, &start, s.request("POST", "/api/v1/session/totp", "", with(cookie)))
	code, _ := totp.GenerateCode(start.Secret, s.db.Now())
	var codes struct {
		Codes []string `json:"recovery_codes"`
	}
	s.want(200, &codes, s.request("PUT", "/api/v1/session/totp", `{"code":"`+code+`"}`, with(cookie)))
	return start.Secret, codes.Codes
}

// TestAbuse tries each abuse. What is like them, and right, is accepted: TestNoAbuse.
func TestAbuse(t *testing.T) {
	s := newSite(t, auth.OIDC{})
	s.user(auth.Admin) // there is always another one
	cases, accepted := 0, 0
	for _, list := range [][]abuse{csrf(), sessions(), tokens(), logins()} {
		for _, c := range list {
			cases++
			s.t = t
			r := c.attempt(s)
			at := siteOf(r.Context(), s)
			w := at.do(r)
			if w.Code < 400 || w.Code >= 500 || w.Header().Get("Set-Cookie") != "" {
				accepted++
				t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			}
		}
	}
	t.Logf("%d cases, %d accepted", cases, accepted)
	if cases < 80 {
		t.Error("there are too few")
	}
}

// TestNoAbuse sends what is right in the same ways: whoever refuses everything passes no test.
func TestNoAbuse(t *testing.T) {
	s := newSite(t, auth.OIDC{})
	for name, request := range map[string]func(s *site) *http.Request{
		"a page makes a user": fromPage(),
		"an old browser":      fromPage(header("Sec-Fetch-Site", "")),
		"a page reads":        asBrowser("GET", "/api/v1/users", ""),
		"an address is typed": asBrowser("GET", "/api/v1/users", "", header("Sec-Fetch-Site", "none")),
		"a program signs in": func(s *site) *http.Request {
			return s.request("POST", "/api/v1/session", loginBody(s.user(auth.Viewer), password, ""), header("Origin", ""), header("Sec-Fetch-Site", ""))
		},
		"a token from anywhere": func(s *site) *http.Request {
			return s.request("GET", "/api/v1/users", "", bearer(s.token(s.login(s.user(auth.Admin)), "anywhere", asAdmin, "1h")), header("Origin", "https://ci.example"))
		},
		"after a wrong password": func(s *site) *http.Request {
			name := s.user(auth.Viewer)
			for range 4 {
				s.do(s.request("POST", "/api/v1/session", loginBody(name, "wrong password", "")))
			}
			return s.request("POST", "/api/v1/session", loginBody(name, password, ""))
		},
		"after too many, and a pause": func(s *site) *http.Request {
			name := s.user(auth.Viewer)
			for range 8 {
				s.do(s.request("POST", "/api/v1/session", loginBody(name, "wrong password", "")))
			}
			s.advance(5 * time.Minute)
			return s.request("POST", "/api/v1/session", loginBody(name, password, ""))
		},
		"29 minutes later": func(s *site) *http.Request {
			cookie := s.login(s.user(auth.Viewer))
			s.advance(29 * time.Minute)
			return whoami(cookie)(s)
		},
	} {
		if w := s.do(request(s)); w.Code >= 300 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestUnknownNames has names that nobody has answered as those are whose password is wrong, from the first attempt to the pauses.
func TestUnknownNames(t *testing.T) {
	s := newSite(t, auth.OIDC{})
	known, disabled := s.user(auth.Admin), s.user(auth.Viewer)
	s.change(disabled, `{"grants":`+asViewer+`,"disabled":true}`)
	for i := range 9 {
		var answers []string
		for _, name := range []string{known, disabled, "nobody"} {
			w := s.do(s.request("POST", "/api/v1/session", loginBody(name, "wrong password", "")))
			answers = append(answers, fmt.Sprint(w.Code, w.Header(), w.Body))
		}
		if answers[0] != answers[1] || answers[0] != answers[2] {
			t.Errorf("attempt %d: the answers differ:\n%s\n%s\n%s", i+1, answers[0], answers[1], answers[2])
		}
	}
	timed := func(name string) time.Duration {
		least := time.Hour
		for range 5 {
			s.advance(time.Hour)
			start := time.Now()
			s.do(s.request("POST", "/api/v1/session", loginBody(name, "wrong password", "")))
			least = min(least, time.Since(start))
		}
		return least
	}
	slow, err := auth.New(auth.Options{DB: s.db, ExternalURL: siteURL}) // the real cost
	if err != nil {
		t.Fatal(err)
	}
	s.use(slow)
	s.write(func(tx *store.Tx) error {
		_, err := slow.CreateUser(tx, "manager", "costly", password, auth.Grants{Roles: map[string]auth.Role{"*": auth.Viewer}})
		return err
	})
	there, nobody := timed("costly"), timed("nobody")
	t.Logf("a wrong password takes %v, a name that nobody has %v", there, nobody)
	if nobody < there/2 || there < nobody/2 {
		t.Error("the time says who has an account")
	}
}
