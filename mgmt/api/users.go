package api

import (
	"context"
	"net/http"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/store"
)

type userReply struct {
	ETag string `header:"ETag"`
	Body auth.User
}

func userAnswer(u *auth.User) *userReply { return &userReply{ETag(u.Version), *u} }

type linkReply struct {
	Body struct {
		Link string `json:"link" doc:"works once, for 15 minutes; it is not shown again"`
	}
}

// Kept implements Keeper.
func (linkReply) Kept() *linkReply { return &linkReply{} }

type createUser struct {
	Body struct {
		Name     string      `json:"name"`
		Password string      `json:"password,omitempty" doc:"without one, reset gives a link to choose it"`
		Grants   auth.Grants `json:"grants"`
	}
}

type updateUser struct {
	Condition
	Name string `path:"name"`
	Body struct {
		Grants   auth.Grants `json:"grants"`
		Disabled bool        `json:"disabled,omitempty"`
	}
}

type oneUser struct {
	Condition
	Name string `path:"name"`
}

func (a *API) userRoutes() {
	const tag = "Users"
	Register(a, Route{
		Method: http.MethodGet, Path: "/users", ID: "list-users", Summary: "Accounts, by name", Tag: tag, Permission: Admin,
	}, func(ctx context.Context, in *struct{ Page }) (*ListReply[auth.User], error) {
		return byName(ctx, a.o.DB, in.Page, func(tx *store.Tx, after string, most int) (*ListReply[auth.User], error) {
			list, err := a.o.Auth.Users(tx, after, most)
			return Paged(in.Page, list, func(u auth.User) string { return NewCursor(u.Name) }), err
		})
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/users", ID: "create-user", Summary: "Make a local account", Tag: tag, Permission: Admin, Status: http.StatusCreated,
	}, func(ctx context.Context, in *createUser) (*userReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*userReply, error) {
			p := auth.From(ctx)
			u, err := a.o.Auth.CreateUser(tx, p.Actor(), in.Body.Name, in.Body.Password, in.Body.Grants)
			if err != nil {
				return nil, err
			}
			return userAnswer(u), nil
		})
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/users/{name}", ID: "get-user", Summary: "An account", Tag: tag, Permission: Admin,
	}, func(ctx context.Context, in *struct {
		Name string `path:"name"`
	},
	) (out *userReply, err error) {
		err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
			u, err := a.o.Auth.User(tx, in.Name)
			if err == nil {
				out = userAnswer(u)
			}
			return err
		})
		return out, err
	})
	Register(a, Route{
		Method: http.MethodPut, Path: "/users/{name}", ID: "update-user", Summary: "Give an account other grants; disable or enable it", Tag: tag,
		Permission: Admin, Condition: Required,
	}, func(ctx context.Context, in *updateUser) (*userReply, error) {
		return a.onUser(ctx, oneUser{in.Condition, in.Name}, func(tx *store.Tx, u *auth.User) (*userReply, error) {
			err := a.o.Auth.UpdateUser(tx, auth.From(ctx).Actor(), u, in.Body.Grants, in.Body.Disabled)
			return userAnswer(u), err
		})
	})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/users/{name}", ID: "delete-user", Summary: "Remove an account with its sessions and tokens", Tag: tag,
		Permission: Admin, Condition: Required, Status: http.StatusNoContent,
	}, func(ctx context.Context, in *oneUser) (*struct{}, error) {
		_, err := a.onUser(ctx, *in, func(tx *store.Tx, u *auth.User) (*userReply, error) {
			return nil, a.o.Auth.DeleteUser(tx, auth.From(ctx).Actor(), u)
		})
		return nil, err
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/users/{name}/reset", ID: "reset-user", Summary: "End what an account can do, and give a link to choose a new password", Tag: tag,
		Permission: Admin,
	}, func(ctx context.Context, in *struct {
		Name string `path:"name"`
	},
	) (*linkReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*linkReply, error) {
			out := &linkReply{}
			u, err := a.o.Auth.User(tx, in.Name)
			if err == nil {
				out.Body.Link, err = a.o.Auth.Reset(tx, auth.From(ctx).Actor(), u)
			}
			return out, err
		})
	})
}

// onUser runs do on an account whose version is held against the condition.
func (a *API) onUser(ctx context.Context, in oneUser, do func(*store.Tx, *auth.User) (*userReply, error)) (*userReply, error) {
	return Write(ctx, a.o.DB, func(tx *store.Tx) (*userReply, error) {
		u, err := a.o.Auth.User(tx, in.Name)
		if err != nil {
			return nil, err
		}
		if err := in.Check(ETag(u.Version)); err != nil {
			return nil, err
		}
		return do(tx, u)
	})
}
