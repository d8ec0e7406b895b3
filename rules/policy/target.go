package policy

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Kind is the part of a request or reply that a Target lies in.
type Kind string

// The kinds that take a name: query:q, json:items[*].comment, header:user-agent.
const (
	KindQuery      Kind = "query"       // an argument in the query string
	KindForm       Kind = "form"        // an argument in a urlencoded or multipart body
	KindJSON       Kind = "json"        // a field of a JSON or NDJSON body
	KindHeader     Kind = "header"      // a request header
	KindCookie     Kind = "cookie"      // a request cookie
	KindXML        Kind = "xml"         // xml:text or xml:attributes of an XML body; rules see attribute values among the texts too
	KindFile       Kind = "file"        // the client's name of an uploaded file, by form field; file alone is all of them
	KindQueryName  Kind = "query_name"  // the name of a query argument itself
	KindFormName   Kind = "form_name"   // the name of a form argument itself
	KindJSONName   Kind = "json_name"   // the path of a JSON field itself
	KindHeaderName Kind = "header_name" // the name of a header itself
	KindCookieName Kind = "cookie_name" // the name of a cookie itself
	KindPart       Kind = "part"        // the headers of a multipart part, by form field
	KindReply      Kind = "reply"       // a response header
)

// The kinds that stand alone. The word query alone is the whole query string.
const (
	KindMethod      Kind = "method"
	KindURI         Kind = "uri" // path and query as received
	KindPath        Kind = "path"
	KindBody        Kind = "body"
	KindProtocol    Kind = "protocol"
	KindRequestLine Kind = "request_line"
	KindClient      Kind = "client"
	KindReplyBody   Kind = "reply_body"
	KindReplyStatus Kind = "reply_status"
)

// naming says whether a kind is followed by a name.
type naming int

const (
	nameRequired naming = iota
	nameOptional
	nameNone
)

var kinds = map[Kind]naming{
	KindQuery: nameOptional, KindForm: nameRequired, KindJSON: nameRequired, KindHeader: nameRequired,
	KindCookie: nameRequired, KindXML: nameRequired, KindFile: nameOptional,
	KindQueryName: nameRequired, KindFormName: nameRequired, KindJSONName: nameRequired,
	KindHeaderName: nameRequired, KindCookieName: nameRequired, KindPart: nameRequired, KindReply: nameRequired,
	KindMethod: nameNone, KindURI: nameNone, KindPath: nameNone, KindBody: nameNone, KindProtocol: nameNone,
	KindRequestLine: nameNone, KindClient: nameNone, KindReplyBody: nameNone, KindReplyStatus: nameNone,
}

// Target is one place, or with * a set of places, in a request or reply. Its text is the same in events,
// exclusions and the UI: kind:name, or the kind alone.
//
// In a name, * stands for any characters (in json: within one segment), [*] for any index, and \ takes the next
// character literally: json:http\.method is the key http.method, not the key method of http. Names are compared without
// regard to case, as the engine does.
type Target struct {
	Kind Kind
	// Name is canonical: lower case for headers, indexes in brackets for json. Empty for a kind that stands alone.
	Name string
}

// String is the text that ParseTarget reads.
func (t Target) String() string {
	if t.Name == "" && kinds[t.Kind] != nameRequired {
		return string(t.Kind)
	}
	return string(t.Kind) + ":" + t.Name
}

