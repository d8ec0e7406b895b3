package api

import (
	"context"
	"net/http"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/store"
)

// signedIn is an answer that sets the cookie of a session.
type signedIn struct {
	SetCookie string `header:"Set-Cookie"`
}

type who struct {
	Kind        auth.Kind   `json:"kind" enum:"user,token"`
	Name        string      `json:"name"`
	Grants      auth.Grants `json:"grants"`
	Session     string      `json:"session,omitempty" doc:"the session's ID"`
	HighestRole auth.Role   `json:"highest_role"`
}

func (a *API) sessionRoutes() {
	const tag = "Session"
	Register(a, Route{
		Method: http.MethodGet, Path: "/session/methods", ID: "get-session-methods", Summary: "How to sign in here", Tag: tag, Permission: Public,
	}, func(ctx context.Context, _ *struct{}) (*signInMethods, error) {
		out := &signInMethods{}
		var err error
		out.Body.Password, out.Body.OIDC = true, a.o.Auth.HasOIDC()
		out.Body.NeedsSetup, err = a.o.Auth.NeedsSetup(ctx)
		return out, err
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/session", ID: "login", Summary: "Sign in", Tag: tag, Permission: Public, Status: http.StatusNoContent,
		Description: "Gives the cookie of a new session. 401 with type totp_required asks for the code of the second factor.",
		MaxBody:     smallBody,
	}, func(ctx context.Context, in *login) (*signedIn, error) {
		cookie, err := a.o.Auth.Login(ctx, clientOf(ctx), in.Body.Name, in.Body.Password, in.Body.Code)
		return &signedIn{cookie}, err
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/session", ID: "whoami", Summary: "Who is asking", Tag: tag, Permission: Viewer, AnyApplication: true,
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body who }, error) {
		p := auth.From(ctx)
		return &struct{ Body who }{who{p.Kind, p.Name, p.Grants, p.Session, p.Highest()}}, nil
	})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/session", ID: "logout", Summary: "Sign out", Tag: tag, Permission: Viewer, AnyApplication: true, PeopleOnly: true,
		Status: http.StatusNoContent,
	}, func(ctx context.Context, _ *struct{}) (*signedIn, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*signedIn, error) {
			cookie, err := a.o.Auth.Logout(tx, auth.From(ctx))
			return &signedIn{cookie}, err
		})
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/setup", ID: "setup", Summary: "Use a one-time link: make the first account, or choose a new password", Tag: tag,
		Permission: Public, Status: http.StatusNoContent, MaxBody: smallBody,
	}, func(ctx context.Context, in *setup) (*signedIn, error) {
		cookie, err := a.o.Auth.Redeem(ctx, clientOf(ctx), in.Body.Token, in.Body.Name, in.Body.Password)
		return &signedIn{cookie}, err
	})
	a.ownAccountRoutes(tag)
	a.oidcRoutes(tag)
	a.sessionsRoutes(tag)
}

// smallBody bounds bodies of those who have not signed in.
const smallBody = 8 << 10

type signInMethods struct {
	Body struct {
		Password   bool `json:"password"`
		OIDC       bool `json:"oidc" doc:"GET /session/oidc begins it"`
		NeedsSetup bool `json:"needs_setup" doc:"there is no account yet: gatehouse manager setup gives a link"`
	}
}

type login struct {
	Body struct {
		Name     string `json:"name" maxLength:"100"`
		Password string `json:"password" maxLength:"1024"`
		Code     string `json:"code,omitempty" maxLength:"40" doc:"of the second factor, or a recovery code"`
	}
}

type setup struct {
	Body struct {
		Token    string `json:"token" maxLength:"500" doc:"what stands behind # of the link, or the link"`
		Name     string `json:"name,omitempty" maxLength:"100" doc:"of the first account"`
		Password string `json:"password" maxLength:"1024"`
	}
}

