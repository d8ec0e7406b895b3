package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/mgmt/api"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/problem"
)

// byHeader takes who asks from the header Test-Principal: the name of a test principal.
type byHeader map[string]*auth.Principal

func (b byHeader) Authenticate(r *http.Request) (*auth.Principal, error) {
	if p := b[r.Header.Get("Test-Principal")]; p != nil {
		return p, nil
	}
	return nil, problem.New(problem.SignedOut, "who are you?")
}

func (byHeader) CheckOrigin(*http.Request) error { return nil }

// askers are every role everywhere, for the application of the request only, and for another one only; of people and of tokens.
func askers() byHeader {
	all := byHeader{"nobody": nil, "without": {Kind: auth.KindUser, ID: "0", Name: "without"}}
	for role := auth.Viewer; role <= auth.Admin; role++ {
		for _, kind := range []auth.Kind{auth.KindUser, auth.KindToken} {
			for _, application := range []string{auth.Everywhere, theirs, another} {
				name := strings.Join([]string{string(kind), role.String(), application}, " ")
				all[name] = &auth.Principal{Kind: kind, ID: name, Name: name, Grants: auth.Grants{Roles: map[string]auth.Role{application: role}}}
			}
		}
	}
	return all
}

const (
	theirs  = "shop"  // the application that requests are about
	another = "other" // one that they are not about
)

// shelves are routes of each sort, so that the matrix says something of sorts that no subject uses.
func shelves(a *api.API) {
	type nothing struct{}
	handler := func(context.Context, *nothing) (*nothing, error) { return nil, nil }
	for _, permission := range []api.Permission{api.Viewer, api.Analyst, api.Editor, api.Publisher, api.Admin, api.Public} {
		name := "test-" + permission.String()
		r := api.Route{Method: http.MethodGet, Path: "/" + name, ID: name, Summary: "test", Tag: "Test", Permission: permission}
		api.Register(a, r, handler)
		r.Method, r.ID, r.Path = http.MethodDelete, name+"-delete", "/"+name+"/{name}"
		api.Register(a, r, handler)
		if permission == api.Public {
			continue
		}
		r.Method, r.ID, r.Path, r.Application = http.MethodPost, name+"-for", "/applications/{application}/"+name+"/{name}", "application"
		api.Register(a, r, handler)
		r.Method, r.ID, r.Path, r.Application, r.AnyApplication = http.MethodPatch, name+"-any", "/"+name+"-any", "", true
		api.Register(a, r, handler)
		r.Method, r.ID, r.Path, r.AnyApplication, r.PeopleOnly = http.MethodPut, name+"-people", "/"+name+"-people", false, true
		api.Register(a, r, handler)
	}
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// variant is another way to write a path.
type variant struct {
	name  string
	write func(string) string
	same  bool // it names the same path
}

func variants() []variant {
	replaceLast := func(with string) func(string) string {
		return func(p string) string { i := strings.LastIndex(p, "/"); return p[:i] + with + p[i+1:] }
	}
	return []variant{
		{"as it is", func(p string) string { return p }, true},
		{"with a query", func(p string) string { return p + "?x=1" }, true},
		{"trailing slash", func(p string) string { return p + "/" }, false},
		{"two trailing slashes", func(p string) string { return p + "//" }, false},
		{"trailing dot", func(p string) string { return p + "/." }, false},
		{"leading slashes", func(p string) string { return "/" + p }, false},
		{"double slash", replaceLast("//"), false},
		{"%2f", replaceLast("%2f"), false},
		{"%2F", replaceLast("%2F"), false},
		{"%5c", replaceLast("%5c"), false},
		{"backslash", replaceLast("\\"), false},
		{"dot segment", replaceLast("/./"), false},
		{"dots", func(p string) string { return p + "/x/.." }, false},
		{"escaped dots", func(p string) string { return p + "/x/%2e%2e" }, false},
		{"dots from elsewhere", func(p string) string { return "/api/v1/public/.." + strings.TrimPrefix(p, "/api/v1") }, false},
		{"escaped dots from elsewhere", func(p string) string { return "/api/v1/session/%2E%2e" + strings.TrimPrefix(p, "/api/v1") }, false},
		{"upper case", strings.ToUpper, false},
		{"last letter in upper case", func(p string) string { return p[:len(p)-1] + strings.ToUpper(p[len(p)-1:]) }, false},
		{"escaped letter", func(p string) string { return p[:len(p)-1] + "%" + hex(p[len(p)-1]) }, false},
		{"escaped first letter", func(p string) string { return "/%" + hex(p[1]) + p[2:] }, false},
		{"escaped twice", replaceLast("%252f"), false},
		{"semicolon", func(p string) string { return p + ";x" }, false},
		{"null", func(p string) string { return p + "%00" }, false},
		{"line break", func(p string) string { return p + "%0a" }, false},
		{"space", func(p string) string { return p + "%20" }, false},
		{"suffix", func(p string) string { return p + ".json" }, false},
		{"overlong slash", replaceLast("%C0%AF"), false},
	}
}

func hex(c byte) string { return string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]) }

