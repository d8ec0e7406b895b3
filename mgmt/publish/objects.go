package publish

import (
	"errors"
	"fmt"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// Object is one of the draft.
type Object struct {
	Key     object.Key
	Owner   string
	Version int64 // rises with every save, also when it was removed in between
	Body    object.Body
}

const objectColumns = "SELECT kind, name, owner, version, body FROM objects"

func scanObject(scan func(...any) error) (o Object, err error) {
	var text string
	if err := scan(&o.Key.Kind, &o.Key.Name, &o.Owner, &o.Version, &text); err != nil {
		return o, err
	}
	o.Body, err = object.ParseBody(text)
	return o, err
}

// Get gives an object, or a problem of kind NotFound.
func Get(tx *store.Tx, key object.Key) (Object, error) {
	list, err := objects(tx, objectColumns+" WHERE kind = $1 AND name = $2", string(key.Kind), key.Name)
	if err == nil && len(list) == 0 {
		return Object{}, problem.New(problem.NotFound, "there is no %s %s", key.Kind.Noun(), key.Name)
	}
	if err != nil {
		return Object{}, err
	}
	return list[0], nil
}

// List gives objects of a kind by name, those behind after, at most most.
func List(tx *store.Tx, kind object.Kind, after string, most int) ([]Object, error) {
	return objects(tx, objectColumns+fmt.Sprintf(" WHERE kind = $1 AND name > $2 ORDER BY name LIMIT %d", most), string(kind), after)
}

func objects(tx *store.Tx, query string, args ...any) (list []Object, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		o, err := scanObject(scan)
		list = append(list, o)
		return err
	}, query, args...)
	return list, err
}

// Draft gives all objects as saved, and their owners.
func Draft(tx *store.Tx) (object.Set, map[object.Key]string, error) {
	list, err := objects(tx, objectColumns)
	set, owners := object.Set{}, map[object.Key]string{}
	for _, o := range list {
		set[o.Key], owners[o.Key] = o.Body, o.Owner
	}
	return set, owners, err
}

// Edit makes an object what Body says; nil removes it.
type Edit struct {
	Key  object.Key
	Body object.Body
	// Check looks at the version that is there, 0 if there is none; nil takes any.
	Check func(version int64) error
	// Place is where the body stands in the request, such as body; empty is the object's own key.
	Place string
}

// Save saves edits together, each as a change. What changes nothing makes no change. Either all are saved or none.
func (s *Service) Save(tx *store.Tx, by Author, edits ...Edit) ([]Change, error) {
	if by.Owner == "" {
		by.Owner = OwnerUI
	}
	draft, _, err := Draft(tx)
	if err != nil {
		return nil, err
	}
	before, err := s.load(tx, draft, nil)
	if err != nil { // it was good once: a certificate or an exclusion may have expired since
		before = nil
	}
	var changes []Change
	edited := map[object.Key]string{}
	for _, e := range edits {
		edited[e.Key] = e.Key.String()
		if e.Place != "" {
			edited[e.Key] = e.Place
		}
		change, err := s.edit(tx, by, e, edited[e.Key])
		if err != nil {
			return nil, err
		}
		if change != nil {
			changes = append(changes, *change)
		}
		draft.Put(e.Key, e.Body)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	after, err := s.check(tx, draft, edited)
	if err != nil {
		return nil, err
	}
	return changes, by.permit(lowered(before, after))
}

// edit writes one object. It gives nil if nothing changes.
func (s *Service) edit(tx *store.Tx, by Author, e Edit, place string) (*Change, error) {
	now, err := Get(tx, e.Key)
	var p *problem.Problem
	switch {
	case errors.As(err, &p) && e.Body != nil: // it is made
	case errors.As(err, &p) && e.Check != nil:
		if err := e.Check(0); err != nil {
			return nil, err
		}
		return nil, p
	case err != nil:
		return nil, err
	}
	if e.Check != nil {
		if err := e.Check(now.Version); err != nil {
			return nil, err
		}
	}
	if now.Version != 0 && now.Owner != by.Owner && !by.Takeover {
		return nil, problem.New(problem.Conflict, "%s %s is managed by %s; change it there, or take it over (takeover)", e.Key.Kind.Noun(), e.Key.Name, now.Owner)
	}
	if e.Body != nil {
		if field, message := object.CheckShape(e.Key, e.Body); message != "" {
			return nil, problem.Field(join(place, field), nil, "%s", message)
		}
	}
	if now.Body.Equal(e.Body) && (e.Body == nil || now.Owner == by.Owner) {
		return nil, nil
	}
	if err := put(tx, e.Key, e.Body, by.Owner, max(now.Version+1, tx.Now().UnixMicro())); err != nil {
		return nil, err
	}
	return record(tx, by, e.Key, now.Body, e.Body)
}

func put(tx *store.Tx, key object.Key, body object.Body, owner string, version int64) error {
	if body == nil {
		_, err := tx.Exec("DELETE FROM objects WHERE kind = $1 AND name = $2", string(key.Kind), key.Name)
		return err
	}
	_, err := tx.Exec(`INSERT INTO objects (kind, name, owner, version, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, name) DO UPDATE SET owner = excluded.owner, version = excluded.version, body = excluded.body`,
		string(key.Kind), key.Name, owner, version, body.Text())
	return err
}