// ownAccountRoutes are about the password and the second factor of whoever asks.
func (a *API) ownAccountRoutes(tag string) {
	own := Route{Tag: tag, Permission: Viewer, AnyApplication: true, PeopleOnly: true, MaxBody: smallBody}
	r := own
	r.Method, r.Path, r.ID, r.Summary, r.Status = http.MethodPut, "/session/password", "set-password", "Change one's password", http.StatusNoContent
	r.Description = "All other sessions of the account end."
	Register(a, r, func(ctx context.Context, in *setPassword) (*struct{}, error) {
		p := auth.From(ctx)
		if err := a.o.Auth.Attempt(ctx, p, clientOf(ctx)); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*struct{}, error) {
			return &struct{}{}, a.o.Auth.SetPassword(tx, p, in.Body.Current, in.Body.Password)
		})
	})
	r = own
	r.Method, r.Path, r.ID, r.Summary = http.MethodPost, "/session/totp", "start-totp", "Begin with a second factor (TOTP)"
	r.Description = "Gives the secret for the app. It is asked for only once a code was sent with PUT."
	Register(a, r, func(ctx context.Context, _ *struct{}) (*totpStarted, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*totpStarted, error) {
			t, err := a.o.Auth.StartTOTP(tx, auth.From(ctx))
			return &totpStarted{t}, err
		})
	})
	r = own
	r.Method, r.Path, r.ID, r.Summary = http.MethodPut, "/session/totp", "confirm-totp", "Have the second factor asked for from now on"
	r.Description = "Gives recovery codes, each of which stands for one code once. They are not shown again."
	Register(a, r, func(ctx context.Context, in *totpCode) (*recoveryCodes, error) {
		if err := a.o.Auth.Attempt(ctx, auth.From(ctx), clientOf(ctx)); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*recoveryCodes, error) {
			out := &recoveryCodes{}
			var err error
			out.Body.Codes, err = a.o.Auth.ConfirmTOTP(tx, auth.From(ctx), in.Body.Code)
			return out, err
		})
	})
	r = own
	r.Method, r.Path, r.ID, r.Summary, r.Status = http.MethodDelete, "/session/totp", "remove-totp", "Take the second factor away", http.StatusNoContent
	Register(a, r, func(ctx context.Context, in *totpCode) (*struct{}, error) {
		if err := a.o.Auth.Attempt(ctx, auth.From(ctx), clientOf(ctx)); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*struct{}, error) {
			return &struct{}{}, a.o.Auth.RemoveTOTP(tx, auth.From(ctx), in.Body.Code)
		})
	})
}

type setPassword struct {
	Body struct {
		Current  string `json:"current" maxLength:"1024"`
		Password string `json:"password" maxLength:"1024"`
	}
}

type totpStarted struct{ Body auth.TOTP }

// Kept implements Keeper.
func (totpStarted) Kept() *totpStarted { return &totpStarted{} }

type totpCode struct {
	Body struct {
		Code string `json:"code" maxLength:"40"`
	}
}

type recoveryCodes struct {
	Body struct {
		Codes []string `json:"recovery_codes"`
	}
}

// oidcRoutes send browsers to the identity provider and take them back.
func (a *API) oidcRoutes(tag string) {
	RegisterHTTP(a, Route{
		Method: http.MethodGet, Path: "/session/oidc", ID: "start-oidc", Summary: "Sign in through the identity provider: redirects there", Tag: tag, Permission: Public,
	}, func(w http.ResponseWriter, r *http.Request) error {
		target, cookie, err := a.o.Auth.StartOIDC(r.Context())
		if err != nil {
			return err
		}
		w.Header().Add("Set-Cookie", cookie)
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	})
	RegisterHTTP(a, Route{
		Method: http.MethodGet, Path: "/session/oidc/callback", ID: "finish-oidc", Summary: "Where the identity provider sends people back to", Tag: tag, Permission: Public,
	}, func(w http.ResponseWriter, r *http.Request) error {
		cookies, err := a.o.Auth.FinishOIDC(r)
		if err != nil {
			return err
		}
		w.Header()["Set-Cookie"] = cookies
		w.Header().Set("Location", "/")
		w.WriteHeader(http.StatusSeeOther)
		return nil
	})
}

// sessionsRoutes are about sessions that are under way.
func (a *API) sessionsRoutes(tag string) {
	Register(a, Route{
		Method: http.MethodGet, Path: "/sessions", ID: "list-sessions", Summary: "One's own sessions", Tag: tag, Permission: Viewer, AnyApplication: true, PeopleOnly: true,
		Description: "With all=true, those of everybody, for admins.",
	}, func(ctx context.Context, in *struct {
		All bool `query:"all"`
	},
	) (*ListReply[auth.Session], error) {
		p := auth.From(ctx)
		user := p.ID
		if in.All {
			if err := p.Require(auth.Admin, ""); err != nil {
				return nil, err
			}
			user = ""
		}
		out := &ListReply[auth.Session]{List[auth.Session]{Items: []auth.Session{}}}
		err := a.o.DB.Read(ctx, func(tx *store.Tx) error {
			list, err := a.o.Auth.Sessions(tx, user)
			out.Body.Items = append(out.Body.Items, list...)
			return err
		})
		return out, err
	})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/sessions/{id}", ID: "end-session", Summary: "End a session", Tag: tag, Permission: Viewer, AnyApplication: true, PeopleOnly: true,
		Status: http.StatusNoContent,
	}, func(ctx context.Context, in *struct {
		ID string `path:"id"`
	},
	) (*struct{}, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*struct{}, error) {
			return &struct{}{}, a.o.Auth.EndSession(tx, auth.From(ctx), in.ID)
		})
	})
}
