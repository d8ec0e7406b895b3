package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"gatehouse/mgmt/action"
	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/event"
	"gatehouse/mgmt/fleet"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/rollout"
	"gatehouse/mgmt/store"
)

// Authenticator says who asks. Its errors are problems.
type Authenticator interface {
	// Authenticate looks at the token or session of a request. A request with a session must come from the manager's own pages, or change
	// nothing and come from no other site.
	Authenticate(r *http.Request) (*auth.Principal, error)
	// CheckOrigin refuses what a browser sends for another site, to routes that are public.
	CheckOrigin(r *http.Request) error
}

// Options are what the routes work on. A nil one of a subject is for reading the table only.
type Options struct {
	DB      *store.DB
	Logger  *zap.Logger
	Version string
	Auth    *auth.Service
	Publish *publish.Service
	Fleet   *fleet.Service
	Actions *action.Service
	Events  *event.Service
	// Rollouts are how revisions reach the gateways.
	Rollouts *rollout.Service
	// Authenticator says who asks; nil is Auth.
	Authenticator Authenticator
	// Stopping is closed when those who wait shall be answered; nil never is.
	Stopping <-chan struct{}
	// Other answers what is not below /api, such as the pages; nil answers nothing there.
	Other http.Handler
}

// API is the handler of the listener for people and programs.
type API struct {
	o      Options
	log    *zap.Logger
	mux    *http.ServeMux
	huma   huma.API
	routes map[string]*Route // by pattern
	errs   []error
	// around is put around every handler, behind all checks of its route; nil is nothing.
	around func(*Route, http.Handler) http.Handler
}

// New makes the API with all its routes.
func New(o Options) (*API, error) {
	a := newAPI(o)
	a.allRoutes()
	return a, a.err()
}

func newAPI(o Options) *API {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Authenticator == nil {
		o.Authenticator = o.Auth
	}
	a := &API{o: o, log: o.Logger.Named("api"), mux: http.NewServeMux(), routes: make(map[string]*Route)}
	problems()
	config := huma.DefaultConfig("Gatehouse", o.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // no $schema in bodies
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	config.Info.Description = "The manager of a fleet of Gatehouse gateways. Everything that its pages and commands do goes through here."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "an API token, ght_..."},
		"session": {Type: "apiKey", In: "cookie", Name: auth.CookieName, Description: "the session of somebody who has signed in"},
	}
	a.huma = humago.New(guardedMux{a}, config)
	return a
}

// err is what keeps the API from starting.
func (a *API) err() error { return errors.Join(a.errs...) }

// Routes are the entries of the table, by path and method.
func (a *API) Routes() []Route {
	var list []Route
	for _, r := range a.routes {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(x, y Route) int {
		if x.path != y.path {
			return map[bool]int{true: -1, false: 1}[x.path < y.path]
		}
		return slices.Index(methods, x.Method) - slices.Index(methods, y.Method)
	})
	return list
}

// add puts a route into the table. What is wrong with it keeps the API from starting.
func (a *API) add(r Route) (*Route, bool) {
	err := r.check()
	if err == nil && a.routes[r.pattern()] != nil {
		err = errors.New("it is there twice")
	}
	if err != nil {
		a.errs = append(a.errs, fmt.Errorf("route %s %s: %w", r.Method, r.Path, err))
		return nil, false
	}
	a.routes[r.pattern()] = &r
	return &r, true
}

// Register adds a route with its handler. I has what the route reads: fields with the tags path, query and header, and Body. O has what
// it answers: fields with the tag header, and Body.
func Register[I, O any](a *API, route Route, handler func(context.Context, *I) (*O, error)) {
	r, ok := a.add(route)
	if !ok {
		return
	}
	huma.Register(a.huma, a.operation(r), func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.failure(r, err)
		}
		return out, nil
	})
}

// Stream writes a reply of any length. flush sends what was written so far. An error ends the connection, so that the client sees that
// the reply is not whole.
type Stream func(w http.ResponseWriter, flush func()) error

// RegisterStream adds a GET route that answers with lines or files rather than one document.
func RegisterStream[I any](a *API, route Route, contentType string, handler func(context.Context, *I) (Stream, error)) {
	r, ok := a.add(route)
	if !ok {
		return
	}
	op := a.operation(r)
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		contentType: {Schema: &huma.Schema{Type: huma.TypeString}},
	}}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		stream, err := handler(ctx, in)
		if err != nil {
			return nil, a.failure(r, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			_, w := humago.Unwrap(hctx)
			w.Header().Set("Content-Type", contentType)
			control := http.NewResponseController(w)
			if err := stream(w, func() { _ = control.Flush() }); err != nil { // a client that is gone is found at the next write
				if ctx.Err() == nil {
					a.log.Warn("a reply was cut off", zap.String("route", r.ID), zap.Error(err))
				}
				panic(http.ErrAbortHandler)
			}
		}}, nil
	})
}

// RegisterHTTP adds a route that needs the request itself, such as one that sets cookies. It reads no body beyond MaxBody.
func RegisterHTTP(a *API, route Route, handler func(w http.ResponseWriter, r *http.Request) error) {
	r, ok := a.add(route)
	if !ok {
		return
	}
	op := a.operation(r)
	op.Responses = map[string]*huma.Response{"default": {Description: "see the description"}}
	op.MaxBodyBytes = r.MaxBody
	a.huma.OpenAPI().AddOperation(&op)
	a.mux.Handle(r.pattern(), a.guard(r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, r.MaxBody)
		if err := handler(w, req); err != nil {
			write(w, a.failure(r, err))
		}
	})))
}

// operation is the route as the description has it.
func (a *API) operation(r *Route) huma.Operation {
	op := huma.Operation{
		Method: r.Method, Path: r.path, OperationID: r.ID, Summary: r.Summary, Description: r.Description, Tags: []string{r.Tag},
		DefaultStatus: r.Status, MaxBodyBytes: r.MaxBody,
		BodyReadTimeout: -1, // the body was read before, by takeBody
		Extensions:      map[string]any{"x-permission": r.Permission.String()},
	}
	if r.Permission != Public {
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	switch {
	case r.Application != "":
		op.Extensions["x-permission-for"] = "{" + r.Application + "}"
	case r.AnyApplication:
		op.Extensions["x-permission-for"] = "any application"
	case r.Permission != Public:
		op.Extensions["x-permission-for"] = "all applications"
	}
	if r.Method == http.MethodPost {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: keyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "sent again with the same key within 24 h, the request is done once and gets the same reply",
		})
	}
	return op
}

// describe serves the description.
func (a *API) describe() {
	text := sync.OnceValues(func() ([]byte, error) { return json.Marshal(a.huma.OpenAPI()) })
	RegisterHTTP(a, Route{
		Method: http.MethodGet, Path: "/api/openapi.json", ID: "get-openapi", Summary: "This description, as OpenAPI 3.1", Tag: "Description",
		Permission: Public,
	}, func(w http.ResponseWriter, _ *http.Request) error {
		data, err := text()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data) // a client that is gone needs no answer
		return nil
	})
}
