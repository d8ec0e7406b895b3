package tuning

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/proxy/route"
)

// The marks that records put in place of what they do not show: a masked value, the end of one that was cut.
const (
	maskMark = "***("
	cutMark  = "…(+"
)

// PathPattern is the pattern of exclusions for the path of an event: decoded as rules compare it, with * for each segment
// that looks like an identifier.
func PathPattern(raw string) string {
	whole, _, cut := strings.Cut(raw, cutMark)
	if cut { // the last segment is not complete
		whole = whole[:strings.LastIndexByte(whole, '/')+1]
	}
	path := whole
	if p, err := route.ParsePath(whole); err == nil {
		path = p.Canonical
	}
	if !strings.HasPrefix(path, "/") {
		return "/**"
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		segments[i] = segmentPattern(s)
	}
	if cut {
		segments[len(segments)-1] = "**"
	}
	return "/" + strings.Join(segments, "/")
}

// segmentPattern keeps a segment that is the same in every request and gives * for others, also for what a pattern
// cannot hold.
func segmentPattern(s string) string {
	if s == "" {
		return s
	}
	if isVariable(s) || strings.Contains(s, maskMark) || strings.Contains(s, "**") || strings.ContainsAny(s, "?#") || !isText(s) {
		return "*"
	}
	if name, extension, found := cutLast(s, '.'); found && isVariable(name) && !isVariable(extension) {
		return "*." + extension
	}
	if word, number, found := cutLast(s, '-'); found && len(number) >= 3 && isDigits(number) && word != "" {
		return word + "-*"
	}
	return s
}

// isText says whether s can stand in a configuration: UTF-8 without control characters.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != ' ' })
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

var (
	uuidRE = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	dateRE = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$`)
)

// isVariable says whether s looks like an identifier: a number, a UUID, a date, hexadecimal digits, or a long token of
// letters and digits.
func isVariable(s string) bool {
	switch {
	case s == "":
		return false
	case isDigits(s), uuidRE.MatchString(s), dateRE.MatchString(s):
		return true
	}
	digits, letters, hex, token := 0, 0, true, true
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			letters++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '=':
			letters++
			hex = false
		default:
			hex, token = false, false
		}
	}
	return hex && len(s) >= 8 && digits > 0 || token && len(s) >= 20 && digits >= 3
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
