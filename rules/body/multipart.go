package body

import (
	"errors"
	"strings"

	"gatehouse/rules/media"
)

// parseMultipart parses multipart/form-data. It reads leniently, so that rules see all there is, and marks in Strict
// whatever parsers are known to read differently. What ends within a part is marked as well, unless the body was cut for
// inspection.
func parseMultipart(p *Parsed, text string, o Options) {
	mediaType, parameters, err := media.Parse(o.ContentType)
	if err != nil {
		p.strict()
		p.Problem = err
		return
	}
	boundary := parameters["boundary"]
	if !strings.HasPrefix(mediaType, "multipart/") || boundary == "" {
		p.strict()
		p.Problem = errors.New("the Content-Type has no boundary")
		return
	}
	if !validBoundary(boundary) {
		p.strict()
	}
	before, rest, found := cutDelimiter(text, boundary, o.Truncated)
	if found.near {
		p.strict()
	}
	if !found.is() {
		if !o.Truncated {
			p.strict()
			p.Problem = errors.New("the multipart body does not contain its boundary")
		}
		return
	}
	if before != "" || !found.clean {
		p.strict()
	}
	for !found.last {
		var part string
		part, rest, found = cutDelimiter(rest, boundary, o.Truncated)
		if found.near || !found.is() && !o.Truncated || found.is() && !found.clean {
			p.strict()
		}
		p.part(part, !found.is() && o.Truncated, o)
		if !found.is() || p.Cut {
			return
		}
	}
	if rest != "" {
		p.strict()
	}
}

// delimiter describes a boundary that was found.
type delimiter struct {
	kind  delimiterKind
	last  bool // it ends the body
	clean bool // it stands on its line as the standard wants it
	near  bool // a line before it begins with the boundary: that is enough for some (RFC 2046, section 5.1.1)
}

type delimiterKind int

const (
	delimiterNone delimiterKind = iota
	delimiterFound
)

func (d delimiter) is() bool { return d.kind == delimiterFound }

// cutDelimiter cuts around the next line that begins with the boundary. What stands before comes without the line end that
// belongs to the boundary. A truncated text may end within the boundary's line.
func cutDelimiter(text, boundary string, truncated bool) (before, after string, d delimiter) {
	mark, near := "--"+boundary, false
	for from := 0; from <= len(text); {
		i := strings.Index(text[from:], mark)
		if i < 0 {
			break
		}
		at := from + i
		from = at + 1
		if at > 0 && text[at-1] != '\n' {
			continue
		}
		rest := text[at+len(mark):]
		line, next, ended := strings.Cut(rest, "\n")
		d = delimiter{kind: delimiterFound, near: near}
		switch {
		case strings.HasPrefix(line, "--"):
			d.last = true
			d.clean = line == "--" && !ended || line == "--\r"
		case strings.Trim(line, " \t\r") == "":
			d.clean = ended && line == "\r" || !ended && truncated
		default:
			cut := truncated && !ended && line == "-"
			near = near || !cut // a longer boundary, which is not ours
			continue
		}
		before = text[:at]
		if trimmed, ok := strings.CutSuffix(before, "\r\n"); ok {
			before = trimmed
		} else if trimmed, ok := strings.CutSuffix(before, "\n"); ok {
			before, d.clean = trimmed, false
		}
		return before, next, d
	}
	return text, "", delimiter{near: near}
}

// validBoundary says whether the standard allows the boundary.
func validBoundary(boundary string) bool {
	const allowed = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? "
	for i := range len(boundary) {
		if !strings.Contains(allowed, boundary[i:i+1]) {
			return false
		}
	}
	return len(boundary) <= 70 && !strings.HasSuffix(boundary, " ")
}

