package api

import (
	"context"
	"net/http"
	"time"

	"gatehouse/mgmt/action"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// newAction is what an action is to be.
type newAction struct {
	Kind        fleetapi.ActionKind `json:"kind" enum:"block,limit,mode,disable"`
	Application string              `json:"application,omitempty" maxLength:"253" doc:"empty is all; mode and disable need one"`
	Clients     []string            `json:"clients,omitempty" doc:"addresses and prefixes, of block and limit"`
	Path        string              `json:"path,omitempty" doc:"as in exclusions: * one segment, ** the rest"`
	Header      string              `json:"header,omitempty" doc:"name of a header"`
	Value       string              `json:"value,omitempty" doc:"its value, exactly"`
	Rate        float64             `json:"rate,omitempty" doc:"requests a second and client, of limit"`
	Burst       int                 `json:"burst,omitempty" doc:"of limit"`
	Mode        string              `json:"mode,omitempty" enum:"detect,block" doc:"of mode"`
	Rule        int                 `json:"rule,omitempty" doc:"of disable"`
	Reason      string              `json:"reason" maxLength:"500"`
	For         string              `json:"for,omitempty" default:"1h" example:"2h" doc:"a duration, at most 168h: then it ends by itself"`
	Groups      []string            `json:"groups,omitempty" doc:"gateway groups; without any, all that have a revision"`
	Force       bool                `json:"force,omitempty" doc:"also if it would have hit more than a tenth of the last 15 minutes' requests"`
}

type askAction struct{ Body newAction }

type shareReply struct{ Body action.Share }

type actionsReply struct {
	Body struct {
		Items []action.Action `json:"items" nullable:"false" doc:"one for each group"`
		Share action.Share    `json:"share" doc:"what it would have hit of the last 15 minutes' requests"`
	}
}

// gatewayActions is how far an action has come.
type gatewayActions struct {
	Connected int                  `json:"connected"`
	Have      int                  `json:"have" doc:"those that have what is in force now"`
	Refused   []gatewayRefusalView `json:"refused,omitempty"`
}

type gatewayRefusalView struct {
	Gateway string `json:"gateway"`
	Reason  string `json:"reason"`
}

type actionReply struct {
	Body struct {
		action.Action
		Gateways gatewayActions `json:"gateways"`
	}
}

type namedAction struct {
	ID string `path:"id" maxLength:"63"`
}

// actionWait is how long the answer waits for the first gateway.
const actionWait = 12 * time.Second

func (a *API) actionRoutes() {
	const tag = "Emergency actions"
	about := "An action waits for no rollout: it is signed, tried on one gateway, and reaches all that are connected within seconds. It ends by itself."
	Register(a, Route{
		Method: http.MethodPost, Path: "/actions", ID: "act", Summary: "Block, limit, switch a mode, or leave a rule out", Tag: tag, Permission: Analyst, AnyApplication: true,
		Status: http.StatusCreated, Description: about,
	}, func(ctx context.Context, in *askAction) (*actionsReply, error) { return a.act(ctx, in.Body) })
	Register(a, Route{
		Method: http.MethodPost, Path: "/actions/share", ID: "ask-share", Summary: "Which share of the last 15 minutes' requests an action would have hit", Tag: tag, Permission: Analyst, AnyApplication: true,
	}, func(ctx context.Context, in *askAction) (*shareReply, error) {
		x, groups, err := a.prepare(ctx, in.Body)
		if err != nil {
			return nil, err
		}
		share, err := a.o.Actions.Ask(ctx, x, groups)
		return &shareReply{share}, err
	})
	Register(a, Route{Method: http.MethodGet, Path: "/actions", ID: "list-actions", Summary: "Emergency actions, the latest first", Tag: tag, Permission: Viewer},
		func(ctx context.Context, in *struct {
			Page
			Group       string `query:"group" maxLength:"63"`
			Application string `query:"application" maxLength:"253"`
			All         bool   `query:"all" doc:"also those that have ended"`
		},
		) (*ListReply[action.Action], error) {
			return byName(ctx, a.o.DB, in.Page, func(tx *store.Tx, after string, most int) (*ListReply[action.Action], error) {
				list, err := action.List(tx, action.Filter{Group: in.Group, Application: in.Application, All: in.All, After: after, Most: most})
				return Paged(in.Page, list, func(x action.Action) string { return NewCursor(x.ID) }), err
			})
		})
	Register(a, Route{Method: http.MethodGet, Path: "/actions/{id}", ID: "get-action", Summary: "An emergency action, and which gateways have it", Tag: tag, Permission: Viewer},
		func(ctx context.Context, in *namedAction) (out *actionReply, err error) {
			err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
				x, err := action.Get(tx, in.ID)
				if err != nil {
					return err
				}
				out = &actionReply{}
				out.Body.Action = x
				out.Body.Gateways, err = gatewaysWith(tx, x)
				return err
			})
			return out, err
		})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/actions/{id}", ID: "undo-action", Summary: "Undo an emergency action", Tag: tag, Permission: Analyst, AnyApplication: true,
	}, func(ctx context.Context, in *namedAction) (*struct{ Body action.Action }, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*struct{ Body action.Action }, error) {
			p := auth.From(ctx)
			x, err := action.Get(tx, in.ID)
			if err != nil {
				return nil, err
			}
			if err := may(p, &x.Action, x.Group); err != nil {
				return nil, err
			}
			x, err = a.o.Actions.Undo(tx, p.Actor(), in.ID)
			return &struct{ Body action.Action }{x}, err
		})
	})
}

