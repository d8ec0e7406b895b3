// Package route finds the application and the route of a request.
//
// Invariant: the cost of a look-up grows with the labels of the host and the segments of the path, never with the
// number of applications or routes.
package route

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/proxy/config"
)

// Table maps hosts and paths to applications and routes. It is immutable and safe for concurrent use.
type Table struct {
	exact    map[string]*Application
	wildcard map[string]*Application // by the suffix behind "*."
	catchAll *Application
	apps     []*Application
	longest  int // bytes of the longest suffix in wildcard
}

// Application is an application of the table.
type Application struct {
	Config *config.Application
	// Index is the application's place in the configuration.
	Index int
	// Routes are its routes in the order of the configuration.
	Routes []*Route

	paths   map[string]*paths
	longest int // bytes of the longest path in paths
}

// paths are the routes at one path, the ones that name methods first.
type paths struct{ exact, prefix []*Route }

// Route is a route of an application.
type Route struct {
	Config      *config.Route
	Application *Application
	// Index is the route's place in its application.
	Index int
	// Name is how records and metrics call the route: its path, with "=" in front of an exact one and its methods
	// behind it.
	Name string
}

// Errors of Find.
var (
	ErrUnknownHost  = errors.New("no application takes this host")
	ErrNoRoute      = errors.New("no route of the application takes this path")
	ErrMethod       = errors.New("no route at this path takes the method")
	ErrAmbiguous    = errors.New("the path leads to another route once an upstream decodes it")
	ErrEncodedSlash = errors.New("the path holds an encoded slash (encoded_slash: allow would let it pass)")
)

// NeverForwarded says that requests with a method are refused on every route: CONNECT would open a tunnel, and TRACE
// sends back what only proxies may see (RFC 9110, section 9.3), as does TRACK, which some servers know by its side. Case
// is part of a method, but not every upstream heeds it.
func NeverForwarded(method string) bool {
	switch strings.ToUpper(method) { // a token: ASCII
	case http.MethodConnect, http.MethodTrace, "TRACK":
		return true
	}
	return false
}

// New builds the table of a complete configuration.
func New(applications []config.Application) *Table {
	t := &Table{exact: map[string]*Application{}, wildcard: map[string]*Application{}}
	for i := range applications {
		a := &Application{Config: &applications[i], Index: i, paths: map[string]*paths{}}
		t.apps = append(t.apps, a)
		for _, host := range a.Config.Hosts {
			suffix, wild := strings.CutPrefix(host, "*.")
			switch {
			case host == "*":
				t.catchAll = a
			case wild:
				t.wildcard[strings.ToLower(suffix)] = a
				t.longest = max(t.longest, len(suffix))
			default:
				t.exact[CanonicalHost(host)] = a
			}
		}
		for j := range a.Config.Routes {
			a.add(&a.Config.Routes[j], j)
		}
	}
	return t
}

func (a *Application) add(c *config.Route, index int) {
	r := &Route{Config: c, Application: a, Index: index, Name: c.Path}
	a.Routes = append(a.Routes, r)
	if c.Match == config.MatchExact {
		r.Name = "=" + r.Name
	}
	if len(c.Methods) > 0 {
		r.Name += " " + strings.Join(c.Methods, ",")
	}
	key := c.Path
	if c.Match != config.MatchExact {
		key = strings.TrimSuffix(key, "/")
	}
	p := a.paths[key]
	if p == nil {
		p = &paths{}
		a.paths[key] = p
		a.longest = max(a.longest, len(key))
	}
	list := &p.prefix
	if c.Match == config.MatchExact {
		list = &p.exact
	}
	if len(c.Methods) > 0 {
		*list = slices.Insert(*list, 0, r)
	} else {
		*list = append(*list, r)
	}
}

// Applications lists the applications in the order of the configuration.
func (t *Table) Applications() []*Application { return t.apps }

// Host finds the application of a canonical host: the exact name, then the longest wildcard, then the catch-all.
// It is nil if no application takes the host.
func (t *Table) Host(host string) *Application {
	if a := t.exact[host]; a != nil {
		return a
	}
	// No look-up is for more bytes than a suffix has: the names of hosts may be as long as a header.
	for rest := host[max(0, len(host)-t.longest-1):]; len(t.wildcard) > 0; {
		_, suffix, found := strings.Cut(rest, ".")
		if !found {
			break
		}
		if a := t.wildcard[suffix]; a != nil {
			return a
		}
		rest = suffix
	}
	return t.catchAll
}

// Find gives the route of a request whose host and path are canonical. With an error it still gives the application,
// if there is one, and for ErrAmbiguous and ErrEncodedSlash the route that it would have been.
func (t *Table) Find(host string, path Path, method string) (*Application, *Route, error) {
	a := t.Host(host)
	if a == nil {
		return nil, nil, ErrUnknownHost
	}
	r, err := a.find(path.Canonical, method)
	if err != nil {
		return a, nil, err
	}
	if path.EncodedSlash {
		if r.Config.EncodedSlash != config.EncodedSlashAllow {
			return a, r, ErrEncodedSlash
		}
		return a, r, nil
	}
	if path.literal != path.Canonical {
		if other, _ := a.find(path.literal, method); other != r {
			return a, r, ErrAmbiguous
		}
	}
	return a, r, nil
}

// find takes the longest path by whole segments, an exact route before a prefix.
func (a *Application) find(path, method string) (*Route, error) {
	var found *paths
	if p := a.paths[path]; p != nil && len(p.exact) > 0 {
		if r := pick(p.exact, method); r != nil {
			return r, nil
		}
		found = p
	}
	for key := a.nearest(path); ; {
		key = strings.TrimSuffix(key, "/")
		if p := a.paths[key]; p != nil && len(p.prefix) > 0 {
			if r := pick(p.prefix, method); r != nil {
				return r, nil
			}
			return nil, ErrMethod
		}
		if found != nil { // an exact route has this path, and no prefix route shares it
			return nil, ErrMethod
		}
		if key == "" {
			return nil, ErrNoRoute
		}
		key = key[:strings.LastIndexByte(key, '/')+1]
	}
}

// nearest cuts whole segments off a path that is longer than every route's, to where prefixes may begin to match. Else
// a long path of many segments would be hashed again for each of them.
func (a *Application) nearest(path string) string {
	if len(path) <= a.longest {
		return path
	}
	return path[:strings.LastIndexByte(path[:a.longest+1], '/')+1]
}

// pick gives the route that names the method, else the one that takes every method.
func pick(routes []*Route, method string) *Route {
	for _, r := range routes {
		if len(r.Config.Methods) == 0 || slices.Contains(r.Config.Methods, method) {
			return r
		}
	}
	return nil
}

// Methods lists the methods that the routes at a path take, for the Allow header of a 405 (RFC 9110, section 10.2.1).
func (a *Application) Methods(path string) []string {
	var methods []string
	collect := func(routes []*Route) {
		for _, r := range routes {
			for _, m := range r.Config.Methods {
				if !slices.Contains(methods, m) {
					methods = append(methods, m)
				}
			}
		}
	}
	if p := a.paths[path]; p != nil {
		collect(p.exact)
	}
	for key := a.nearest(path); ; key = key[:strings.LastIndexByte(key, '/')+1] {
		key = strings.TrimSuffix(key, "/")
		if p := a.paths[key]; p != nil && len(p.prefix) > 0 {
			collect(p.prefix)
			break
		}
		if key == "" {
			break
		}
	}
	slices.Sort(methods)
	return methods
}

// String names the route with its application, for messages.
func (r *Route) String() string {
	return fmt.Sprintf("%s %s", r.Application.Config.Name, r.Name)
}
