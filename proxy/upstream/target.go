package upstream

import (
	"errors"
	"fmt"
	"net/url"

	"golang.org/x/net/http/httpguts"
)

// checkTarget says whether a request target can stand in a request line as it is. It asks only for what keeps the
// line one line of three words; what a path may hold is decided before.
func checkTarget(target string) error {
	if target == "" || (target[0] != '/' && target != "*") {
		return errors.New("the target is neither a path nor *")
	}
	for i := 0; i < len(target); i++ {
		if b := target[i]; b <= ' ' || b == 0x7f {
			return fmt.Errorf("the target holds byte 0x%02x at %d", b, i)
		}
	}
	return nil
}

// targetURL gives a URL whose HTTP/2 :path is exactly target.
//
// net/url would escape what is not canonical in Path, drop an empty query, and take a target that begins with // for an
// authority. An opaque part of the form //host/target has none of these effects: HTTP/2 takes scheme and authority off
// its front and sends the rest as it stands.
func targetURL(scheme, host, target string) *url.URL {
	u := &url.URL{Scheme: scheme, Host: host, Opaque: target}
	if target != "*" {
		u.Opaque = "//" + host + target
	}
	return u
}

// checkHead says whether method, host, header and trailer names can be written without changing them and without ending a line.
func checkHead(method, host string, header, trailer map[string][]string) error {
	if !httpguts.ValidHeaderFieldName(method) { // a method is a token, as a field name is
		return errors.New("the method is not a token")
	}
	if host == "" || !httpguts.ValidHostHeader(host) {
		return errors.New("the host is empty or holds a byte that a host cannot hold")
	}
	for name := range trailer {
		if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("trailer name %q cannot be sent", name)
		}
	}
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header name %q is not a token", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("the value of header %s holds a control byte", name)
			}
		}
	}
	return nil
}
