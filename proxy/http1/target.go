package http1

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// parseRequestLine reads method, target and version, which one space each separates (RFC 9112, section 3). r.URL is
// already there, empty.
func parseRequestLine(line string, r *http.Request) *refusal {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	switch {
	case !IsToken(method):
		return bad("the method is no token")
	case !ok || !ok2:
		return bad("the request line is not method, target and version")
	case target == "" || strings.IndexByte(version, ' ') >= 0:
		return bad("more than one space between the parts of the request line")
	}
	if ref := parseVersion(version, r); ref != nil {
		if method == "PRI" && target == "*" && version == "HTTP/2.0" {
			ref.detail = "HTTP/2 without TLS is not enabled on this listener"
		}
		return ref
	}
	r.Method, r.RequestURI = method, target
	return parseTarget(method, target, r.URL)
}

// parseVersion takes HTTP/1.0 and HTTP/1.1, as they are spelt (RFC 9112, section 2.3).
func parseVersion(version string, r *http.Request) *refusal {
	r.ProtoMajor = 1
	switch version {
	case "HTTP/1.1":
		r.Proto, r.ProtoMinor = "HTTP/1.1", 1
		return nil
	case "HTTP/1.0":
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
		return nil
	}
	if len(version) == 8 && version[:5] == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]) {
		return &refusal{http.StatusHTTPVersionNotSupported, "the version is neither HTTP/1.1 nor HTTP/1.0"}
	}
	return bad("the version is not one of HTTP's")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// CheckTarget says what is wrong with the target of a request (RFC 9112, section 3.2).
func CheckTarget(method, target string) error {
	if ref := parseTarget(method, target, &url.URL{}); ref != nil {
		return ref
	}
	return nil
}

// parseTarget reads a target of one of the four forms (RFC 9112, section 3.2) into u, which is empty; of the absolute
// form also the authority.
func parseTarget(method, target string, u *url.URL) *refusal {
	switch {
	case target == "":
		return bad("the target is empty")
	case !only(target, inTarget):
		if strings.IndexByte(target, '#') >= 0 {
			return bad("the target has a fragment")
		}
		return bad("the target holds a space, a control byte or one that is not ASCII")
	case target[0] == '/':
		return parseOrigin(method, target, u)
	case method == http.MethodConnect:
		if !IsHost(target) || strings.LastIndexByte(target, ':') < 0 {
			return bad("the target of CONNECT is not a host and a port")
		}
		u.Host = target
		return nil
	case target == "*":
		if method != http.MethodOptions {
			return bad("the target * belongs to OPTIONS alone")
		}
		u.Path = "*"
		return nil
	}
	return parseAbsolute(target, u)
}

// parseOrigin reads a path and a query. Plain ones need not go through net/url, which would give the same.
func parseOrigin(method, target string, u *url.URL) *refusal {
	if method == http.MethodConnect {
		return bad("the target of CONNECT is not a host and a port")
	}
	path, query, found := strings.Cut(target, "?")
	if only(path, inPath) {
		u.Path, u.RawQuery, u.ForceQuery = path, query, found && query == ""
		return nil
	}
	return parseURL(target, u)
}

// parseURL leaves the work to net/url.
func parseURL(target string, u *url.URL) *refusal {
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return bad("the target is malformed: a percent sign without two hexadecimal digits, or an impossible authority")
	}
	*u = *parsed
	return nil
}

// parseAbsolute reads the form that clients send to proxies.
func parseAbsolute(target string, u *url.URL) *refusal {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !EqualFold(scheme, "http") && !EqualFold(scheme, "https") {
		return bad("the target is neither a path nor a URL of http or https")
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	switch {
	case strings.IndexByte(authority, '@') >= 0:
		return bad("the target names a user")
	case authority == "" || !IsHost(authority):
		return bad("the target's authority is no host")
	}
	return parseURL(target, u)
}

// parseHost looks at the Host field, in r.Host, and settles it with the target (RFC 9112, section 3.2).
func parseHost(r *http.Request, fields int) *refusal {
	if fields == 0 && r.ProtoMinor > 0 {
		return bad("no Host")
	}
	if ref := checkHost(r.URL.Host, r.Host, fields); ref != nil {
		return ref
	}
	if r.URL.Host != "" {
		r.Host = r.URL.Host
	}
	return nil
}

// CheckHost says what is wrong with the host that a request names in its authority, empty if it has none, and in as many
// Host fields, of which host is the first (RFC 9112, section 3.2).
func CheckHost(authority, host string, fields int) error {
	if ref := checkHost(authority, host, fields); ref != nil {
		return ref
	}
	return nil
}

func checkHost(authority, host string, fields int) *refusal {
	switch {
	case fields > 1:
		return bad("more than one Host")
	case !IsHost(host):
		return bad("Host is malformed")
	case !IsHost(authority):
		return bad("the authority is malformed")
	case authority != "" && fields > 0 && !EqualFold(authority, host):
		return bad("Host differs from the request's authority")
	}
	return nil
}

// IsHost reports whether s is empty or a host with or without a port: a name, an IPv4 address, or an IPv6 address in
// brackets. Names have the bytes that names in the DNS have, and underscores; what else RFC 3986 allows names no host.
func IsHost(s string) bool {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		address, err := netip.ParseAddr(s[1:end])
		if err != nil || !address.Is6() || address.Zone() != "" {
			return false
		}
		return s[end+1:] == "" || s[end+1] == ':' && validPort(s[end+2:])
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
		if host == "" || !validPort(port) {
			return false
		}
	}
	return only(host, inHost)
}

// validPort takes *DIGIT up to 65535: the port may be empty (RFC 3986, section 3.2.3).
func validPort(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		if n = n*10 + int(s[i]-'0'); !isDigit(s[i]) || n > 65535 {
			return false
		}
	}
	return true
}
