package body

import (
	"fmt"
	"io"
	"strings"
)

// Bounds of XMLOrigins: far more than the values that rules look at.
const (
	maxOriginNames  = 100_000
	maxOriginValues = 20_000
)

// XMLOrigins says what the values of an XML document stand under: the values themselves, which rules see as XML:/* and
// XML://@*, carry no name. It is for masking.
type XMLOrigins struct {
	Names  []XMLName
	Values []XMLValue
	// Cut says that the document goes on beyond the bounds.
	Cut bool
}

// XMLName is the name of an element or attribute without its prefix, or a text that names what is beside or within it,
// as in <field name="email"> and <member><name>email</name>.
type XMLName struct {
	Text  string
	Under int // the name that this one stands under, by its index in Names, which is lower; -1 for none
}

// XMLValue is a text or the value of an attribute.
type XMLValue struct {
	Text  string
	Under int // the name that it stands under, by its index in Names; -1 for none
}

// ReadXMLOrigins reads a document as Parse does. The error is that of reading; of a document that is not well-formed it
// gives what stands before the fault, as Parse does.
func ReadXMLOrigins(r io.Reader, truncated bool) (*XMLOrigins, error) {
	text, err := readAll(r)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	origins := &XMLOrigins{}
	p := &Parsed{}
	readXML(p, text, Options{Truncated: truncated}, origins)
	origins.Cut = origins.Cut || p.Cut
	return origins, nil
}

// name adds a name and gives its index.
func (o *XMLOrigins) name(text string, under int) int {
	if o == nil {
		return -1
	}
	if len(o.Names) >= maxOriginNames {
		o.Cut = true
		return under
	}
	o.Names = append(o.Names, XMLName{text, under})
	return len(o.Names) - 1
}

func (o *XMLOrigins) value(text string, under int) {
	if o == nil {
		return
	}
	if len(o.Values) >= maxOriginValues {
		o.Cut = true
		return
	}
	o.Values = append(o.Values, XMLValue{text, under})
}

// names says whether an attribute or element of this name holds the name of something else.
func names(local string) bool {
	switch strings.ToLower(local) {
	case "name", "key", "id", "field", "param", "property", "n", "k":
		return true
	}
	return false
}

// maxLabel is the longest text that is taken for a name.
const maxLabel = 128

// isLabel says whether a text could be the name of something.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && !strings.ContainsAny(s, " \t\r\n<>&'\"()")
}
