package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// OIDC says how to sign in through an identity provider (OpenID Connect, authorization code with PKCE).
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	Scopes       []string        // besides openid; nil is profile and email
	Claim        string          // whose value, or values, Roles maps
	Roles        map[string]Role // the highest that fits, for all applications; without one nobody gets in
	Client       *http.Client    // nil is one with a timeout
}

// CallbackPath is where the provider sends people back to.
const CallbackPath = "/api/v1/session/oidc/callback"

const (
	oidcCookie      = "__Host-gatehouse-oidc"
	plainOIDCCookie = "gatehouse-oidc"
	oidcTimeout     = 10 * time.Second
)

func (o *OIDC) check(site *url.URL) error {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return fmt.Errorf("oidc.issuer: %q is not an https URL", o.Issuer)
	case site == nil:
		return errors.New("oidc: api.external_url is needed, for the provider to send people back to")
	case o.ClientID == "":
		return errors.New("oidc.client_id: is missing")
	case o.Claim == "" || len(o.Roles) == 0:
		return errors.New("oidc: claim and roles are needed: without them nobody could sign in")
	}
	return nil
}

// provider is what the identity provider says of itself, asked for when it is first needed.
type provider struct {
	mu    sync.Mutex // guards known
	known *oidc.Provider
}

func (s *Service) httpContext(ctx context.Context) context.Context {
	client := s.o.OIDC.Client
	if client == nil {
		client = &http.Client{Timeout: oidcTimeout}
	}
	return oidc.ClientContext(ctx, client)
}

// discover asks for what the provider says of itself, unless it is known. A provider that is away is asked again the next time.
func (s *Service) discover() (*oidc.Provider, error) {
	s.idp.mu.Lock()
	defer s.idp.mu.Unlock()
	if s.idp.known == nil {
		// The provider keeps this context for fetching keys later.
		p, err := oidc.NewProvider(s.httpContext(context.Background()), s.o.OIDC.Issuer)
		if err != nil {
			away := problem.New(problem.Unavailable, "the identity provider does not answer")
			away.Cause = err
			return nil, away
		}
		s.idp.known = p
	}
	return s.idp.known, nil
}

func (s *Service) oauth(p *oidc.Provider) *oauth2.Config {
	scopes := s.o.OIDC.Scopes
	if scopes == nil {
		scopes = []string{"profile", "email"}
	}
	return &oauth2.Config{
		ClientID: s.o.OIDC.ClientID, ClientSecret: s.o.OIDC.ClientSecret, Endpoint: p.Endpoint(),
		RedirectURL: s.site.Scheme + "://" + s.site.Host + CallbackPath, Scopes: append([]string{oidc.ScopeOpenID}, scopes...),
	}
}

// HasOIDC says whether people can sign in through an identity provider.
func (s *Service) HasOIDC() bool { return s.o.OIDC.Issuer != "" }

// derive makes one of the values of a sign-in from the secret in its cookie: state, nonce and the verifier of PKCE are known to nobody
// but the browser that began it.
func derive(secret, what string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// StartOIDC gives where to send the browser, and the cookie that it comes back with.
func (s *Service) StartOIDC(ctx context.Context) (target, cookie string, err error) {
	if !s.HasOIDC() {
		return "", "", problem.New(problem.NotFound, "no identity provider is set (oidc.issuer)")
	}
	p, err := s.discover()
	if err != nil {
		return "", "", err
	}
	secret := newSecret()
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec("DELETE FROM oidc_logins WHERE expires < $1", tx.Now()); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO oidc_logins (hash, expires) VALUES ($1, $2)", hashSecret(secret), tx.Now().Add(oidcLife))
		return err
	})
	if err != nil {
		return "", "", err
	}
	target = s.oauth(p).AuthCodeURL(derive(secret, "state"), oidc.Nonce(derive(secret, "nonce")), oauth2.S256ChallengeOption(derive(secret, "verifier")))
	return target, s.setCookie(s.cookieName(oidcCookie, plainOIDCCookie), secret, oidcLife), nil
}

