package body

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/rules/media"
)

// charsetField is the name of the field by which a form may say in which charset it is (HTML, section 4.10.18).
const charsetField = "_charset_"

// parseForm parses name=value pairs joined by &. Escapes that are none stay as they are.
func parseForm(p *Parsed, text string, o Options) {
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if p.field(unescape(name), unescape(value), o) {
			return
		}
	}
}

// field adds the argument of a form's field. Some decoders accept a character written in more bytes than it needs, which
// UTF-8 forbids (RFC 3629, section 3) and rules do not read: what they make of the field follows under its name.
func (p *Parsed) field(name, value string, o Options) (full bool) {
	if name == charsetField && value != "" && !slices.Contains(media.Charsets, strings.ToLower(value)) && p.Problem == nil {
		p.Problem = fmt.Errorf("the field %s names the charset %q, which is not accepted", charsetField, abbreviate(value))
	}
	if p.argument(name, value, o) {
		return true
	}
	shortName, shortValue := Shortest(name), Shortest(value)
	if shortName == name && shortValue == value {
		return false
	}
	return p.argument(shortName, shortValue, o)
}

// unescape decodes plus signs and percent escapes.
func unescape(s string) string {
	if !strings.ContainsAny(s, "+%") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(hex(s[i+1])<<4 | hex(s[i+2]))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
