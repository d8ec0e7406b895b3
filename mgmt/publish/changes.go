package publish

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// Change is one saved edit.
type Change struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Author string    `json:"author"`
	Owner  string    `json:"owner"`
	Note   string    `json:"note,omitempty"`
	Source string    `json:"source,omitempty"`
	// Object is what was changed, such as applications/shop.
	Object object.Key  `json:"object"`
	Before object.Body `json:"before,omitempty"` // nil is no object
	After  object.Body `json:"after,omitempty"`
	// Discarded says that the draft is without it again.
	Discarded bool `json:"discarded,omitempty"`

	seq int64
}

// Differences say what the change does.
func (c Change) Differences() []object.Difference {
	return object.DiffBody(c.Object, c.Before, c.After)
}

func (c Change) String() string {
	return fmt.Sprintf("%s (%s, by %s)", c.ID, c.Object, c.Author)
}

// record writes a change and its audit entry.
func record(tx *store.Tx, by Author, key object.Key, before, after object.Body) (*Change, error) {
	c := Change{
		ID: store.NewID("chg", tx.Now()), At: tx.Now(), Author: by.Name, Owner: by.Owner, Note: by.Note, Source: by.Source,
		Object: key, Before: before, After: after,
	}
	if err := tx.Get(store.Row(&c.seq), "SELECT COALESCE(MAX(seq), 0) + 1 FROM changes"); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`INSERT INTO changes (id, seq, at, author, owner, note, source, kind, name, before, after, discarded)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)`,
		c.ID, c.seq, c.At, c.Author, c.Owner, c.Note, c.Source, string(key.Kind), key.Name, before.Text(), after.Text()); err != nil {
		return nil, err
	}
	detail := map[string]any{"change": c.ID, "owner": by.Owner, "differences": texts(c.Differences())}
	for name, value := range map[string]string{"note": by.Note, "source": by.Source} {
		if value != "" {
			detail[name] = value
		}
	}
	action := "change.save"
	if after == nil {
		action = "change.delete"
	}
	return &c, tx.Audit(by.Name, action, key.String(), detail)
}

func texts(list []object.Difference) []string {
	out := []string{}
	for _, d := range list {
		out = append(out, d.Text)
	}
	return out
}

const changeColumns = "SELECT id, seq, at, author, owner, note, source, kind, name, before, after, discarded FROM changes"

func changes(tx *store.Tx, query string, args ...any) (list []Change, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var c Change
		var before, after string
		err := scan(&c.ID, &c.seq, &c.At, &c.Author, &c.Owner, &c.Note, &c.Source, &c.Object.Kind, &c.Object.Name, &before, &after, &c.Discarded)
		if err != nil {
			return err
		}
		if c.Before, err = object.ParseBody(before); err != nil {
			return err
		}
		c.After, err = object.ParseBody(after)
		list = append(list, c)
		return err
	}, query, args...)
	return list, err
}

// ChangeFilter says which changes are asked for.
type ChangeFilter struct {
	// Pending has those that are not in the latest revision of the group, and were not discarded.
	Pending string
	Author  string
	Object  object.Key
	// Before has those that were saved before this one; empty begins at the latest.
	Before string
	Most   int // 0 is all
}

// Changes gives changes, the latest first.
func Changes(tx *store.Tx, f ChangeFilter) ([]Change, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(condition string, values ...any) {
		for range values {
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)+1), 1)
			args = append(args, values[0])
			values = values[1:]
		}
		where = append(where, condition)
	}
	if f.Pending != "" {
		add("discarded = 0 AND NOT EXISTS (SELECT 1 FROM group_changes g WHERE g.change = changes.id AND g.grp = ?)", f.Pending)
	}
	if f.Author != "" {
		add("author = ?", f.Author)
	}
	if f.Object.Kind != "" {
		add("kind = ?", string(f.Object.Kind))
		add("name = ?", f.Object.Name)
	}
	if f.Before != "" {
		add("seq < (SELECT c.seq FROM changes c WHERE c.id = ?)", f.Before)
	}
	query := changeColumns + " WHERE " + strings.Join(where, " AND ") + " ORDER BY seq DESC"
	if f.Most > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Most)
	}
	return changes(tx, query, args...)
}