// FinishOIDC signs in whom the provider has sent back, and gives the cookies to set.
func (s *Service) FinishOIDC(r *http.Request) (cookies []string, err error) {
	if !s.HasOIDC() {
		return nil, problem.New(problem.NotFound, "no identity provider is set (oidc.issuer)")
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*oidcTimeout)
	defer cancel()
	client := s.Client(r)
	if err := s.db.Write(ctx, func(tx *store.Tx) error { return attempt(tx, "oidc:"+client.Address, client.Address) }); err != nil {
		return nil, err
	}
	secret, err := s.returned(ctx, r)
	if err != nil {
		return nil, err
	}
	claims, err := s.exchange(ctx, secret, r.URL.Query())
	if err != nil {
		return nil, err
	}
	role := s.mapped(claims.all[s.o.OIDC.Claim])
	if s.o.OIDC.Claim == "email" && !claims.Verified {
		role = NoRole // anybody may say that it is theirs
	}
	if role == NoRole {
		return nil, s.refuseOIDC(ctx, client, "the identity provider gives you no role here (claim %s)", s.o.OIDC.Claim)
	}
	var session string
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		u, err := s.oidcUser(tx, claims, role)
		if err != nil {
			return err
		}
		if err := succeeded(tx, "oidc:"+client.Address); err != nil {
			return err
		}
		session, err = s.startSession(tx, u, client, "oidc")
		return err
	})
	if err != nil {
		return nil, err
	}
	return []string{session, s.setCookie(s.cookieName(oidcCookie, plainOIDCCookie), "", 0)}, nil
}

func (s *Service) refuseOIDC(ctx context.Context, client Client, format string, args ...any) error {
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		return tx.Audit("manager", "user.login_refused", "users/oidc", map[string]string{"address": client.Address})
	})
	return errors.Join(problem.New(problem.Forbidden, format, args...), err)
}

// returned holds the state against the cookie, which works once.
func (s *Service) returned(ctx context.Context, r *http.Request) (secret string, err error) {
	refused := problem.New(problem.SignedOut, "this sign-in was not begun here, or too long ago; begin again")
	cookies := r.CookiesNamed(s.cookieName(oidcCookie, plainOIDCCookie))
	query := r.URL.Query()
	if len(cookies) != 1 || len(query["state"]) != 1 || len(query["code"]) > 1 || !s.ours(s.scheme()+"://"+r.Host) {
		return "", refused
	}
	secret = cookies[0].Value
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(derive(secret, "state"))) != 1 {
		return "", refused
	}
	if iss := query.Get("iss"); iss != "" && iss != s.o.OIDC.Issuer { // RFC 9207: the answer of another provider
		return "", refused
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec("DELETE FROM oidc_logins WHERE hash = $1 AND expires > $2", hashSecret(secret), tx.Now())
		if err == nil && n == 0 {
			err = refused
		}
		return err
	})
	return secret, err
}

// claims are what the provider says of somebody.
type claims struct {
	Subject  string `json:"sub"`
	Username string `json:"preferred_username"`
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	all      map[string]any
}

func (c *claims) name() string {
	switch {
	case c.Username != "":
		return c.Username
	case c.Verified && c.Email != "":
		return c.Email
	}
	return c.Subject
}

