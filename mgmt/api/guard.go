package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/problem"
)

// ServeHTTP answers a request by the route table.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path != "/api" && !strings.HasPrefix(r.URL.Path, "/api/") && a.o.Other != nil && canonical(r.URL) {
		a.o.Other.ServeHTTP(w, r)
		return
	}
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	if a.matches(r) {
		a.mux.ServeHTTP(w, r)
		return
	}
	if _, err := a.authenticate(r); err != nil {
		write(w, a.failure(nil, err))
		return
	}
	a.unknown(w, r)
}

// matches says whether a route takes the request, as it is: net/http's mux would clean a path and answer with a redirect.
func (a *API) matches(r *http.Request) bool {
	if !canonical(r.URL) || r.Method != http.MethodHead && !slices.Contains(methods, r.Method) {
		return false
	}
	_, pattern := a.mux.Handler(r)
	return a.routes[pattern] != nil
}

// canonical says whether the path is written in the only way that there is for it: no empty segments, none of dots, and only that escaped
// which must be, never a slash, a backslash, a percent sign or a control character.
func canonical(u *url.URL) bool {
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") || u.Opaque != "" {
		return false
	}
	if path == "/" {
		return true
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if !canonicalSegment(segment) {
			return false
		}
	}
	return true
}

func canonicalSegment(s string) bool {
	plain, err := url.PathUnescape(s)
	if err != nil || plain == "" || plain == "." || plain == ".." || strings.ContainsAny(plain, "/\\%") || !utf8.ValidString(plain) {
		return false
	}
	for i := 0; i < len(plain); i++ {
		if plain[i] < ' ' || plain[i] == 0x7f {
			return false
		}
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		// The three characters are there, or PathUnescape would have failed.
		if b, _ := url.PathUnescape(s[i : i+3]); unreserved(b[0]) || s[i+1:i+3] != strings.ToUpper(s[i+1:i+3]) {
			return false
		}
	}
	return true
}

// unreserved are the characters that mean the same escaped or not (RFC 3986, section 2.3).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unknown answers what no route takes.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	if canonical(r.URL) {
		for _, method := range methods {
			other := *r
			other.Method = method
			if _, pattern := a.mux.Handler(&other); a.routes[pattern] != nil {
				allowed = append(allowed, method)
			}
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		p := reply(problem.New(problem.NotFound, "%.20s is no method of this path; it has %s", r.Method, strings.Join(allowed, ", ")))
		p.Status, p.Title = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed)
		write(w, p)
		return
	}
	write(w, a.failure(nil, problem.New(problem.NotFound, "there is nothing at this path; /api/openapi.json lists what there is")))
}

// guardedMux is the mux as huma sees it: whatever is put into it is guarded by the route that it belongs to.
type guardedMux struct{ *API }

// HandleFunc implements humago.Mux.
func (m guardedMux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.mux.Handle(pattern, m.guard(m.routes[pattern], http.HandlerFunc(handler)))
}

// guard lets through to a handler who may ask its route.
func (a *API) guard(route *Route, handler http.Handler) http.Handler {
	if a.around != nil {
		handler = a.around(route, handler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := a.admit(route, r)
		var body []byte
		if err == nil {
			body, err = takeBody(w, r, route.MaxBody)
		}
		if err == nil {
			r, err = a.remember(w, route, r, body)
		}
		if err != nil {
			write(w, a.failure(route, err))
			return
		}
		if a.o.Auth != nil {
			r = r.WithContext(context.WithValue(r.Context(), clientKey{}, a.o.Auth.Client(r)))
		}
		handler.ServeHTTP(w, joined(r))
	})
}

// bodyTimeout is how long a body may take to arrive. What is done with it may take longer.
const bodyTimeout = 30 * time.Second

// takeBody reads the whole body of a request, which has it from then on.
func takeBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if safe(r.Method) || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTimeout)) // a recorder of a test has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, bodyProblem(err)
	}
	// If it stayed, it would end the request while that is being answered.
	_ = deadline.SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// joined is the request with parameters that were given more than once given once, with commas: the handlers' reader would take the first
// alone.
func joined(r *http.Request) *http.Request {
	query := r.URL.Query()
	again := false
	for name, values := range query {
		if len(values) > 1 {
			again = true
			query.Set(name, strings.Join(values, ","))
		}
	}
	if !again {
		return r
	}
	u := *r.URL
	u.RawQuery = query.Encode()
	out := r.WithContext(r.Context())
	out.URL = &u
	return out
}

type clientKey struct{}

// clientOf is where a request comes from.
func clientOf(ctx context.Context) auth.Client {
	c, _ := ctx.Value(clientKey{}).(auth.Client)
	return c
}

// admit gives the request with its principal, or says why it is refused.
func (a *API) admit(route *Route, r *http.Request) (*http.Request, error) {
	if route == nil {
		return nil, problem.New(problem.Forbidden, "this is in no route table")
	}
	if route.Permission == Public {
		if safe(r.Method) {
			return r, nil
		}
		return r, a.o.Authenticator.CheckOrigin(r)
	}
	p, err := a.authenticate(r)
	if err != nil {
		return nil, err
	}
	if err := route.allow(p, r); err != nil {
		return nil, err
	}
	if route.Condition == Required && r.Header.Get("If-Match") == "" && r.Header.Get("If-None-Match") == "" {
		return nil, problem.New(problem.Unconditional, "send If-Match with the ETag of what you have read, so that nobody's change is lost, or If-None-Match: * to make something new")
	}
	return r.WithContext(auth.WithPrincipal(r.Context(), p)), nil
}

func (a *API) authenticate(r *http.Request) (*auth.Principal, error) {
	p, err := a.o.Authenticator.Authenticate(r)
	if err == nil && p == nil {
		err = problem.New(problem.SignedOut, "sign in, or send an API token")
	}
	return p, err
}

// allow holds the principal against the route.
func (r *Route) allow(p *auth.Principal, req *http.Request) error {
	if r.PeopleOnly && p.Kind != auth.KindUser {
		return problem.New(problem.Forbidden, "this is for people who have signed in, not for API tokens")
	}
	need := auth.Role(r.Permission)
	if r.AnyApplication {
		if p.Highest() >= need {
			return nil
		}
		return problem.New(problem.Forbidden, "this needs the role %s for some application", need)
	}
	application := ""
	if r.Application != "" {
		application = req.PathValue(r.Application)
	}
	return p.Require(need, application)
}

// safe says whether requests with the method change nothing.
func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }
