package config

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPage bounds an operator's own page.
const maxPage = 1 << 20

func (l *loader) validateApplications(policies, upstreams, lists map[string]bool) {
	c := &l.cfg
	if len(c.Applications) == 0 {
		l.problem("applications", "is missing; name at least one application with hosts and an upstream")
	}
	hosts := map[string]string{} // the path of each host
	for i := range c.Applications {
		a, path := &c.Applications[i], item("applications", i)
		l.validateHosts(a, path, hosts)
		l.checkName(key(path, "policy"), "policy", a.Policy, policies)
		if a.Upstream != "" {
			l.checkUpstream(key(path, "upstream"), a.Upstream, upstreams)
		}
		l.validateReplies(a, key(path, "replies"))
		l.validateRoutes(a, path, upstreams)
		l.validateRules(a.Rules, key(path, "rules"), lists)
		l.validateExclusions(a.Exclusions, key(path, "exclusions"), false)
	}
}

func (l *loader) validateHosts(a *Application, path string, seen map[string]string) {
	if len(a.Hosts) == 0 {
		l.problem(key(path, "hosts"), `is missing; name at least one host, or write ["*"] for every other host`)
	}
	for j, host := range a.Hosts {
		at := item(key(path, "hosts"), j)
		if _, message := canonicalHost(host); message != "" {
			l.problem(at, "%s", message)
			continue
		}
		if first, ok := seen[host]; ok {
			l.problem(at, "%q stands in %s already, at %s", host, first, l.places.find(first))
			continue
		}
		seen[host] = at
	}
}

// checkUpstream reports a reference to an upstream that does not exist.
func (l *loader) checkUpstream(path, name string, upstreams map[string]bool) {
	if !upstreams[name] && strings.ContainsAny(name, ".:/") && !l.failed[path] {
		l.problem(path, "there is no upstream %q; if it is an address, write it as a URL: http://%s", name, strings.TrimLeft(name, "/"))
		return
	}
	l.checkName(path, "upstream", name, upstreams)
}

func (l *loader) validateReplies(a *Application, path string) {
	if n := utf8.RuneCountInString(a.Replies.Contact); n > 500 {
		l.problem(key(path, "contact"), "is %d characters long; write at most 500", n)
	}
	if file := a.Replies.HTMLFile; file != "" {
		data, ok := l.readFile(key(path, "html_file"), file)
		switch {
		case !ok:
		case len(data) > maxPage:
			l.problem(key(path, "html_file"), "%q is longer than %s", file, Size(maxPage))
		case !utf8.Valid(data):
			l.problem(key(path, "html_file"), "%q is not UTF-8 text", file)
		case len(strings.TrimSpace(string(data))) == 0:
			l.problem(key(path, "html_file"), "%q is empty", file)
		}
	}
}

func (l *loader) validateRoutes(a *Application, path string, upstreams map[string]bool) {
	type place struct {
		match Match
		path  string
	}
	seen := map[place][]int{}
	for j := range a.Routes {
		r, at := &a.Routes[j], item(key(path, "routes"), j)
		l.validateRoute(a, r, at, upstreams)
		p := place{r.Match, r.Path}
		if r.Match != MatchExact {
			p.path = strings.TrimSuffix(r.Path, "/")
		}
		for _, k := range seen[p] {
			if both, ok := overlap(a.Routes[k].Methods, r.Methods); ok {
				first := item(key(path, "routes"), k)
				l.problem(l.firstWritten(key(at, "path"), at), "takes the same requests (%s %s%s) as %s at %s", r.Match, r.Path, both, first, l.places.find(first))
				break
			}
		}
		seen[p] = append(seen[p], j)
	}
}

// overlap says whether two routes at the same place would take the same request. A route that names a method comes
// before one that names none.
func overlap(a, b []string) (methods string, ok bool) {
	if len(a) == 0 && len(b) == 0 {
		return "", true
	}
	for _, m := range b {
		if slices.Contains(a, m) {
			return " " + m, true
		}
	}
	return "", false
}

