package body

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// maxXMLDepth bounds the nesting of elements: parsers that build a tree recurse into it.
const maxXMLDepth = 256

// element is an open element with its own text so far.
type element struct {
	name   xml.Name
	text   strings.Builder
	pieces []string // of text, those that are not blank
	origin int      // the innermost name that it stands under, its own or one that it was given; -1 for none
}

// parseXML gives the text of each element as one value, joined across comments, CDATA sections and child elements as
// applications read it, and, where it has several pieces, each piece as well. Attribute values, comments and processing
// instructions stand beside the texts; names of namespaces only among the attributes, unless they could not be names. A
// document type is a problem, since entities would have to be expanded, and so is a document that is not well formed:
// those who read it all the same do not agree on what belongs together. Nesting and the number of values are bounded.
func parseXML(p *Parsed, text string, o Options) { readXML(p, text, o, nil) }

// readXML is parseXML, and notes the names where origins is not nil.
func readXML(p *Parsed, text string, o Options, origins *XMLOrigins) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(text, "\xef\xbb\xbf"))) // a byte order mark
	d.Entity = xml.HTMLEntity
	d.CharsetReader = charsetReader

	x := xmlTexts{parsed: p, options: o, origins: origins, open: []*element{{origin: -1}}}
	for {
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF) || o.Truncated && endsTooEarly(err):
			if !o.Truncated {
				x.ended()
			}
			x.closeAll()
			return
		case err != nil:
			x.closeAll()
			p.Problem = fmt.Errorf("the XML document is not valid: %w", err)
			return
		}
		switch token := token.(type) {
		case xml.StartElement:
			x.start(token)
		case xml.EndElement:
			if x.open[len(x.open)-1].name != token.Name {
				x.malformed("has an end tag without its start tag")
			}
			x.close()
		case xml.CharData:
			x.characters(string(token))
		case xml.Comment:
			x.extra(string(token))
		case xml.ProcInst:
			if token.Target != "xml" {
				x.extra(string(token.Inst))
			} else if !declaration.Match(token.Inst) {
				x.malformed("has a declaration that is not valid")
			}
		case xml.Directive:
			if isDocumentType(token) {
				p.Problem = errors.New("the XML document has a document type (DOCTYPE), which is not accepted")
			} else {
				x.malformed("has a declaration outside of a document type")
			}
		}
		if p.Cut || x.tooDeep || origins != nil && origins.Cut {
			return
		}
	}
}

// xmlTexts collects texts while elements are open. The first of open stands for the document.
type xmlTexts struct {
	parsed  *Parsed
	options Options
	origins *XMLOrigins // nil if nobody asks for them
	open    []*element
	roots   int // elements of the document itself so far
	tooDeep bool
	kept    int // pieces of texts so far
}

// declaration is what may stand in <?xml ...?>. Where it says more than one thing, parsers differ.
var declaration = regexp.MustCompile(`^\s*version\s*=\s*("[0-9.]+"|'[0-9.]+')` +
	`(\s+encoding\s*=\s*("[A-Za-z0-9._-]+"|'[A-Za-z0-9._-]+'))?(\s+standalone\s*=\s*("(yes|no)"|'(yes|no)'))?\s*$`)

// start opens an element.
func (x *xmlTexts) start(token xml.StartElement) {
	if len(x.open) == 1 {
		if x.roots++; x.roots > 1 {
			x.malformed("has more than one root element")
		}
	}
	if len(x.open) > maxXMLDepth {
		x.tooDeep = true
		x.malformed(fmt.Sprintf("is nested deeper than %d levels", maxXMLDepth))
		return
	}
	if repeated(token.Attr) {
		x.malformed("has an attribute twice in one element")
	}
	x.open = append(x.open, &element{name: token.Name, origin: x.attributes(token)})
}

// repeated says whether two attributes have one name.
func repeated(attributes []xml.Attr) bool {
	if len(attributes) < 2 {
		return false
	}
	seen := make(map[xml.Name]bool, len(attributes))
	for _, a := range attributes {
		if seen[a.Name] {
			return true
		}
		seen[a.Name] = true
	}
	return false
}