// part takes what stands between two boundaries. Of a part that the inspection limit cut within its headers, those that are
// whole are taken.
func (p *Parsed) part(text string, cut bool, o Options) {
	headers, content, complete := cutPartHeaders(text)
	switch {
	case !complete && !cut:
		p.strict()
	case !complete && len(headers) > 0:
		headers = headers[:len(headers)-1]
	}
	var position, encoding string
	var types []string
	seen := make(map[string]bool, len(headers))
	for _, h := range headers {
		name := strings.ToLower(h.name)
		if seen[name] {
			p.strict()
			p.Strict.DuplicateHeader = true
		}
		switch first := !seen[name]; {
		case first && name == "content-disposition":
			position = h.value
		case first && name == "content-transfer-encoding":
			encoding = strings.ToLower(h.value)
		case name == "content-type":
			types = append(types, h.value)
		case name == "content-encoding": // which few undo, and rules do not
			p.strict()
		}
		seen[name] = true
		if !h.valid {
			p.strict()
		}
	}
	switch encoding {
	case "", "7bit", "8bit", "binary":
	default: // the value would be shown to rules encoded
		p.strict()
	}
	if !readable(types) {
		p.strict()
	}
	d := readDisposition(position)
	if complete && d.name == "" { // some drop such a part, others give it a name
		p.strict()
	}
	for _, h := range headers {
		p.PartHeaders = append(p.PartHeaders, Argument{Name: d.name, Value: h.line})
	}
	p.mark(d)
	if !complete && cut {
		return
	}
	p.FieldNames = append(p.FieldNames, d.name)
	p.FieldsSize += int64(len(content))
	if len(d.fileNames) == 0 {
		p.field(d.name, content, o)
		return
	}
	if o.Arguments > 0 && len(p.Files) >= o.Arguments {
		p.Cut = true
		return
	}
	p.Files = append(p.Files, File{Field: d.name, Names: d.fileNames, Size: int64(len(content))})
}

// readable says whether a part is in a charset that rules can read. Only its charset counts: clients write all kinds of
// types.
func readable(types []string) bool {
	for _, t := range types {
		if _, err := media.ParseContentType([]string{t}); err != nil && (errors.Is(err, media.ErrCharset) || strings.Contains(strings.ToLower(t), "charset")) {
			return false
		}
	}
	return true
}

// mark takes over the doubts about a part's disposition.
func (p *Parsed) mark(d disposition) {
	if d.duplicate || d.quotedExtended || d.malformed {
		p.strict()
	}
	p.Strict.DuplicateHeader = p.Strict.DuplicateHeader || d.duplicate
	p.Strict.InvalidQuoting = p.Strict.InvalidQuoting || d.quotedExtended
	if d.hasExtended {
		p.ExtendedNames = append(p.ExtendedNames, ExtendedName{Field: d.name, Charset: d.charset, Language: d.language})
	}
}

func (p *Parsed) strict() { p.Strict.Any = true }

// partHeader is a header line of a part.
type partHeader struct {
	line, name, value string
	// valid says that it is a token, a colon and a value on one line.
	valid bool
}

// maxPartHeaders bounds the lines of a part's headers; more are a reason for doubt and stay in its content.
const maxPartHeaders = 32

// cutPartHeaders cuts at the first empty line. complete says that there was one.
func cutPartHeaders(text string) (headers []partHeader, content string, complete bool) {
	for range maxPartHeaders {
		line, rest, ended := strings.Cut(text, "\n")
		bare, crlf := strings.CutSuffix(line, "\r")
		if bare == "" && ended {
			return headers, rest, crlf
		}
		if !ended {
			if line != "" {
				name, value, _ := strings.Cut(bare, ":")
				headers = append(headers, partHeader{line: bare, name: name, value: strings.Trim(value, " \t")})
			}
			return headers, "", false
		}
		text = rest
		if (bare[0] == ' ' || bare[0] == '\t') && len(headers) > 0 {
			last := &headers[len(headers)-1]
			folded := " " + strings.TrimLeft(bare, " \t")
			last.line, last.value, last.valid = last.line+folded, last.value+folded, false
			continue
		}
		name, value, ok := strings.Cut(bare, ":")
		headers = append(headers, partHeader{
			line: bare, name: name, value: strings.Trim(value, " \t"), valid: ok && crlf && isToken(name) && !hasControl(bare),
		})
	}
	return headers, text, false
}

// hasControl says whether a header line holds a control character, such as a NUL, at which some stop to read.
func hasControl(line string) bool {
	return strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0
}

// isToken says whether s can be the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
