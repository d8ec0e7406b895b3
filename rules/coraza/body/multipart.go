package body

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
)

// parseMultipart parses multipart/form-data. What parsers are known to read differently is marked in Strict; what ends
// within a part is as well, unless the body was cut for inspection.
func parseMultipart(p *Parsed, text string, o Options) {
	mediaType, parameters, err := mime.ParseMediaType(o.ContentType)
	if err != nil {
		p.strict()
		p.Problem = fmt.Errorf("the Content-Type is not valid: %w", err)
		return
	}
	boundary := parameters["boundary"]
	if !strings.HasPrefix(mediaType, "multipart/") || boundary == "" {
		p.strict()
		p.Problem = errors.New("the Content-Type has no boundary")
		return
	}
	if !cleanFraming(text, boundary) {
		p.strict()
	}
	reader := multipart.NewReader(strings.NewReader(text), boundary)
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return
		}
		if err != nil {
			if errors.Is(err, io.EOF) && o.Truncated {
				return
			}
			p.strict()
			p.Problem = fmt.Errorf("the multipart body is not valid: %w", err)
			return
		}
		if done := p.part(part, o); done {
			return
		}
	}
}

// part takes one part; done says that it is the last that can be read.
func (p *Parsed) part(part *multipart.Part, o Options) (done bool) {
	d := readDisposition(part.Header.Get("Content-Disposition"))
	before := len(p.PartHeaders)
	for name, values := range part.Header {
		if len(values) > 1 {
			p.strict()
			p.Strict.DuplicateHeader = true
		}
		for _, value := range values {
			p.PartHeaders = append(p.PartHeaders, Argument{Name: d.name, Value: name + ": " + value})
		}
	}
	slices.SortStableFunc(p.PartHeaders[before:], func(a, b Argument) int { return strings.Compare(a.Value, b.Value) })
	switch encoding := strings.ToLower(strings.TrimSpace(part.Header.Get("Content-Transfer-Encoding"))); encoding {
	case "", "7bit", "8bit", "binary":
	default: // the value would be shown to rules encoded
		p.strict()
	}
	if d.duplicate {
		p.strict()
		p.Strict.DuplicateHeader = true
	}
	if d.quotedExtended {
		p.strict()
		p.Strict.InvalidQuoting = true
	}
	if d.malformed {
		p.strict()
	}
	p.FieldNames = append(p.FieldNames, d.name)
	if d.hasExtended {
		p.ExtendedNames = append(p.ExtendedNames, ExtendedName{Field: d.name, Charset: d.charset, Language: d.language})
	}

	var value strings.Builder
	var content io.Writer = &value
	if len(d.fileNames) > 0 {
		content = io.Discard
	}
	size, err := io.Copy(content, part)
	p.FieldsSize += size
	if len(d.fileNames) > 0 {
		p.Files = append(p.Files, File{Field: d.name, Names: d.fileNames, Size: size})
		if o.Arguments > 0 && len(p.Files) > o.Arguments {
			p.Cut = true
			return true
		}
	} else if p.argument(d.name, value.String(), o) {
		return true
	}
	if err != nil {
		if !o.Truncated {
			p.strict()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			p.Problem = fmt.Errorf("the multipart body is not valid: %w", err)
		}
		return true
	}
	return false
}

func (p *Parsed) strict() { p.Strict.Any = true }

// cleanFraming says whether the body begins with its boundary, every boundary stands on a line of its own that ends in
// CRLF, and nothing but a line end follows the last.
func cleanFraming(text, boundary string) bool {
	const boundaryBytes = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? "
	if len(boundary) > 70 || strings.Trim(boundary, boundaryBytes) != "" || strings.HasSuffix(boundary, " ") {
		return false
	}
	line := "--" + boundary
	rest, ok := strings.CutPrefix(text, line)
	for ok {
		switch {
		case strings.HasPrefix(rest, "\r\n"):
		case strings.HasPrefix(rest, "--"):
			after := rest[2:]
			return after == "" || after == "\r\n"
		default:
			return false
		}
		next := strings.Index(rest, "\n"+line)
		if next < 0 {
			return true // whether the end is missing is for the parser to say
		}
		if next == 0 || rest[next-1] != '\r' {
			return false
		}
		rest = rest[next+1+len(line):]
	}
	return false
}
