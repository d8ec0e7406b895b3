package api

import (
	"context"
	"net/http"
	"time"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

type createToken struct {
	Body struct {
		Name      string      `json:"name"`
		Grants    auth.Grants `json:"grants" doc:"at most one's own"`
		ExpiresIn string      `json:"expires_in,omitempty" default:"2160h" example:"720h" doc:"a duration, at most 8784h (366 days)"`
	}
}

type tokenReply struct {
	Body struct {
		auth.Token
		Text string `json:"text,omitempty" doc:"the token itself, ght_...: it is not shown again"`
	}
}

// Kept implements Keeper.
func (r *tokenReply) Kept() *tokenReply {
	kept := *r
	kept.Body.Text = ""
	return &kept
}

func (a *API) tokenRoutes() {
	const tag = "Tokens"
	Register(a, Route{
		Method: http.MethodGet, Path: "/tokens", ID: "list-tokens", Summary: "API tokens by name: one's own, and for admins all", Tag: tag,
		Permission: Viewer, AnyApplication: true,
	}, func(ctx context.Context, in *struct{ Page }) (*ListReply[auth.Token], error) {
		return byName(ctx, a.o.DB, in.Page, func(tx *store.Tx, after string, most int) (*ListReply[auth.Token], error) {
			list, err := a.o.Auth.Tokens(tx, auth.From(ctx), after, most)
			return Paged(in.Page, list, func(t auth.Token) string { return NewCursor(t.Name) }), err
		})
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/tokens", ID: "create-token", Summary: "Make an API token", Tag: tag, Permission: Viewer, AnyApplication: true,
		Status:      http.StatusCreated,
		Description: "It may at most what whoever makes it may, and ends when that account may no longer. A token made with a token ends with it.",
	}, func(ctx context.Context, in *createToken) (*tokenReply, error) {
		life, err := time.ParseDuration(in.Body.ExpiresIn)
		if err != nil {
			return nil, problem.Field("body.expires_in", in.Body.ExpiresIn, "is not a duration, such as 720h")
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*tokenReply, error) {
			out := &tokenReply{}
			var err error
			out.Body.Token, out.Body.Text, err = a.o.Auth.CreateToken(tx, auth.From(ctx), in.Body.Name, in.Body.Grants, life)
			return out, err
		})
	})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/tokens/{name}", ID: "revoke-token", Summary: "End an API token, and all that were made with it", Tag: tag,
		Permission: Viewer, AnyApplication: true, Status: http.StatusNoContent,
	}, func(ctx context.Context, in *struct {
		Name string `path:"name"`
	},
	) (*struct{}, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*struct{}, error) {
			return &struct{}{}, a.o.Auth.RevokeToken(tx, auth.From(ctx), in.Name)
		})
	})
}

// byName reads a page of a list that is sorted by name: one item more than asked for, so that the end is known.
func byName[T any](ctx context.Context, db *store.DB, page Page, read func(tx *store.Tx, after string, most int) (*ListReply[T], error)) (out *ListReply[T], err error) {
	after := ""
	switch keys, err := page.Keys(1); {
	case err != nil:
		return nil, err
	case keys != nil:
		after = keys[0]
	}
	err = db.Read(ctx, func(tx *store.Tx) (err error) {
		out, err = read(tx, after, page.Limit+1)
		return err
	})
	return out, err
}
