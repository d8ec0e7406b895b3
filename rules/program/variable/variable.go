// Package variable numbers the SecLang variables, so that programs need no names.
package variable

import "strings"

// ID is a SecLang variable. The zero ID is none: the variable of a SecAction's match, named UNKNOWN.
type ID uint8

// Kind is how a variable holds values.
type Kind uint8

// The kinds.
const (
	// Empty variables exist in the language and never hold a value.
	Empty Kind = iota
	// Single variables always hold one value, which may be empty.
	Single
	// Collection variables hold any number of values under keys.
	Collection
	// Derived variables are made of others when they are read: ARGS, the *_NAMES, ARGS_COMBINED_SIZE.
	Derived
)

// The variables, by kind.
const (
	Unknown ID = iota

	// Singles.
	ArgumentsLimitReached
	Duration
	FilesCombinedSize
	FullRequestLength
	HighestSeverity
	InboundDataError
	MatchedVar
	MatchedVarName
	MultipartDataAfter
	MultipartDuplicatePartHeader
	MultipartInvalidQuoting
	MultipartStrictError
	OutboundDataError
	QueryString
	RemoteAddr
	RemoteHost
	RemotePort
	ReqbodyError
	ReqbodyErrorMsg
	ReqbodyProcessor
	ReqbodyProcessorError
	ReqbodyProcessorErrorMsg
	RequestBasename
	RequestBody
	RequestBodyLength
	RequestFilename
	RequestLine
	RequestMethod
	RequestProtocol
	RequestURI
	RequestURIRaw
	ResBodyProcessor
	ResponseBody
	ResponseContentLength
	ResponseContentType
	ResponseProtocol
	ResponseStatus
	ServerAddr
	ServerName
	ServerPort
	StatusLine
	Time
	TimeDay
	TimeEpoch
	TimeHour
	TimeMin
	TimeMon
	TimeSec
	TimeWday
	TimeYear
	UniqueID
	URIParseError
	UrlencodedError
	lastSingle

	// Collections.
	ArgsGet
	ArgsPath
	ArgsPost
	Env
	Files
	FilesNames
	FilesSizes
	FilesTmpContent
	FilesTmpNames
	Geo
	MatchedVars
	MultipartFilename
	MultipartFilenameCharset
	MultipartFilenameLanguage
	MultipartName
	MultipartPartHeaders
	RequestCookies
	RequestHeaders
	RequestXML
	ResponseArgs
	ResponseHeaders
	ResponseXML
	Rule
	TX
	lastCollection

	// Derived from the above.
	Args
	ArgsCombinedSize
	ArgsGetNames
	ArgsNames
	ArgsPostNames
	MatchedVarsNames
	RequestCookiesNames
	RequestHeadersNames
	ResponseHeadersNames
	XML
	lastDerived

	// Empty.
	AuthType
	FullRequest
	IP
	JSON
	MultipartBoundaryQuoted
	MultipartBoundaryWhitespace
	MultipartCrlfLfLines
	MultipartDataBefore
	MultipartFileLimitExceeded
	MultipartHeaderFolding
	MultipartInvalidHeaderFolding
	MultipartInvalidPart
	MultipartLfLine
	MultipartMissingSemicolon
	MultipartUnmatchedBoundary
	PathInfo
	ResBodyError
	ResBodyErrorMsg
	ResBodyProcessorError
	ResBodyProcessorErrorMsg
	Sessionid
	Userid
	last
)

// Count is one more than the largest ID.
const Count = int(last)

