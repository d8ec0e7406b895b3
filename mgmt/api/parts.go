package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
)

// part is a list of an object whose entries have routes of their own: an application's routes, exclusions of applications and policies.
type part struct {
	kind        object.Kind
	field, noun string
}

// parts are all of them.
func parts() []part {
	return []part{
		{object.Applications, "routes", "route"},
		{object.Applications, "exclusions", "exclusion"},
		{object.Policies, "exclusions", "exclusion"},
	}
}

// id is how an entry is called in paths: an exclusion by its name, a route, whose key has slashes, by a hash of that.
func (p part) id(entry any) string {
	key, _ := object.EntryKey(entry)
	if p.field != "routes" {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:6])
}

type partView struct {
	ID   string         `json:"id"`
	Body map[string]any `json:"body"`
}

type partsReply struct {
	ETag string `header:"ETag"`
	Body List[partView]
}

type namedPart struct {
	Saving
	Name string `path:"name" maxLength:"253"`
	ID   string `path:"id" maxLength:"253"`
}

func (a *API) partRoutes() {
	for _, p := range parts() {
		route := func(method, path, verb, summary string, permission Permission) Route {
			r := objectRoute(p.kind, method, verb, summary, permission)
			r.Path += "/" + p.field + path
			r.ID = verb + "-" + p.kind.Noun() + "-" + p.noun
			return r
		}
		Register(a, route(http.MethodGet, "", "list", "The "+p.field+" of the "+p.kind.Noun(), Viewer), func(ctx context.Context, in *namedObject) (out *partsReply, err error) {
			err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
				o, err := publish.Get(tx, object.Key{Kind: p.kind, Name: in.Name})
				if err != nil {
					return err
				}
				out = &partsReply{ETag: ETag(o.Version), Body: List[partView]{Items: []partView{}}}
				list, _ := o.Body[p.field].([]any)
				for _, entry := range list {
					body, _ := entry.(map[string]any)
					out.Body.Items = append(out.Body.Items, partView{p.id(entry), body})
				}
				return nil
			})
			return out, err
		})
		Register(a, route(http.MethodPost, "", "add", "Add a "+p.noun, Editor), func(ctx context.Context, in *saveObject) (*objectReply, error) {
			return a.savePart(ctx, in.Saving, p, in.Name, "", in.Body)
		})
		Register(a, route(http.MethodPut, "/{id}", "put", "Save a "+p.noun, Editor), func(ctx context.Context, in *struct {
			Saving
			Name string `path:"name" maxLength:"253"`
			ID   string `path:"id" maxLength:"253"`
			Body map[string]any
		},
		) (*objectReply, error) {
			return a.savePart(ctx, in.Saving, p, in.Name, in.ID, in.Body)
		})
		Register(a, route(http.MethodDelete, "/{id}", "delete", "Remove a "+p.noun, Editor), func(ctx context.Context, in *namedPart) (*objectReply, error) {
			return a.savePart(ctx, in.Saving, p, in.Name, in.ID, nil)
		})
	}
}

// savePart puts an entry in the place of the one of that id, or behind the others, and removes it if there is no body.
func (a *API) savePart(ctx context.Context, in Saving, p part, name, id string, body map[string]any) (*objectReply, error) {
	at := ""
	out, err := a.saveObject(ctx, in, object.Key{Kind: p.kind, Name: name}, func(now object.Body) (object.Body, error) {
		if now == nil {
			return nil, problem.New(problem.NotFound, "there is no %s %s", p.kind.Noun(), name)
		}
		before, _ := now[p.field].([]any)
		list := slices.Clone(before)
		i := len(list)
		if id != "" {
			if i = slices.IndexFunc(list, func(entry any) bool { return p.id(entry) == id }); i < 0 {
				return nil, problem.New(problem.NotFound, "there is no %s %s", p.noun, id)
			}
		}
		switch {
		case body == nil:
			list = slices.Delete(list, i, i+1)
		case i == len(list):
			list = append(list, body)
		default:
			list[i] = body
		}
		at = fmt.Sprintf("body.%s[%d]", p.field, i)
		return patched(now, map[string]any{p.field: list}), nil
	})
	var problems *problem.Problem
	if errors.As(err, &problems) && at != "" && body != nil { // the body of the request is the entry
		problems.Message = strings.ReplaceAll(problems.Message, at, "body")
		for i := range problems.Places {
			problems.Places[i].Location = strings.Replace(problems.Places[i].Location, at, "body", 1)
		}
	}
	return out, err
}
