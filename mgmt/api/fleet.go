package api

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"time"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// gatewayView is a gateway with what follows from what is known of it.
type gatewayView struct {
	fleet.Gateway
	Status string `json:"status" enum:"serving,starting,draining,away,revoked,retired"`
}

func viewGateway(g fleet.Gateway, now time.Time) gatewayView {
	v := gatewayView{Gateway: g, Status: "serving"}
	switch {
	case g.Ended != "":
		v.Status = g.Ended
	case g.Away(now):
		v.Status = "away"
	case g.Report == nil || !g.Report.Ready && !g.Report.Draining:
		v.Status = "starting"
	case g.Report.Draining:
		v.Status = "draining"
	}
	return v
}

type gatewayReply struct{ Body gatewayView }

type namedGateway struct {
	Name string `path:"name" maxLength:"63"`
	Note string `query:"note" maxLength:"1000" doc:"why, for the audit log"`
}

type issueCertificate struct {
	Body struct {
		Group     string `json:"group"`
		Instance  string `json:"instance" maxLength:"253" doc:"the name that people know the host by"`
		CSR       string `json:"csr" maxLength:"16384" doc:"certificate request (PKCS #10): PEM, or DER in base64"`
		ExpiresIn string `json:"expires_in,omitempty" default:"24h" doc:"a duration, at most 720h: until then the gateway must have joined; it renews by itself"`
	}
}

type credentialsReply struct{ Body fleetapi.Credentials }

func (a *API) gatewayRoutes() {
	const tag = "Gateways"
	Register(a, Route{Method: http.MethodGet, Path: "/gateways", ID: "list-gateways", Summary: "Gateways by name, with what they last reported", Tag: tag, Permission: Viewer},
		func(ctx context.Context, in *struct {
			Page
			Group string `query:"group" maxLength:"63" doc:"only those of this group"`
			Ended bool   `query:"ended" doc:"those that were revoked or retired, instead of those that were not"`
		},
		) (*ListReply[gatewayView], error) {
			return byName(ctx, a.o.DB, in.Page, func(tx *store.Tx, after string, most int) (*ListReply[gatewayView], error) {
				list, err := fleet.Gateways(tx, fleet.Filter{Group: in.Group, Ended: in.Ended, After: after, Most: most})
				views := make([]gatewayView, 0, len(list))
				for _, g := range list {
					views = append(views, viewGateway(g, tx.Now()))
				}
				return Paged(in.Page, views, func(g gatewayView) string { return NewCursor(g.Name) }), err
			})
		})
	Register(a, Route{Method: http.MethodGet, Path: "/gateways/{name}", ID: "get-gateway", Summary: "A gateway", Tag: tag, Permission: Viewer},
		func(ctx context.Context, in *namedGateway) (out *gatewayReply, err error) {
			err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
				g, err := fleet.GetGateway(tx, in.Name)
				out = &gatewayReply{viewGateway(g, tx.Now())}
				return err
			})
			return out, err
		})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/gateways/{name}", ID: "revoke-gateway", Summary: "Revoke a gateway", Tag: tag, Permission: Admin,
		Description: "From now on its certificate is good for nothing, and it learns nothing new. It goes on serving what it serves: end the host as well.",
	}, func(ctx context.Context, in *namedGateway) (*gatewayReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*gatewayReply, error) {
			g, err := a.o.Fleet.RevokeGateway(tx, auth.From(ctx).Actor(), in.Name, in.Note)
			if err == nil {
				err = auth.From(ctx).RequireGroup(g.Group)
			}
			return &gatewayReply{viewGateway(g, tx.Now())}, err
		})
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/gateways", ID: "issue-gateway", Summary: "Take a gateway in beforehand, with a certificate for its key", Tag: tag, Permission: Admin,
		Status:      http.StatusCreated,
		Description: "For gateway -join certificate, where no token may be on a host. The private key stays where the request was made.",
	}, func(ctx context.Context, in *issueCertificate) (*credentialsReply, error) {
		life, err := time.ParseDuration(in.Body.ExpiresIn)
		if err != nil {
			return nil, problem.Field("body.expires_in", in.Body.ExpiresIn, "is not a duration, such as 24h")
		}
		if err := auth.From(ctx).RequireGroup(in.Body.Group); err != nil {
			return nil, err
		}
		csr, err := readCSR(in.Body.CSR)
		if err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*credentialsReply, error) {
			out, err := a.o.Fleet.IssueCertificate(tx, auth.From(ctx).Actor(), in.Body.Group, in.Body.Instance, csr, life)
			return &credentialsReply{out}, err
		})
	})
}

