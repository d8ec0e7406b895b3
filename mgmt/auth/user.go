package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// User is an account.
type User struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Grants    Grants    `json:"grants"`
	Disabled  bool      `json:"disabled"`
	TOTP      bool      `json:"totp" doc:"a second factor is asked for"`
	Issuer    string    `json:"issuer,omitempty" doc:"the identity provider; missing of a local account"`
	Created   time.Time `json:"created"`
	LastLogin time.Time `json:"last_login,omitzero"`
	Version   int64     `json:"version"`

	password string
	subject  string
}

const userColumns = "id, name, password, issuer, subject, grants, disabled, totp, version, created, last_login"

func scanUser(scan func(...any) error) (*User, error) {
	u := &User{}
	var grants string
	err := scan(&u.ID, &u.Name, &u.password, &u.Issuer, &u.subject, &grants, &u.Disabled, &u.TOTP, &u.Version, &u.Created, &u.LastLogin)
	if err == nil {
		err = json.Unmarshal([]byte(grants), &u.Grants)
	}
	return u, err
}

func oneUser(tx *store.Tx, where string, args ...any) (*User, error) {
	var found *User
	err := tx.Query(func(scan func(...any) error) (err error) {
		found, err = scanUser(scan)
		return err
	}, "SELECT "+userColumns+" FROM users WHERE "+where, args...)
	if err == nil && found == nil {
		err = store.ErrNotFound
	}
	return found, err
}

func userByID(tx *store.Tx, id string) (*User, error) { return oneUser(tx, "id = $1", id) }

// User gives an account by its name.
func (s *Service) User(tx *store.Tx, name string) (*User, error) {
	u, err := oneUser(tx, "name = $1", name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem.New(problem.NotFound, "there is no user %q", name)
	}
	return u, err
}

// Users are those with a name behind after, at most most of them.
func (s *Service) Users(tx *store.Tx, after string, most int) (users []User, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		u, err := scanUser(scan)
		if err == nil {
			users = append(users, *u)
		}
		return err
	}, "SELECT "+userColumns+" FROM users WHERE name > $1 ORDER BY name LIMIT $2", after, most)
	return users, err
}

