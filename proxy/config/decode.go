package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"gatehouse/rules/policy"
)

// maxDepth bounds nesting: conditions of rules are the only thing that can be nested at will.
const maxDepth = 40

// decoder reads one file into the loader's configuration, after what earlier files gave. It collects every problem
// with its place instead of stopping at the first, which is why it walks the nodes itself.
type decoder struct {
	*loader
	file  string // as problems show it
	dir   string // absolute; relative paths in the file begin here
	lines [][]byte
}

// decode reads one YAML document of the configuration.
func (l *loader) decode(file string, data []byte) {
	l.decodeInto(file, data, reflect.ValueOf(&l.cfg).Elem(), "applications:")
}

// decodeInto reads one YAML document into a struct, whose least content is for the message about an empty file.
func (l *loader) decodeInto(file string, data []byte, to reflect.Value, least string) {
	d := &decoder{loader: l, file: file, dir: filepath.Dir(absolute(file)), lines: bytes.Split(data, []byte("\n"))}
	if !utf8.Valid(data) {
		at := 0
		for at < len(data) {
			r, n := utf8.DecodeRune(data[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		column := 1 + utf8.RuneCount(data[bytes.LastIndexByte(data[:at], '\n')+1:at])
		l.problemAt(Place{file, line, column}, "", "the file is not UTF-8 text")
		return
	}
	parser := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := parser.Decode(&doc); errors.Is(err, io.EOF) || err == nil && isNull(&doc) {
		l.problemAt(Place{file, 1, 1}, "", "the file is empty; it needs at least "+least)
		return
	} else if err != nil {
		d.syntax(err)
		return
	}
	root := doc.Content[0]
	if _, ok := l.places[""]; !ok {
		l.places[""] = Place{file, root.Line, root.Column}
	}
	d.value(root, to, "", field{}, 0)

	var next yaml.Node
	if err := parser.Decode(&next); err == nil {
		l.problemAt(Place{file, next.Line, next.Column}, "", "the file holds a second document (---); use several files instead")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
}

func isNull(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null"
}

var syntaxRE = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?((?s).*)$`)

// grammarRE matches the errors in which the YAML parser counts lines from 0. The others count from 1.
var grammarRE = regexp.MustCompile(`^did not find expected (<|node content|key|'-' indicator|',' or)`)

// syntax reports an error of the YAML parser, which knows the line alone.
func (d *decoder) syntax(err error) {
	m := syntaxRE.FindStringSubmatch(err.Error())
	line, message := 0, m[2]
	if n, err := strconv.Atoi(m[1]); err == nil {
		line = n
	}
	if grammarRE.MatchString(message) {
		line++
	}
	if m := collectionRE.FindStringSubmatch(message); m != nil { // the line is where the collection begins
		what := map[string]string{"key": "a key of the mapping", "'-' indicator": `"- " and the next entry of the list`}[m[1]]
		begin := max(line, 1)
		line = d.firstFailing(err.Error())
		message = fmt.Sprintf("expected %s that begins in line %d; is the line indented as it should be?", what, begin)
	}
	if anchor, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		anchor, _, _ = strings.Cut(anchor, "'")
		line = 1 + slices.IndexFunc(d.lines, func(l []byte) bool { return bytes.Contains(l, []byte("*"+anchor)) })
		message = aliasMessage
	} else {
		message = "YAML syntax: " + message
	}
	at := Place{File: d.file}
	if line >= 1 && line <= len(d.lines) {
		at.Line, at.Column = line, d.indent(line)
	}
	d.problemAt(at, "", message)
}

// collectionRE matches the errors at whose line a list or a mapping begins, somewhere below which the fault is.
var collectionRE = regexp.MustCompile(`^did not find expected (key|'-' indicator)$`)

// firstFailing gives the first line up to which the file has the error of the whole.
func (d *decoder) firstFailing(message string) int {
	return 1 + sort.Search(len(d.lines)-1, func(i int) bool {
		var doc yaml.Node
		err := yaml.Unmarshal(bytes.Join(d.lines[:i+1], []byte("\n")), &doc)
		return err != nil && err.Error() == message
	})
}

// indent gives the column of the first character of a line that is not a space.
func (d *decoder) indent(line int) int {
	if line > len(d.lines) {
		return 1
	}
	text := d.lines[line-1]
	return 1 + len(text) - len(bytes.TrimLeft(text, " "))
}

const aliasMessage = "anchors, aliases and merge keys are not supported; write the value out"

// fail reports a value that could not be read.
func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.spoil(path)
	d.problemAt(Place{d.file, n.Line, n.Column}, path, fmt.Sprintf(format, args...))
}

// value decodes a node into v, whose key is described by f.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, f field, depth int) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fail(n, path, aliasMessage)
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, path, "tags such as %s are not supported", n.Tag)
		return
	case depth > maxDepth:
		d.fail(n, path, "is nested too deeply")
		return
	}
	if path != "" {
		d.places[path] = Place{d.file, n.Line, n.Column}
	}
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, f, depth)
	case isScalarType(v.Type()):
		d.scalar(n, v, path, f)
	case v.Kind() == reflect.Struct:
		d.object(n, v, path, depth)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path, f, depth)
	case v.Kind() == reflect.Map:
		d.stringMap(n, v, path, f)
	default:
		d.scalar(n, v, path, f)
	}
}

// isScalarType says that values of t are written as one word, whatever their Go kind.
func isScalarType(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// object decodes a mapping. A key that stands in an earlier file already is a problem, unless it is a section, which
// merges, or one of the lists at the top, which are joined.
func (d *decoder) object(n *yaml.Node, v reflect.Value, path string, depth int) {
	t := v.Type()
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		if short, ok := shortForms[t]; ok {
			sf, _ := t.FieldByName(short)
			d.member(n, v, t, sf, path, depth)
			return
		}
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "expected keys and values, found %s", found(n))
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Tag == "!!merge" || k.Kind == yaml.AliasNode || k.Anchor != "" {
			d.fail(k, path, aliasMessage)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			d.fail(k, path, "expected a key, found %s", found(k))
			continue
		}
		p := key(path, k.Value)
		if first := seen[k.Value]; first != nil {
			d.problemAt(Place{d.file, k.Line, k.Column}, p, fmt.Sprintf("is given twice; first at %s", Place{d.file, first.Line, first.Column}))
			continue
		}
		seen[k.Value] = k
		sf, ok := fieldByKey(t, k.Value)
		if !ok {
			d.unknown(k, t, path)
			continue
		}
		if first, ok := d.places[p]; ok && !merges(sf.Type, p) {
			d.problemAt(Place{d.file, val.Line, val.Column}, p, fmt.Sprintf("is given twice; first at %s", first))
			continue
		}
		d.member(val, v, t, sf, p, depth+1)
	}
}

// merges says whether a key may stand in several files: sections merge, the lists at the top are joined, and version
// can have one value only.
func merges(t reflect.Type, path string) bool {
	switch t.Kind() {
	case reflect.Struct:
		_, short := shortForms[t]
		return !short
	case reflect.Slice:
		return parentPath(path) == ""
	}
	return path == "version"
}

// member decodes one field of a struct and makes file names absolute.
func (d *decoder) member(n *yaml.Node, v reflect.Value, t reflect.Type, sf reflect.StructField, path string, depth int) {
	f := fieldOf(t, sf)
	target := v.FieldByIndex(sf.Index)
	d.value(n, target, path, f, depth)
	if d.failed[path] || target.Kind() != reflect.String {
		return
	}
	switch {
	case t == reflect.TypeFor[Policy]() && sf.Name == "SecLang":
		d.blocks[path] = d.block(n)
	case t == reflect.TypeFor[Sink]():
		d.sink(n, target, path)
	case t == reflect.TypeFor[Certificate]() && sf.Name == "Secret":
		if file, ok := strings.CutPrefix(target.String(), "file:"); ok && file != "" {
			target.SetString("file:" + d.resolve(file))
		}
	case f.file && target.String() != "":
		target.SetString(d.resolve(target.String()))
	}
}

// resolve makes a path absolute that is relative to the file it is written in.
func (d *decoder) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}

// sink tells a misspelt word from a path.
func (d *decoder) sink(n *yaml.Node, target reflect.Value, path string) {
	switch to := target.String(); {
	case to == "stdout", to == "none":
	case strings.HasSuffix(to, "/"):
		d.fail(n, path, "%q is a directory; write the path of a file", to)
	case strings.ContainsAny(to, "/."):
		target.SetString(d.resolve(to))
	default:
		d.fail(n, path, "%q is not stdout, none or a path%s (write a file as ./%s)", to, DidYouMean(to, []string{"stdout", "none"}), to)
	}
}

// unknown reports a key that does not exist.
func (d *decoder) unknown(k *yaml.Node, t reflect.Type, path string) {
	keys := keysOf(t)
	hint := ""
	if w := closest(k.Value, keys); w != "" {
		hint = fmt.Sprintf("; did you mean %q?", w)
		d.spoil(key(path, w))
	}
	d.problemAt(Place{d.file, k.Line, k.Column}, key(path, k.Value), fmt.Sprintf("is not a key%s (%s)", hint, strings.Join(keys, ", ")))
}

func fieldByKey(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if k, _ := keyOf(t.Field(i)); k == name {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

// shortForms are the structs that may be written as the one value of a field.
var shortForms = map[reflect.Type]string{
	reflect.TypeFor[Sink]():      "To",
	reflect.TypeFor[ListEntry](): "Address",
}

// list decodes a sequence, after what v holds already. An empty list is nil, so that it equals an absent one.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, f field, depth int) {
	if v.Type() == reflect.TypeFor[policy.Strings]() && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.scalar(n, v.Index(0), path, f)
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "expected a list, found %s", found(n))
		return
	}
	for _, c := range n.Content {
		i := v.Len()
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		d.value(c, v.Index(i), item(path, i), f, depth+1)
	}
}

// stringMap decodes a mapping of texts.
func (d *decoder) stringMap(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "expected names and values, found %s", found(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag != "!!str" || k.Anchor != "" {
			d.problemAt(Place{d.file, k.Line, k.Column}, path, "expected a name, found "+found(k))
			continue
		}
		p := key(path, k.Value)
		name := reflect.ValueOf(k.Value)
		if v.MapIndex(name).IsValid() {
			d.problemAt(Place{d.file, k.Line, k.Column}, p, fmt.Sprintf("is given twice; first at %s", d.places[p]))
			continue
		}
		text := reflect.New(v.Type().Elem()).Elem()
		d.value(val, text, p, f, 0)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(name, text)
	}
}

// scalar decodes one word.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, f field) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, path, "expected %s, found %s", wanted(v.Type()), found(n))
		return
	}
	if n.Tag == "!!null" {
		d.fail(n, path, "has no value; write %s or remove the key", wanted(v.Type()))
		return
	}
	if message := setScalar(n, v, f); message != "" {
		d.fail(n, path, "%s", message)
	}
}

// setScalar gives v the value of a scalar, or answers what is wrong with it.
func setScalar(n *yaml.Node, v reflect.Value, f field) string {
	text := n.Value
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
		if v.Kind() == reflect.Int64 && v.Int() == 0 {
			return "must be more than 0"
		}
		return ""
	}
	if e, ok := enums[v.Type()]; ok {
		if text == "" && f.mayBeEmpty {
			return ""
		}
		v.SetString(text)
		return e.check(text)
	}
	switch v.Interface().(type) {
	case policy.Date:
		v.SetString(text)
		if err := parseDate(text); err != nil {
			return err.Error()
		}
		return ""
	case Stage:
		stage, err := parseStage(text)
		if err != nil {
			return err.Error()
		}
		v.SetString(string(stage))
		return ""
	}
	switch v.Kind() {
	case reflect.Bool:
		if n.Tag != "!!bool" || text != "true" && text != "false" {
			return fmt.Sprintf("expected true or false, found %s", found(n))
		}
		v.SetBool(text == "true")
	case reflect.Int:
		if n.Tag != "!!int" {
			return fmt.Sprintf("expected a whole number, found %s", found(n))
		}
		i, err := parseInt(text)
		if err != nil {
			return err.Error()
		}
		v.SetInt(int64(i))
		if b := f.bounds; b != nil && (i < b.min || i > b.max) {
			return outOfBounds(i, b)
		}
	case reflect.String:
		if n.Tag != "!!str" {
			return fmt.Sprintf("expected text, found %s; put it in quotes: %q", found(n), text)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return isControl(r) && !(f.multiline && (r == '\n' || r == '\t')) }); i >= 0 {
			return fmt.Sprintf("holds a line break or another control character (%q)", text[i:i+1])
		}
		v.SetString(text)
	}
	return ""
}

// isControl also finds the separators that some readers take for line breaks, and what YAML cannot carry.
func isControl(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r >= '\ufff0' && r <= '\uffff'
}

func outOfBounds(got int, b *bounds) string {
	switch {
	case b.min == b.max:
		return fmt.Sprintf("%d is not supported; write %d", got, b.min)
	case got < b.min && b.min == 0:
		return fmt.Sprintf("%d is less than 0", got)
	case got < b.min && b.max >= 1<<31-1:
		return fmt.Sprintf("%d is too small; write at least %d", got, b.min)
	}
	return fmt.Sprintf("%d is out of range; write %d to %d", got, b.min, b.max)
}

// wanted names what a value of type t looks like.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Size]():
		return "a size such as 10MiB"
	case reflect.TypeFor[Duration]():
		return "a duration such as 30s"
	case reflect.TypeFor[Prefix]():
		return "an address or a network"
	case reflect.TypeFor[Rate]():
		return "a rate such as 10/1m"
	case reflect.TypeFor[policy.Date]():
		return "a date such as 2027-06-30"
	}
	if e, ok := enums[t]; ok {
		return e.noun
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	}
	return "text"
}

// found names what a node holds.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!timestamp":
		return "the date " + n.Value
	}
	return strconv.Quote(n.Value)
}