func (l *loader) validateRoute(a *Application, r *Route, path string, upstreams map[string]bool) {
	if message := checkPath(r.Path); message != "" {
		l.problem(key(path, "path"), "%s", message)
	}
	l.validateTraffic(r, path)
	l.validateMethods(r.Methods, key(path, "methods"))
	only := func(t Traffic, method string) {
		if len(r.Traffic) == 1 && r.Traffic[0] == t && len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
			l.problem(key(path, "methods"), "no request can match: %s takes %s only", t, method)
		}
	}
	only(TrafficWebSocket, "GET")
	only(TrafficGRPC, "POST")
	switch {
	case l.written(key(path, "upstream")):
		if r.Upstream != "" {
			l.checkUpstream(key(path, "upstream"), r.Upstream, upstreams)
		}
	case r.Upstream == "" && r.Rewrite.Redirect == nil && !l.failed[key(parentPath(parentPath(path)), "upstream")]:
		l.problem(key(l.firstWritten(path, parentPath(parentPath(path))), "upstream"), "is missing; write a URL or the name of an upstream")
	}
	if !l.spoilt[key(path, "traffic")] { // else nobody knows whose bodies are meant
		l.validateBody(r, path)
	}
	l.validateRewrite(r, key(path, "rewrite"))
}

func (l *loader) validateTraffic(r *Route, path string) {
	path = key(path, "traffic")
	for i, t := range r.Traffic {
		if slices.Contains(r.Traffic[:i], t) {
			l.problem(item(path, i), "%s stands in the list twice", t)
		}
	}
	if slices.Contains(r.Traffic, TrafficAuto) && slices.Contains(r.Traffic, TrafficAPI) {
		l.problem(path, "auto and api exclude each other: api is auto with replies for programs; write one of them")
	}
}

// validateMethods checks the methods of a route or a rate limit.
func (l *loader) validateMethods(methods []string, path string) {
	for i, m := range methods {
		at := item(path, i)
		switch upper := strings.ToUpper(m); {
		case !isToken(m):
			l.problem(at, "%q is not a method; write a word such as GET", m)
		case upper == "CONNECT" || upper == "TRACE" || upper == "TRACK":
			l.problem(at, "%s is refused always", upper)
		case upper != m && slices.Contains(knownMethods, upper):
			l.problem(at, "%q is not a method; did you mean %q?", m, upper)
		case slices.Contains(methods[:i], m):
			l.problem(at, "%q stands in the list twice", m)
		}
	}
}

var knownMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// validateBody reports limits that have no effect or can never be reached.
func (l *loader) validateBody(r *Route, path string) {
	body := key(path, "body")
	inspected := slices.Contains(r.Traffic, TrafficAuto) || slices.Contains(r.Traffic, TrafficAPI)
	if !inspected {
		names := make([]string, len(r.Traffic))
		for i, t := range r.Traffic {
			names[i] = string(t)
		}
		traffic := strings.Join(names, " and ")
		for _, k := range []string{"max_bytes", "inspect_bytes", "oversize"} {
			if k == "max_bytes" && slices.Contains(r.Traffic, TrafficGRPC) {
				continue // the bytes of a gRPC request can be bounded, though none is inspected
			}
			if l.written(key(body, k)) {
				l.problem(key(body, k), "can never be reached: no body of %s is inspected", traffic)
			}
		}
		if r.Response.Inspect {
			l.problem(key(path, "response.inspect"), "has no effect: replies of %s are not inspected", traffic)
		}
		return
	}
	if b := r.Body; b.InspectBytes > b.MaxBytes {
		at := l.firstWritten(key(body, "inspect_bytes"), key(body, "max_bytes"))
		l.problem(at, "can never be reached: inspect_bytes %s is more than max_bytes %s", b.InspectBytes, b.MaxBytes)
	} else if b.Oversize == OversizeReject && b.InspectBytes == b.MaxBytes {
		l.warn(key(body, "oversize"), "has no effect: inspect_bytes is max_bytes %s, and longer bodies are refused always", b.MaxBytes)
	}
	for i, t := range r.Response.Types {
		kind, sub, ok := strings.Cut(t, "/")
		if !ok || !isToken(kind) || !isToken(sub) || strings.ToLower(t) != t {
			l.problem(item(key(path, "response.types"), i), "%q is not a content type; write it in lower case and without parameters: text/html", t)
		}
	}
}

// isToken says that s is a token of RFC 9110, section 5.6.2: a method or the name of a header.
func isToken(s string) bool {
	const signs = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(signs, c) >= 0) {
			return false
		}
	}
	return s != ""
}
