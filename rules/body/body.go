// Package body parses request bodies into what rules look at: arguments, files, text, XML. It knows nothing of any
// engine, so that all engines see the same values.
//
// Invariant: nothing is dropped in silence. What is not in a Parsed is covered by its Problem, its Cut, or the Truncated
// that the caller passed in.
package body

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The processors, as rules select them by ctl:requestBodyProcessor=NAME.
const (
	URLEncoded = "URLENCODED" // one argument a pair
	Multipart  = "MULTIPART"  // one argument a field; files by name, size and part headers
	JSON       = "JSON"       // one argument a value, named json.items.0.name, or json:a.b where a key holds a dot; the length of an array under its own name
	NDJSON     = "NDJSON"     // each line as an element of one JSON array: json.0.name
	XML        = "XML"        // XML:/* and XML://@*
	Text       = "TEXT"       // the whole text as one argument named body
	Raw        = "RAW"        // REQUEST_BODY only
)

// TextArgument is the name of the argument that holds a body of plain text.
const TextArgument = "body"

// Options say how to parse one body.
type Options struct {
	// ContentType is the value of the header.
	ContentType string
	// Truncated says that the body goes on beyond what is parsed: its end is no problem.
	Truncated bool
	// Arguments bounds the arguments, and the texts and attributes of XML.
	Arguments int
	// JSONDepth bounds the nesting of JSON.
	JSONDepth int
}

// Argument is a name and a value. Names may repeat.
type Argument struct{ Name, Value string }

// File is an uploaded file.
type File struct {
	Field string
	// Names are the readings of its name, the one by the standards first: parsers disagree on filename*.
	Names []string
	Size  int64
}

// ExtendedName is what a filename* parameter declares besides the name.
type ExtendedName struct{ Field, Charset, Language string }

// Parsed is a body as rules see it.
type Parsed struct {
	Arguments []Argument
	// Cut says that there were more than Options.Arguments of them.
	Cut bool
	// Body is REQUEST_BODY, for the processors that set it; HasBody says so.
	Body    string
	HasBody bool
	// Document is the text of a body that is valid JSON.
	Document string
	Files    []File
	// FieldNames are the names of multipart parts, PartHeaders their headers by part name, as "Name: value".
	FieldNames    []string
	PartHeaders   []Argument
	ExtendedNames []ExtendedName
	// FieldsSize is the size of all multipart parts.
	FieldsSize int64
	// XMLTexts are the texts of elements and the values of attributes, XMLAttributes the latter alone.
	XMLTexts, XMLAttributes []string
	// Strict lists what is wrong with a multipart body without keeping it from being parsed.
	Strict Strictness
	// Problem is why the body could not be parsed to its end.
	Problem error
	// Length counts the bytes read.
	Length int64

	// lengths counts those of Arguments that are lengths of arrays: they have a bound of their own.
	lengths int
}

// Strictness holds the findings about a multipart body. Any is set with each of the others.
type Strictness struct{ Any, DuplicateHeader, InvalidQuoting bool }

// Parse reads a body to its end and parses it. The error is that of reading; what is wrong with the body itself is in
// Parsed.Problem, beside all that could be parsed.
func Parse(processor string, r io.Reader, o Options) (*Parsed, error) {
	text, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	p := &Parsed{Length: int64(len(text))}
	if text == "" {
		return p, nil
	}
	switch strings.ToUpper(processor) {
	case URLEncoded:
		p.body(text)
		parseForm(p, text, o)
	case Multipart:
		parseMultipart(p, text, o)
	case JSON:
		parseJSON(p, text, o)
	case NDJSON:
		parseNDJSON(p, text, o)
	case XML:
		parseXML(p, text, o)
	case Text:
		p.body(text)
		p.field(TextArgument, text, o)
	case Raw:
		p.body(text)
	default:
		p.body(text)
		p.Problem = fmt.Errorf("there is no body processor %s", processor)
	}
	return p, nil
}

// readAll reads r into one string, without growing where the length is known.
func readAll(r io.Reader) (string, error) {
	var b strings.Builder
	if sized, ok := r.(interface{ Len() int }); ok {
		b.Grow(sized.Len())
	}
	if _, err := io.Copy(&b, r); err != nil {
		return "", err
	}
	return b.String(), nil
}

func (p *Parsed) body(text string) { p.Body, p.HasBody = text, true }

// argument adds an argument if there is room; full says that there is none.
func (p *Parsed) argument(name, value string, o Options) (full bool) {
	if o.Arguments > 0 && len(p.Arguments)-p.lengths >= o.Arguments {
		p.Cut = true
		return true
	}
	p.Arguments = append(p.Arguments, Argument{Name: name, Value: value})
	return false
}

// length adds the length of an array.
func (p *Parsed) length(name string, length int, o Options) {
	if o.Arguments > 0 && p.lengths >= o.Arguments {
		p.Cut = true
		return
	}
	p.lengths++
	p.Arguments = append(p.Arguments, Argument{Name: name, Value: strconv.Itoa(length)})
}
