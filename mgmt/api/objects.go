package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
)

// objectView is an object as it is shown.
type objectView struct {
	Name   string         `json:"name"`
	Owner  string         `json:"owner" doc:"who manages it: ui, git:NAME, discovery"`
	Body   map[string]any `json:"body" doc:"as sparse as it was written, with the keys of the configuration"`
	Change string         `json:"change,omitempty" doc:"the change that saving it made; none if nothing was new"`
}

func viewOf(o publish.Object) objectView {
	body := object.Body{}
	for k, v := range o.Body {
		if o.Key.Kind != object.Certificates || k != object.CertificateSecret {
			body[k] = v
		}
	}
	return objectView{Name: o.Key.Name, Owner: o.Owner, Body: body}
}

type objectReply struct {
	ETag string `header:"ETag"`
	Body objectView
}

// versionTag is the ETag of a version, empty for none.
func versionTag(version int64) string {
	if version == 0 {
		return ""
	}
	return ETag(version)
}

// Saving is what every save may say.
type Saving struct {
	Condition
	Note     string `query:"note" maxLength:"500" doc:"why"`
	Source   string `query:"source" maxLength:"500" doc:"where it comes from, such as a commit"`
	Takeover bool   `query:"takeover" doc:"change it though somebody else manages it, and manage it from now on"`
}

func (s Saving) author(ctx context.Context) publish.Author {
	by := authorOf(ctx, s.Note, s.Source)
	by.Takeover = s.Takeover
	return by
}

// authorOf is who asks, as the author of changes.
func authorOf(ctx context.Context, note, source string) publish.Author {
	p := auth.From(ctx)
	return publish.Author{Name: p.Actor(), Note: note, Source: source, Owner: publish.OwnerUI, MayLower: p.RequireProtection}
}

func (s Saving) check(version int64) error { return s.Check(versionTag(version)) }

type namedObject struct {
	Name string `path:"name" maxLength:"253"`
}

type saveObject struct {
	Saving
	Name string         `path:"name" maxLength:"253"`
	Body map[string]any `doc:"the keys that the configuration has for it"`
}

type saveCertificate struct {
	Saving
	Name string `path:"name" maxLength:"253"`
	Body struct {
		Chain string `json:"chain" doc:"PEM: the certificate, and behind it those that signed it"`
		Key   string `json:"key" doc:"PEM of its private key; it is sealed, and never shown again"`
	}
}

// maxObject bounds an object's body: a policy may hold much text, a list many addresses.
const maxObject = 8 << 20

// savers is who may save objects of a kind.
func savers(kind object.Kind) Permission {
	switch kind {
	case object.Listeners, object.Groups, object.Settings:
		return Admin
	}
	return Editor
}

// objectRoutes has the routes of each kind of object.
func (a *API) objectRoutes() {
	for _, kind := range object.Kinds() {
		a.readRoutes(kind)
		a.deleteRoute(kind)
		if kind == object.Certificates {
			a.certificateRoutes()
		} else {
			a.saveRoutes(kind)
		}
	}
}

// objectRoute is a route of one object.
func objectRoute(kind object.Kind, method, verb, summary string, permission Permission) Route {
	r := Route{
		Method: method, Path: "/" + string(kind) + "/{name}", ID: verb + "-" + strings.ReplaceAll(kind.Noun(), " ", "-"),
		Summary: summary, Tag: title(string(kind)), Permission: permission, MaxBody: maxObject,
	}
	switch {
	case kind == object.Applications:
		r.Application = "name"
	case permission == Viewer:
		r.AnyApplication = true
	}
	if method != http.MethodGet {
		r.Condition = Required
	}
	return r
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (a *API) readRoutes(kind object.Kind) {
	list := Route{
		Method: http.MethodGet, Path: "/" + string(kind), ID: "list-" + string(kind), Summary: title(string(kind)) + " as saved, by name", Tag: title(string(kind)),
		Permission: Viewer, AnyApplication: true,
	}
	Register(a, list, func(ctx context.Context, in *struct{ Page }) (*ListReply[objectView], error) {
		return byName(ctx, a.o.DB, in.Page, func(tx *store.Tx, after string, most int) (*ListReply[objectView], error) {
			return listObjects(tx, auth.From(ctx), in.Page, kind, after, most)
		})
	})
	Register(a, objectRoute(kind, http.MethodGet, "get", "One "+kind.Noun()+" as saved", Viewer), func(ctx context.Context, in *namedObject) (out *objectReply, err error) {
		err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
			out, err = readObject(tx, object.Key{Kind: kind, Name: in.Name}, nil)
			return err
		})
		return out, err
	})
}

