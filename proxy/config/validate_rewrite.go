package config

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// protectedHeaders are set or removed by the gateway alone: they carry framing, routing, the client's address, or the
// encoding of what was inspected.
var protectedHeaders = []string{
	"host", "content-length", "transfer-encoding", "content-encoding", "content-type", "connection", "keep-alive",
	"proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer", "upgrade", "expect", "forwarded",
	"via", "x-real-ip", "x-request-id",
}

// protectedPrefixes are families of protected headers.
var protectedPrefixes = []string{"x-forwarded-", "x-amzn-mtls-", "x-gatehouse-", "sec-websocket-", "proxy-"}

// isProtected judges a header's name as a server behind us might read it: in any case, with _ for -.
func isProtected(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.Contains(protectedHeaders, name) ||
		slices.ContainsFunc(protectedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func (l *loader) validateRewrite(r *Route, path string) {
	w := &r.Rewrite
	if w.StripPrefix != "" && w.ReplacePrefix != "" {
		l.problem(key(path, "replace_prefix"), "stands beside strip_prefix; write one of them")
	}
	if p := w.StripPrefix; p != "" {
		if message := checkPath(p); message != "" {
			l.problem(key(path, "strip_prefix"), "%s", message)
		} else if !leadsTo(p, r.Path) && !leadsTo(r.Path, p) {
			l.problem(key(path, "strip_prefix"), "%q never stands in front: the route takes %q", p, r.Path)
		}
	}
	if p := w.ReplacePrefix; p != "" {
		if message := checkPath(p); message != "" {
			l.problem(key(path, "replace_prefix"), "%s", message)
		}
	}
	if w.Host != "" {
		if message := checkAuthority(w.Host); message != "" {
			l.problem(key(path, "host"), "%s", message)
		}
	}
	set := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(w.SetHeaders)) {
		at := key(key(path, "set_headers"), name)
		l.checkHeader(at, name)
		lower := strings.ToLower(name)
		if first, ok := set[lower]; ok {
			l.problem(at, "is the same header as %q", first)
		}
		set[lower] = name
		if v := w.SetHeaders[name]; strings.TrimSpace(v) != v {
			l.problem(at, "begins or ends with a space") // not quoted: it may be a secret
		}
	}
	for i, name := range w.RemoveHeaders {
		at := item(key(path, "remove_headers"), i)
		l.checkHeader(at, name)
		if _, ok := set[strings.ToLower(name)]; ok {
			l.problem(at, "%q is set by set_headers, which replaces the client's; remove it from one of them", name)
		}
	}
	if w.Redirect != nil {
		l.validateRedirect(w, path)
	}
}

func (l *loader) checkHeader(path, name string) {
	switch {
	case !isToken(name):
		l.problem(path, "%q is not the name of a header", name)
	case strings.EqualFold(name, "host"):
		l.problem(path, "Host is set with rewrite.host")
	case isProtected(name):
		l.problem(path, "%q is the gateway's own to set", name)
	}
}

// checkAuthority gives the message for what is no host with an optional port, or "".
func checkAuthority(s string) string {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return strconv.Quote(s) + " has no valid port; write 1 to 65535"
		}
		host = h
	}
	if strings.HasPrefix(host, "*") {
		return strconv.Quote(s) + " is a pattern; write one host"
	}
	_, message := canonicalHost(host)
	return message
}

func (l *loader) validateRedirect(w *Rewrite, path string) {
	for _, k := range []struct {
		name string
		used bool
	}{{"strip_prefix", w.StripPrefix != ""}, {"replace_prefix", w.ReplacePrefix != ""}, {"host", w.Host != ""}, {"set_headers", len(w.SetHeaders) > 0}, {"remove_headers", len(w.RemoveHeaders) > 0}} {
		if k.used {
			l.problem(key(path, k.name), "has no effect beside redirect, which forwards nothing")
		}
	}
	path = key(path, "redirect")
	switch w.Redirect.Status {
	case 301, 302, 303, 307, 308:
	default:
		l.problem(key(path, "status"), "%d is not a redirect (301, 302, 303, 307, 308)", w.Redirect.Status)
	}
	to := w.Redirect.To
	if to == "" {
		l.problem(key(path, "to"), "is missing; write a URL or a path")
		return
	}
	u, err := url.Parse(to)
	absolute := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
	local := err == nil && strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.HasPrefix(to, `/\`)
	if !absolute && !local || !isASCII(to) || strings.ContainsAny(to, ` "<>\`) {
		l.problem(key(path, "to"), "%q is not a target; write an http or https URL, or a path, as they stand in a Location header", to)
	}
}
