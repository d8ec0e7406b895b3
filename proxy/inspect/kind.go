package inspect

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"gatehouse/proxy/config"
)

// Kind is how a body is read: it decides the body processor and whether a cut body still parses.
type Kind int

// The kinds of body.
const (
	KindNone      Kind = iota // no Content-Type
	KindForm                  // application/x-www-form-urlencoded
	KindMultipart             // multipart/form-data and its relatives
	KindJSON
	KindNDJSON
	KindXML
	KindText
	KindBinary
	KindGRPC
	KindUnknown // a type that no traffic takes
)

var kindNames = [...]string{"none", "form", "multipart", "json", "ndjson", "xml", "text", "binary", "grpc", "unknown"}

func (k Kind) String() string { return kindNames[k] }

// Cuttable says whether the first part of such a body can be inspected alone. The others are inspected whole.
func (k Kind) Cuttable() bool { return k != KindJSON && k != KindNDJSON && k != KindXML }

// charsets are the charsets that the rules can read: all of them agree with ASCII on its bytes.
var charsets = []string{"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"}

// Errors of ParseContentType.
var (
	errContentType = errors.New("Content-Type")
	errCharset     = errors.New("charset")
)

// ParseContentType reads the Content-Type fields of a message (RFC 9110, section 8.3). It is the one place where they
// are read: the kind chooses the body processor, and the field is forwarded as it is or refused.
func ParseContentType(fields []string) (Kind, error) {
	if len(fields) == 0 {
		return KindNone, nil
	}
	if len(fields) > 1 {
		return KindUnknown, fmt.Errorf("%w: sent %d times", errContentType, len(fields))
	}
	mediaType, params, err := mime.ParseMediaType(fields[0])
	if err != nil {
		return KindUnknown, fmt.Errorf("%w: %w", errContentType, err)
	}
	kind := kindOf(mediaType)
	if charset, ok := params["charset"]; ok && !slices.Contains(charsets, strings.ToLower(charset)) {
		return kind, fmt.Errorf("%w: %q is not one of %s", errCharset, charset, strings.Join(charsets, ", "))
	}
	return kind, nil
}

// kindOf classifies a media type, which is in lower case.
func kindOf(mediaType string) Kind {
	switch mediaType {
	case "application/x-www-form-urlencoded":
		return KindForm
	case "multipart/form-data", "multipart/mixed", "multipart/related":
		return KindMultipart
	case "application/json", "text/json", "application/csp-report", "application/reports+json":
		return KindJSON
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines", "application/json-seq":
		return KindNDJSON
	case "application/xml", "text/xml":
		return KindXML
	case "application/grpc", "application/grpc-web", "application/grpc-web-text":
		return KindGRPC
	case "application/octet-stream", "application/pdf", "application/zip", "application/gzip", "application/x-gzip",
		"application/x-tar", "application/x-bzip2", "application/zstd", "application/x-7z-compressed", "application/wasm",
		"application/protobuf", "application/x-protobuf", "application/cbor", "application/msgpack", "application/x-msgpack",
		"application/msword", "application/rtf", "application/avro", "application/x-amz-cbor-1.1":
		return KindBinary
	}
	major, minor, ok := strings.Cut(mediaType, "/")
	switch {
	case !ok:
		return KindUnknown
	case strings.HasSuffix(minor, "+json"):
		return KindJSON
	case strings.HasSuffix(minor, "+xml"):
		return KindXML
	case strings.HasPrefix(mediaType, "application/grpc+"), strings.HasPrefix(mediaType, "application/grpc-web+"), strings.HasPrefix(mediaType, "application/grpc-web-text+"):
		return KindGRPC
	case major == "text":
		return KindText
	case major == "image", major == "audio", major == "video", major == "font", major == "model":
		return KindBinary
	case major == "application" && strings.HasPrefix(minor, "vnd."):
		return KindBinary
	}
	return KindUnknown
}

// takes says which kinds of request body a traffic carries (the table in docs/configuration.md).
func takes(t config.Traffic, k Kind) bool {
	switch t {
	case config.TrafficAuto:
		return k != KindGRPC && k != KindUnknown
	case config.TrafficAPI:
		return k == KindNone || k == KindForm || k == KindMultipart || k == KindJSON || k == KindNDJSON || k == KindXML
	case config.TrafficGRPC:
		return k == KindGRPC
	case config.TrafficWebSocket:
		return k == KindNone
	}
	return false
}
