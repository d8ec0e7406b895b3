package publish

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

// Revision is what a group was given.
type Revision struct {
	Group   string         `json:"group"`
	Order   revision.Order `json:"order"`
	Name    string         `json:"name"` // such as edge/42
	At      time.Time      `json:"at"`
	Author  string         `json:"author"`
	Note    string         `json:"note,omitempty"`
	Source  string         `json:"source,omitempty"`
	Action  string         `json:"action"` // publish, undo, rollback, promote
	Origin  string         `json:"origin,omitempty"`
	Hash    revision.Hash  `json:"hash"`
	Changes []string       `json:"changes"` // that are new in it

	fresh   bool
	content object.Set
}

const revisionColumns = "SELECT grp, epoch, number, at, author, note, source, action, origin, hash, fresh, changes"

func revisions(tx *store.Tx, content bool, query string, args ...any) (list []Revision, err error) {
	columns := revisionColumns
	if content {
		columns += ", content"
	}
	err = tx.Query(func(scan func(...any) error) error {
		var r Revision
		var hash, ids string
		var data []byte
		to := store.Row(&r.Group, &r.Order.Epoch, &r.Order.Number, &r.At, &r.Author, &r.Note, &r.Source, &r.Action, &r.Origin, &hash, &r.fresh, &ids)
		if content {
			to = append(to, &data)
		}
		if err := scan(to...); err != nil {
			return err
		}
		r.Name = fmt.Sprintf("%s/%d", r.Group, r.Order.Number)
		if err := r.Hash.UnmarshalText([]byte(hash)); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(ids), &r.Changes); err != nil {
			return err
		}
		if content {
			if err := json.Unmarshal(data, &r.content); err != nil {
				return err
			}
		}
		list = append(list, r)
		return nil
	}, columns+" FROM revisions "+query, args...)
	return list, err
}

// Revisions gives those of a group, the latest first, those below before (the zero Order is all), at most most.
func Revisions(tx *store.Tx, group string, before revision.Order, most int) ([]Revision, error) {
	query, args := "WHERE grp = $1", []any{group}
	if before != (revision.Order{}) {
		query += " AND (epoch < $2 OR epoch = $2 AND number < $3)"
		args = append(args, int64(before.Epoch), int64(before.Number)) //nolint:gosec // they come from there
	}
	return revisions(tx, false, query+fmt.Sprintf(" ORDER BY epoch DESC, number DESC LIMIT %d", most), args...)
}

// Latest gives the latest revision of a group. Without one it is the zero Revision, whose content is empty.
func Latest(tx *store.Tx, group string) (Revision, error) {
	list, err := revisions(tx, true, "WHERE grp = $1 ORDER BY epoch DESC, number DESC LIMIT 1", group)
	if err != nil || len(list) == 0 {
		return Revision{Group: group, content: object.Set{}}, err
	}
	return list[0], nil
}

// Find gives a revision by its name: edge/42, or of an epoch that is not the latest one edge/1-42.
func Find(tx *store.Tx, name string) (Revision, error) {
	group, rest, ok := strings.Cut(name, "/")
	number, numberErr := strconv.ParseInt(rest, 10, 64)
	query, args := "WHERE grp = $1 AND number = $2 ORDER BY epoch DESC LIMIT 1", []any{group, number}
	if e, n, two := strings.Cut(rest, "-"); two {
		epoch, err := strconv.ParseInt(e, 10, 64)
		if number, numberErr = strconv.ParseInt(n, 10, 64); err != nil {
			numberErr = err
		}
		query, args = "WHERE grp = $1 AND number = $2 AND epoch = $3", []any{group, number, epoch}
	}
	if !ok || numberErr != nil {
		return Revision{}, problem.New(problem.NotFound, "%.100q is no name of a revision; they are called GROUP/NUMBER, such as edge/42", name)
	}
	list, err := revisions(tx, true, query, args...)
	if err == nil && len(list) == 0 {
		return Revision{}, problem.New(problem.NotFound, "there is no revision %.100s", name)
	}
	if err != nil {
		return Revision{}, err
	}
	return list[0], nil
}

// Content is all objects that the revision was made of.
func (r Revision) Content() object.Set { return r.content }

// ContentOf gives the objects behind a name: draft, or a revision's.
func ContentOf(tx *store.Tx, name string) (object.Set, error) {
	if name == "draft" {
		set, _, err := Draft(tx)
		return set, err
	}
	r, err := Find(tx, name)
	return r.content, err
}

// GroupNames are the groups that have a revision.
func GroupNames(tx *store.Tx) (names []string, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	}, "SELECT DISTINCT grp FROM revisions ORDER BY grp")
	return names, err
}

// included are the changes that are in a revision.
func included(tx *store.Tx, r Revision) ([]string, error) {
	list, err := revisions(tx, false, "WHERE grp = $1 AND (epoch < $2 OR epoch = $2 AND number <= $3) ORDER BY epoch DESC, number DESC",
		r.Group, int64(r.Order.Epoch), int64(r.Order.Number)) //nolint:gosec // they come from there
	var ids []string
	for _, r := range list {
		ids = append(ids, r.Changes...)
		if r.fresh {
			break
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}
