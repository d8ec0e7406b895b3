package publish

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/proxy/config"
	"gatehouse/rules/crs"
	"gatehouse/rules/revision"
)

// Publish makes the next revision of a group: its latest content with the chosen changes. nil chooses all that are pending.
func (s *Service) Publish(tx *store.Tx, by Author, group string, chosen []string) (Revision, error) {
	pending, err := Changes(tx, ChangeFilter{Pending: group})
	if err != nil {
		return Revision{}, err
	}
	slices.Reverse(pending)
	list, rest := pending, []Change(nil)
	if chosen != nil {
		list, rest = nil, nil
		for _, c := range pending {
			if slices.Contains(chosen, c.ID) {
				list = append(list, c)
			} else {
				rest = append(rest, c)
			}
		}
		if err := s.allPending(tx, group, chosen, list); err != nil {
			return Revision{}, err
		}
	}
	if len(list) == 0 {
		return Revision{}, problem.New(problem.Conflict, "there is nothing to publish to group %s: no change is pending", group)
	}
	return s.publish(tx, by, group, list, rest, "publish", "")
}

// allPending says which of the chosen changes cannot be published.
func (s *Service) allPending(tx *store.Tx, group string, chosen []string, list []Change) error {
	for i, id := range chosen {
		if slices.ContainsFunc(list, func(c Change) bool { return c.ID == id }) {
			continue
		}
		c, err := GetChange(tx, id)
		if err != nil {
			return err
		}
		why := "is in the latest revision of group " + group + " already"
		if c.Discarded {
			why = "was discarded"
		}
		return problem.New(problem.Conflict, "the change %s %s", id, why).At(fmt.Sprintf("body.changes[%d]", i), why, id)
	}
	return nil
}

// publish carries changes onto a group's content. rest are pending changes that were not chosen.
func (s *Service) publish(tx *store.Tx, by Author, group string, list, rest []Change, action, origin string) (Revision, error) {
	latest, err := Latest(tx, group)
	if err != nil {
		return Revision{}, err
	}
	set := maps.Clone(latest.content)
	for _, c := range list {
		if err := carry(set, c, rest); err != nil {
			return Revision{}, err
		}
	}
	r := Revision{Group: group, Action: action, Origin: origin, content: set}
	for _, c := range list {
		r.Changes = append(r.Changes, c.ID)
	}
	if _, err := s.load(tx, set, nil); err != nil {
		return r, s.needs(tx, set, rest, err)
	}
	return s.build(tx, by, r)
}

// carry carries a change onto content. One that does not fit is refused, with the changes that it would need.
func carry(set object.Set, c Change, rest []Change) error {
	there, ok := set[c.Object]
	merged, conflicts := object.Merge(c.Before, c.After, there)
	if len(conflicts) == 0 && (ok || c.Before == nil || c.After == nil) {
		set.Put(c.Object, merged)
		return nil
	}
	var needed []Change
	for _, other := range rest {
		if other.Object == c.Object && other.seq < c.seq {
			needed = append(needed, other)
		}
	}
	if len(needed) > 0 {
		return needsProblem(fmt.Sprintf("the change %s cannot be published alone: it builds on %s", c, strings.TrimPrefix(named(needed), ": ")), needed)
	}
	p := problem.New(problem.Conflict, "the change %s does not fit what the group has, which was changed in another way", c)
	for _, x := range conflicts {
		p = p.At(join(c.Object.String(), x.Path), "has another value there", nil)
	}
	return p
}

// needsProblem names the changes that are missing, for programs, too.
func needsProblem(message string, needed []Change) error {
	p := problem.New(problem.Conflict, "%s; publish that too", message)
	p.Code = "needs_changes"
	for _, c := range needed {
		p = p.At("body.changes", "needs "+c.ID+", "+c.Object.String()+" by "+c.Author, c.ID)
	}
	return p
}

// maxTried bounds how many changes are tried one by one to find what is missing.
const maxTried = 50

// needs says which of the changes that were not chosen would make content good that is not.
func (s *Service) needs(tx *store.Tx, set object.Set, rest []Change, bad error) error {
	before := places(bad)
	var needed []Change
	for _, c := range rest[max(0, len(rest)-maxTried):] {
		with := maps.Clone(set)
		if carry(with, c, nil) != nil {
			continue
		}
		_, err := s.load(tx, with, nil)
		if err == nil || fewer(places(err), before) {
			needed = append(needed, c)
		}
	}
	if len(needed) == 0 {
		return bad
	}
	return needsProblem(fmt.Sprintf("what was chosen cannot be published without %s: %v", strings.TrimPrefix(named(needed), ": "), bad), needed)
}

func places(err error) map[string]bool {
	out := map[string]bool{}
	if p, ok := err.(*problem.Problem); ok { //nolint:errorlint // load gives it as it is
		for _, x := range p.Places {
			out[x.Location+" "+x.Message] = true
		}
	}
	return out
}