// characters takes text of the innermost element.
func (x *xmlTexts) characters(text string) {
	top := x.top()
	top.text.WriteString(text)
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	if len(x.open) == 1 {
		x.malformed("has text outside of its root element")
	}
	if x.kept++; x.options.Arguments > 0 && x.kept > 2*x.options.Arguments {
		x.parsed.Cut = true
		return
	}
	top.pieces = append(top.pieces, text)
}

// ended judges where the document ends.
func (x *xmlTexts) ended() {
	switch {
	case len(x.open) > 1:
		x.malformed("ends too early")
	case x.roots == 0:
		x.malformed("has no element")
	}
}

// attributes takes the attributes of a start tag and gives what the element's own texts stand under.
func (x *xmlTexts) attributes(start xml.StartElement) (origin int) {
	own := x.origins.name(start.Name.Local, x.top().origin)
	origin = own
	if x.origins != nil {
		for _, a := range start.Attr {
			if names(a.Name.Local) && isLabel(a.Value) {
				origin = x.origins.name(a.Value, origin)
			}
		}
	}
	for _, a := range start.Attr {
		x.parsed.XMLAttributes = append(x.parsed.XMLAttributes, a.Value)
		under := origin
		if names(a.Name.Local) {
			under = own
		}
		under = x.origins.name(a.Name.Local, under)
		if !isNamespace(a.Name) || !isPlainURI(a.Value) {
			x.put(a.Value, under)
		} else {
			x.origins.value(a.Value, under)
			x.count()
		}
	}
	return origin
}

// top is the innermost element.
func (x *xmlTexts) top() *element { return x.open[len(x.open)-1] }

// isNamespace says whether an attribute declares a namespace.
func isNamespace(name xml.Name) bool {
	return name.Space == "xmlns" || name.Space == "" && name.Local == "xmlns"
}

// isPlainURI says whether s is made of what names of namespaces are made of.
func isPlainURI(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-._~:/?#@+=&%,", r)
	}) < 0
}

// extra takes what stands in the document besides texts and attributes.
func (x *xmlTexts) extra(text string) {
	if text = strings.TrimSpace(text); text != "" {
		x.put(text, x.top().origin)
	}
}

// malformed keeps the first problem.
func (x *xmlTexts) malformed(what string) {
	if x.parsed.Problem == nil {
		x.parsed.Problem = errors.New("the XML document " + what)
	}
}

// close ends the innermost element. An end without a start closes nothing.
func (x *xmlTexts) close() {
	top := x.open[len(x.open)-1]
	if len(x.open) > 1 {
		x.open = x.open[:len(x.open)-1]
	} else {
		x.open[0] = &element{origin: -1}
	}
	joined := strings.TrimSpace(top.text.String())
	if joined == "" {
		return
	}
	x.put(joined, top.origin)
	for _, piece := range top.pieces {
		if piece != joined {
			x.put(piece, top.origin)
		}
	}
	if x.origins != nil && names(top.name.Local) && isLabel(joined) { // it names what comes after it
		x.top().origin = x.origins.name(joined, x.top().origin)
	}
}

func (x *xmlTexts) closeAll() {
	for len(x.open) > 1 {
		x.close()
	}
	x.close()
}

func (x *xmlTexts) put(text string, under int) {
	x.origins.value(text, under)
	if x.count() {
		x.parsed.XMLTexts = append(x.parsed.XMLTexts, text)
	}
}

// count says whether there is room for one more value.
func (x *xmlTexts) count() bool {
	if x.options.Arguments > 0 && len(x.parsed.XMLTexts)+len(x.parsed.XMLAttributes) >= 2*x.options.Arguments {
		x.parsed.Cut = true
		return false
	}
	return true
}

func isDocumentType(d xml.Directive) bool {
	const name = "DOCTYPE"
	return len(d) >= len(name) && strings.EqualFold(string(d[:len(name)]), name)
}

func endsTooEarly(err error) bool {
	var syntax *xml.SyntaxError
	return errors.As(err, &syntax) && syntax.Msg == "unexpected EOF"
}

// charsetReader reads the single-byte charsets as Latin-1, which agrees with them in all that syntax and attacks are
// made of. Others are a problem of the document.
func charsetReader(charset string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252":
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		runes := make([]rune, len(text))
		for i, c := range text {
			runes[i] = rune(c)
		}
		return strings.NewReader(string(runes)), nil
	}
	return nil, fmt.Errorf("the charset %q is not accepted", abbreviate(charset))
}