func (a *API) trustRoutes() {
	const tag = "Gateways"
	type reply struct{ Body fleet.Trust }
	Register(a, Route{Method: http.MethodGet, Path: "/trust", ID: "get-trust", Summary: "What gateways trust: authorities, and keys that sign", Tag: tag, Permission: Viewer},
		func(ctx context.Context, _ *struct{}) (out *reply, err error) {
			err = a.o.DB.Read(ctx, func(tx *store.Tx) error {
				t, err := fleet.GetTrust(tx)
				out = &reply{t}
				return err
			})
			return out, err
		})
	Register(a, Route{
		Method: http.MethodPost, Path: "/trust/authority", ID: "rotate-authority", Summary: "Make a new authority", Tag: tag, Permission: Admin, Status: http.StatusCreated,
		Description: "It signs from now on. Gateways and join tokens that know the one before go on; certificates of it are taken for 31 days.",
	}, func(ctx context.Context, _ *struct{}) (*reply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*reply, error) {
			if p := auth.From(ctx); len(p.Groups) > 0 {
				return nil, problem.New(problem.Forbidden, "%s is limited to some gateway groups, and an authority is that of all", p.Actor())
			}
			t, err := a.o.Fleet.RotateAuthority(tx, auth.From(ctx).Actor())
			return &reply{t}, err
		})
	})
}

// readCSR reads a certificate request.
func readCSR(text string) ([]byte, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if block.Type != "CERTIFICATE REQUEST" {
			return nil, problem.Field("body.csr", nil, "holds a %.40q; a CERTIFICATE REQUEST is needed: openssl req -new", block.Type)
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(der) == 0 {
		return nil, problem.Field("body.csr", nil, "is neither PEM nor base64")
	}
	return der, nil
}

type createJoinToken struct {
	Body struct {
		Group     string `json:"group" doc:"the gateway group that it lets into"`
		Note      string `json:"note,omitempty" maxLength:"1000"`
		ExpiresIn string `json:"expires_in,omitempty" default:"1h" example:"24h" doc:"a duration, at most 8784h (366 days)"`
		Uses      int64  `json:"uses,omitempty" default:"1" doc:"how many gateways may join with it, at most 10000"`
	}
}

type joinTokenReply struct {
	Body struct {
		fleet.JoinToken
		Text string `json:"text,omitempty" doc:"the token itself, gatehouse-join....: it is not shown again"`
	}
}

// Kept implements Keeper.
func (r *joinTokenReply) Kept() *joinTokenReply {
	kept := *r
	kept.Body.Text = ""
	return &kept
}

func (a *API) joinTokenRoutes() {
	const tag = "Join tokens"
	Register(a, Route{Method: http.MethodGet, Path: "/join-tokens", ID: "list-join-tokens", Summary: "Join tokens, the oldest first", Tag: tag, Permission: Admin},
		func(ctx context.Context, in *struct{ Page }) (*ListReply[fleet.JoinToken], error) {
			return byName(ctx, a.o.DB, in.Page, func(tx *store.Tx, after string, most int) (*ListReply[fleet.JoinToken], error) {
				list, err := fleet.Tokens(tx, after, most)
				return Paged(in.Page, list, func(t fleet.JoinToken) string { return NewCursor(t.ID) }), err
			})
		})
	Register(a, Route{
		Method: http.MethodPost, Path: "/join-tokens", ID: "create-join-token", Summary: "Make a join token", Tag: tag, Permission: Admin, Status: http.StatusCreated,
		Description: "Whoever has it may join as a gateway of the group, and then knows what the group's gateways know, its certificates among that.",
	}, func(ctx context.Context, in *createJoinToken) (*joinTokenReply, error) {
		life, err := time.ParseDuration(in.Body.ExpiresIn)
		if err != nil {
			return nil, problem.Field("body.expires_in", in.Body.ExpiresIn, "is not a duration, such as 24h")
		}
		if err := auth.From(ctx).RequireGroup(in.Body.Group); err != nil {
			return nil, err
		}
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*joinTokenReply, error) {
			out := &joinTokenReply{}
			var err error
			out.Body.JoinToken, out.Body.Text, err = a.o.Fleet.CreateToken(tx, auth.From(ctx).Actor(), in.Body.Group, in.Body.Note, life, in.Body.Uses)
			return out, err
		})
	})
	Register(a, Route{
		Method: http.MethodDelete, Path: "/join-tokens/{id}", ID: "revoke-join-token", Summary: "End a join token; gateways that have joined with it stay", Tag: tag, Permission: Admin,
	}, func(ctx context.Context, in *struct {
		ID string `path:"id" maxLength:"63"`
	},
	) (*struct{ Body fleet.JoinToken }, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*struct{ Body fleet.JoinToken }, error) {
			t, err := fleet.RevokeToken(tx, auth.From(ctx).Actor(), in.ID)
			if err == nil {
				err = auth.From(ctx).RequireGroup(t.Group)
			}
			return &struct{ Body fleet.JoinToken }{t}, err
		})
	})
}
