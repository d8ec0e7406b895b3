package policy

import (
	"regexp"
	"strings"
)

// place is where the values of a kind of target stand for the engine.
type place struct {
	phase int
	// variables hold the values; their exclusion names no other place.
	variables []string
	// shared is the collection that holds them together with those of other places (ARGS). Rules look at it more
	// often than at the variables, but excluding a key of it would exclude the same key of other.
	shared, other string
	// present is the collection whose keys say whether the target is in the request; empty for what always is.
	present string
	// processors fill the variables; empty for what is not a body.
	processors string
}

const (
	formProcessors = `URLENCODED|MULTIPART`
	jsonProcessors = `JSON|NDJSON`
)

// excludable says, for each kind that an exclusion may name, where its values stand. Values and names are different
// kinds: excluding query:q leaves the name q inspected.
var excludable = map[Kind]place{
	KindQuery:      {phase: 2, variables: []string{"ARGS_GET"}, shared: "ARGS", other: "ARGS_POST", present: "ARGS_GET"},
	KindQueryName:  {phase: 2, variables: []string{"ARGS_GET_NAMES"}, shared: "ARGS_NAMES", other: "ARGS_POST", present: "ARGS_GET"},
	KindForm:       {phase: 2, variables: []string{"ARGS_POST"}, shared: "ARGS", other: "ARGS_GET", present: "ARGS_POST", processors: formProcessors},
	KindFormName:   {phase: 2, variables: []string{"ARGS_POST_NAMES"}, shared: "ARGS_NAMES", other: "ARGS_GET", present: "ARGS_POST", processors: formProcessors},
	KindJSON:       {phase: 2, variables: []string{"ARGS_POST"}, shared: "ARGS", other: "ARGS_GET", present: "ARGS_POST", processors: jsonProcessors},
	KindJSONName:   {phase: 2, variables: []string{"ARGS_POST_NAMES"}, shared: "ARGS_NAMES", other: "ARGS_GET", present: "ARGS_POST", processors: jsonProcessors},
	KindHeader:     {phase: 1, variables: []string{"REQUEST_HEADERS"}, present: "REQUEST_HEADERS"},
	KindHeaderName: {phase: 1, variables: []string{"REQUEST_HEADERS_NAMES"}, present: "REQUEST_HEADERS"},
	KindCookie:     {phase: 1, variables: []string{"REQUEST_COOKIES"}, present: "REQUEST_COOKIES"},
	KindCookieName: {phase: 1, variables: []string{"REQUEST_COOKIES_NAMES"}, present: "REQUEST_COOKIES"},
	KindXML:        {phase: 2, variables: []string{"XML"}, present: "XML", processors: "XML"},
	KindFile:       {phase: 2, variables: []string{"MULTIPART_FILENAME"}, present: "MULTIPART_FILENAME", processors: "MULTIPART"},
	KindPart:       {phase: 2, variables: []string{"MULTIPART_PART_HEADERS"}, present: "MULTIPART_PART_HEADERS", processors: "MULTIPART"},
	KindReply:      {phase: 3, variables: []string{"RESPONSE_HEADERS"}, present: "RESPONSE_HEADERS"},

	KindURI:         {phase: 1, variables: []string{"REQUEST_URI", "REQUEST_URI_RAW"}},
	KindPath:        {phase: 1, variables: []string{"REQUEST_FILENAME", "REQUEST_BASENAME"}},
	KindBody:        {phase: 1, variables: []string{"REQUEST_BODY"}},
	KindProtocol:    {phase: 1, variables: []string{"REQUEST_PROTOCOL"}},
	KindRequestLine: {phase: 1, variables: []string{"REQUEST_LINE"}},
	KindMethod:      {phase: 1, variables: []string{"REQUEST_METHOD"}},
	KindReplyBody:   {phase: 3, variables: []string{"RESPONSE_BODY"}},
}

// wholes are the places of kinds whose name is optional, without one.
var wholes = map[Kind]place{
	KindQuery: {phase: 1, variables: []string{"QUERY_STRING"}},
	KindFile:  {phase: 2, variables: []string{"FILES", "FILES_NAMES", "MULTIPART_FILENAME"}, present: "FILES", processors: "MULTIPART"},
}

// textBody is where a body of plain text stands besides REQUEST_BODY: as one argument of that name.
var textBody = place{
	phase: 2, variables: []string{"ARGS_POST"}, shared: "ARGS", other: "ARGS_GET", present: "ARGS_POST", processors: "TEXT",
}

const textArgument = "body"

var plainKey = regexp.MustCompile(`^[a-z0-9_-][a-z0-9_.-]*$`)

// key is the target's name as a key of a SecLang collection, which is compared in lower case: a plain text, or a
// regular expression between slashes.
func (t Target) key() string {
	switch t.Kind {
	case KindXML:
		if t.Name == "attributes" {
			return "//@*"
		}
		return "/*"
	case KindJSON, KindJSONName:
		segments, err := jsonSegments(t.Name)
		if err != nil || t.Name == "" { // an invalid name was refused by ParseTarget; a document that is one value
			return "json"
		}
		var plain, regex strings.Builder
		plain.WriteString("json")
		regex.WriteString("json")
		separator := '.'
		for _, s := range segments {
			if strings.Contains(s.text, `\.`) { // a key holds a dot: the processor marks such names
				separator = ':'
			}
		}
		for _, s := range segments {
			plain.WriteString(string(separator) + s.text)
			regex.WriteString(literal(separator))
			separator = '.'
			switch {
			case s.text == "*" && s.index:
				regex.WriteString(`[0-9]+`)
			case s.text == "*":
				regex.WriteString(`[^.]+`)
			default:
				regex.WriteString(nameRegex(s.text, `[^.]*`))
			}
		}
		return keyText(plain.String(), regex.String())
	}
	return keyText(t.Name, nameRegex(t.Name, `(?s:.*)`))
}

func keyText(plain, regex string) string {
	if p := strings.ToLower(plain); plainKey.MatchString(p) {
		return p
	}
	return "/^" + regex + "$/"
}

// nameRegex writes a name with wildcards and escapes as a regular expression over lower-case keys.
func nameRegex(name, wildcard string) string {
	var b strings.Builder
	escaped := false
	for _, r := range strings.ToLower(name) {
		switch {
		case escaped:
			b.WriteString(literal(r))
			escaped = false
		case r == '\\':
			escaped = true
		case r == '*':
			b.WriteString(wildcard)
		default:
			b.WriteString(literal(r))
		}
	}
	return b.String()
}