// act asks about an action, puts it in force, and waits until a gateway has taken it.
func (a *API) act(ctx context.Context, in newAction) (*actionsReply, error) {
	x, groups, err := a.prepare(ctx, in)
	if err != nil {
		return nil, err
	}
	share, err := a.o.Actions.Ask(ctx, x, groups)
	if err == nil {
		err = action.Guard(share, x.Force)
	}
	if err != nil {
		return nil, err
	}
	out, err := Write(ctx, a.o.DB, func(tx *store.Tx) (*actionsReply, error) {
		out := &actionsReply{}
		out.Body.Share = share
		for _, group := range groups {
			one := x
			one.ID, one.Created = store.NewID("act", tx.Now()), tx.Now()
			added, err := a.o.Actions.Add(tx, one, group)
			if err != nil {
				return nil, err
			}
			out.Body.Items = append(out.Body.Items, added)
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, actionWait)
	defer cancel()
	for i := range out.Body.Items {
		item := &out.Body.Items[i]
		if *item, err = a.o.Actions.Wait(wait, item.ID); err != nil {
			return nil, err
		}
		if item.Status == action.Refused {
			return nil, problem.New(problem.Conflict, "the action was taken back: %s", item.Why)
		}
	}
	return out, nil
}

// prepare makes the action that is asked for, and the groups that it is for.
func (a *API) prepare(ctx context.Context, in newAction) (x fleetapi.Action, groups []string, err error) {
	if in.For == "" {
		in.For = "1h"
	}
	life, err := time.ParseDuration(in.For)
	if err != nil {
		return x, nil, problem.Field("body.for", in.For, "is not a duration, such as 2h")
	}
	p, now := auth.From(ctx), a.o.DB.Now()
	x = fleetapi.Action{
		ID: "preview", Kind: in.Kind, Application: in.Application, Clients: in.Clients, Path: in.Path, Header: in.Header, Value: in.Value, Rate: in.Rate,
		Burst: in.Burst, Mode: in.Mode, Rule: in.Rule, Reason: in.Reason, Author: p.Actor(), Created: now, Expires: now.Add(life), Force: in.Force,
	}
	if err := action.Check(&x); err != nil {
		return x, nil, err
	}
	err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
		if in.Application != "" {
			if _, err := publish.Get(tx, object.Key{Kind: object.Applications, Name: in.Application}); err != nil {
				return problem.Field("body.application", in.Application, "there is no application of this name")
			}
		}
		groups, err = groupsOf(tx, p, in.Groups)
		return err
	})
	for _, group := range groups {
		if err == nil {
			err = may(p, &x, group)
		}
	}
	return x, groups, err
}

// groupsOf are the groups that an action is for.
func groupsOf(tx *store.Tx, p *auth.Principal, wanted []string) (groups []string, err error) {
	all, err := tx.Depot().Groups()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, group := range all {
		known[group] = true
		if len(wanted) == 0 && p.MayUseGroup(group) {
			groups = append(groups, group)
		}
	}
	for _, group := range wanted {
		if !known[group] {
			return nil, problem.Field("body.groups", group, "no gateway group of this name has a revision")
		}
		groups = append(groups, group)
	}
	if len(groups) == 0 {
		return nil, problem.New(problem.Conflict, "no gateway group has a revision yet: publish one first")
	}
	return groups, nil
}

// may says whether somebody may act so: an analyst blocks and limits; what changes protection needs what publishing it would.
func may(p *auth.Principal, x *fleetapi.Action, group string) error {
	role := auth.Analyst
	if x.Kind == fleetapi.ActionMode || x.Kind == fleetapi.ActionDisable {
		role = auth.Publisher
	}
	if err := p.Require(role, x.Application); err != nil {
		return err
	}
	if err := p.RequireGroup(group); err != nil {
		return err
	}
	if x.Kind == fleetapi.ActionDisable || x.Kind == fleetapi.ActionMode && x.Mode == "detect" {
		return p.RequireProtection(x.Application)
	}
	return nil
}

// gatewaysWith says which gateways have what is in force now in the group of an action.
func gatewaysWith(tx *store.Tx, x action.Action) (out gatewayActions, err error) {
	number, err := action.Current(tx, x.Group)
	if err != nil {
		return out, err
	}
	list, err := fleet.Gateways(tx, fleet.Filter{Group: x.Group})
	for _, g := range list {
		if g.Away(tx.Now()) || g.Report == nil {
			continue
		}
		out.Connected++
		if g.Report.Serving.Actions >= number {
			out.Have++
		}
		for _, r := range g.Report.Refused {
			if r.Kind == fleetapi.KindActions && r.Order.Number >= number {
				out.Refused = append(out.Refused, gatewayRefusalView{g.Name, r.Reason})
			}
		}
	}
	return out, err
}
