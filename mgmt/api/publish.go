package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
	"gatehouse/rules/crs"
	"gatehouse/rules/revision"
)

type changeView struct {
	publish.Change
	Differences []object.Difference `json:"differences" nullable:"false"`
}

func viewsOf(list []publish.Change) []changeView {
	out := []changeView{}
	for _, c := range list {
		out = append(out, changeView{c, c.Differences()})
	}
	return out
}

type listChanges struct {
	Page
	Pending string `query:"pending" doc:"a group: changes that are not in its latest revision"`
	Author  string `query:"author"`
	Object  string `query:"object" example:"applications/shop"`
}

func (a *API) changeRoutes() {
	const tag = "Changes"
	Register(a, Route{
		Method: http.MethodGet, Path: "/changes", ID: "list-changes", Summary: "Changes, the latest first", Tag: tag, Permission: Viewer,
	}, func(ctx context.Context, in *listChanges) (out *ListReply[changeView], err error) {
		f := publish.ChangeFilter{Pending: in.Pending, Author: in.Author, Most: in.Limit + 1}
		if in.Object != "" {
			if f.Object, err = object.ParseKey(in.Object); err != nil {
				return nil, problem.Field("query.object", in.Object, "%v", err)
			}
		}
		keys, err := in.Keys(1)
		if err != nil {
			return nil, err
		}
		if keys != nil {
			f.Before = keys[0]
		}
		err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
			list, err := publish.Changes(tx, f)
			out = Paged(in.Page, viewsOf(list), func(c changeView) string { return NewCursor(c.ID) })
			return err
		})
		return out, err
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/changes/{id}", ID: "get-change", Summary: "One change, and where it is published", Tag: tag, Permission: Viewer,
	}, func(ctx context.Context, in *changeID) (out *oneChange, err error) {
		out = &oneChange{}
		return out, a.o.DB.Read(ctx, func(tx *store.Tx) error {
			c, err := publish.GetChange(tx, in.ID)
			if err != nil {
				return err
			}
			out.Body.changeView = changeView{c, c.Differences()}
			out.Body.Groups, err = publish.GroupsWith(tx, in.ID)
			return err
		})
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/changes/{id}/discard", ID: "discard-change", Summary: "Take a change that is not published out of the draft", Tag: tag,
		Permission: Editor, AnyApplication: true,
	}, func(ctx context.Context, in *changeID) (*oneChange, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*oneChange, error) {
			if err := a.mayReverse(ctx, tx, in.ID); err != nil {
				return nil, err
			}
			c, err := a.o.Publish.Discard(tx, authorOf(ctx, "", ""), in.ID)
			out := &oneChange{}
			out.Body.changeView = changeView{c, c.Differences()}
			return out, err
		})
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/changes/{id}/undo", ID: "undo-change", Summary: "Take a published change back, by a revision of its own", Tag: tag,
		Permission: Publisher,
	}, func(ctx context.Context, in *undoChange) (*publishReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*publishReply, error) {
			groups := in.Body.Groups
			if groups == nil {
				var err error
				if groups, err = publish.GroupsWith(tx, in.ID); err != nil {
					return nil, err
				}
			}
			if err := errors.Join(a.mayReverse(ctx, tx, in.ID), mayUse(ctx, groups...)); err != nil {
				return nil, err
			}
			c, list, err := a.o.Publish.Undo(tx, authorOf(ctx, in.Body.Note, in.Body.Source), in.ID, groups)
			out := &publishReply{}
			out.Body.Revisions, out.Body.Change = list, c.ID
			return out, err
		})
	})
}

// mayReverse asks for the role that saving the change's object needs.
func (a *API) mayReverse(ctx context.Context, tx *store.Tx, id string) error {
	c, err := publish.GetChange(tx, id)
	if err != nil {
		return err
	}
	return maySave(auth.From(ctx), c.Object)
}

func maySave(p *auth.Principal, key object.Key) error {
	application := ""
	if key.Kind == object.Applications {
		application = key.Name
	}
	return p.Require(auth.Role(savers(key.Kind)), application)
}

// mayUse says whether who asks may use all of the groups.
func mayUse(ctx context.Context, groups ...string) error {
	for _, g := range groups {
		if err := auth.From(ctx).RequireGroup(g); err != nil {
			return err
		}
	}
	return nil
}

type changeID struct {
	ID string `path:"id"`
}

