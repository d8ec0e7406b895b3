package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// isURL tells a URL from a name.
func isURL(s string) bool { return strings.Contains(s, "://") }

// ParseUpstreamURL reads the URL of an upstream: scheme, host and optional port. The error never shows a user or password.
func ParseUpstreamURL(raw string) (*url.URL, error) {
	_, u, message := parseURL(raw)
	if message != "" {
		return nil, errors.New(message)
	}
	return u, nil
}

// parseURL reads the URL of an upstream and gives its canonical form: lower case, without a default port or a path.
// It answers a message if raw is not such a URL.
func parseURL(raw string) (canonical string, u *url.URL, message string) {
	if strings.Contains(raw, "@") { // never quoted: it holds a secret
		return "", nil, "holds a user or password; an upstream's URL is scheme, host and optional port"
	}
	u, err := url.Parse(raw)
	if err != nil || !isURL(raw) {
		return "", nil, fmt.Sprintf("%q is not a URL; write scheme, host and optional port: http://shop.internal:8080", raw)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", nil, fmt.Sprintf("%q: scheme %q is not supported%s (http, https)", raw, u.Scheme, DidYouMean(u.Scheme, []string{"http", "https"}))
	}
	switch {
	case u.Hostname() == "":
		return "", nil, fmt.Sprintf("%q has no host", raw)
	case u.Path != "" && u.Path != "/":
		return "", nil, fmt.Sprintf("%q holds a path; use rewrite.replace_prefix of a route", raw)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return "", nil, fmt.Sprintf("%q holds a query or a fragment; an upstream's URL is scheme, host and optional port", raw)
	}
	host, message := canonicalDial(u.Hostname())
	if message != "" {
		return "", nil, message
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) || strings.HasSuffix(u.Host, ":") {
		return "", nil, fmt.Sprintf("%q has no valid port; write 1 to 65535", raw)
	} else if port != "" {
		port = strconv.FormatUint(n, 10)
	}
	u = &url.URL{Scheme: u.Scheme, Host: host}
	switch {
	case port != "" && port != defaultPorts[u.Scheme]:
		u.Host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		u.Host = "[" + host + "]"
	}
	return u.String(), u, ""
}

// canonicalDial gives the canonical form of a host to connect to: a DNS name or an address.
func canonicalDial(host string) (canonical, message string) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return "", fmt.Sprintf("%q has a zone; link-local addresses are not supported", host)
		}
		return a.Unmap().String(), ""
	}
	return canonicalDNS(host)
}

// refusedHost says why a host can never be an upstream, or "". Names are judged again when they are resolved.
func refusedHost(host string, allowLoopback bool) string {
	a, err := netip.ParseAddr(host)
	if err != nil {
		if (host == "localhost" || strings.HasSuffix(host, ".localhost")) && !allowLoopback {
			return fmt.Sprintf("%q is this host; set allow_loopback: true if that is meant", host)
		}
		return ""
	}
	a = a.Unmap()
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case a.IsLinkLocalUnicast(), a == netip.MustParseAddr("fd00:ec2::254"):
		return fmt.Sprintf("%q is a link-local or metadata address, which is never an upstream", host)
	case a.IsMulticast(), a == netip.MustParseAddr("255.255.255.255"):
		return fmt.Sprintf("%q is not the address of one host", host)
	case (a.IsLoopback() || a.IsUnspecified()) && !allowLoopback:
		return fmt.Sprintf("%q is this host; set allow_loopback: true if that is meant", host)
	}
	return ""
}

// isThisHost says that a host is certainly the gateway's own.
func isThisHost(host string) bool {
	return refusedHost(host, true) == "" && refusedHost(host, false) != ""
}
