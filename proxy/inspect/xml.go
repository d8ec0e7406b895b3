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
