package clientip

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// class says what happens to a header on its way upstream. In another spelling (see PlainName) only what is endToEnd
// goes on.
type class int

const (
	endToEnd   class = iota // passed on, unless Connection names it
	protected               // passed on, whatever Connection says
	hopByHop                // ends here
	forwarding              // counts only from our proxies, and not all of it
	address                 // the same, and then it names the client that we found
	ours                    // only Gatehouse writes it
	requestID               // kept or generated
)

// PlainName returns a header name in the form in which names are compared: canonical case, and a dash for every other
// mark. Upstreams that turn headers into variables (RFC 3875, section 4.1.18) write an underscore for the dash, some for
// a dot too (PHP), some for whatever is neither letter nor digit: they cannot tell such names apart.
func PlainName(key string) string {
	if isPlain(key) {
		return key
	}
	return http.CanonicalHeaderKey(strings.Map(dashed, key))
}

// isPlain reports whether PlainName changes nothing, as with nearly all names.
func isPlain(key string) bool {
	begins := true
	for i := 0; i < len(key); i++ {
		c := key[i]
		if !isAlphanumeric(c) && c != '-' || c >= 'a' && begins || c >= 'A' && c <= 'Z' && !begins {
			return false
		}
		begins = c == '-'
	}
	return true
}

// dashed gives a dash for what is neither a letter nor a digit.
func dashed(r rune) rune {
	if r < utf8.RuneSelf && isAlphanumeric(byte(r)) {
		return r
	}
	return '-'
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// classify takes a name as PlainName returns it.
func classify(name string) class {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Proxy",
		"Content-Length", // the framing is ours
		"Expect":         // answered by the gateway
		return hopByHop
	case xRequestID:
		return requestID
	case "Host", "Traceparent", "Tracestate", "X-Amzn-Trace-Id", "Authorization", "Cookie", "Accept", "Cache-Control",
		"Date", "Origin", "Pragma", "Range", "Referer", "User-Agent", "Via",
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override": // rules look at them
		return protected
	}
	switch {
	case namesClient(name):
		return address
	case name == forwarded, name == "X-Forwarded", namesTarget(name), namesCertificate(name):
		return forwarding
	case looksLikeFraming(name):
		return hopByHop
	case strings.HasPrefix(name, "Proxy-"):
		return hopByHop
	case strings.HasPrefix(name, "X-Forwarded-"):
		return forwarding
	case strings.HasPrefix(name, "X-Gatehouse-"):
		return ours
	case strings.HasPrefix(name, "Content-"), strings.HasPrefix(name, "If-"), strings.HasPrefix(name, "Accept-"),
		strings.HasPrefix(name, "Sec-"):
		return protected
	}
	return endToEnd
}

// EndToEnd reports whether a header is one that a client may send in a trailer, where nobody looks at it: none that the
// gateway or the rules know by name, in any spelling. Upstreams may merge trailers into headers (RFC 9110, section 6.5.1).
func EndToEnd(key string) bool { return classify(PlainName(key)) == endToEnd }

// namesClient reports whether a header is one in which proxies and content delivery networks name the client's address,
// and which frameworks believe.
func namesClient(name string) bool {
	switch name {
	case xRealIP, "Client-Ip", "X-Client-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "X-Originating-Ip", "X-Remote-Ip",
		"X-Remote-Addr", "X-Proxyuser-Ip", "X-Original-Forwarded-For", "X-Envoy-External-Address", "Wl-Proxy-Client-Ip",
		"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip", "Fly-Client-Ip", "X-Azure-Clientip", "X-Azure-Socketip",
		"X-Appengine-User-Ip":
		return true
	}
	return false
}

// namesTarget reports whether a header is one in which proxies tell what a request was for before they rewrote it: some
// frameworks route by it, where the gateway has routed and judged by the request line and Host.
func namesTarget(name string) bool {
	switch name {
	case "X-Original-Url", "X-Rewrite-Url", "X-Original-Uri", "X-Original-Host", "X-Host", "X-Http-Host-Override",
		"X-Envoy-Original-Path", "X-Waws-Unencoded-Url":
		return true
	}
	return false
}

// namesCertificate reports whether a header is one in which a proxy that ended TLS, or logged the client in, tells who the
// client is (RFC 9440, section 2, and what load balancers had before it).
func namesCertificate(name string) bool {
	switch name {
	case "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Arr-Clientcert":
		return true
	}
	for _, prefix := range []string{"X-Amzn-Mtls-", "X-Amzn-Oidc-", "X-Ssl-Client-", "Ssl-Client-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// looksLikeFraming reports whether a name is, but for the marks between its letters, one that says where a message ends:
// some servers take others for the dash, or leave them out.
func looksLikeFraming(name string) bool {
	return sameLetters(name, "contentlength") || sameLetters(name, "transferencoding")
}

// sameLetters reports whether the letters and digits of name are those of letters, in any case.
func sameLetters(name, letters string) bool {
	i := 0
	for _, c := range []byte(name) {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c < '0' || c > '9' && c < 'a' || c > 'z' {
			continue
		}
		if i == len(letters) || c != letters[i] {
			return false
		}
		i++
	}
	return i == len(letters)
}

// maxConnection is how many elements Connection may list, empty ones among them, in all its fields. Clients send one to
// three.
const maxConnection = 100

// connectionNamed returns the set of headers that Connection removes, nil if there are none, and how many of its
// elements named one that it must not: RFC 9110, 7.6.1 forbids naming fields that are meant for all recipients, and a
// client must not be able to take away what the upstream decides on. ok is false if it lists more than maxConnection.
func connectionNamed(values []string) (named map[string]bool, refused int, ok bool) {
	elements := 0
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if elements++; elements > maxConnection {
				return named, refused, false
			}
			name := PlainName(strings.Trim(token, " \t"))
			switch classify(name) {
			case endToEnd:
				if name == "" || name == "Close" {
					continue
				}
				if named == nil {
					named = map[string]bool{}
				}
				named[name] = true
			case protected, forwarding, address, ours, requestID:
				refused++
			case hopByHop:
			}
		}
	}
	return named, refused, true
}

// acceptsTrailers reports whether TE lists trailers.
func acceptsTrailers(values []string) bool {
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), "trailers") {
				return true
			}
		}
	}
	return false
}