// exchange gets the ID token for the code and verifies it.
func (s *Service) exchange(ctx context.Context, secret string, query url.Values) (*claims, error) {
	refused := func(cause error) error {
		p := problem.New(problem.SignedOut, "the identity provider has not signed you in")
		p.Cause = cause
		return p
	}
	if code := query.Get("code"); code == "" {
		return nil, refused(fmt.Errorf("the provider answers %.100q: %.200q", query.Get("error"), query.Get("error_description")))
	}
	provider, err := s.discover()
	if err != nil {
		return nil, err
	}
	ctx = s.httpContext(ctx)
	token, err := s.oauth(provider).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(derive(secret, "verifier")))
	if err != nil {
		var answer *oauth2.RetrieveError // its text has the whole body
		if errors.As(err, &answer) {
			err = fmt.Errorf("the provider answers %s: %.100q", answer.Response.Status, answer.ErrorCode)
		}
		return nil, refused(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: s.o.OIDC.ClientID, Now: s.db.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, refused(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(derive(secret, "nonce"))) != 1 {
		return nil, refused(errors.New("the ID token is for another sign-in: its nonce differs"))
	}
	c := &claims{}
	if err := errors.Join(id.Claims(c), id.Claims(&c.all)); err != nil {
		return nil, refused(err)
	}
	return c, s.moreClaims(ctx, provider, token, c)
}

// moreClaims asks the provider's userinfo for what the ID token leaves out.
func (s *Service) moreClaims(ctx context.Context, provider *oidc.Provider, token *oauth2.Token, c *claims) error {
	if _, ok := c.all[s.o.OIDC.Claim]; ok && c.Username != "" || provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		away := problem.New(problem.Unavailable, "the identity provider does not say who you are")
		away.Cause = err
		return away
	}
	if info.Subject != c.Subject {
		return problem.New(problem.SignedOut, "the identity provider speaks of two people")
	}
	more := map[string]any{}
	if err := errors.Join(info.Claims(c), info.Claims(&more)); err != nil {
		return err
	}
	for name, value := range more {
		if _, ok := c.all[name]; !ok {
			c.all[name] = value
		}
	}
	return nil
}

// mapped is the highest role that the values of the claim stand for.
func (s *Service) mapped(value any) Role {
	role := NoRole
	switch v := value.(type) {
	case string:
		role = s.o.OIDC.Roles[v]
	case []any:
		for _, one := range v {
			if text, ok := one.(string); ok {
				role = max(role, s.o.OIDC.Roles[text])
			}
		}
	}
	return role
}

// oidcUser is the account of somebody from the provider, made at the first sign-in. Its role is that of the claim each time; what an admin
// has added for single applications stays. It is never an account that was made here.
func (s *Service) oidcUser(tx *store.Tx, c *claims, role Role) (*User, error) {
	u, err := oneUser(tx, "issuer = $1 AND subject = $2", s.o.OIDC.Issuer, c.Subject)
	if errors.Is(err, store.ErrNotFound) {
		name := c.name()
		if !userName.MatchString(name) {
			return nil, problem.New(problem.Forbidden, "the identity provider calls you %.80q, which cannot be a name here", name)
		}
		u = &User{
			ID: store.NewID("usr", tx.Now()), Name: name, Issuer: s.o.OIDC.Issuer, subject: c.Subject, Created: tx.Now(),
			Grants: Grants{Roles: map[string]Role{Everywhere: role}},
		}
		var taken *problem.Problem
		if err := s.insertUser(tx, u); errors.As(err, &taken) {
			return nil, problem.New(problem.Forbidden, "there is another account by the name %s; ask an admin", name)
		} else if err != nil {
			return nil, err
		}
		return u, tx.Audit("user:"+name, "user.create", "users/"+name, map[string]any{"issuer": u.Issuer, "grants": u.Grants})
	}
	if err != nil {
		return nil, err
	}
	if u.Disabled {
		return nil, problem.New(problem.Forbidden, "the account %s is disabled", u.Name)
	}
	if u.Grants.Roles[Everywhere] == role {
		return u, nil
	}
	before := u.Grants.Roles[Everywhere]
	u.Grants.Roles[Everywhere] = role
	data, err := json.Marshal(u.Grants)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec("UPDATE users SET grants = $1, version = version + 1 WHERE id = $2", string(data), u.ID); err != nil {
		return nil, err
	}
	return u, tx.Audit("user:"+u.Name, "user.role", "users/"+u.Name, map[string]any{"before": before, "after": role})
}
