package publish

import (
	"slices"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// Undo takes one change back: out of the draft, by a change of its own, and out of the groups, by a revision of each. Without groups it
// is all in whose latest revision it is.
func (s *Service) Undo(tx *store.Tx, by Author, id string, groups []string) (back Change, list []Revision, err error) {
	c, err := GetChange(tx, id)
	if err != nil {
		return back, nil, err
	}
	with, err := GroupsWith(tx, id)
	if err != nil {
		return back, nil, err
	}
	if groups == nil {
		groups = with
	}
	for _, group := range groups {
		if !slices.Contains(with, group) {
			return back, nil, problem.New(problem.Conflict, "the change %s is not in the latest revision of group %s", id, group)
		}
	}
	if len(groups) == 0 {
		return back, nil, problem.New(problem.Conflict, "the change %s is not published anywhere; discard it instead", id)
	}
	by.Owner, by.Takeover = c.Owner, true
	if by.Note == "" {
		by.Note = "undo of " + id
	}
	saved, err := s.reverse(tx, by, c, "change.undo")
	if err != nil {
		return back, nil, err
	}
	if saved == nil {
		return back, nil, problem.New(problem.Conflict, "nothing of the change %s is left to take back", id)
	}
	for _, group := range groups {
		pending, err := Changes(tx, ChangeFilter{Pending: group})
		if err != nil {
			return back, nil, err
		}
		rest := slices.DeleteFunc(pending, func(x Change) bool { return x.ID == saved.ID })
		r, err := s.publish(tx, by, group, []Change{*saved}, rest, "undo", "")
		if err != nil {
			return back, nil, err
		}
		list = append(list, r)
	}
	return *saved, list, nil
}

// Rollback publishes the content of an older revision as a new one. taken are the changes that go with it: they are pending again.
func (s *Service) Rollback(tx *store.Tx, by Author, name string) (r Revision, taken []Change, err error) {
	old, err := Find(tx, name)
	if err != nil {
		return r, nil, err
	}
	latest, err := Latest(tx, old.Group)
	if err != nil {
		return r, nil, err
	}
	if latest.Order == old.Order {
		return r, nil, problem.New(problem.Conflict, "revision %s is the latest one of group %s; there is nothing to go back to", name, old.Group)
	}
	if taken, err = Taken(tx, old); err != nil {
		return r, nil, err
	}
	r = Revision{Group: old.Group, Action: "rollback", Origin: old.Name, content: old.content, fresh: true}
	if r.Changes, err = included(tx, old); err != nil {
		return r, nil, err
	}
	r, err = s.replace(tx, by, latest, r)
	return r, taken, err
}

// Taken are the changes that a rollback to an older revision would take with it, the latest first.
func Taken(tx *store.Tx, old Revision) (taken []Change, err error) {
	keep, err := included(tx, old)
	if err != nil {
		return nil, err
	}
	all, err := changes(tx, changeColumns+" WHERE id IN (SELECT change FROM group_changes WHERE grp = $1) ORDER BY seq DESC", old.Group)
	for _, c := range all {
		if !slices.Contains(keep, c.ID) {
			taken = append(taken, c)
		}
	}
	return taken, err
}

// Promote publishes the content of a revision, or of a group's latest one, to another group.
func (s *Service) Promote(tx *store.Tx, by Author, from, to string) (r Revision, err error) {
	source, err := Latest(tx, from)
	if err == nil && source.Name == "" {
		source, err = Find(tx, from)
	}
	if err != nil {
		return r, err
	}
	latest, err := Latest(tx, to)
	if err != nil {
		return r, err
	}
	switch {
	case source.Group == to:
		return r, problem.New(problem.Conflict, "revision %s is of group %s itself; roll back instead", source.Name, to)
	case latest.Name != "" && len(object.Diff(latest.content, source.content)) == 0:
		return r, problem.New(problem.Conflict, "group %s has the content of %s already", to, source.Name)
	}
	r = Revision{Group: to, Action: "promote", Origin: source.Name, content: source.content, fresh: true}
	if r.Changes, err = included(tx, source); err != nil {
		return r, err
	}
	return s.replace(tx, by, latest, r)
}

// replace puts other content in the place of a group's latest. It may protect less than that, which needs a permission of its own.
func (s *Service) replace(tx *store.Tx, by Author, latest, r Revision) (Revision, error) {
	before, unreadable := s.load(tx, latest.content, nil)
	after, err := s.load(tx, r.content, nil)
	if err != nil {
		return r, err
	}
	list := lowered(before, after)
	if unreadable != nil && after != nil { // a version may refuse what the one before it took
		for i := range after.Config.Applications {
			list = append(list, lowering{after.Config.Applications[i].Name, "this version cannot read how it is protected now"})
		}
	}
	if err := by.permit(list); err != nil {
		return r, err
	}
	return s.build(tx, by, r)
}
