package config

import (
	"bytes"
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print gives a complete configuration as YAML with every default filled in. Loading it gives an equal Config, as long
// as the files that it names are unchanged: a list or a policy that names a file is printed with the name alone.
func Print(c *Config) []byte {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	// Neither call can fail: the nodes are made here and a Buffer takes everything.
	_ = e.Encode(node(reflect.ValueOf(c).Elem()))
	_ = e.Close()
	return b.Bytes()
}

// node turns a value into YAML.
func node(v reflect.Value) *yaml.Node {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() != reflect.Pointer {
		text, _ := m.MarshalText() // the texts of this package have no errors
		return textNode(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return node(v.Elem())
	case reflect.Struct:
		return mapping(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i)))
		}
		if !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode }) {
			n.Style = yaml.FlowStyle
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range names {
			n.Content = append(n.Content, textNode(k.String()), node(v.MapIndex(k)))
		}
		return n
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v.Bool())}
	case reflect.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatInt(v.Int(), 10)}
	}
	return textNode(v.String())
}

// mapping turns a struct into YAML: short forms where nothing is lost, one line where it holds words alone.
func mapping(v reflect.Value) *yaml.Node {
	t := v.Type()
	if short, ok := shortForms[t]; ok {
		rest := reflect.New(t).Elem()
		rest.FieldByName(short).Set(v.FieldByName(short))
		if reflect.DeepEqual(rest.Interface(), v.Interface()) {
			return node(v.FieldByName(short))
		}
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	flow := true
	for i := range t.NumField() {
		name, omitEmpty := keyOf(t.Field(i))
		field := v.Field(i)
		if omitEmpty && isEmpty(field) || fromFile(v, t, t.Field(i).Name) {
			continue
		}
		value := node(field)
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
		flow = flow && (value.Kind == yaml.ScalarNode && value.Style != yaml.LiteralStyle || value.Style == yaml.FlowStyle && value.Kind == yaml.SequenceNode)
	}
	if _, named := t.FieldByName("Name"); flow && (!named || len(n.Content) <= 8) {
		n.Style = yaml.FlowStyle
	}
	return n
}

// isEmpty is what omitempty leaves out, and structs whose every field is left out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// fromFile says that a field's value was read from a file that is named beside it.
func fromFile(v reflect.Value, t reflect.Type, name string) bool {
	switch {
	case t == reflect.TypeFor[List]() && name == "Addresses":
		return v.FieldByName("File").String() != ""
	case t == reflect.TypeFor[Policy]() && name == "SecLang":
		return v.FieldByName("SecLangFile").String() != ""
	}
	return false
}

// textNode gives a text in quotes where YAML would take it for something else, and several lines as a block.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	plain := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	switch {
	case strings.Contains(s, "\n"):
		n.Style = yaml.LiteralStyle
		// What a block would not keep byte for byte is quoted.
		if strings.TrimLeft(s, " \t\n") != s || strings.Contains(s, " \n") || strings.Contains(s, "\t") || strings.HasSuffix(s, "\n\n") || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && (isControl(r) || r >= 0x7f) }) {
			n.Style = yaml.DoubleQuotedStyle
		}
	case s == "" || plain.ShortTag() != "!!str" || strings.ContainsAny(s, "#:{}[],&*!|>'\"%@`?") || strings.TrimSpace(s) != s || s[0] == '-' || !isASCII(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
