package auth

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// TokenPrefix begins every API token, so that whoever finds one knows what it is.
const TokenPrefix = "ght_"

// Token is an API token, without its secret.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	User    string    `json:"user" doc:"whose it is: it never may more than its user"`
	Grants  Grants    `json:"grants"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero" doc:"last, to the minute"`
	Expires time.Time `json:"expires"`
}

var tokenText = regexp.MustCompile(`^` + TokenPrefix + `[A-Za-z0-9_-]{43}$`)

var tokenName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)

// CreateToken makes a token of the principal's that may what grants say, and gives its text, which nobody can read again. A token that is
// made with a token ends with it.
func (s *Service) CreateToken(tx *store.Tx, p *Principal, name string, grants Grants, life time.Duration) (Token, string, error) {
	if !tokenName.MatchString(name) {
		return Token{}, "", problem.Field("body.name", name, "must be letters, digits and . _ -, at most 100")
	}
	if life <= 0 || life > longestToken {
		return Token{}, "", problem.Field("body.expires_in", life.String(), "must be more than 0 and at most %d days", int(longestToken.Hours()/24))
	}
	if err := checkGrants("body.grants", grants); err != nil {
		return Token{}, "", err
	}
	if err := covers(p.Grants, grants); err != nil {
		return Token{}, "", err
	}
	t := Token{ID: store.NewID("tok", tx.Now()), Name: name, User: p.Name, Grants: grants, Created: tx.Now(), Expires: tx.Now().Add(life)}
	user, parent := p.ID, ""
	if p.Kind == KindToken {
		var expires time.Time
		parent = p.ID
		if err := tx.Get(store.Row(&user, &t.User, &expires), "SELECT t.user_id, u.name, t.expires FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $1", parent); err != nil {
			return Token{}, "", err
		}
		if t.Expires.After(expires) {
			t.Expires = expires
		}
	}
	text := TokenPrefix + newSecret()
	data, err := json.Marshal(grants)
	if err != nil {
		return Token{}, "", err
	}
	n, err := tx.Exec("INSERT INTO api_tokens (id, hash, name, user_id, parent, grants, created, used, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8) ON CONFLICT (name) DO NOTHING",
		t.ID, hashSecret(text), name, user, parent, string(data), t.Created, t.Expires)
	if err == nil && n == 0 {
		err = problem.New(problem.Conflict, "there is a token %q already", name).At("body.name", "is taken", name)
	}
	if err != nil {
		return Token{}, "", err
	}
	return t, text, tx.Audit(p.Actor(), "token.create", "tokens/"+name, map[string]any{"grants": grants, "expires": t.Expires})
}

// covers refuses grants that go beyond one's own.
func covers(own, asked Grants) error {
	for application, role := range asked.Roles {
		if own.Role(application) < role {
			return problem.New(problem.Forbidden, "the role %s for %s is more than your own (%s)", role, application, own.Role(application))
		}
	}
	for _, application := range asked.Protection {
		if !own.MayUnprotect(application) {
			return problem.New(problem.Forbidden, "the permission protection for %s is not yours to give", application)
		}
	}
	if len(own.Groups) == 0 {
		return nil
	}
	if len(asked.Groups) == 0 {
		return problem.New(problem.Forbidden, "name groups: you are limited to %v", own.Groups)
	}
	for _, group := range asked.Groups {
		if !own.MayUseGroup(group) {
			return problem.New(problem.Forbidden, "group %s is beyond your own limits", group)
		}
	}
	return nil
}

const tokenColumns = "t.id, t.name, u.name, t.grants, t.created, t.used, t.expires"

// Tokens are those with a name behind after, at most most of them: the principal's own, and for an admin all.
func (s *Service) Tokens(tx *store.Tx, p *Principal, after string, most int) (list []Token, err error) {
	owner, err := s.owner(tx, p)
	if err != nil {
		return nil, err
	}
	err = tx.Query(func(scan func(...any) error) error {
		var t Token
		var grants string
		if err := scan(&t.ID, &t.Name, &t.User, &grants, &t.Created, &t.Used, &t.Expires); err != nil {
			return err
		}
		list = append(list, t)
		return json.Unmarshal([]byte(grants), &list[len(list)-1].Grants)
	}, "SELECT "+tokenColumns+" FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE ($1 = '' OR t.user_id = $1) AND t.name > $2 ORDER BY t.name LIMIT $3", owner, after, most)
	return list, err
}

// owner is whose tokens a principal sees: empty for an admin, who sees all.
func (s *Service) owner(tx *store.Tx, p *Principal) (user string, err error) {
	if p.Role("") == Admin {
		return "", nil
	}
	if p.Kind == KindUser {
		return p.ID, nil
	}
	err = tx.Get(store.Row(&user), "SELECT user_id FROM api_tokens WHERE id = $1", p.ID)
	return user, err
}

// RevokeToken ends a token by its name, and all that were made with it.
func (s *Service) RevokeToken(tx *store.Tx, p *Principal, name string) error {
	owner, err := s.owner(tx, p)
	if err != nil {
		return err
	}
	var id string
	err = tx.Get(store.Row(&id), "SELECT id FROM api_tokens WHERE name = $1 AND ($2 = '' OR user_id = $2)", name, owner)
	if errors.Is(err, store.ErrNotFound) {
		return problem.New(problem.NotFound, "there is no token %.80q", name)
	}
	if err != nil {
		return err
	}
	for ids := []string{id}; len(ids) > 0; ids = ids[1:] {
		if err := tx.Query(func(scan func(...any) error) error {
			var child string
			err := scan(&child)
			ids = append(ids, child)
			return err
		}, "SELECT id FROM api_tokens WHERE parent = $1", ids[0]); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM api_tokens WHERE id = $1", ids[0]); err != nil {
			return err
		}
	}
	return tx.Audit(p.Actor(), "token.revoke", "tokens/"+name, nil)
}

// byToken gives who a token stands for.
func (s *Service) byToken(ctx context.Context, text string) (*Principal, error) {
	refused := problem.New(problem.SignedOut, "the API token is not good, or not any more")
	if !tokenText.MatchString(text) {
		return nil, refused
	}
	var p *Principal
	var used time.Time
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		var id, name, user, data string
		err := tx.Get(store.Row(&id, &name, &user, &data, &used), "SELECT id, name, user_id, grants, used FROM api_tokens WHERE hash = $1 AND expires > $2",
			hashSecret(text), tx.Now())
		if err != nil {
			return err
		}
		var grants Grants
		if err := json.Unmarshal([]byte(data), &grants); err != nil {
			return err
		}
		u, err := oneUser(tx, "id = $1 AND disabled = 0", user)
		if err == nil {
			p = &Principal{Kind: KindToken, ID: id, Name: name, Grants: grants.within(u.Grants)}
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	return p, s.touch(ctx, "api_tokens", p.ID, used)
}