// TestRoleMatrix sends every route x method x principal x way to write the path, and has the answer that the table demands: the handler of
// exactly that route, 401, 403, 404 or 405. It reads the table, so that what is added to it is covered.
func TestRoleMatrix(t *testing.T) {
	var reached *api.Route
	around := func(r *api.Route, _ http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached = r; w.WriteHeader(http.StatusTeapot) })
	}
	people := askers()
	a, err := api.NewBare(api.Options{Authenticator: people}, around, func(a *api.API) { a.AllRoutes(); shelves(a) })
	if err != nil {
		t.Fatal(err)
	}
	routes := a.Routes()
	cells, wrong, handled := 0, 0, 0
	for _, route := range routes {
		path := parameter.ReplaceAllStringFunc(route.FullPath(), func(p string) string {
			if p == "{"+route.Application+"}" {
				return theirs
			}
			return "thing"
		})
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"} {
			for _, v := range variants() {
				target := v.write(path)
				at := taking(routes, target)
				for name, p := range people {
					if p != nil && !v.same && (p.Kind != auth.KindUser || p.Role(theirs) != p.Role(another)) {
						continue // what no role may reach is asked for by each role once
					}
					reached = nil
					status := send(a, method, target, name)
					if status < 0 {
						continue // net/http reads no such request
					}
					want, wantStatus := expect(at, method, target, p)
					cells++
					if want != nil {
						handled++
					}
					if status != wantStatus || (reached == nil) != (want == nil) || want != nil && reached.ID != want.ID {
						if wrong++; wrong <= 20 {
							t.Errorf("%s %s (%s) by %s: %d, handler %v; want %d, handler %v", method, target, v.name, name, status, reached, wantStatus, want)
						}
					}
				}
			}
		}
	}
	t.Logf("%d routes, %d cells, of which %d reach a handler: %d wrong", len(routes), cells, handled, wrong)
	if len(routes) < 20 || handled == 0 || cells < 100*len(routes) {
		t.Error("the matrix is too small to say anything")
	}
}

func send(h http.Handler, method, target, principal string) int {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return -1
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Method, r.URL, r.RequestURI = method, u, target
	r.Header.Set("Test-Principal", principal)
	r.Header.Set("If-Match", `"1"`)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// taking are the routes that take a path, by a matcher of its own: only if each segment, as it is on the wire, is that of the route or
// fits a parameter.
func taking(routes []api.Route, target string) (at []api.Route) {
	path, _, _ := strings.Cut(target, "?")
	for _, r := range routes {
		if fits(r.FullPath(), path) {
			at = append(at, r)
		}
	}
	return mostLiteral(at)
}

// expect is what the table demands.
func expect(at []api.Route, method, target string, p *auth.Principal) (*api.Route, int) {
	path, _, _ := strings.Cut(target, "?")
	asked := method
	if method == http.MethodHead {
		asked = http.MethodGet
	}
	i := slices.IndexFunc(at, func(r api.Route) bool { return r.Method == asked })
	switch {
	case i >= 0 && at[i].Permission == api.Public:
		return &at[i], http.StatusTeapot
	case p == nil:
		return nil, http.StatusUnauthorized
	case i < 0 && len(at) > 0:
		return nil, http.StatusMethodNotAllowed
	case i < 0:
		return nil, http.StatusNotFound
	case permitted(at[i], path, p):
		return &at[i], http.StatusTeapot
	}
	return nil, http.StatusForbidden
}

func permitted(r api.Route, path string, p *auth.Principal) bool {
	if r.PeopleOnly && p.Kind != auth.KindUser {
		return false
	}
	need := int(r.Permission)
	for application, role := range p.Roles {
		about := application == auth.Everywhere || r.AnyApplication || r.Application != "" && application == argument(r, path)
		if about && int(role) >= need {
			return true
		}
	}
	return false
}

// argument is the application that the path names.
func argument(r api.Route, path string) string {
	is := strings.Split(path, "/")
	i := slices.Index(strings.Split(r.FullPath(), "/"), "{"+r.Application+"}")
	plain, _ := url.PathUnescape(is[i])
	return plain
}

// plain are segments that are taken as they are; all others of the variants are refused, but for the few escapes that must be.
var plain = regexp.MustCompile(`^([A-Za-z0-9_;.-]|%20)*$`)

func fits(pattern, path string) bool {
	want, is := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(is) {
		return false
	}
	for i := range want {
		switch parameterised := strings.HasPrefix(want[i], "{"); {
		case i > 0 && (is[i] == "" || is[i] == "." || is[i] == ".." || !plain.MatchString(is[i])):
			return false
		case !parameterised && want[i] != is[i]:
			return false
		}
	}
	return true
}

// mostLiteral are the routes whose path comes before that of the others, because it is literal where theirs has a parameter.
func mostLiteral(at []api.Route) []api.Route {
	literal := func(r api.Route) string {
		return regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.FullPath(), "\xff")
	}
	slices.SortStableFunc(at, func(x, y api.Route) int { return strings.Compare(literal(x), literal(y)) })
	return at
}
