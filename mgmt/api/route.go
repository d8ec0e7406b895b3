package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/mgmt/auth"
)

// Prefix is in front of the paths of all routes but the description's.
const Prefix = "/api/v1"

// Permission is who may ask a route. The zero value is not one.
type Permission int

// The permissions: anybody at all, or a role.
const (
	Public    Permission = -1
	Viewer               = Permission(auth.Viewer)
	Analyst              = Permission(auth.Analyst)
	Editor               = Permission(auth.Editor)
	Publisher            = Permission(auth.Publisher)
	Admin                = Permission(auth.Admin)
)

func (p Permission) String() string {
	if p == Public {
		return "public"
	}
	return auth.Role(p).String()
}

// Need says whether a route asks for the condition under which it writes.
type Need int

// The needs.
const (
	Optional Need = iota
	Required      // 428 without If-Match or If-None-Match
)

// Route is one entry of the route table.
type Route struct {
	Method string
	Path   string // below Prefix, with parameters as {name}
	// ID names the operation in the description, such as put-shelf; Summary and Description are for people.
	ID, Summary, Description string
	Tag                      string // the subject

	Permission Permission
	// Application is the path parameter that names the application: the role for it is enough.
	Application string
	// AnyApplication lets in who has the role for any application. The handler looks at the rest.
	AnyApplication bool
	// PeopleOnly refuses API tokens: what only somebody with a session may do, such as changing a password.
	PeopleOnly bool

	Condition Need
	// Status of success; 0 is 200, or 204 without a body.
	Status int
	// MaxBody bounds the body; 0 is 1 MiB.
	MaxBody int64

	path string // with the prefix
}

// pattern is the route as net/http's mux has it.
func (r *Route) pattern() string { return r.Method + " " + r.path }

const defaultMaxBody = 1 << 20

// methods that routes may have. HEAD goes where GET goes.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// check completes a route, and refuses one that leaves open who may ask it.
func (r *Route) check() error {
	r.path = Prefix + r.Path
	if strings.HasPrefix(r.Path, "/api/") {
		r.path = r.Path
	}
	if r.MaxBody == 0 {
		r.MaxBody = defaultMaxBody
	}
	switch {
	case !slices.Contains(methods, r.Method):
		return fmt.Errorf("its method is none of %s", strings.Join(methods, ", "))
	case r.Permission != Public && (r.Permission < Viewer || r.Permission > Admin):
		return fmt.Errorf("it has no permission")
	case !strings.HasPrefix(r.Path, "/") || strings.HasSuffix(r.Path, "/") || strings.Contains(r.Path, "..."):
		return fmt.Errorf("its path must begin with a slash, and end without one, and take no rest")
	case r.ID == "" || r.Summary == "" || r.Tag == "":
		return fmt.Errorf("it has no ID, Summary or Tag")
	case r.Application != "" && !strings.Contains(r.Path, "{"+r.Application+"}"):
		return fmt.Errorf("its path has no parameter {%s}", r.Application)
	case r.Application != "" && r.AnyApplication:
		return fmt.Errorf("it has both Application and AnyApplication")
	case r.Permission == Public && (r.Application != "" || r.AnyApplication || r.PeopleOnly):
		return fmt.Errorf("it is public, and asks for more")
	}
	return nil
}