type oneChange struct {
	Body struct {
		changeView
		Groups []string `json:"groups,omitempty" doc:"in whose latest revision it is"`
	}
}

type undoChange struct {
	ID   string `path:"id"`
	Body struct {
		Groups []string `json:"groups,omitempty" doc:"unless given, all that have the change"`
		Note   string   `json:"note,omitempty" maxLength:"500"`
		Source string   `json:"source,omitempty" maxLength:"500"`
	}
}

type publishReply struct {
	Body struct {
		Revisions []publish.Revision `json:"revisions" nullable:"false"`
		Change    string             `json:"change,omitempty" doc:"of undo: the change that took the other back"`
		Taken     []changeView       `json:"taken,omitempty" doc:"of a rollback: the changes that went with it; they are pending again"`
	}
}

type publishRequest struct {
	Body struct {
		Groups  []string `json:"groups" minItems:"1" maxItems:"100"`
		Changes []string `json:"changes,omitempty" doc:"unless given, all that are pending"`
		Note    string   `json:"note,omitempty" maxLength:"500"`
		Source  string   `json:"source,omitempty" maxLength:"500"`
	}
}

type rollbackRequest struct {
	Body struct {
		Revision string `json:"revision" example:"edge/41" doc:"whose content is published again"`
		Note     string `json:"note,omitempty" maxLength:"500"`
		Source   string `json:"source,omitempty" maxLength:"500"`
	}
}

type promoteRequest struct {
	Body struct {
		From   string `json:"from" example:"staging" doc:"a group, for its latest revision, or a revision such as staging/7"`
		To     string `json:"to" example:"edge" doc:"a group"`
		Note   string `json:"note,omitempty" maxLength:"500"`
		Source string `json:"source,omitempty" maxLength:"500"`
	}
}

func (a *API) publishRoutes() {
	const tag = "Revisions"
	route := func(path, summary string) Route {
		return Route{Method: http.MethodPost, Path: "/" + path, ID: path, Summary: summary, Tag: tag, Permission: Publisher}
	}
	Register(a, route("publish", "Make the next revision of groups: what they have, with the chosen changes"), func(ctx context.Context, in *publishRequest) (*publishReply, error) {
		if err := mayUse(ctx, in.Body.Groups...); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*publishReply, error) {
			out := &publishReply{}
			for _, group := range in.Body.Groups {
				r, err := a.o.Publish.Publish(tx, authorOf(ctx, in.Body.Note, in.Body.Source), group, in.Body.Changes)
				if err != nil {
					return nil, err
				}
				out.Body.Revisions = append(out.Body.Revisions, r)
			}
			return out, nil
		})
	})
	Register(a, route("rollback", "Publish the content of an older revision again"), func(ctx context.Context, in *rollbackRequest) (*publishReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*publishReply, error) {
			old, err := publish.Find(tx, in.Body.Revision)
			if err == nil {
				err = mayUse(ctx, old.Group)
			}
			if err != nil {
				return nil, err
			}
			r, taken, err := a.o.Publish.Rollback(tx, authorOf(ctx, in.Body.Note, in.Body.Source), in.Body.Revision)
			out := &publishReply{}
			out.Body.Revisions, out.Body.Taken = []publish.Revision{r}, viewsOf(taken)
			return out, err
		})
	})
	Register(a, route("promote", "Publish what one group has to another"), func(ctx context.Context, in *promoteRequest) (*publishReply, error) {
		if err := mayUse(ctx, in.Body.To); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*publishReply, error) {
			r, err := a.o.Publish.Promote(tx, authorOf(ctx, in.Body.Note, in.Body.Source), in.Body.From, in.Body.To)
			out := &publishReply{}
			out.Body.Revisions = []publish.Revision{r}
			return out, err
		})
	})
}

type listRevisions struct {
	Page
	Group string `path:"group"`
}

type oneRevision struct {
	Group  string `path:"group"`
	Number string `path:"number" example:"42" doc:"of the latest epoch that has it, or with the epoch: 1-42"`
}

func (r oneRevision) name() string { return r.Group + "/" + r.Number }

type revisionReply struct {
	Body struct {
		publish.Revision
		Taken []changeView `json:"taken" nullable:"false" doc:"the changes that a rollback to it would take with it"`
	}
}

type diffReply struct {
	Body struct {
		Differences []object.Difference `json:"differences" nullable:"false"`
	}
}