// listObjects reads until there are enough that the principal may see.
func listObjects(tx *store.Tx, p *auth.Principal, page Page, kind object.Kind, after string, most int) (*ListReply[objectView], error) {
	var out []objectView
	for len(out) < most {
		list, err := publish.List(tx, kind, after, most)
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			if after = o.Key.Name; kind != object.Applications || p.Role(o.Key.Name) >= auth.Viewer {
				out = append(out, viewOf(o))
			}
		}
		if len(list) < most {
			break
		}
	}
	out = out[:min(len(out), most)]
	return Paged(page, out, func(o objectView) string { return NewCursor(o.Name) }), nil
}

func readObject(tx *store.Tx, key object.Key, changes []publish.Change) (*objectReply, error) {
	o, err := publish.Get(tx, key)
	if err != nil {
		return nil, err
	}
	out := &objectReply{ETag: ETag(o.Version), Body: viewOf(o)}
	if len(changes) > 0 {
		out.Body.Change = changes[0].ID
	}
	return out, nil
}

func (a *API) saveRoutes(kind object.Kind) {
	Register(a, objectRoute(kind, http.MethodPut, "put", "Save the whole "+kind.Noun(), savers(kind)), func(ctx context.Context, in *saveObject) (*objectReply, error) {
		return a.saveObject(ctx, in.Saving, object.Key{Kind: kind, Name: in.Name}, func(object.Body) (object.Body, error) { return in.Body, nil })
	})
	patch := objectRoute(kind, http.MethodPatch, "patch", "Save some fields of the "+kind.Noun(), savers(kind))
	patch.Description = "A merge patch (RFC 7396): fields that are null are removed, lists are replaced."
	Register(a, patch, func(ctx context.Context, in *saveObject) (*objectReply, error) {
		return a.saveObject(ctx, in.Saving, object.Key{Kind: kind, Name: in.Name}, func(now object.Body) (object.Body, error) {
			if now == nil {
				return nil, problem.New(problem.NotFound, "there is no %s %s", kind.Noun(), in.Name)
			}
			return patched(now, in.Body), nil
		})
	})
}

// patched is a body with a merge patch (RFC 7396).
func patched(body, patch map[string]any) map[string]any {
	out := make(map[string]any, len(body))
	for k, v := range body {
		out[k] = v
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			inner, _ := out[k].(map[string]any)
			out[k] = patched(inner, v)
		default:
			out[k] = v
		}
	}
	return out
}

// saveObject saves what edit makes of the body that is there, nil if there is none.
func (a *API) saveObject(ctx context.Context, in Saving, key object.Key, edit func(object.Body) (object.Body, error)) (*objectReply, error) {
	return Write(ctx, a.o.DB, func(tx *store.Tx) (*objectReply, error) {
		now, err := publish.Get(tx, key)
		var missing *problem.Problem
		if err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		if err := in.check(now.Version); err != nil {
			return nil, err
		}
		body, err := edit(now.Body)
		if err != nil {
			return nil, err
		}
		changes, err := a.o.Publish.Save(tx, in.author(ctx), publish.Edit{Key: key, Body: body, Place: "body"})
		if err != nil {
			return nil, err
		}
		return readObject(tx, key, changes)
	})
}

type changeReply struct {
	Body struct {
		Change string `json:"change"`
	}
}

func (a *API) deleteRoute(kind object.Kind) {
	Register(a, objectRoute(kind, http.MethodDelete, "delete", "Remove the "+kind.Noun(), savers(kind)), func(ctx context.Context, in *struct {
		Saving
		Name string `path:"name" maxLength:"253"`
	},
	) (*changeReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*changeReply, error) {
			changes, err := a.o.Publish.Save(tx, in.author(ctx), publish.Edit{Key: object.Key{Kind: kind, Name: in.Name}, Check: in.check})
			out := &changeReply{}
			if err == nil && len(changes) == 0 {
				err = problem.New(problem.NotFound, "there is no %s %s", kind.Noun(), in.Name)
			}
			if err == nil {
				out.Body.Change = changes[0].ID
			}
			return out, err
		})
	})
}

func (a *API) certificateRoutes() {
	const kind = object.Certificates
	Register(a, objectRoute(kind, http.MethodPut, "put", "Upload a certificate with its key", savers(kind)), func(ctx context.Context, in *saveCertificate) (*objectReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*objectReply, error) {
			edit, err := a.o.Publish.Seal(tx, publish.Certificate{Name: in.Name, Chain: in.Body.Chain, Key: in.Body.Key}, "body", in.check)
			if err != nil {
				return nil, err
			}
			changes, err := a.o.Publish.Save(tx, in.author(ctx), edit)
			if err != nil {
				return nil, err
			}
			return readObject(tx, edit.Key, changes)
		})
	})
}
