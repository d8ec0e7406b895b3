package body

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// rootName is the name under which a document's values stand: json.items.0.name.
const rootName = "json"

// Flattening repeats the path of each value, so that its names may outgrow the document. They may take this many bytes,
// or flattenFactor times the document if that is more.
const (
	flattenBytes  = 64 << 10
	flattenFactor = 8
	maxKeyLength  = 4 << 10
)

// parseJSON parses one document strictly: duplicate keys, invalid UTF-8, control characters and trailing data are
// problems. It does not recurse, so depth costs no stack.
func parseJSON(p *Parsed, text string, o Options) {
	d := newJSONParser(p, text, o)
	p.Problem = d.document(rootName)
	if p.Problem == nil {
		p.Document = text
	}
}

// parseNDJSON parses each line as the next element of one array.
func parseNDJSON(p *Parsed, text string, o Options) {
	lines := 0
	budget := max(flattenBytes, flattenFactor*len(text))
	for line := range strings.Lines(text) {
		complete := strings.HasSuffix(line, "\n")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		d := newJSONParser(p, line, o)
		d.budget = budget
		err := d.document(rootName + "." + strconv.Itoa(lines))
		budget = d.budget
		lines++
		if err != nil && (complete || !o.Truncated) {
			p.Problem = fmt.Errorf("line %d: %w", lines, err)
			return
		}
	}
	p.length(rootName, lines, o)
}

// frame is a container that is open.
type frame struct {
	array bool
	// path is how long the name of the container itself is.
	path int
	// members counts what it has so far.
	members int
	// keys are the names used in an object.
	keys map[string]struct{}
	// dotted says that a key in the name of the container holds a dot.
	dotted bool
}

type jsonParser struct {
	parsed  *Parsed
	options Options
	text    string
	at      int
	name    []byte
	dotted  bool // of name, as in a frame
	budget  int
}

func newJSONParser(p *Parsed, text string, o Options) *jsonParser {
	return &jsonParser{parsed: p, options: o, text: text, budget: max(flattenBytes, flattenFactor*len(text))}
}

var errUnexpectedEnd = errors.New("the JSON document ends too early")

// document parses one value and the end of the text, putting values under the name root.
func (d *jsonParser) document(root string) error {
	d.name = append(d.name[:0], root...)
	var stack []frame
	if d.space(); d.at < len(d.text) && d.text[d.at] != '{' && d.text[d.at] != '[' {
		// A lone value is treated as the only element of an array.
		value, err := d.scalar()
		if err != nil {
			return err
		}
		d.name = append(d.name, ".0"...)
		if err := d.put(value); err != nil {
			return err
		}
		d.parsed.length(root, 1, d.options)
		return d.end()
	}
	for {
		opened, err := d.value(&stack)
		if err != nil {
			return err
		}
		if !opened {
			if err := d.leave(&stack); err != nil {
				return err
			}
		}
		if len(stack) == 0 {
			return d.end()
		}
		if err := d.member(&stack[len(stack)-1]); err != nil {
			return err
		}
	}
}

// value parses the start of the value at hand. If it opens a container with members, that is pushed.
func (d *jsonParser) value(stack *[]frame) (opened bool, err error) {
	d.space()
	if d.at >= len(d.text) {
		return false, errUnexpectedEnd
	}
	c := d.text[d.at]
	if c != '{' && c != '[' {
		value, err := d.scalar()
		if err != nil {
			return false, err
		}
		return false, d.put(value)
	}
	if len(*stack) >= d.options.JSONDepth && d.options.JSONDepth > 0 {
		return false, fmt.Errorf("the JSON document is nested deeper than %d levels", d.options.JSONDepth)
	}
	d.at++
	d.space()
	if d.at < len(d.text) && (c == '{' && d.text[d.at] == '}' || c == '[' && d.text[d.at] == ']') {
		d.at++
		if len(*stack) > 0 { // like null: nothing else would show its name
			return false, d.put("")
		}
		return false, nil
	}
	*stack = append(*stack, frame{array: c == '[', path: len(d.name), dotted: d.dotted})
	return true, nil
}

// member prepares the name of the next member of a container.
func (d *jsonParser) member(f *frame) error {
	d.name, d.dotted = append(d.name[:f.path], '.'), f.dotted
	if f.array {
		d.name = strconv.AppendInt(d.name, int64(f.members), 10)
		f.members++
		return nil
	}
	f.members++
	d.space()
	if d.at >= len(d.text) {
		return errUnexpectedEnd
	}
	if d.text[d.at] != '"' {
		return d.unexpected("a key in quotes")
	}
	key, err := d.str()
	if err != nil {
		return err
	}
	if len(key) > maxKeyLength {
		return fmt.Errorf("a key of the JSON document is longer than %d bytes", maxKeyLength)
	}
	if f.keys == nil {
		f.keys = make(map[string]struct{})
	}
	d.name = append(d.name, key...)
	d.dotted = d.dotted || strings.Contains(key, ".")
	if _, repeated := f.keys[key]; repeated {
		// The value is still shown to rules, under the same name.
		if d.parsed.Problem == nil {
			d.parsed.Problem = fmt.Errorf("the key %q appears twice in one JSON object", abbreviate(key))
		}
	}
	f.keys[key] = struct{}{}
	d.space()
	if d.at >= len(d.text) {
		return errUnexpectedEnd
	}
	if d.text[d.at] != ':' {
		return d.unexpected("a colon")
	}
	d.at++
	return nil
}

