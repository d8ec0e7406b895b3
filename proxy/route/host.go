package route

import (
	"net"
	"strings"
)

// CanonicalHost gives the host of a Host header or :authority as routing compares it: lower case, without port and
// without the final dot of a fully qualified name. IPv6 literals lose their brackets.
func CanonicalHost(host string) string {
	if strings.IndexByte(host, ':') >= 0 {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		} else {
			host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		}
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
