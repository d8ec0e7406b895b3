package http1

import (
	"net/http"
	"strings"
)

// Classes of bytes in a request's head.
const (
	inToken  uint8 = 1 << iota // methods and field names: tchar, RFC 9110 section 5.6.2
	inValue                    // field values: VCHAR, obs-text, SP and HTAB, RFC 9110 section 5.5
	inTarget                   // request targets: visible ASCII without the number sign
	inPath                     // paths that net/url takes and gives back unchanged
	inHost                     // host names, IPv4 addresses and ports
)

var classes = func() (table [256]uint8) {
	mark := func(class uint8, set string) {
		for i := 0; i < len(set); i++ {
			table[set[i]] |= class
		}
	}
	const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	mark(inToken, alphanumeric+"!#$%&'*+-.^_`|~")
	mark(inPath, alphanumeric+"-_.~$&+,/:;=@")
	mark(inHost, alphanumeric+"-._")
	for c := range 256 {
		if c == '\t' || c >= ' ' && c != 0x7f {
			table[c] |= inValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			table[c] |= inTarget
		}
	}
	return table
}()

// only reports whether all bytes of s are of a class.
func only(s string, class uint8) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// IsToken reports whether s can be a method or the name of a field (RFC 9110, sections 5.6.2 and 9.1).
func IsToken(s string) bool { return s != "" && only(s, inToken) }

// IsValue reports whether s can be the value of a field (RFC 9110, section 5.5): it holds no control byte but tabs, and
// neither begins nor ends with white space.
func IsValue(s string) bool { return only(s, inValue) && trim(s) == s }

// IsText reports whether s holds no control byte but tabs.
func IsText(s string) bool { return only(s, inValue) }

// trim takes spaces and tabs from both ends.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// EqualFold reports whether s and t are the same but for the case of ASCII letters. Case means nothing else in HTTP:
// strings.EqualFold would take the Kelvin sign for a k.
func EqualFold(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if lower(s[i]) != lower(t[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// HasToken reports whether one of a list field's values names token, in any case.
func HasToken(values []string, token string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			if EqualFold(trim(element), token) {
				return true
			}
		}
	}
	return false
}

// refusal is why a request is not accepted, and the status of the reply.
type refusal struct {
	status int
	detail string
}

// Error gives the detail.
func (r *refusal) Error() string { return r.detail }

func bad(detail string) *refusal { return &refusal{http.StatusBadRequest, detail} }
