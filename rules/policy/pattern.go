package policy

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// checkPath says what is wrong with a path pattern, or nothing.
//
// A pattern begins with a slash. Within a segment * stands for any characters but a slash, a segment that is *
// alone for exactly one segment, and a last segment ** for the rest: /admin/** takes /admin and everything below.
func checkPath(p string) error {
	switch {
	case p == "":
		return fmt.Errorf("is empty; write a path such as /admin/**")
	case p[0] != '/':
		return fmt.Errorf("%q does not begin with a slash; did you mean %q?", p, "/"+p)
	case strings.ContainsAny(p, "?#"):
		return fmt.Errorf("%q: a pattern matches the path alone, without query or fragment", p)
	case strings.ContainsAny(p, "\x00\r\n"):
		return fmt.Errorf("%q holds a control character", p)
	}
	segments := strings.Split(p[1:], "/")
	for i, s := range segments {
		switch {
		case s == "**" && i == len(segments)-1:
		case strings.Contains(s, "**"):
			return fmt.Errorf("%q: ** stands for the rest of the path and is a whole last segment, as in /admin/**", p)
		case s == "." || s == "..":
			return fmt.Errorf("%q: paths are compared after . and .. were resolved; write the resolved path", p)
		case s == "" && i < len(segments)-1:
			return fmt.Errorf("%q has an empty segment", p)
		}
	}
	return nil
}

// coversAllPaths reports whether every path matches p.
func coversAllPaths(p string) bool { return p == "" || p == "/**" }

// reading says which paths a pattern takes.
type reading int

const (
	// strictly takes the path as it is written: for what exempts.
	strictly reading = iota
	// widely also takes what servers are known to read as the same path, in other letter case, with parameters
	// (/admin;v=1/users) or with a slash at the end: for what refuses.
	widely
)

func (r reading) opposite() reading { return widely - r }

// pathRegex is the regular expression (RE2, . matching line breaks) of a valid pattern, for the whole canonical path.
func pathRegex(p string, r reading) string {
	parameters := ""
	if r == widely {
		parameters = `(?:;[^/]*)?`
	}
	var b strings.Builder
	for _, s := range strings.Split(p[1:], "/") {
		switch s {
		case "**":
			b.WriteString(`(?:/.*)?`)
		case "*":
			b.WriteString(`/[^/]+`)
		default:
			b.WriteString("/" + globRegex(s, `[^/]*`) + parameters)
		}
	}
	if r == widely {
		return `(?i:(?:/;[^/]*)*` + b.String() + `/?)`
	}
	return b.String()
}

// globRegex writes a pattern as a regular expression: * becomes wildcard, every other rune itself.
func globRegex(s, wildcard string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '*' {
			b.WriteString(wildcard)
		} else {
			b.WriteString(literal(r))
		}
	}
	return b.String()
}

// globRegexLiteral writes a text without wildcards as a regular expression.
func globRegexLiteral(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(literal(r))
	}
	return b.String()
}

// literal writes one rune as a regular expression that is safe within SecLang text: letters, digits and _ - stay, every
// other ASCII character is an escape, so that no quote, comma, bar, slash, space or backslash of an operator's name
// can end an argument. Other runes stay as they are: the engine takes an escape beyond ASCII for a byte.
func literal(r rune) string {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r >= 0x80:
		return string(r)
	}
	return fmt.Sprintf(`\x{%02x}`, r)
}

// isToken reports whether r may stand in a method or a header name (RFC 9110 token).
func isToken(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// checkHost says what is wrong with a host pattern: shop.example.com, *.shop.example.com or *.
func checkHost(h string) error {
	name := strings.TrimPrefix(h, "*.")
	switch {
	case h == "":
		return fmt.Errorf("is empty; write a host such as shop.example.com")
	case h == "*":
		return nil
	case h != strings.ToLower(h):
		return fmt.Errorf("%q: hosts are compared in lower case; did you mean %q?", h, strings.ToLower(h))
	case strings.Contains(name, "*"):
		return fmt.Errorf("%q: a wildcard is the first label alone, as in *.example.com", h)
	case strings.ContainsAny(h, ":[]") && !strings.Contains(h, "/"):
		return checkHostAddress(h)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r) {
			return fmt.Errorf("%q: %q cannot stand in a host name; write it without scheme, port or path, international names in their xn-- form", h, r)
		}
	}
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
		return fmt.Errorf("%q has an empty label", h)
	}
	return nil
}

// checkHostAddress says what is wrong with a host that has colons: only an IPv6 address may, in the form in which hosts
// are compared.
func checkHostAddress(h string) error {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(h, "["), "]"))
	switch {
	case err == nil && a.String() == h && a.Zone() == "":
		return nil
	case err == nil && a.Zone() == "":
		return fmt.Errorf("%q: hosts are compared without brackets and in short form; did you mean %q?", h, a)
	}
	if name, _, err := net.SplitHostPort(h); err == nil {
		return fmt.Errorf("%q holds a port; hosts are compared without it: %s", h, name)
	}
	return fmt.Errorf("%q is not a host; write it without scheme, port or path", h)
}

// hostRegex is the regular expression of a valid host pattern. A wildcard takes one or more labels.
func hostRegex(h string) string {
	if h == "*" {
		return `.*`
	}
	if rest, ok := strings.CutPrefix(h, "*."); ok {
		return `[^/]+` + literal('.') + globRegexLiteral(rest)
	}
	return globRegexLiteral(h)
}