// names are as SecLang writes them.
var names = [Count]string{
	Unknown:                       "UNKNOWN",
	ArgumentsLimitReached:         "ARGUMENTS_LIMIT_REACHED",
	Duration:                      "DURATION",
	FilesCombinedSize:             "FILES_COMBINED_SIZE",
	FullRequestLength:             "FULL_REQUEST_LENGTH",
	HighestSeverity:               "HIGHEST_SEVERITY",
	InboundDataError:              "INBOUND_DATA_ERROR",
	MatchedVar:                    "MATCHED_VAR",
	MatchedVarName:                "MATCHED_VAR_NAME",
	MultipartDataAfter:            "MULTIPART_DATA_AFTER",
	MultipartDuplicatePartHeader:  "MULTIPART_DUPLICATE_PART_HEADER",
	MultipartInvalidQuoting:       "MULTIPART_INVALID_QUOTING",
	MultipartStrictError:          "MULTIPART_STRICT_ERROR",
	OutboundDataError:             "OUTBOUND_DATA_ERROR",
	QueryString:                   "QUERY_STRING",
	RemoteAddr:                    "REMOTE_ADDR",
	RemoteHost:                    "REMOTE_HOST",
	RemotePort:                    "REMOTE_PORT",
	ReqbodyError:                  "REQBODY_ERROR",
	ReqbodyErrorMsg:               "REQBODY_ERROR_MSG",
	ReqbodyProcessor:              "REQBODY_PROCESSOR",
	ReqbodyProcessorError:         "REQBODY_PROCESSOR_ERROR",
	ReqbodyProcessorErrorMsg:      "REQBODY_PROCESSOR_ERROR_MSG",
	RequestBasename:               "REQUEST_BASENAME",
	RequestBody:                   "REQUEST_BODY",
	RequestBodyLength:             "REQUEST_BODY_LENGTH",
	RequestFilename:               "REQUEST_FILENAME",
	RequestLine:                   "REQUEST_LINE",
	RequestMethod:                 "REQUEST_METHOD",
	RequestProtocol:               "REQUEST_PROTOCOL",
	RequestURI:                    "REQUEST_URI",
	RequestURIRaw:                 "REQUEST_URI_RAW",
	ResBodyProcessor:              "RES_BODY_PROCESSOR",
	ResponseBody:                  "RESPONSE_BODY",
	ResponseContentLength:         "RESPONSE_CONTENT_LENGTH",
	ResponseContentType:           "RESPONSE_CONTENT_TYPE",
	ResponseProtocol:              "RESPONSE_PROTOCOL",
	ResponseStatus:                "RESPONSE_STATUS",
	ServerAddr:                    "SERVER_ADDR",
	ServerName:                    "SERVER_NAME",
	ServerPort:                    "SERVER_PORT",
	StatusLine:                    "STATUS_LINE",
	Time:                          "TIME",
	TimeDay:                       "TIME_DAY",
	TimeEpoch:                     "TIME_EPOCH",
	TimeHour:                      "TIME_HOUR",
	TimeMin:                       "TIME_MIN",
	TimeMon:                       "TIME_MON",
	TimeSec:                       "TIME_SEC",
	TimeWday:                      "TIME_WDAY",
	TimeYear:                      "TIME_YEAR",
	UniqueID:                      "UNIQUE_ID",
	URIParseError:                 "URI_PARSE_ERROR",
	UrlencodedError:               "URLENCODED_ERROR",
	ArgsGet:                       "ARGS_GET",
	ArgsPath:                      "ARGS_PATH",
	ArgsPost:                      "ARGS_POST",
	Env:                           "ENV",
	Files:                         "FILES",
	FilesNames:                    "FILES_NAMES",
	FilesSizes:                    "FILES_SIZES",
	FilesTmpContent:               "FILES_TMP_CONTENT",
	FilesTmpNames:                 "FILES_TMPNAMES",
	Geo:                           "GEO",
	MatchedVars:                   "MATCHED_VARS",
	MultipartFilename:             "MULTIPART_FILENAME",
	MultipartFilenameCharset:      "MULTIPART_FILENAME_CHARSET",
	MultipartFilenameLanguage:     "MULTIPART_FILENAME_LANGUAGE",
	MultipartName:                 "MULTIPART_NAME",
	MultipartPartHeaders:          "MULTIPART_PART_HEADERS",
	RequestCookies:                "REQUEST_COOKIES",
	RequestHeaders:                "REQUEST_HEADERS",
	RequestXML:                    "REQUEST_XML",
	ResponseArgs:                  "RESPONSE_ARGS",
	ResponseHeaders:               "RESPONSE_HEADERS",
	ResponseXML:                   "RESPONSE_XML",
	Rule:                          "RULE",
	TX:                            "TX",
	Args:                          "ARGS",
	ArgsCombinedSize:              "ARGS_COMBINED_SIZE",
	ArgsGetNames:                  "ARGS_GET_NAMES",
	ArgsNames:                     "ARGS_NAMES",
	ArgsPostNames:                 "ARGS_POST_NAMES",
	MatchedVarsNames:              "MATCHED_VARS_NAMES",
	RequestCookiesNames:           "REQUEST_COOKIES_NAMES",
	RequestHeadersNames:           "REQUEST_HEADERS_NAMES",
	ResponseHeadersNames:          "RESPONSE_HEADERS_NAMES",
	XML:                           "XML",
	AuthType:                      "AUTH_TYPE",
	FullRequest:                   "FULL_REQUEST",
	IP:                            "IP",
	JSON:                          "JSON",
	MultipartBoundaryQuoted:       "MULTIPART_BOUNDARY_QUOTED",
	MultipartBoundaryWhitespace:   "MULTIPART_BOUNDARY_WHITESPACE",
	MultipartCrlfLfLines:          "MULTIPART_CRLF_LF_LINES",
	MultipartDataBefore:           "MULTIPART_DATA_BEFORE",
	MultipartFileLimitExceeded:    "MULTIPART_FILE_LIMIT_EXCEEDED",
	MultipartHeaderFolding:        "MULTIPART_HEADER_FOLDING",
	MultipartInvalidHeaderFolding: "MULTIPART_INVALID_HEADER_FOLDING",
	MultipartInvalidPart:          "MULTIPART_INVALID_PART",
	MultipartLfLine:               "MULTIPART_LF_LINE",
	MultipartMissingSemicolon:     "MULTIPART_MISSING_SEMICOLON",
	MultipartUnmatchedBoundary:    "MULTIPART_UNMATCHED_BOUNDARY",
	PathInfo:                      "PATH_INFO",
	ResBodyError:                  "RES_BODY_ERROR",
	ResBodyErrorMsg:               "RES_BODY_ERROR_MSG",
	ResBodyProcessorError:         "RES_BODY_PROCESSOR_ERROR",
	ResBodyProcessorErrorMsg:      "RES_BODY_PROCESSOR_ERROR_MSG",
	Sessionid:                     "SESSIONID",
	Userid:                        "USERID",
}

var ids = func() map[string]ID {
	m := make(map[string]ID, Count)
	for i, name := range names {
		if name != "" {
			m[name] = ID(i)
		}
	}
	return m
}()

// Parse finds a variable by its name, in any case. UNKNOWN is one as well, which never has a value.
func Parse(name string) (ID, bool) {
	v, ok := ids[strings.ToUpper(name)]
	return v, ok
}

// Name is the name as SecLang writes it. That of Unknown is UNKNOWN.
func (v ID) Name() string { return names[v] }

// Kind is how the variable holds values.
func (v ID) Kind() Kind {
	switch {
	case v == Unknown || v > lastDerived:
		return Empty
	case v < lastSingle:
		return Single
	case v < lastCollection:
		return Collection
	}
	return Derived
}

// CaseSensitive reports whether the keys of a selector keep their case: those of arguments do.
func (v ID) CaseSensitive() bool {
	switch v {
	case Args, ArgsGet, ArgsPost, ArgsPath, ArgsNames, ArgsGetNames, ArgsPostNames:
		return v != ArgsPath // the reference lower-cases selectors on ARGS_PATH, whose keys keep their case
	}
	return false
}