func (a *API) revisionRoutes() {
	const tag = "Revisions"
	Register(a, Route{
		Method: http.MethodGet, Path: "/revisions/{group}", ID: "list-revisions", Summary: "Revisions of a group, the latest first", Tag: tag, Permission: Viewer,
	}, func(ctx context.Context, in *listRevisions) (out *ListReply[publish.Revision], err error) {
		before, err := orderOf(in.Page)
		if err != nil {
			return nil, err
		}
		err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
			list, err := publish.Revisions(tx, in.Group, before, in.Limit+1)
			out = Paged(in.Page, list, func(r publish.Revision) string {
				return NewCursor(strconv.FormatUint(r.Order.Epoch, 10), strconv.FormatUint(r.Order.Number, 10))
			})
			return err
		})
		return out, err
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/revisions/{group}/{number}", ID: "get-revision", Summary: "One revision, and what a rollback to it would take along", Tag: tag,
		Permission: Viewer,
	}, func(ctx context.Context, in *oneRevision) (out *revisionReply, err error) {
		out = &revisionReply{}
		return out, a.o.DB.Read(ctx, func(tx *store.Tx) error {
			if out.Body.Revision, err = publish.Find(tx, in.name()); err != nil {
				return err
			}
			taken, err := publish.Taken(tx, out.Body.Revision)
			out.Body.Taken = viewsOf(taken)
			return err
		})
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/diff", ID: "diff", Summary: "In what objects two revisions, or one and the draft, differ", Tag: tag, Permission: Viewer,
	}, func(ctx context.Context, in *struct {
		From string `query:"from" required:"true" example:"edge/41"`
		To   string `query:"to" default:"draft" example:"edge/42"`
	},
	) (out *diffReply, err error) {
		out = &diffReply{}
		return out, a.o.DB.Read(ctx, func(tx *store.Tx) error {
			from, err := publish.ContentOf(tx, in.From)
			if err != nil {
				return err
			}
			to, err := publish.ContentOf(tx, in.To)
			out.Body.Differences = object.Diff(from, to)
			return err
		})
	})
	a.releaseRoutes()
}

func orderOf(p Page) (o revision.Order, err error) {
	keys, err := p.Keys(2)
	if err != nil || keys == nil {
		return o, err
	}
	if o.Epoch, err = strconv.ParseUint(keys[0], 10, 63); err == nil {
		o.Number, err = strconv.ParseUint(keys[1], 10, 63)
	}
	if err != nil {
		return o, problem.Field("query.cursor", p.Cursor, "is not a cursor of this list: take next of the page before, or leave it out")
	}
	return o, nil
}

type releasesReply struct {
	Body struct {
		Releases []string `json:"releases" nullable:"false" doc:"the newest first"`
	}
}

type credentialReply struct {
	Body struct {
		Key  string `json:"key,omitempty" doc:"the group's data key, for the file that -credential of its gateways names; it is not kept for a repeated request"`
		Name string `json:"name" doc:"names the key without telling it"`
	}
}

// Kept implements Keeper.
func (r *credentialReply) Kept() *credentialReply {
	kept := *r
	kept.Body.Key = ""
	return &kept
}

func (a *API) releaseRoutes() {
	Register(a, Route{
		Method: http.MethodGet, Path: "/crs/releases", ID: "list-crs-releases", Summary: "The releases of the core rule set that policies may name", Tag: "CRS releases",
		Permission: Viewer, AnyApplication: true,
	}, func(context.Context, *struct{}) (*releasesReply, error) {
		out := &releasesReply{}
		out.Body.Releases = crs.Versions()
		return out, nil
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/groups/{name}/credential", ID: "export-group-credential", Tag: "Groups", Permission: Admin,
		Summary:     "The group's data key, which its gateways open sealed certificates with",
		Description: "Whoever has it and a revision has the private keys of the group's certificates. It is for gateways that have to start while the manager is away.",
	}, func(ctx context.Context, in *namedObject) (*credentialReply, error) {
		if err := mayUse(ctx, in.Name); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*credentialReply, error) {
			if !revision.ValidName(in.Name) {
				return nil, problem.Field("path.name", in.Name, "is no name of a group")
			}
			key, err := a.o.Publish.Credential(tx, authorOf(ctx, "", ""), in.Name)
			if err != nil {
				return nil, fmt.Errorf("the key of group %s: %w", in.Name, err)
			}
			out := &credentialReply{}
			out.Body.Key, out.Body.Name = key.Text(), key.ID()
			return out, nil
		})
	})
}
