package mgmt

import (
	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/rollout"
	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

// openRollouts makes what brings revisions to gateways stage by stage.
func (s *Server) openRollouts() {
	s.rollouts = rollout.New(rollout.Options{
		DB: s.db, Logger: s.log, Stack: s.opts.Settings.Stack, Signers: []revision.Signer{s.key}, Holder: s.holder,
		Gateways: statuses, Wake: []string{fleet.Topic},
		Rollback: func(tx *store.Tx, by publish.Author, name string) (publish.Revision, error) {
			r, _, err := s.publish.Rollback(tx, by, name)
			return r, err
		},
	})
	s.onStart(s.rollouts.Run)
}

// statuses are the gateways of a group as rollouts see them.
func statuses(tx *store.Tx, group string) ([]rollout.Status, error) {
	list, err := fleet.Gateways(tx, fleet.Filter{Group: group})
	out := make([]rollout.Status, 0, len(list))
	for _, g := range list {
		out = append(out, rollout.Status{Gateway: g.Name, Seen: g.Seen, Report: g.Report})
	}
	return out, err
}
