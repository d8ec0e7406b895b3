package fleet

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// JoinToken is what is known of a join token, but for its secret.
type JoinToken struct {
	ID      string    `json:"id"`
	Group   string    `json:"group"`
	Made    time.Time `json:"made"`
	Author  string    `json:"author"`
	Note    string    `json:"note,omitempty"`
	Expires time.Time `json:"expires"`
	Uses    int64     `json:"uses"` // how often it may be used
	Used    int64     `json:"used"`
	Revoked bool      `json:"revoked,omitempty"`
}

// Bounds of join tokens.
const (
	LongestToken = 366 * 24 * time.Hour
	MostUses     = 10_000
)

// CreateToken makes a join token, and gives its text, which is not kept.
func (s *Service) CreateToken(tx *store.Tx, by, group, note string, life time.Duration, uses int64) (JoinToken, string, error) {
	switch {
	case !revision.ValidName(group):
		return JoinToken{}, "", problem.Field("body.group", group, "%.80q is no name of a group; write letters, digits, dots, dashes and underscores, 63 at most", group)
	case life < time.Minute || life > LongestToken:
		return JoinToken{}, "", problem.Field("body.expires_in", life.String(), "must be between 1m and %s", LongestToken)
	case uses < 1 || uses > MostUses:
		return JoinToken{}, "", problem.Field("body.uses", uses, "must be between 1 and %d", MostUses)
	case len(note) > 1000:
		return JoinToken{}, "", problem.Field("body.note", nil, "has more than 1000 bytes")
	}
	t := JoinToken{ID: store.NewID("join", tx.Now()), Group: group, Made: tx.Now(), Author: by, Note: note, Expires: tx.Now().Add(life), Uses: uses}
	text := fleetapi.JoinToken{ID: t.ID, Trust: s.TrustHash()}
	_, _ = rand.Read(text.Secret[:]) // it never fails
	hash := sha256.Sum256(text.Secret[:])
	_, err := tx.Exec(`INSERT INTO join_tokens (id, grp, hash, at, author, note, expires, uses, used, revoked)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)`, t.ID, t.Group, hash[:], t.Made, t.Author, t.Note, t.Expires, t.Uses)
	if err != nil {
		return JoinToken{}, "", err
	}
	detail := map[string]any{"group": group, "uses": uses, "expires": t.Expires}
	if note != "" {
		detail["note"] = note
	}
	return t, text.Encode(), tx.Audit(by, "join_token.create", "join-tokens/"+t.ID, detail)
}

const tokenColumns = "id, grp, at, author, note, expires, uses, used, revoked"

func (t *JoinToken) fields() []any {
	return store.Row(&t.ID, &t.Group, &t.Made, &t.Author, &t.Note, &t.Expires, &t.Uses, &t.Used, &t.Revoked)
}

// Tokens are the join tokens behind one, by ID, which is by age.
func Tokens(tx *store.Tx, after string, most int) (list []JoinToken, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var t JoinToken
		err := scan(t.fields()...)
		list = append(list, t)
		return err
	}, "SELECT "+tokenColumns+" FROM join_tokens WHERE id > $1 ORDER BY id LIMIT $2", after, most)
	return list, err
}

// RevokeToken ends a join token. Gateways that have joined with it stay.
func RevokeToken(tx *store.Tx, by, id string) (JoinToken, error) {
	var t JoinToken
	err := tx.Get(t.fields(), "SELECT "+tokenColumns+" FROM join_tokens WHERE id = $1", id)
	if errors.Is(err, store.ErrNotFound) {
		return t, problem.New(problem.NotFound, "there is no join token %s", id)
	}
	if err != nil || t.Revoked {
		return t, err
	}
	t.Revoked = true
	if _, err := tx.Exec("UPDATE join_tokens SET revoked = 1 WHERE id = $1", id); err != nil {
		return t, err
	}
	return t, tx.Audit(by, "join_token.revoke", "join-tokens/"+id, map[string]string{"group": t.Group})
}

// errToken says no more than that: whoever guesses learns nothing.
var errToken = &fleetapi.Problem{Title: "the join token is unknown, expired, revoked or used up; make a new one: gatehouse token create -join", Status: 403}

// useToken counts a use of a token, and gives the group that it is for.
func useToken(tx *store.Tx, text string) (id, group string, err error) {
	token, err := fleetapi.ParseJoinToken(text)
	if err != nil {
		return "", "", errToken
	}
	var hash []byte
	err = tx.Get(store.Row(&group, &hash), "SELECT grp, hash FROM join_tokens WHERE id = $1", token.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", "", err
	}
	given := sha256.Sum256(token.Secret[:])
	if err != nil || subtle.ConstantTimeCompare(given[:], hash) != 1 {
		return "", "", errToken
	}
	n, err := tx.Exec("UPDATE join_tokens SET used = used + 1 WHERE id = $1 AND used < uses AND revoked = 0 AND expires > $2", token.ID, tx.Now())
	if err == nil && n == 0 {
		err = errToken
	}
	return token.ID, group, err
}
