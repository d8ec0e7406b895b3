package auth

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/mgmt/problem"
)

// Authenticate says who asks: by API token if there is the header Authorization, which no browser sends for another site, else by session.
func (s *Service) Authenticate(r *http.Request) (*Principal, error) {
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		scheme, text, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return nil, problem.New(problem.SignedOut, "the header Authorization must be one: Bearer and an API token")
		}
		return s.byToken(r.Context(), text)
	}
	secret := s.cookie(r)
	if secret == "" {
		return nil, problem.New(problem.SignedOut, "sign in, or send an API token (Authorization: Bearer ght_...)")
	}
	if err := s.checkSite(r, r.Method != http.MethodGet && r.Method != http.MethodHead); err != nil {
		return nil, err
	}
	return s.bySession(r.Context(), secret)
}

// CheckOrigin refuses what a browser sends for another site's page.
func (s *Service) CheckOrigin(r *http.Request) error { return s.checkSite(r, false) }

// checkSite looks at where a request comes from: Host must be the manager's, which undoes names that were made to point here (DNS
// rebinding), Origin the same, and Sec-Fetch-Site this very origin, or none, as when somebody types an address. What changes something
// with a session must have an Origin, as browsers send it.
func (s *Service) checkSite(r *http.Request, mustHaveOrigin bool) error {
	refused := problem.New(problem.Forbidden, "the request comes from another site than the manager's own pages (api.external_url)")
	if r.URL.IsAbs() || !s.ours(s.scheme()+"://"+r.Host) {
		return refused
	}
	switch origins := r.Header.Values("Origin"); {
	case len(origins) > 1:
		return refused
	case len(origins) == 1:
		u, err := url.Parse(origins[0])
		if err != nil || u.Host != r.Host || !s.ours(origins[0]) {
			return refused
		}
	case mustHaveOrigin:
		return refused
	}
	switch sites := r.Header.Values("Sec-Fetch-Site"); {
	case len(sites) > 1:
		return refused
	case len(sites) == 1 && sites[0] != "same-origin" && (sites[0] != "none" || mustHaveOrigin):
		return refused
	}
	return nil
}

func (s *Service) scheme() string {
	if s.plain {
		return "http"
	}
	return "https"
}

// ours says whether an origin is the manager's. On a loopback address all its names are.
func (s *Service) ours(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != s.scheme() || origin != u.Scheme+"://"+u.Host {
		return false
	}
	switch {
	case s.site == nil:
		return true // it is held against the host of the request, which TLS has proven
	case strings.EqualFold(u.Host, s.site.Host):
		return true
	}
	return s.plain && loopback(u.Hostname()) && u.Port() == s.site.Port()
}
