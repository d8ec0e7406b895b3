package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// CookieName is the name of the cookie of a session. The prefix has browsers take it from no other host, and over TLS only. By plain
// HTTP, on loopback addresses, it is plainCookie.
const (
	CookieName  = "__Host-gatehouse"
	plainCookie = "gatehouse"
)

// Session is one sign-in of somebody.
type Session struct {
	ID      string    `json:"id"`
	User    string    `json:"user"`
	Address string    `json:"address"`
	Agent   string    `json:"agent"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
	Expires time.Time `json:"expires" doc:"at the latest; it ends after 30 minutes without use"`
}

func (s *Service) cookieName(base, plain string) string {
	if s.plain {
		return plain
	}
	return base
}

// cookie is the secret of the session that a request has; a request with two has none.
func (s *Service) cookie(r *http.Request) string {
	if cookies := r.CookiesNamed(s.cookieName(CookieName, plainCookie)); len(cookies) == 1 {
		return cookies[0].Value
	}
	return ""
}

// setCookie is the header Set-Cookie with a session's secret; an empty one takes it away.
func (s *Service) setCookie(name, secret string, life time.Duration) string {
	c := &http.Cookie{
		Name: name, Value: secret, Path: "/", MaxAge: int(life.Seconds()), Secure: !s.plain, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if secret == "" {
		c.MaxAge = -1
	}
	return c.String()
}

// Login signs in with a password, and a code if the account has a second factor, and gives the cookie. All that is wrong has the same answer
// and takes the same time, but for the missing code of whoever has the password.
func (s *Service) Login(ctx context.Context, client Client, name, password, code string) (cookie string, err error) {
	if err := s.db.Write(ctx, func(tx *store.Tx) error { return attempt(tx, name, client.Address) }); err != nil {
		return "", err
	}
	var u *User
	err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
		u, err = oneUser(tx, "name = $1", name)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	hash := s.decoy
	if u != nil && u.password != "" {
		hash = u.password
	}
	ok, old := s.hasher.matches(hash, password)
	if !ok || u == nil || u.password == "" || u.Disabled || u.Issuer != "" {
		return "", s.refuseLogin(ctx, client, u)
	}
	if u.TOTP && code == "" {
		p := problem.New(problem.SignedOut, "the code of the second factor is needed too")
		p.Code = "totp_required"
		return "", p
	}
	fresh := ""
	if old {
		fresh = s.hasher.hash(password)
	}
	wrongCode := false
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		now, err := userByID(tx, u.ID)
		if err != nil {
			return err
		}
		if now.Disabled || now.password != u.password {
			return errWrongLogin()
		}
		if now.TOTP {
			ok, err := s.secondFactor(tx, now, code)
			if wrongCode = !ok; err != nil || !ok {
				return errors.Join(err, errWrongLogin())
			}
		}
		if fresh != "" {
			if _, err := tx.Exec("UPDATE users SET password = $1 WHERE id = $2", fresh, u.ID); err != nil {
				return err
			}
		}
		if err := succeeded(tx, name); err != nil {
			return err
		}
		cookie, err = s.startSession(tx, now, client, "password")
		return err
	})
	if wrongCode {
		return "", s.refuseLogin(ctx, client, u)
	}
	return cookie, err
}

func errWrongLogin() error {
	return problem.New(problem.SignedOut, "the name, the password or the code is wrong")
}

// refuseLogin writes down that somebody has failed to sign in. A name that nobody has is not written: it may be a password.
func (s *Service) refuseLogin(ctx context.Context, client Client, u *User) error {
	name := "unknown"
	if u != nil {
		name = u.Name
	}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		return tx.Audit("manager", "user.login_refused", "users/"+name, map[string]string{"address": client.Address})
	})
	if err != nil {
		return err
	}
	return errWrongLogin()
}

// startSession ends the session that the client had, and gives the cookie of a new one.
func (s *Service) startSession(tx *store.Tx, u *User, client Client, by string) (cookie string, err error) {
	if _, err := tx.Exec("DELETE FROM sessions WHERE hash = $1 OR expires < $2 OR used < $3", hashSecret(client.Cookie), tx.Now(), tx.Now().Add(-sessionIdle)); err != nil {
		return "", err
	}
	secret, id := newSecret(), store.NewID("ses", tx.Now())
	if _, err := tx.Exec("INSERT INTO sessions (id, hash, user_id, address, agent, created, used, expires) VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
		id, hashSecret(secret), u.ID, client.Address, client.Agent, tx.Now(), tx.Now().Add(sessionLife)); err != nil {
		return "", err
	}
	if _, err := tx.Exec("UPDATE users SET last_login = $1 WHERE id = $2", tx.Now(), u.ID); err != nil {
		return "", err
	}
	cookie = s.setCookie(s.cookieName(CookieName, plainCookie), secret, sessionLife)
	return cookie, tx.Audit("user:"+u.Name, "user.login", "users/"+u.Name, map[string]string{"session": id, "address": client.Address, "by": by})
}

// Logout ends the principal's session, and gives the cookie that takes its own away.
func (s *Service) Logout(tx *store.Tx, p *Principal) (cookie string, err error) {
	if _, err := tx.Exec("DELETE FROM sessions WHERE id = $1", p.Session); err != nil {
		return "", err
	}
	return s.setCookie(s.cookieName(CookieName, plainCookie), "", 0), tx.Audit(p.Actor(), "user.logout", "users/"+p.Name, nil)
}

// Sessions are those that have not ended: of one user, or of all if user is empty.
func (s *Service) Sessions(tx *store.Tx, user string) (list []Session, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var x Session
		err := scan(&x.ID, &x.User, &x.Address, &x.Agent, &x.Created, &x.Used, &x.Expires)
		list = append(list, x)
		return err
	}, "SELECT s.id, u.name, s.address, s.agent, s.created, s.used, s.expires FROM sessions s JOIN users u ON u.id = s.user_id "+
		"WHERE ($1 = '' OR u.id = $1) AND s.expires > $2 AND s.used > $3 ORDER BY s.created", user, tx.Now(), tx.Now().Add(-sessionIdle))
	return list, err
}

// EndSession ends one session: one's own, or anybody's for an admin.
func (s *Service) EndSession(tx *store.Tx, p *Principal, id string) error {
	owner := p.ID
	if p.Role("") == Admin {
		owner = ""
	}
	n, err := tx.Exec("DELETE FROM sessions WHERE id = $1 AND ($2 = '' OR user_id = $2)", id, owner)
	if err == nil && n == 0 {
		err = problem.New(problem.NotFound, "there is no session %.80q", id)
	}
	if err != nil {
		return err
	}
	return tx.Audit(p.Actor(), "session.end", "sessions/"+id, nil)
}

// endSessions ends all of a user but one.
func endSessions(tx *store.Tx, user, but string) error {
	_, err := tx.Exec("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", user, but)
	return err
}

// bySession gives who a session is of.
func (s *Service) bySession(ctx context.Context, secret string) (*Principal, error) {
	var p *Principal
	var used time.Time
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		var session, user string
		err := tx.Get(store.Row(&session, &user, &used), "SELECT id, user_id, used FROM sessions WHERE hash = $1 AND expires > $2 AND used > $3",
			hashSecret(secret), tx.Now(), tx.Now().Add(-sessionIdle))
		if err != nil {
			return err
		}
		u, err := oneUser(tx, "id = $1 AND disabled = 0", user)
		if err == nil {
			p = &Principal{Kind: KindUser, ID: u.ID, Name: u.Name, Grants: u.Grants, Session: session}
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem.New(problem.SignedOut, "the session has ended; sign in again")
	}
	if err != nil {
		return nil, err
	}
	return p, s.touch(ctx, "sessions", p.Session, used)
}

// touch notes that a session or a token was used, once a minute.
func (s *Service) touch(ctx context.Context, table, id string, used time.Time) error {
	if s.db.Now().Sub(used) < usedEvery {
		return nil
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE "+table+" SET used = $1 WHERE id = $2 AND used < $1", tx.Now(), id)
		return err
	})
}