// leave goes on behind a value that is complete, closing every container that ends there.
func (d *jsonParser) leave(stack *[]frame) error {
	for len(*stack) > 0 {
		f := &(*stack)[len(*stack)-1]
		d.space()
		if d.at >= len(d.text) {
			return errUnexpectedEnd
		}
		switch c := d.text[d.at]; {
		case c == ',':
			d.at++
			return nil
		case c == ']' && f.array:
			d.at++
			d.name, d.dotted = d.name[:f.path], f.dotted
			if err := d.spend(); err != nil {
				return err
			}
			d.parsed.length(d.shown(), f.members, d.options)
		case c == '}' && !f.array:
			d.at++
			d.name = d.name[:f.path]
		default:
			return d.unexpected("a comma or the end of the " + map[bool]string{true: "array", false: "object"}[f.array])
		}
		*stack = (*stack)[:len(*stack)-1]
	}
	return nil
}

// end checks that nothing follows the document.
func (d *jsonParser) end() error {
	if d.space(); d.at < len(d.text) {
		return d.unexpected("the end of the document")
	}
	return d.parsed.Problem
}

// put adds a value under the name at hand.
func (d *jsonParser) put(value string) error {
	if err := d.spend(); err != nil {
		return err
	}
	d.parsed.argument(d.shown(), value, d.options)
	return nil
}

// shown is the name at hand as rules see it. One that has a key with a dot in it begins with json: instead of json., so
// that the key a.b does not pass for the key b of a, in an exclusion for instance.
func (d *jsonParser) shown() string {
	if d.dotted {
		return rootName + ":" + string(d.name[len(rootName)+1:])
	}
	return string(d.name)
}

// spend takes the name at hand from the budget.
func (d *jsonParser) spend() error {
	d.budget -= len(d.name)
	if d.budget < 0 {
		return errors.New("the names in the JSON document take many times its size")
	}
	return nil
}

// scalar parses a string, number or literal. Numbers and literals keep their spelling; null is empty.
func (d *jsonParser) scalar() (string, error) {
	if d.text[d.at] == '"' {
		return d.str()
	}
	for _, literal := range []string{"true", "false", "null"} {
		if strings.HasPrefix(d.text[d.at:], literal) {
			d.at += len(literal)
			if literal == "null" {
				return "", nil
			}
			return literal, nil
		}
	}
	start := d.at
	if d.text[d.at] == '-' {
		d.at++
	}
	whole := d.digits()
	if whole == 0 || whole > 1 && d.text[d.at-whole] == '0' {
		d.at = start
		return "", d.unexpected("a value")
	}
	if d.at < len(d.text) && d.text[d.at] == '.' {
		d.at++
		if d.digits() == 0 {
			return "", d.unexpected("a digit")
		}
	}
	if d.at < len(d.text) && (d.text[d.at] == 'e' || d.text[d.at] == 'E') {
		d.at++
		if d.at < len(d.text) && (d.text[d.at] == '+' || d.text[d.at] == '-') {
			d.at++
		}
		if d.digits() == 0 {
			return "", d.unexpected("a digit")
		}
	}
	return d.text[start:d.at], nil
}

func (d *jsonParser) digits() int {
	start := d.at
	for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at - start
}

func (d *jsonParser) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\r', '\n':
			d.at++
		default:
			return
		}
	}
}

// str parses the string at hand. One without escapes is a part of the text, not a copy.
func (d *jsonParser) str() (string, error) {
	d.at++
	start := d.at
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			s := d.text[start:d.at]
			d.at++
			return s, validUTF8(s)
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.unexpected("no control character in a string")
		}
		d.at++
	}
	return "", errUnexpectedEnd
}

// escaped goes on with a string from its first escape.
func (d *jsonParser) escaped(start int) (string, error) {
	b := []byte(d.text[start:d.at])
	for d.at < len(d.text) {
		c := d.text[d.at]
		switch {
		case c == '"':
			d.at++
			return string(b), validUTF8(string(b))
		case c < ' ':
			return "", d.unexpected("no control character in a string")
		case c != '\\':
			b = append(b, c)
			d.at++
			continue
		}
		d.at++
		if d.at >= len(d.text) {
			return "", errUnexpectedEnd
		}
		switch c = d.text[d.at]; c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, err := d.unicodeEscape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			continue
		default:
			return "", d.unexpected("an escape that JSON has")
		}
		d.at++
	}
	return "", errUnexpectedEnd
}

// unicodeEscape parses the escape whose u is at hand, and the second half of a surrogate pair.
func (d *jsonParser) unicodeEscape() (rune, error) {
	r, err := d.codeUnit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if strings.HasPrefix(d.text[d.at:], `\u`) {
		back := d.at
		d.at++
		second, err := d.codeUnit()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, nil
		}
		d.at = back
	}
	return utf8.RuneError, nil
}

func (d *jsonParser) codeUnit() (rune, error) {
	d.at++
	if d.at+4 > len(d.text) {
		return 0, errUnexpectedEnd
	}
	var r rune
	for i := range 4 {
		c := d.text[d.at+i]
		if !isHex(c) {
			return 0, d.unexpected("four hexadecimal digits")
		}
		r = r<<4 | rune(hex(c))
	}
	d.at += 4
	return r, nil
}

func (d *jsonParser) unexpected(wanted string) error {
	return fmt.Errorf("the JSON document is not valid at byte %d: expected %s", d.at+1, wanted)
}

func validUTF8(s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	return errors.New("the JSON document is not valid UTF-8")
}

// abbreviate bounds what a message quotes.
func abbreviate(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
