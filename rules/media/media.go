// Package media reads Content-Type: the one place where the kind of a body is decided.
//
// Invariant: gateway, rules and upstream go by the same media type. What cannot be read in exactly one way is an error.
package media

import (
	"errors"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"
)

// Kind is how a body is read: it decides the body processor and whether a cut body still parses.
type Kind int

// The kinds of body.
const (
	None      Kind = iota // no Content-Type
	Form                  // application/x-www-form-urlencoded
	Multipart             // multipart/form-data
	JSON
	NDJSON
	XML
	Text
	Binary
	GRPC
	Unknown // a type that no traffic takes
)

var kindNames = [...]string{"none", "form", "multipart", "json", "ndjson", "xml", "text", "binary", "grpc", "unknown"}

func (k Kind) String() string { return kindNames[k] }

// Cuttable says whether the first part of such a body can be inspected alone. The others are inspected whole.
func (k Kind) Cuttable() bool { return k != JSON && k != NDJSON && k != XML }

// Charsets are the charsets that the rules can read: all of them agree with ASCII on its bytes.
var Charsets = []string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"}

// Errors of ParseContentType.
var (
	ErrContentType = errors.New("Content-Type") // missing parts, sent twice, or not a media type
	ErrCharset     = errors.New("charset")      // one that the rules cannot read
)

// extended finds parameters with a star in their name: boundary*0=x.
var extended = regexp.MustCompile(`;[^="]*\*[^="]*=`)

// Bounds of a Content-Type. A boundary has at most 70 bytes (RFC 2046, section 5.1.1), and types are registered with a few
// parameters; reading thousands would cost more than the rest of a request.
const (
	maxLength     = 1024 // bytes
	maxParameters = 16   // semicolons, quoted ones among them
)

// Parse reads one Content-Type within these bounds. The media type and the names of the parameters are in lower case.
func Parse(field string) (mediaType string, parameters map[string]string, err error) {
	switch n := strings.Count(field, ";"); {
	case len(field) > maxLength:
		return "", nil, fmt.Errorf("%w: %d bytes, more than %d", ErrContentType, len(field), maxLength)
	case n > maxParameters:
		return "", nil, fmt.Errorf("%w: %d parameters, more than %d", ErrContentType, n, maxParameters)
	}
	mediaType, parameters, err = mime.ParseMediaType(field)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrContentType, err)
	}
	return mediaType, parameters, nil
}

// ParseContentType reads the Content-Type fields of a message (RFC 9110, section 8.3). It is the one place where they
// are read: the kind chooses the body processor, and the field is forwarded as it is or refused.
func ParseContentType(fields []string) (Kind, error) {
	if len(fields) == 0 {
		return None, nil
	}
	if len(fields) > 1 {
		return Unknown, fmt.Errorf("%w: sent %d times", ErrContentType, len(fields))
	}
	mediaType, params, err := Parse(fields[0])
	if err != nil {
		return Unknown, err
	}
	if extended.MatchString(fields[0]) {
		return Unknown, fmt.Errorf("%w: a parameter in extended form (RFC 2231), which few servers read", ErrContentType)
	}
	kind := kindOf(mediaType)
	if charset, ok := params["charset"]; ok && !slices.Contains(Charsets, strings.ToLower(charset)) {
		return kind, fmt.Errorf("%w: %q is not one of %s", ErrCharset, charset, strings.Join(Charsets, ", "))
	}
	return kind, nil
}

// kindOf classifies a media type, which is in lower case.
func kindOf(mediaType string) Kind {
	switch mediaType {
	case "application/x-www-form-urlencoded":
		return Form
	case "multipart/form-data":
		return Multipart
	case "application/json", "text/json", "application/csp-report", "application/reports+json":
		return JSON
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines":
		return NDJSON
	case "application/xml", "text/xml":
		return XML
	case "application/grpc", "application/grpc-web", "application/grpc-web-text":
		return GRPC
	case "application/octet-stream", "application/pdf", "application/zip", "application/gzip", "application/x-gzip",
		"application/x-tar", "application/x-bzip2", "application/zstd", "application/x-7z-compressed", "application/wasm",
		"application/protobuf", "application/x-protobuf", "application/cbor", "application/msgpack", "application/x-msgpack",
		"application/msword", "application/rtf", "application/avro", "application/x-amz-cbor-1.1":
		return Binary
	}
	major, minor, ok := strings.Cut(mediaType, "/")
	switch {
	case !ok:
		return Unknown
	case strings.HasSuffix(minor, "+json"):
		return JSON
	case strings.HasSuffix(minor, "+xml"):
		return XML
	case strings.HasPrefix(mediaType, "application/grpc+"), strings.HasPrefix(mediaType, "application/grpc-web+"), strings.HasPrefix(mediaType, "application/grpc-web-text+"):
		return GRPC
	case mediaType == "application/json-seq": // rules see the whole text
		return Text
	case major == "application" && !strings.HasPrefix(minor, "vnd."):
		return Unknown
	case spelt(minor) != Unknown:
		return spelt(minor)
	case major == "text", major == "multipart": // rules see the whole text
		return Text
	case major == "image", major == "audio", major == "video", major == "font", major == "model":
		return Binary
	case major == "application":
		return Binary
	}
	return Unknown
}

// spelt is the kind that a word of a subtype names, in types that are text or binary otherwise: servers that look for the word
// alone read image/json or application/vnd.x-www-form-urlencoded as what the word says. Unknown if there is none.
func spelt(minor string) Kind {
	for word := range strings.FieldsFuncSeq(minor, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		switch word {
		case "json":
			return JSON
		case "xml":
			return XML
		case "urlencoded":
			return Form
		}
	}
	return Unknown
}
