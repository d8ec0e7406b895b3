package operator

import (
	"strings"

	libinjection "github.com/corazawaf/libinjection-go"

	"gatehouse/rules/program/byteset"
)

type detectXSS struct{}

// Match implements Operator.
func (d detectXSS) Match(value string, _ *Captures) bool {
	return d.MatchMasked(value, byteset.Of(value), nil)
}

// MatchMasked implements Masked.
func (detectXSS) MatchMasked(value string, mask byteset.Set, _ *Captures) bool {
	return mayBeXSS(value, mask) && libinjection.IsXSS(value)
}

// mayBeXSS is false only for values of which IsXSS is false too. In whichever of its five contexts libinjection reads a
// value, it finds something in one of two ways.
//
// It finds a document type, a tag or a comment; these begin at a "<", and what follows that says which of them it is.
//
// Or it finds the value of an attribute whose name is on its list. That comes after "=", with only the name and white
// space in front; a name begins where the value begins, or after white space, "/" or a quote; and the names on the list
// are of letters and a colon. NUL counts as white space and is ignored in names: such values are left to the library.
func mayBeXSS(value string, mask byteset.Set) bool {
	return mask.Has('<') && hasMarkup(value) || mask.Has('=') && (mask.Has(0) || hasAttribute(value))
}

// hasMarkup reports a "<" with something after it that makes it more than text.
func hasMarkup(value string) bool {
	for {
		at := strings.IndexByte(value, '<')
		if at < 0 || at+1 == len(value) {
			return false
		}
		value = value[at+1:]
		if c := value[0]; isLetter(c) || c == '!' || c == '/' || c == '?' || c == '%' || c == 0 {
			return true
		}
	}
}

// attributeStarts are the first two letters of the names on libinjection's list; "on" is for all the events.
const attributeStarts = "on ac at ba by da dy fi fo fr ha hr lo po sr st to va xl xm"

// hasAttribute reports a "=" after what may be a name on libinjection's list.
func hasAttribute(value string) bool {
	for at := strings.IndexByte(value, '='); at >= 0; {
		end := at
		for end > 0 && isSpace(value[end-1]) {
			end--
		}
		start := end
		for start > 0 && (isLetter(value[start-1]) || value[start-1] == ':') {
			start--
		}
		if end-start >= 2 && (start == 0 || strings.IndexByte(" \t\n\v\f\r/'\"`", value[start-1]) >= 0) &&
			strings.Contains(attributeStarts, string([]byte{value[start] | 0x20, value[start+1] | 0x20})) {
			return true
		}
		next := strings.IndexByte(value[at+1:], '=')
		if next < 0 {
			return false
		}
		at += 1 + next
	}
	return false
}

func isLetter(c byte) bool { return c|0x20-'a' < 26 }

func isSpace(c byte) bool { return c == ' ' || c-'\t' < 5 }
