package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gatehouse/proxy/config"
	"gatehouse/rules/policy"
)

// docsDir is the folder of the documentation, seen from this package.
const docsDir = "../../docs"

// TestReferences compares the generated parts of the documentation with the code. go test -run TestReferences -update
// writes them.
func TestReferences(t *testing.T) {
	for _, part := range []struct{ page, name, text string }{
		{"configuration.md", "keys", keyReference(t)},
		{"commands.md", "commands", commandReference()},
	} {
		t.Run(part.name, func(t *testing.T) {
			file := filepath.Join(docsDir, part.page)
			page := readPage(t, file)
			begin, end := "<!-- generated: "+part.name+" -->\n", "<!-- end of "+part.name+" -->\n"
			head, rest, found := strings.Cut(page, begin)
			old, tail, ended := strings.Cut(rest, end)
			if !found || !ended {
				t.Fatalf("%s has no part between %q and %q", file, begin, end)
			}
			if old == part.text {
				return
			}
			if !*updateScripts {
				t.Fatalf("%s differs from the code; run go test ./cmd/gatehouse -run TestReferences -update, and read what changed", file)
			}
			if err := os.WriteFile(file, []byte(head+begin+part.text+end+tail), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func readPage(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// commandReference is the help of every command.
func commandReference() string {
	c := &cli{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}
	var b strings.Builder
	for _, cmd := range commands() {
		flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
		cmd.setup(c, flags)
		var help bytes.Buffer
		cmd.usage(&help, flags)
		fmt.Fprintf(&b, "\n## gatehouse %s\n\n```text\n%s\n```\n", cmd.name, strings.TrimRight(help.String(), "\n"))
	}
	return b.String() + "\n"
}

// described is what the JSON Schema says of a key or of an object.
type described struct {
	Description string               `json:"description"`
	Default     any                  `json:"default"`
	Enum        []string             `json:"enum"`
	Minimum     *int                 `json:"minimum"`
	Maximum     *int                 `json:"maximum"`
	OneOf       []json.RawMessage    `json:"oneOf"`
	Items       *described           `json:"items"`
	Properties  map[string]described `json:"properties"`
	Required    []string             `json:"required"`
	Defs        map[string]described `json:"$defs"`
}

// keyReference documents every key: the order is the structs', everything else the JSON Schema's.
func keyReference(t *testing.T) string {
	t.Helper()
	var root described
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	r := &reference{defs: root.Defs, at: map[reflect.Type]string{}}
	r.defs["Config"] = root
	r.name(reflect.TypeFor[config.Config](), "")
	r.section(reflect.TypeFor[config.Config]())
	return r.b.String() + "\n"
}

type reference struct {
	b    strings.Builder
	defs map[string]described
	at   map[reflect.Type]string // where each object is documented
}

// units are the values that are written as one word.
var units = map[reflect.Type]string{
	reflect.TypeFor[config.Size]():     "[size](#values)",
	reflect.TypeFor[config.Duration](): "[duration](#values)",
	reflect.TypeFor[config.Rate]():     "[rate](#values)",
	reflect.TypeFor[policy.Date]():     "[date](#values)",
	reflect.TypeFor[config.Prefix]():   "[network](#values)",
	reflect.TypeFor[config.Stage]():    "text or number",
	reflect.TypeFor[policy.Strings]():  "text or list of text",
}

// name decides where the objects below t are documented: at the first key that holds one.
func (r *reference) name(t reflect.Type, path string) {
	r.at[t] = path
	for i := range t.NumField() {
		if below := object(t.Field(i).Type); below != nil {
			if _, ok := r.at[below]; !ok {
				r.name(below, strings.TrimPrefix(path+"."+yamlKey(t.Field(i)), "."))
			}
		}
	}
}

// object gives the struct that a key holds, alone or in a list, or nil.
func object(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && units[t] == "" {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || units[t] != "" {
		return nil
	}
	return t
}

func yamlKey(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// section writes the table of one object and then those of the objects in it.
func (r *reference) section(t reflect.Type) {
	path := r.at[t]
	title := "`" + path + "`"
	if path == "" {
		title = "The whole file"
	}
	fmt.Fprintf(&r.b, "\n### %s\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", title)
	def := r.defs[t.Name()]
	for i := range t.NumField() {
		key := yamlKey(t.Field(i))
		d := def.Properties[key]
		standard := ""
		for _, name := range def.Required {
			if name == key {
				standard = "required"
			}
		}
		switch v := d.Default.(type) {
		case nil:
		case string:
			standard = "`" + v + "`"
		default:
			standard = fmt.Sprintf("%v", v)
		}
		if t.Field(i).Type.Kind() == reflect.Bool && standard == "" {
			standard = "false"
		}
		fmt.Fprintf(&r.b, "| `%s` | %s | %s | %s |\n", key, r.value(t.Field(i).Type, d), standard, strings.ReplaceAll(d.Description, "*", `\*`))
	}
	for i := range t.NumField() {
		below := object(t.Field(i).Type)
		if below != nil && r.at[below] == strings.TrimPrefix(path+"."+yamlKey(t.Field(i)), ".") {
			r.section(below)
		}
	}
}

// value says what may be written for a key.
func (r *reference) value(t reflect.Type, d described) string {
	if word, ok := units[t]; ok {
		return word
	}
	if len(d.Enum) > 0 {
		words := make([]string, 0, len(d.Enum))
		for _, w := range d.Enum {
			if w == "" {
				w = `""`
			}
			words = append(words, "`"+w+"`")
		}
		return strings.Join(words, ", ")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return r.value(t.Elem(), d)
	case reflect.Slice:
		var items described
		if d.Items != nil {
			items = *d.Items
		}
		return "list of " + r.value(t.Elem(), items)
	case reflect.Struct:
		link := fmt.Sprintf("[%s](#%s)", r.at[t], strings.ReplaceAll(r.at[t], ".", ""))
		if len(d.OneOf) > 0 { // the short form
			return "text or " + link
		}
		return link
	case reflect.Map:
		return "map of text to text"
	case reflect.Bool:
		return "true, false"
	case reflect.Int:
		switch {
		case d.Minimum == nil:
		case *d.Minimum == *d.Maximum:
			return strconv.Itoa(*d.Minimum)
		case *d.Maximum < 1<<31-1:
			return fmt.Sprintf("number, %d to %d", *d.Minimum, *d.Maximum)
		}
		return "number"
	}
	return "text"
}
