package auth

import (
	"context"
	"errors"
	"strings"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// SetupLink makes the link with which the first account is made, good for 15 min and once. Links before it end.
func (s *Service) SetupLink(ctx context.Context) (link string, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		switch there, err := anyUser(tx); {
		case err != nil:
			return err
		case there:
			return problem.New(problem.Conflict, "there are users already; gatehouse manager user reset gives a link for one of them")
		}
		if link, err = s.newLink(tx, ""); err != nil {
			return err
		}
		return tx.Audit("manager", "setup.link", "users", nil)
	})
	return link, err
}

// NeedsSetup says whether there is no account yet.
func (s *Service) NeedsSetup(ctx context.Context) (needs bool, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		there, err := anyUser(tx)
		needs = !there
		return err
	})
	return needs, err
}

// ResetUser ends what an account can do, and makes the link with which its owner chooses a new password: for those who have the
// manager's own host, and no account that works.
func (s *Service) ResetUser(ctx context.Context, name string) (link string, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) (err error) {
		u, err := s.User(tx, name)
		if err == nil {
			link, err = s.Reset(tx, "manager", u)
		}
		return err
	})
	return link, err
}

// Reset is ResetUser within a transaction.
func (s *Service) Reset(tx *store.Tx, actor string, u *User) (link string, err error) {
	if u.Issuer != "" {
		return "", problem.New(problem.Conflict, "user %s signs in through the identity provider; there is no password to reset", u.Name)
	}
	if _, err := tx.Exec("UPDATE users SET password = '', disabled = 0, version = version + 1 WHERE id = $1", u.ID); err != nil {
		return "", err
	}
	if _, err := tx.Exec("DELETE FROM api_tokens WHERE user_id = $1", u.ID); err != nil {
		return "", err
	}
	if err := errors.Join(s.clearTOTP(tx, u.ID), endSessions(tx, u.ID, "")); err != nil {
		return "", err
	}
	if link, err = s.newLink(tx, u.ID); err != nil {
		return "", err
	}
	return link, tx.Audit(actor, "user.reset", "users/"+u.Name, nil)
}

// newLink has its secret behind #, which browsers do not send and servers do not log.
func (s *Service) newLink(tx *store.Tx, user string) (string, error) {
	if _, err := tx.Exec("DELETE FROM auth_links WHERE user_id = $1 OR expires < $2", user, tx.Now()); err != nil {
		return "", err
	}
	secret := newSecret()
	if _, err := tx.Exec("INSERT INTO auth_links (hash, user_id, expires) VALUES ($1, $2, $3)", hashSecret(secret), user, tx.Now().Add(linkLife)); err != nil {
		return "", err
	}
	return strings.TrimSuffix(s.o.ExternalURL, "/") + "/setup#" + secret, nil
}

// Redeem uses a link: it makes the first account, with the role admin, or gives an account its new password, and signs in.
func (s *Service) Redeem(ctx context.Context, client Client, secret, name, password string) (cookie string, err error) {
	if _, after, ok := strings.Cut(secret, "#"); ok {
		secret = after
	}
	if err := s.db.Write(ctx, func(tx *store.Tx) error { return attempt(tx, "link", client.Address) }); err != nil {
		return "", err
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		var id string
		err := tx.Get(store.Row(&id), "SELECT user_id FROM auth_links WHERE hash = $1 AND expires > $2", hashSecret(secret), tx.Now())
		if errors.Is(err, store.ErrNotFound) {
			return problem.New(problem.SignedOut, "the link is not good, or not any more: it works for %.0f minutes, once", linkLife.Minutes())
		}
		if err != nil {
			return err
		}
		u, err := s.redeemed(tx, id, name, password)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM auth_links WHERE hash = $1", hashSecret(secret)); err != nil {
			return err
		}
		if err := succeeded(tx, "link"); err != nil {
			return err
		}
		cookie, err = s.startSession(tx, u, client, "link")
		return err
	})
	return cookie, err
}

func (s *Service) redeemed(tx *store.Tx, id, name, password string) (*User, error) {
	if password == "" {
		return nil, problem.Field("body.password", nil, "is missing")
	}
	if id == "" {
		switch there, err := anyUser(tx); {
		case err != nil:
			return nil, err
		case there:
			return nil, problem.New(problem.Conflict, "the first account has been made already")
		}
		return s.CreateUser(tx, "manager", name, password, Grants{Roles: map[string]Role{Everywhere: Admin}, Protection: []string{Everywhere}})
	}
	u, err := userByID(tx, id)
	if err != nil {
		return nil, err
	}
	if name != "" && name != u.Name {
		return nil, problem.Field("body.name", name, "is not the name of the account that the link is for")
	}
	return u, s.storePassword(tx, u, "body.password", password)
}
