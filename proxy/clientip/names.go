package clientip

import (
	"net/http"
	"strings"
)

// class says what happens to a header on its way upstream.
type class int

const (
	endToEnd   class = iota // passed on, unless Connection names it
	protected               // passed on, whatever Connection says
	hopByHop                // ends here
	forwarding              // counts only from our proxies
	ours                    // only Gatehouse writes it
	requestID               // kept or generated
)

// plainName returns a header name in the form in which classify knows it: canonical case, '-' for '_', because
// upstreams that turn headers into variables cannot tell these two apart.
func plainName(key string) string {
	if strings.IndexByte(key, '_') >= 0 {
		key = strings.ReplaceAll(key, "_", "-")
	}
	return http.CanonicalHeaderKey(key)
}

// classify takes a name as plainName returns it.
func classify(name string) class {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Proxy",
		"Content-Length", // the framing is ours
		"Expect":         // answered by the gateway
		return hopByHop
	case forwarded, xRealIP, xClientIP, trueClientIP, "X-Forwarded":
		return forwarding
	case xRequestID:
		return requestID
	case "Host", "Traceparent", "Tracestate", "X-Amzn-Trace-Id", "Authorization", "Cookie", "Accept", "Cache-Control",
		"Date", "Origin", "Pragma", "Range", "Referer", "User-Agent", "Via":
		return protected
	}
	switch {
	case looksLikeFraming(name):
		return hopByHop
	case strings.HasPrefix(name, "Proxy-"):
		return hopByHop
	case strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, "X-Amzn-Mtls-"):
		return forwarding
	case strings.HasPrefix(name, "X-Gatehouse-"):
		return ours
	case strings.HasPrefix(name, "Content-"), strings.HasPrefix(name, "If-"), strings.HasPrefix(name, "Accept-"),
		strings.HasPrefix(name, "Sec-"):
		return protected
	}
	return endToEnd
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
			name := plainName(strings.Trim(token, " \t"))
			switch classify(name) {
			case endToEnd:
				if name == "" || name == "Close" {
					continue
				}
				if named == nil {
					named = map[string]bool{}
				}
				named[name] = true
			case protected, forwarding, ours, requestID:
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
