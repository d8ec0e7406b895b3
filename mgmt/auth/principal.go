package auth

import (
	"context"
	"slices"

	"gatehouse/mgmt/problem"
)

// Everywhere stands for all applications in Grants.
const Everywhere = "*"

// Grants are what somebody may do.
type Grants struct {
	// Roles has the role for each application, and for all of them under Everywhere.
	Roles map[string]Role `json:"roles"`
	// Protection are the applications whose protection may be turned off or down (mode, thresholds, whole rules), Everywhere for all. It
	// adds to the role that the change itself needs.
	Protection []string `json:"protection,omitempty"`
	// Groups limit what is done with gateway groups to these; empty is no limit.
	Groups []string `json:"groups,omitempty"`
}

// Role is the highest for the application. An empty name asks for what concerns no single application.
func (g Grants) Role(application string) Role {
	role := g.Roles[Everywhere]
	if application != "" && application != Everywhere {
		role = max(role, g.Roles[application])
	}
	return role
}

// Highest is the highest role for any application.
func (g Grants) Highest() Role {
	highest := NoRole
	for _, r := range g.Roles {
		highest = max(highest, r)
	}
	return highest
}

// MayUnprotect says whether the application's protection may be turned off or down.
func (g Grants) MayUnprotect(application string) bool {
	return slices.Contains(g.Protection, Everywhere) || application != "" && slices.Contains(g.Protection, application)
}

// MayUseGroup says whether the gateway group is within the limits.
func (g Grants) MayUseGroup(group string) bool {
	return len(g.Groups) == 0 || slices.Contains(g.Groups, group)
}

// within gives what both allow: a token never does more than whoever it belongs to.
func (g Grants) within(other Grants) Grants {
	out := Grants{Roles: map[string]Role{}}
	for _, roles := range []map[string]Role{g.Roles, other.Roles} {
		for application := range roles {
			if role := min(g.Role(application), other.Role(application)); role > NoRole {
				out.Roles[application] = role
			}
		}
	}
	for _, list := range [][]string{g.Protection, other.Protection} {
		for _, application := range list {
			if g.MayUnprotect(application) && other.MayUnprotect(application) && !slices.Contains(out.Protection, application) {
				out.Protection = append(out.Protection, application)
			}
		}
	}
	out.Groups = commonGroups(g.Groups, other.Groups)
	return out
}

// noGroup is the name of no group: a limit to it allows none.
const noGroup = "-"

func commonGroups(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	var both []string
	for _, group := range a {
		if slices.Contains(b, group) {
			both = append(both, group)
		}
	}
	if len(both) == 0 {
		return []string{noGroup}
	}
	return both
}

// Kind is what a principal proved itself with.
type Kind string

// The kinds of principals.
const (
	KindUser  Kind = "user"  // a person, with a session
	KindToken Kind = "token" // a program, with an API token
)

// Principal is who asks.
type Principal struct {
	Kind Kind
	// ID never changes; Name is what people call it.
	ID, Name string
	Grants
	// Session is the ID of the session, which is not its secret; empty of a token.
	Session string
}

// Actor is the principal in audit entries and as the author of changes: user:NAME or token:NAME.
func (p *Principal) Actor() string { return string(p.Kind) + ":" + p.Name }

// Require gives a problem of kind Forbidden unless the principal has the role for the application. An empty application is what concerns
// no single one, and needs the role everywhere.
func (p *Principal) Require(role Role, application string) error {
	if p.Role(application) >= role {
		return nil
	}
	if application == "" || application == Everywhere {
		return problem.New(problem.Forbidden, "this needs the role %s for all applications", role)
	}
	return problem.New(problem.Forbidden, "this needs the role %s for application %s", role, application)
}

// RequireGroup gives a problem of kind Forbidden unless the principal may use the gateway group.
func (p *Principal) RequireGroup(group string) error {
	if p.MayUseGroup(group) {
		return nil
	}
	return problem.New(problem.Forbidden, "%s is limited to other gateway groups than %s", p.Actor(), group)
}

// RequireProtection gives a problem of kind Forbidden unless the principal may turn the application's protection off or down.
func (p *Principal) RequireProtection(application string) error {
	if p.MayUnprotect(application) {
		return nil
	}
	return problem.New(problem.Forbidden, "turning protection off or down (mode, thresholds) needs the permission protection for application %s, besides the role", application)
}

type principalKey struct{}

// WithPrincipal is the context of a request by p.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From gives who asks, nil if nobody had to say.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}
