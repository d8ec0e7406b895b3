package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// canonicalHost gives the form in which hosts are compared: lower case, in ASCII (IDNA), without a final dot; addresses
// without brackets. It answers a message if host is no host.
func canonicalHost(host string) (canonical, message string) {
	switch {
	case host == "":
		return "", "is empty; write a host such as shop.example.com"
	case host == "*":
		return host, ""
	case strings.Contains(host, "://"):
		return "", fmt.Sprintf("%q is a URL; write the host alone", host)
	case strings.Contains(host, "/"):
		return "", fmt.Sprintf("%q holds a path; write the host alone, and the path in routes", host)
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil && a.Zone() == "" {
		return a.String(), ""
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		return "", fmt.Sprintf("%q holds a port; hosts are compared without it: %s", host, h)
	}
	wild := ""
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		wild, host = "*.", rest
	}
	if strings.Contains(host, "*") {
		return "", fmt.Sprintf(`%q is not a host; a wildcard stands alone or in front: "*.example.com"`, wild+host)
	}
	name, message := canonicalDNS(host)
	if message != "" {
		return "", message
	}
	return wild + name, ""
}

// canonicalDNS gives a DNS name in lower case and ASCII, without a final dot.
func canonicalDNS(name string) (canonical, message string) {
	canonical = strings.ToLower(strings.TrimSuffix(name, "."))
	if !isASCII(canonical) || strings.HasPrefix(canonical, "xn--") || strings.Contains(canonical, ".xn--") {
		ascii, err := idna.Lookup.ToASCII(canonical)
		if err != nil {
			return "", fmt.Sprintf("%q is not an international domain name", name)
		}
		canonical = ascii
	}
	labels := strings.Split(canonical, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return "", fmt.Sprintf("%q is not a host; its parts are letters, digits and hyphens, separated by dots", name)
		}
	}
	if len(canonical) > 253 {
		return "", fmt.Sprintf("%q is not a host; it is longer than 253 characters", name)
	}
	if last := labels[len(labels)-1]; isNumeric(last) {
		return "", fmt.Sprintf("%q ends in a number but is not an IPv4 address; write four decimal numbers", name)
	}
	return canonical, ""
}

// isNumeric says that some resolvers would take a name with this last label for an address (WHATWG URL, section 3.5).
func isNumeric(label string) bool {
	hex, ok := strings.CutPrefix(label, "0x")
	return isDigits(label) || ok && strings.Trim(hex, "0123456789abcdef") == ""
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
