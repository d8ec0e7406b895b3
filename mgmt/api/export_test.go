package api

import "net/http"

// NewBare is an API without its routes, with a function around every handler.
func NewBare(o Options, around func(*Route, http.Handler) http.Handler, add func(*API)) (*API, error) {
	a := newAPI(o)
	a.around = around
	add(a)
	return a, a.err()
}

// AllRoutes declares every route.
func (a *API) AllRoutes() { a.allRoutes() }

// FullPath is the path with the prefix.
func (r Route) FullPath() string { return r.path }