// ParseTarget reads a target. The error says what would be right.
func ParseTarget(s string) (Target, error) {
	kind, name, named := strings.Cut(s, ":")
	t := Target{Kind: Kind(kind), Name: name}
	n, known := kinds[t.Kind]
	switch {
	case !known:
		return Target{}, fmt.Errorf("%q does not begin with a known place; write one of %s", s, kindList())
	case n == nameNone && named:
		return Target{}, fmt.Errorf("%q: %s stands alone, without a name", s, kind)
	case n == nameRequired && name == "" && t.Kind != KindJSON && t.Kind != KindJSONName && t.Kind != KindForm:
		return Target{}, fmt.Errorf("%q needs a name after %s:, such as %s", s, kind, kindExample(t.Kind))
	case n == nameRequired && !named:
		return Target{}, fmt.Errorf("%q needs a name, such as %s", s, kindExample(t.Kind))
	case n == nameOptional && named && name == "":
		return Target{}, fmt.Errorf("%q needs a name after the colon; the whole is written %s", s, kind)
	}
	if strings.HasSuffix(strings.ReplaceAll(name, `\\`, ""), `\`) {
		return Target{}, fmt.Errorf("%q ends with a lone backslash; write \\\\ for a backslash", s)
	}
	switch t.Kind {
	case KindHeader, KindHeaderName, KindReply:
		t.Name = strings.ToLower(name)
		if i := strings.IndexFunc(t.Name, func(r rune) bool { return !isToken(r) && r != '\\' }); i >= 0 {
			return Target{}, fmt.Errorf("%q: %q cannot stand in a header name", s, t.Name[i:i+1])
		}
	case KindXML:
		switch name {
		case "text", "/*":
			t.Name = "text"
		case "attributes", "//@*":
			t.Name = "attributes"
		default:
			return Target{}, fmt.Errorf("%q: XML has the targets xml:text and xml:attributes", s)
		}
	case KindJSON, KindJSONName:
		segments, err := jsonSegments(name)
		if err != nil {
			return Target{}, fmt.Errorf("%q: %w", s, err)
		}
		t.Name = jsonName(segments)
	}
	return t, nil
}

func kindList() string {
	var names []string
	for k, n := range kinds {
		if n != nameRequired {
			names = append(names, string(k))
		}
		if n != nameNone {
			names = append(names, string(k)+":NAME")
		}
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

func kindExample(k Kind) string {
	switch k {
	case KindHeader, KindHeaderName, KindReply:
		return string(k) + ":user-agent"
	case KindXML:
		return "xml:text"
	case KindJSON, KindJSONName:
		return string(k) + ":items[*].comment"
	}
	return string(k) + ":comment"
}

// segment is one step of a JSON path: a name, which may hold * and escapes, or an index.
type segment struct {
	text  string // a pattern; for an index digits or *
	index bool
}

// jsonSegments splits items[*].comment into its steps.
func jsonSegments(name string) ([]segment, error) {
	var out []segment
	rest := name
	for first := true; ; first = false {
		if strings.HasPrefix(rest, "[") {
			index, after, ok := strings.Cut(rest[1:], "]")
			if !ok || index != "*" && !isIndex(index) {
				return nil, fmt.Errorf("an index is written [0] or [*]; write \\[ for a bracket in a name")
			}
			out = append(out, segment{text: index, index: true})
			rest = after
		} else {
			end := segmentEnd(rest)
			if end == 0 && first && rest != "" && rest[0] == '.' {
				return nil, fmt.Errorf("the path begins with a dot")
			}
			text := rest[:end]
			// A number between dots and an index in brackets are the same key to the engine.
			out = append(out, segment{text: text, index: isIndex(text)})
			rest = rest[end:]
		}
		switch {
		case rest == "":
			return out, nil
		case rest[0] == '.':
			rest = rest[1:]
			if strings.HasPrefix(rest, "[") {
				return nil, fmt.Errorf("an index follows its name without a dot: items[0].comment")
			}
		case rest[0] != '[':
			return nil, fmt.Errorf("after ] comes a dot, another index or the end")
		}
	}
}

func segmentEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '.', '[':
			return i
		}
	}
	return len(s)
}

func isIndex(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func jsonName(segments []segment) string {
	var b strings.Builder
	for i, s := range segments {
		switch {
		case s.index:
			b.WriteString("[" + s.text + "]")
		case i > 0:
			b.WriteString("." + s.text)
		default:
			b.WriteString(s.text)
		}
	}
	return b.String()
}

// escapeName takes the characters that mean something in a name literally.
func escapeName(key, special string) string {
	if !strings.ContainsAny(key, special) {
		return key
	}
	var b strings.Builder
	for i := range len(key) {
		if strings.IndexByte(special, key[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(key[i])
	}
	return b.String()
}

// TargetOf writes a SecLang variable and key as a target, or answers the empty string if there is none. The
// processor is the body processor that filled the arguments (REQBODY_PROCESSOR).
//
// ARGS and ARGS_NAMES hold query and body together: a caller that knows which of the two the value came from
// passes ARGS_GET or ARGS_POST (or their _NAMES). Otherwise the answer is a target only when it is certain.
func TargetOf(variable, key, processor string) string {
	json := processor == "JSON" || processor == "NDJSON"
	switch strings.ToUpper(variable) {
	case "ARGS":
		switch {
		case json && isJSONKey(key):
			return TargetOf("ARGS_POST", key, processor)
		case json || processor != "URLENCODED" && processor != "MULTIPART":
			return TargetOf("ARGS_GET", key, processor)
		}
		return ""
	case "ARGS_NAMES":
		switch {
		case json && isJSONKey(key):
			return TargetOf("ARGS_POST_NAMES", key, processor)
		case json || processor != "URLENCODED" && processor != "MULTIPART":
			return TargetOf("ARGS_GET_NAMES", key, processor)
		}
		return ""
	case "ARGS_GET":
		return named(KindQuery, key)
	case "ARGS_GET_NAMES":
		return named(KindQueryName, key)
	case "ARGS_POST":
		switch {
		case json:
			return jsonTarget(KindJSON, key)
		case processor == "TEXT":
			return string(KindBody)
		}
		return named(KindForm, key)
	case "ARGS_POST_NAMES":
		if json {
			return jsonTarget(KindJSONName, key)
		}
		return named(KindFormName, key)
	case "REQUEST_HEADERS":
		return named(KindHeader, strings.ToLower(key))
	case "REQUEST_HEADERS_NAMES":
		return named(KindHeaderName, strings.ToLower(key))
	case "REQUEST_COOKIES":
		return named(KindCookie, key)
	case "REQUEST_COOKIES_NAMES":
		return named(KindCookieName, key)
	case "RESPONSE_HEADERS":
		return named(KindReply, strings.ToLower(key))
	case "XML", "REQUEST_XML":
		switch key {
		case "/*":
			return "xml:text"
		case "//@*":
			return "xml:attributes"
		}
		return ""
	case "FILES", "FILES_NAMES":
		return string(KindFile)
	case "MULTIPART_FILENAME":
		return named(KindFile, key)
	case "MULTIPART_PART_HEADERS":
		return named(KindPart, key)
	}
	if k, ok := wholeVariables[strings.ToUpper(variable)]; ok {
		return string(k)
	}
	return ""
}

var wholeVariables = map[string]Kind{
	"REQUEST_METHOD": KindMethod, "REQUEST_URI": KindURI, "REQUEST_URI_RAW": KindURI,
	"REQUEST_FILENAME": KindPath, "REQUEST_BASENAME": KindPath, "QUERY_STRING": KindQuery,
	"REQUEST_BODY": KindBody, "REQUEST_PROTOCOL": KindProtocol, "REQUEST_LINE": KindRequestLine,
	"REMOTE_ADDR": KindClient, "RESPONSE_BODY": KindReplyBody, "RESPONSE_STATUS": KindReplyStatus,
}

func named(k Kind, key string) string {
	if key == "" && k != KindForm {
		return ""
	}
	return string(k) + ":" + escapeName(key, `\*`)
}

// isJSONKey says whether a key is one that the JSON processor makes.
func isJSONKey(key string) bool {
	return len(key) > len("json") && strings.EqualFold(key[:len("json")], "json") && (key[len("json")] == '.' || key[len("json")] == ':')
}

// jsonTarget turns json.items.0.comment into json:items[0].comment.
func jsonTarget(k Kind, key string) string {
	if len(key) < len("json") || !strings.EqualFold(key[:len("json")], "json") {
		return ""
	}
	rest := key[len("json"):]
	if rest == "" {
		return string(k) + ":"
	}
	if rest[0] == ':' { // some key holds a dot: which one is not known
		return string(k) + ":" + escapeName(rest[1:], `\*[.`)
	}
	if rest[0] != '.' {
		return ""
	}
	var segments []segment
	for _, s := range strings.Split(rest[1:], ".") {
		if _, err := strconv.Atoi(s); err == nil && isIndex(s) {
			segments = append(segments, segment{text: s, index: true})
			continue
		}
		segments = append(segments, segment{text: escapeName(s, `\*[`)})
	}
	return string(k) + ":" + jsonName(segments)
}
