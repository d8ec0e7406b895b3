package reply

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"strings"
)

// templatePolicy leaves scripts, styles and images of the operator's page to the operator.
const templatePolicy = "object-src 'none'; base-uri 'none'; frame-ancestors 'self'"

// maxTemplatePage bounds what a template may produce, in bytes.
const maxTemplatePage = 1 << 20

// Template is an operator's own page: an html/template with the fields
//
//	.Incident  the incident ID, GH-XXXX-XXXX-XXXX; may be empty
//	.Time      2026-07-01 12:34:56 UTC
//	.Host      the host that the client asked for; may be empty
//	.Contact   replies.contact as configured; may be empty
//	.Status    the HTTP status, a number
//	.Title     a few words on what happened
//	.Message   a sentence on it
//
// All values are escaped for the place where they stand. It is safe for concurrent use.
type Template struct {
	t *template.Template
}

// ParseTemplate reads a page and tries it out. Errors name the file, the line and what is wrong.
func ParseTemplate(name, text string) (*Template, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("%s: the page is empty", name)
	}
	t, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, plainError(err)
	}
	page := &Template{t}
	full := view{
		Incident: "GH-0000-0000-0000", Time: "2026-07-01 12:34:56 UTC", Host: "shop.example.com", Contact: "mailto:help@example.com",
		Status: 403, Title: "This request was refused", Message: "The site did not accept this request.",
	}
	for _, v := range []view{full, {Status: 500, Title: full.Title, Message: full.Message, Time: full.Time}} {
		if _, err := page.execute(v); err != nil {
			return nil, plainError(err)
		}
	}
	return page, nil
}

func (t *Template) execute(v view) ([]byte, error) {
	w := &bounded{}
	if err := t.t.Execute(w, v); err != nil {
		return nil, err
	}
	if w.Len() == 0 {
		return nil, fmt.Errorf("%s: the page is empty", t.t.Name())
	}
	return w.Bytes(), nil
}

// bounded is a buffer that takes no more than maxTemplatePage.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxTemplatePage {
		return 0, errors.New("the page is larger than 1 MiB")
	}
	return b.Buffer.Write(p)
}

// plainError drops the package's own prefix: what is left begins with file and line.
func plainError(err error) error {
	text := strings.TrimPrefix(err.Error(), "html/template:")
	return errors.New(strings.TrimPrefix(strings.TrimPrefix(text, "template: "), " "))
}
