package inspect

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	rulesbody "gatehouse/rules/body"
	"gatehouse/rules/media"
)

// checkXML reads the prolog of an XML document, up to its root element, and gives the reason to refuse it: a document
// type (whose entities would be text that no rule sees), or an encoding that the rules cannot read. What does not
// parse is left to the rules, which refuse it.
func checkXML(r io.Reader) (event.Reason, string) {
	buffered := bufio.NewReader(r)
	if first, _ := buffered.Peek(2); len(first) == 2 && (first[0] >= 0xfe || first[0] == 0 || first[1] == 0) {
		return event.Charset, "XML in UTF-16 or UTF-32"
	}
	d := xml.NewDecoder(buffered)
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for {
		token, err := d.RawToken()
		if err != nil {
			return "", ""
		}
		switch t := token.(type) {
		case xml.Directive:
			if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(string(t))), "DOCTYPE") {
				return event.Doctype, "the XML document has a document type (DOCTYPE)"
			}
		case xml.ProcInst:
			if name := xmlEncoding(string(t.Inst)); t.Target == "xml" && name != "" && !slices.Contains(media.Charsets, name) {
				return event.Charset, fmt.Sprintf("XML encoding %q is not one of %s", name, strings.Join(media.Charsets, ", "))
			}
		case xml.StartElement:
			return "", ""
		}
	}
}

// xmlEncoding gives the encoding of an XML declaration in lower case, empty if it names none.
func xmlEncoding(declaration string) string {
	_, rest, found := strings.Cut(declaration, "encoding")
	if !found {
		return ""
	}
	rest = strings.TrimLeft(rest, " \t\r\n=")
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return ""
	}
	name, _, _ := strings.Cut(rest[1:], rest[:1])
	return strings.ToLower(name)
}

func xmlStatus(r event.Reason) int {
	if r == event.Charset {
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}

// xmlOrigins reads once more what the values of an XML body stand under, if rules matched: records need it to mask them.
// It is nil if that cannot be known.
func (i *Inspection) xmlOrigins(result *rules.Result) *rulesbody.XMLOrigins {
	if len(result.Matches) == 0 || i.body == nil || i.opts.Kind != media.XML && !matchedXML(result.Matches) {
		return nil
	}
	seen := i.body.inspected()
	origins, err := rulesbody.ReadXMLOrigins(seen.Reader, seen.Truncated)
	if err != nil { // the spill file; then no value is shown
		return nil
	}
	return origins
}

// matchedXML says whether a rule matched a value of an XML body; a rule can have a body of any kind read as XML.
func matchedXML(matches []rules.Match) bool {
	for _, m := range matches {
		for _, t := range m.Targets {
			if strings.HasPrefix(t.Variable, "XML") || strings.HasPrefix(t.Target, "xml:") {
				return true
			}
		}
	}
	return false
}
