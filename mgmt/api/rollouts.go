package api

import (
	"context"
	"net/http"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/rollout"
	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

type rolloutReply struct{ Body rollout.Rollout }

type rolloutID struct {
	ID string `path:"id" maxLength:"100"`
}

func (a *API) rolloutRoutes() {
	const tag = "Rollouts"
	Register(a, Route{
		Method: http.MethodGet, Path: "/rollouts", ID: "list-rollouts", Summary: "Rollouts, the latest first", Tag: tag, Permission: Viewer,
		Description: "The judgement of one that goes on is the last one that changed something; ask for the rollout itself to have it as of now.",
	}, func(ctx context.Context, in *struct {
		Page
		Group string `query:"group" maxLength:"63"`
		Open  bool   `query:"open" doc:"only those that go on"`
	},
	) (out *ListReply[rollout.Rollout], err error) {
		keys, err := in.Keys(1)
		if err != nil {
			return nil, err
		}
		f := rollout.Filter{Group: in.Group, Open: in.Open, Most: in.Limit + 1}
		if keys != nil {
			f.Before = keys[0]
		}
		err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
			list, err := rollout.List(tx, f)
			out = Paged(in.Page, list, func(r rollout.Rollout) string { return NewCursor(r.ID) })
			return err
		})
		return out, err
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/rollouts/{id}", ID: "get-rollout", Summary: "One rollout, with what the judge says now", Tag: tag, Permission: Viewer,
	}, func(ctx context.Context, in *rolloutID) (out *rolloutReply, err error) {
		out = &rolloutReply{}
		return out, a.o.DB.Read(ctx, func(tx *store.Tx) error {
			out.Body, err = a.o.Rollouts.Get(tx, in.ID)
			return err
		})
	})
	order := func(name, summary string, do func(*store.Tx, publish.Author, string) (rollout.Rollout, error)) {
		Register(a, Route{
			Method: http.MethodPost, Path: "/rollouts/{id}/" + name, ID: name + "-rollout", Summary: summary, Tag: tag, Permission: Publisher,
		}, func(ctx context.Context, in *rolloutID) (*rolloutReply, error) {
			return Write(ctx, a.o.DB, func(tx *store.Tx) (*rolloutReply, error) {
				r, err := a.o.Rollouts.Get(tx, in.ID)
				if err == nil {
					err = mayUse(ctx, r.Group)
				}
				if err != nil {
					return nil, err
				}
				r, err = do(tx, publish.Author{Name: auth.From(ctx).Actor()}, in.ID)
				return &rolloutReply{r}, err
			})
		})
	}
	order("pause", "Keep the next stage from beginning; what fails is halted all the same", a.o.Rollouts.Pause)
	order("resume", "Let a paused rollout go on", a.o.Rollouts.Resume)
	order("advance", "End the stage without waiting for its time or for requests, once its gateways serve the revision", a.o.Rollouts.Advance)
	// Nobody is asked for the permission to lower protection: it is what most gateways serve already.
	order("abort", "Take the revision back: what all had before is published as a new one, to all at once", a.o.Rollouts.Abort)
	a.statusRoute()
}

// groupStatus is a group at a glance.
type groupStatus struct {
	Group string `json:"group"`
	// Revision is the latest that was published, All the one that all gateways shall have.
	Revision string `json:"revision,omitempty"`
	All      string `json:"all,omitempty"`
	// Gateways counts them by how they are, Serving by the revision that they serve.
	Gateways map[string]int   `json:"gateways"`
	Serving  map[string]int   `json:"serving"`
	Rollout  *rollout.Rollout `json:"rollout,omitempty"`
	// NotRestartable counts those that could not start again with the manager away.
	NotRestartable int `json:"not_restartable"`
}

type statusReply struct {
	Body struct {
		Groups []groupStatus `json:"groups" nullable:"false"`
	}
}

func (a *API) statusRoute() {
	Register(a, Route{
		Method: http.MethodGet, Path: "/status", ID: "get-status", Summary: "The fleet at a glance", Tag: "Status", Permission: Viewer,
	}, func(ctx context.Context, _ *struct{}) (out *statusReply, err error) {
		out = &statusReply{}
		out.Body.Groups = []groupStatus{}
		return out, a.o.DB.Read(ctx, func(tx *store.Tx) error { return a.status(tx, out) })
	})
}

func (a *API) status(tx *store.Tx, out *statusReply) error {
	groups, err := publish.GroupNames(tx)
	if err != nil {
		return err
	}
	at := map[string]int{}
	group := func(name string) *groupStatus {
		i, ok := at[name]
		if !ok {
			i = len(out.Body.Groups)
			at[name] = i
			out.Body.Groups = append(out.Body.Groups, groupStatus{Group: name, Gateways: map[string]int{}, Serving: map[string]int{}})
		}
		return &out.Body.Groups[i]
	}
	for _, name := range groups {
		if err := a.groupStatus(tx, group(name)); err != nil {
			return err
		}
	}
	list, err := fleet.Gateways(tx, fleet.Filter{})
	for _, g := range list {
		s, v := group(g.Group), viewGateway(g, tx.Now())
		s.Gateways[v.Status]++
		if r := g.Report; r != nil && v.Status != "away" {
			if r.Serving.Revision != (revision.Order{}) {
				s.Serving[rollout.Name(g.Group, r.Serving.Revision)]++
			}
			if !r.Restartable {
				s.NotRestartable++
			}
		}
	}
	return err
}

// groupStatus fills in what was published to a group.
func (a *API) groupStatus(tx *store.Tx, s *groupStatus) error {
	latest, err := publish.Revisions(tx, s.Group, revision.Order{}, 1)
	if err != nil {
		return err
	}
	if len(latest) > 0 {
		s.Revision = latest[0].Name
	}
	if s.All, err = a.o.Rollouts.All(tx, s.Group); err != nil {
		return err
	}
	list, err := rollout.List(tx, rollout.Filter{Group: s.Group, Most: 1})
	if err == nil && len(list) > 0 {
		s.Rollout = &list[0]
	}
	return err
}
