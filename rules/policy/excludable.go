package policy

// excludable names, for each kind that an exclusion may name, the SecLang variables that hold it. Values and names
// are different kinds: excluding query:q leaves the name q inspected.
var excludable = map[Kind][]string{
	KindQuery:       {"ARGS_GET"},
	KindForm:        {"ARGS_POST"},
	KindJSON:        {"ARGS_POST"},
	KindHeader:      {"REQUEST_HEADERS"},
	KindCookie:      {"REQUEST_COOKIES"},
	KindXML:         {"XML"},
	KindFile:        {"FILES"},
	KindQueryName:   {"ARGS_GET_NAMES"},
	KindFormName:    {"ARGS_POST_NAMES"},
	KindJSONName:    {"ARGS_POST_NAMES"},
	KindHeaderName:  {"REQUEST_HEADERS_NAMES"},
	KindCookieName:  {"REQUEST_COOKIES_NAMES"},
	KindPart:        {"MULTIPART_PART_HEADERS"},
	KindReply:       {"RESPONSE_HEADERS"},
	KindURI:         {"REQUEST_URI", "REQUEST_URI_RAW"},
	KindPath:        {"REQUEST_FILENAME", "REQUEST_BASENAME"},
	KindBody:        {"REQUEST_BODY"},
	KindProtocol:    {"REQUEST_PROTOCOL"},
	KindRequestLine: {"REQUEST_LINE"},
	KindMethod:      {"REQUEST_METHOD"},
	KindReplyBody:   {"RESPONSE_BODY"},
}
