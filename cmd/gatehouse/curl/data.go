package curl

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// fileSyntax says what @ at the beginning of data means.
type fileSyntax int

const (
	noFile       fileSyntax = iota // itself
	wholeFile                      // the file's bytes
	strippedFile                   // the file without line ends and NUL bytes
)

func (c *command) read(name string) ([]byte, error) {
	if name == "-" {
		return nil, errors.New("data from stdin (@-) are not read here; write them in the command line")
	}
	if c.opts.ReadFile == nil {
		return nil, fmt.Errorf("the file %s cannot be read here", name)
	}
	return c.opts.ReadFile(name)
}

func (c *command) addData(v string, syntax fileSyntax) error {
	c.hasData = true
	if name, file := strings.CutPrefix(v, "@"); file && syntax != noFile {
		b, err := c.read(name)
		if err != nil {
			return err
		}
		if v = string(b); syntax == strippedFile {
			v = strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(v)
		}
	}
	c.data = append(c.data, v)
	return nil
}

// addEncoded takes the forms content, =content, name=content, @file and name@file.
func (c *command) addEncoded(v string) error {
	s, err := c.encoded(v)
	if err == nil {
		c.hasData = true
		c.data = append(c.data, s)
	}
	return err
}

// addQuery is --url-query: as --data-urlencode, but for the URL; after + it is taken as it is.
func (c *command) addQuery(v string) error {
	s, err := strings.TrimPrefix(v, "+"), error(nil)
	if !strings.HasPrefix(v, "+") {
		s, err = c.encoded(v)
	}
	if err == nil {
		c.query = append(c.query, s)
	}
	return err
}

func (c *command) encoded(v string) (string, error) {
	i := strings.IndexAny(v, "=@")
	if i < 0 {
		return escape(v), nil
	}
	name, content := v[:i], v[i+1:]
	if v[i] == '@' {
		b, err := c.read(content)
		if err != nil {
			return "", err
		}
		content = string(b)
	}
	if name == "" {
		return escape(content), nil
	}
	return name + "=" + escape(content), nil
}

// escape encodes all but the unreserved characters, as curl does.
func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%7E", "~")
}

// part is one part of a multipart form.
type part struct {
	name, filename, contentType string
	content                     []byte
}

// formMeaning says whether the value of a form field may name a file.
type formMeaning int

const (
	formSyntax  formMeaning = iota // name=value, name=@file, name=<file, with ;type= and ;filename=
	formLiteral                    // name=value
)

func (c *command) addForm(v string, meaning formMeaning) error {
	name, value, found := strings.Cut(v, "=")
	if !found || name == "" {
		return fmt.Errorf("-F %q is not a form field; write name=value or name=@file", v)
	}
	p := part{name: name, content: []byte(value)}
	if meaning == formLiteral {
		c.parts = append(c.parts, p)
		return nil
	}
	value, settings, err := formSettings(value)
	if err != nil {
		return err
	}
	p.contentType, p.filename, p.content = settings["type"], settings["filename"], []byte(value)
	if strings.HasPrefix(value, "@") || strings.HasPrefix(value, "<") {
		if p.content, err = c.read(value[1:]); err != nil {
			return err
		}
		if value[0] == '@' {
			if p.filename == "" {
				p.filename = filepath.Base(value[1:])
			}
			if p.contentType == "" {
				p.contentType = "application/octet-stream"
			}
		}
	}
	c.parts = append(c.parts, p)
	return nil
}

// formSettings cuts ;type=... and ;filename=... off the value of a form field.
func formSettings(v string) (string, map[string]string, error) {
	settings := map[string]string{}
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1], settings, nil
	}
	words := strings.Split(v, ";")
	value := words[0]
	for _, w := range words[1:] {
		key, setting, found := strings.Cut(strings.TrimSpace(w), "=")
		switch {
		case found && (key == "type" || key == "filename"):
			settings[key] = strings.Trim(setting, `"`)
		case found && (key == "headers" || key == "encoder"):
			return "", nil, fmt.Errorf("-F with ;%s= is not known here", key)
		case settings["type"] != "": // a parameter of the type, such as charset=utf-8
			settings["type"] += ";" + w
		default:
			value += ";" + w
		}
	}
	return value, settings, nil
}

// multipart writes the form and gives its Content-Type.
func (c *command) multipart() ([]byte, string) {
	boundary := c.boundary()
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b bytes.Buffer
	for _, p := range c.parts {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, quote.Replace(p.name))
		if p.filename != "" {
			fmt.Fprintf(&b, "; filename=\"%s\"", quote.Replace(p.filename))
		}
		b.WriteString("\r\n")
		if p.contentType != "" {
			fmt.Fprintf(&b, "Content-Type: %s\r\n", p.contentType)
		}
		b.WriteString("\r\n")
		b.Write(p.content)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), "multipart/form-data; boundary=" + boundary
}