// GetChange gives one change, or a problem of kind NotFound.
func GetChange(tx *store.Tx, id string) (Change, error) {
	list, err := changes(tx, changeColumns+" WHERE id = $1", id)
	if err == nil && len(list) == 0 {
		return Change{}, problem.New(problem.NotFound, "there is no change %.100s", id)
	}
	if err != nil {
		return Change{}, err
	}
	return list[0], nil
}

// GroupsWith are the groups in whose latest revision a change is.
func GroupsWith(tx *store.Tx, change string) (groups []string, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var group string
		err := scan(&group)
		groups = append(groups, group)
		return err
	}, "SELECT grp FROM group_changes WHERE change = $1 ORDER BY grp", change)
	return groups, err
}

// Discard takes a change that nothing was published with out of the draft.
func (s *Service) Discard(tx *store.Tx, by Author, id string) (Change, error) {
	c, err := GetChange(tx, id)
	if err != nil {
		return c, err
	}
	groups, err := GroupsWith(tx, id)
	switch {
	case err != nil:
		return c, err
	case c.Discarded:
		return c, problem.New(problem.Conflict, "the change %s was discarded already", id)
	case len(groups) > 0:
		return c, problem.New(problem.Conflict, "the change %s is published to %s; undo it instead", id, strings.Join(groups, ", "))
	}
	by.Owner, by.Takeover = c.Owner, true
	if _, err := s.reverse(tx, by, c, "change.discard"); err != nil {
		return c, err
	}
	c.Discarded = true
	_, err = tx.Exec("UPDATE changes SET discarded = 1 WHERE id = $1", id)
	return c, err
}

// reverse takes a change out of the draft. When it is discarded, that is no change of its own; else it gives the one that it is.
func (s *Service) reverse(tx *store.Tx, by Author, c Change, action string) (*Change, error) {
	now, err := Get(tx, c.Object)
	var p *problem.Problem
	if err != nil && !errors.As(err, &p) {
		return nil, err
	}
	merged, conflicts := object.Merge(c.After, c.Before, now.Body)
	if len(conflicts) > 0 {
		return nil, s.builtUpon(tx, c, conflicts)
	}
	if action != "change.discard" {
		list, err := s.Save(tx, by, Edit{Key: c.Object, Body: merged})
		if err != nil || len(list) == 0 {
			return nil, err
		}
		return &list[0], nil
	}
	draft, _, err := Draft(tx)
	if err != nil {
		return nil, err
	}
	before, err := s.load(tx, draft, nil)
	if err != nil {
		before = nil
	}
	draft.Put(c.Object, merged)
	after, err := s.check(tx, draft, nil)
	if err != nil {
		return nil, err
	}
	if err := by.permit(lowered(before, after)); err != nil {
		return nil, err
	}
	if err := put(tx, c.Object, merged, by.Owner, max(now.Version+1, tx.Now().UnixMicro())); err != nil {
		return nil, err
	}
	return nil, tx.Audit(by.Name, action, c.Object.String(), map[string]any{"change": c.ID})
}

// builtUpon says which later changes keep one from being taken back.
func (s *Service) builtUpon(tx *store.Tx, c Change, conflicts []object.Conflict) error {
	later, err := changes(tx, changeColumns+" WHERE kind = $1 AND name = $2 AND seq > $3 AND discarded = 0 ORDER BY seq", string(c.Object.Kind), c.Object.Name, c.seq)
	if err != nil {
		return err
	}
	p := problem.New(problem.Conflict, "the change %s cannot be taken back alone: what it did was changed since%s", c.ID, named(later))
	for _, x := range conflicts {
		p = p.At(join(c.Object.String(), x.Path), "was changed since", nil)
	}
	return p
}

// named lists changes in a message.
func named(list []Change) string {
	var words []string
	for _, c := range list {
		words = append(words, c.String())
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}