var userName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,99}$`)

// checkGrants refuses grants that nobody could mean.
func checkGrants(location string, g Grants) error {
	if len(g.Roles) == 0 {
		return problem.Field(location+".roles", nil, `must have a role for some application, or for "*"`)
	}
	for application, role := range g.Roles {
		if application == "" || role < Viewer || role > Admin {
			return problem.Field(location+".roles", application, "must be names of applications with one of the roles %v", RoleNames())
		}
		if role == Admin && application != Everywhere {
			return problem.Field(location+".roles."+application, role.String(), `is a role for all applications ("*") only`)
		}
	}
	for i, name := range append(slices.Clone(g.Protection), g.Groups...) {
		if name == "" || name == noGroup {
			return problem.Field(location, nil, "entry %d of protection and groups is not a name", i)
		}
	}
	return nil
}

// CreateUser makes an account that signs in with the password, or with none yet (Reset gives the link to choose one).
func (s *Service) CreateUser(tx *store.Tx, actor, name, password string, grants Grants) (*User, error) {
	if !userName.MatchString(name) {
		return nil, problem.Field("body.name", name, "must be letters, digits and . _ @ + -, at most 100")
	}
	if err := checkGrants("body.grants", grants); err != nil {
		return nil, err
	}
	hash := ""
	if password != "" {
		if err := checkPassword("body.password", password, name); err != nil {
			return nil, err
		}
		hash = s.hasher.hash(password)
	}
	u := &User{ID: store.NewID("usr", tx.Now()), Name: name, Grants: grants, password: hash, Created: tx.Now(), Version: 1}
	if err := s.insertUser(tx, u); err != nil {
		return nil, err
	}
	return u, tx.Audit(actor, "user.create", "users/"+name, map[string]any{"grants": grants})
}

func (s *Service) insertUser(tx *store.Tx, u *User) error {
	grants, err := json.Marshal(u.Grants)
	if err != nil {
		return err
	}
	n, err := tx.Exec("INSERT INTO users (id, name, password, issuer, subject, grants, disabled, totp, totp_step, version, created, last_login) "+
		"VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 1, $7, 0) ON CONFLICT (name) DO NOTHING",
		u.ID, u.Name, u.password, u.Issuer, u.subject, string(grants), u.Created)
	if err == nil && n == 0 {
		err = problem.New(problem.Conflict, "there is a user %q already", u.Name).At("body.name", "is taken", u.Name)
	}
	return err
}

// UpdateUser gives an account other grants, and disables or enables it. The caller has held its version against the condition.
func (s *Service) UpdateUser(tx *store.Tx, actor string, u *User, grants Grants, disabled bool) error {
	if err := checkGrants("body.grants", grants); err != nil {
		return err
	}
	text, err := json.Marshal(grants)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE users SET grants = $1, disabled = $2, version = version + 1 WHERE id = $3", string(text), disabled, u.ID); err != nil {
		return err
	}
	if disabled {
		if err := endSessions(tx, u.ID, ""); err != nil {
			return err
		}
	}
	if err := s.keepAdmin(tx); err != nil {
		return err
	}
	before := u.Grants
	u.Grants, u.Disabled, u.Version = grants, disabled, u.Version+1
	return tx.Audit(actor, "user.update", "users/"+u.Name, map[string]any{"before": before, "after": grants, "disabled": disabled})
}

// DeleteUser removes an account with its sessions and tokens.
func (s *Service) DeleteUser(tx *store.Tx, actor string, u *User) error {
	if err := endSessions(tx, u.ID, ""); err != nil {
		return err
	}
	if err := s.clearTOTP(tx, u.ID); err != nil {
		return err
	}
	for _, statement := range []string{
		"DELETE FROM api_tokens WHERE user_id = $1", "DELETE FROM auth_links WHERE user_id = $1", "DELETE FROM users WHERE id = $1",
	} {
		if _, err := tx.Exec(statement, u.ID); err != nil {
			return err
		}
	}
	if err := s.keepAdmin(tx); err != nil {
		return err
	}
	return tx.Audit(actor, "user.delete", "users/"+u.Name, nil)
}

// keepAdmin refuses what would leave nobody who may manage users.
func (s *Service) keepAdmin(tx *store.Tx) error {
	found := false
	err := tx.Query(func(scan func(...any) error) error {
		u, err := scanUser(scan)
		found = found || err == nil && u.Grants.Role("") == Admin
		return err
	}, "SELECT "+userColumns+" FROM users WHERE disabled = 0")
	if err == nil && !found {
		err = problem.New(problem.Conflict, "nobody would be left with the role admin for all applications")
	}
	return err
}

// SetPassword changes one's own password. Every other session ends.
func (s *Service) SetPassword(tx *store.Tx, p *Principal, current, password string) error {
	u, err := userByID(tx, p.ID)
	if err != nil {
		return err
	}
	if u.Issuer != "" {
		return problem.New(problem.Conflict, "this account signs in through the identity provider; its password is there")
	}
	if ok, _ := s.hasher.matches(u.password, current); !ok {
		return problem.Field("body.current", nil, "is not the password of now")
	}
	if err := s.storePassword(tx, u, "body.password", password); err != nil {
		return err
	}
	if err := endSessions(tx, u.ID, p.Session); err != nil {
		return err
	}
	return tx.Audit(p.Actor(), "user.password", "users/"+u.Name, nil)
}

func (s *Service) storePassword(tx *store.Tx, u *User, location, password string) error {
	if err := checkPassword(location, password, u.Name); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE users SET password = $1, version = version + 1 WHERE id = $2", s.hasher.hash(password), u.ID)
	return err
}

// anyUser says whether there is an account.
func anyUser(tx *store.Tx) (bool, error) {
	var n int
	if err := tx.Get(store.Row(&n), "SELECT count(*) FROM users"); err != nil {
		return false, fmt.Errorf("count users: %w", err)
	}
	return n > 0, nil
}