// fewer says whether a has only problems of b, and not all.
func fewer(a, b map[string]bool) bool {
	for x := range a {
		if !b[x] {
			return false
		}
	}
	return len(a) < len(b)
}

// build composes, proves, numbers, signs and stores a revision.
func (s *Service) build(tx *store.Tx, by Author, r Revision) (Revision, error) {
	if !revision.ValidName(r.Group) {
		return r, problem.Field("body.groups", r.Group, "%.80q is no name of a group; write letters, digits, dots, dashes and underscores, 63 at most", r.Group)
	}
	content, err := s.bundle(tx, r.Group, r.content)
	if err != nil {
		return r, err
	}
	built, err := revision.Build(content)
	if err != nil {
		return r, err
	}
	p := &revision.Publisher{Depot: tx.Depot(), Stack: s.o.Stack, Group: r.Group, Signers: s.o.Signers, Now: tx.Now}
	if r.Order, err = nextOrder(tx, p); err != nil {
		return r, err
	}
	r.Name, r.At, r.Hash = fmt.Sprintf("%s/%d", r.Group, r.Order.Number), tx.Now(), built.Hash()
	r.Author, r.Note, r.Source = by.Name, by.Note, by.Source
	if err := p.Store(tx.Context(), built, r.Order); err != nil {
		return r, fmt.Errorf("store revision %s: %w", r.Name, err)
	}
	if err := keep(tx, &r); err != nil {
		return r, err
	}
	detail := map[string]any{"order": r.Order, "hash": r.Hash, "action": r.Action, "changes": r.Changes}
	for name, value := range map[string]string{"note": r.Note, "source": r.Source, "origin": r.Origin} {
		if value != "" {
			detail[name] = value
		}
	}
	if err := tx.Audit(by.Name, "revision."+r.Action, "revisions/"+r.Name, detail); err != nil {
		return r, err
	}
	if s.o.Published != nil {
		return r, s.o.Published(tx, r)
	}
	return r, p.Advance(tx.Context(), r.Order, r.Hash)
}

// bundle gives what a group's revision is made of, loaded and proven as its gateways will.
func (s *Service) bundle(tx *store.Tx, group string, set object.Set) (c revision.Content, err error) {
	loaded, err := s.load(tx, set, nil)
	if err != nil {
		return c, err
	}
	if loaded == nil {
		return c, problem.New(problem.Invalid, "applications: is missing; a group without any application serves nothing")
	}
	files, err := loaded.Bundle(group)
	if err != nil {
		return c, problem.New(problem.Invalid, "%v", err)
	}
	o := config.Options{CRSVersions: crs.Versions(), Now: tx.Now, Sealed: s.opener(tx, set)}
	bundled, err := o.LoadBundle(root, files)
	if err != nil {
		return c, refused(&object.Document{}, err, nil, true)
	}
	if err := s.prove(bundled, &object.Document{}, nil); err != nil {
		return c, err
	}
	if err := s.seal(tx, group, set, bundled.Config.Certificates, files); err != nil {
		return c, err
	}
	return revision.Content{Main: config.BundleMain, Files: files, CRS: bundled.Config.Releases()}, nil
}

// nextOrder is one above all that were published, also by others with the same key.
func nextOrder(tx *store.Tx, p *revision.Publisher) (o revision.Order, err error) {
	if o.Epoch, err = tx.Epoch(); err != nil {
		return o, err
	}
	head, err := p.Head(tx.Context())
	if err != nil {
		return o, err
	}
	o.Epoch = max(o.Epoch, head.Order.Epoch)
	var number int64
	if err := tx.Get(store.Row(&number), "SELECT COALESCE(MAX(number), 0) FROM revisions WHERE grp = $1", p.Group); err != nil {
		return o, err
	}
	o.Number = max(uint64(number), head.Order.Number) + 1 //nolint:gosec // it is none below 0
	return o, nil
}

// keep writes a revision's own row, and which changes its group has now.
func keep(tx *store.Tx, r *Revision) error {
	if r.Changes == nil {
		r.Changes = []string{}
	}
	ids, err := json.Marshal(r.Changes)
	if err != nil {
		return err
	}
	content, err := json.Marshal(r.content)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO revisions (grp, epoch, number, at, author, note, source, action, origin, hash, fresh, changes, content)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		r.Group, int64(r.Order.Epoch), int64(r.Order.Number), r.At, r.Author, r.Note, r.Source, r.Action, r.Origin, r.Hash.String(), r.fresh, //nolint:gosec // small
		string(ids), content); err != nil {
		return err
	}
	if r.fresh {
		if _, err := tx.Exec("DELETE FROM group_changes WHERE grp = $1", r.Group); err != nil {
			return err
		}
	}
	for _, id := range r.Changes {
		if _, err := tx.Exec("INSERT INTO group_changes (grp, change) VALUES ($1, $2) ON CONFLICT (grp, change) DO NOTHING", r.Group, id); err != nil {
			return err
		}
	}
	tx.Notify(Topic)
	return nil
}

// Topic wakes whoever waits for new revisions.
const Topic = "revisions"
