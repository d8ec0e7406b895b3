package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// compiled gives the schema as a validator.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("gatehouse.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("gatehouse.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON turns YAML into what a validator takes; dates are texts, as in editors.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var convert func(n *yaml.Node) any
	convert = func(n *yaml.Node) any {
		switch n.Kind {
		case yaml.DocumentNode:
			return convert(n.Content[0])
		case yaml.MappingNode:
			m := map[string]any{}
			for i := 0; i < len(n.Content); i += 2 {
				m[n.Content[i].Value] = convert(n.Content[i+1])
			}
			return m
		case yaml.SequenceNode:
			list := []any{}
			for _, c := range n.Content {
				list = append(list, convert(c))
			}
			return list
		}
		switch n.Tag {
		case "!!int", "!!float":
			return json.Number(n.Value)
		case "!!bool":
			return n.Value == "true"
		case "!!null":
			return nil
		}
		return n.Value
	}
	return convert(&doc)
}

// TestSchemaTakesExamples shows that every example, and what Print makes of it, is valid.
func TestSchemaTakesExamples(t *testing.T) {
	s := compiled(t)
	_, files := good(t)
	for _, file := range files {
		if err := s.Validate(asJSON(t, []byte(read(t, file)))); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		if err := s.Validate(asJSON(t, Print(load(t, file).Config))); err != nil {
			t.Errorf("%s, printed: %v", filepath.Base(file), err)
		}
	}
}

// TestSchemaAgreesWithDecoder shows that the schema and the decoder refuse the same keys, words and kinds.
func TestSchemaAgreesWithDecoder(t *testing.T) {
	s := compiled(t)
	app := func(more string) string {
		return "applications: [{ hosts: [a.example], upstream: \"http://a.internal\"" + more + " }]"
	}
	tests := map[string]struct {
		text string
		ok   bool
	}{
		"plain":                  {app(""), true},
		"unknown key at the top": {app("") + "\nlistener: []", false},
		"unknown key":            {app(", host: a"), false},
		"unknown nested key":     {app(", routes: [{ body: { max: 1MiB } }]"), false},
		"unknown mode":           {app(", mode: blok"), false},
		"mode of a route":        {app(", routes: [{ mode: block }]"), true},
		"no mode of a route":     {app(", routes: [{ mode: \"\" }]"), true},
		"no mode":                {app(", mode: \"\""), false},
		"unknown traffic":        {app(", routes: [{ traffic: [ws] }]"), false},
		"unknown balance":        {app("") + "\nupstreams: [{ name: a, url: \"http://a\", balance: any }]", false},
		"unknown setup":          {app("") + "\npolicies: [{ name: a, crs: { setup: x } }]", false},
		"size without unit":      {app(", routes: [{ body: { max_bytes: 10 } }]"), false},
		"size with wrong unit":   {app(", routes: [{ body: { max_bytes: 10MB } }]"), false},
		"duration without unit":  {app("") + "\nlisteners: [{ timeouts: { idle: 5 } }]", false},
		"duration":               {app("") + "\nlisteners: [{ timeouts: { idle: 1m30s } }]", true},
		"list for text":          {app(", owner: [a]"), false},
		"number for text":        {app(", owner: 5"), false},
		"text for list":          {"applications: [{ hosts: a.example, upstream: \"http://a.internal\" }]", false},
		"text for bool":          {app("") + "\nlisteners: [{ h2c: \"true\" }]", false},
		"paranoia 5":             {app("") + "\npolicies: [{ name: a, crs: { paranoia: 5 } }]", false},
		"paranoia 0":             {app("") + "\npolicies: [{ name: a, crs: { paranoia: 0 } }]", false},
		"no url":                 {app("") + "\nupstreams: [{ name: a }]", false},
		"url and urls":           {app("") + "\nupstreams: [{ name: a, url: \"http://a\", urls: [\"http://b\"] }]", false},
		"short sink":             {app("") + "\nlogs: { access: none }", true},
		"long sink":              {app("") + "\nlogs: { access: { to: ./a.log, keep: 2 } }", true},
		"unknown key of a sink":  {app("") + "\nlogs: { access: { path: ./a.log } }", false},
		"short list entry":       {app("") + "\nlists: [{ name: a, addresses: [10.0.0.1] }]", true},
		"long list entry":        {app("") + "\nlists: [{ name: a, addresses: [{ address: 10.0.0.1, expires: 2099-01-01 }] }]", true},
		"odd date":               {app("") + "\nlists: [{ name: a, addresses: [{ address: 10.0.0.1, expires: soon }] }]", false},
		"one method":             {app(", rules: [{ name: a, when: { method: GET, path: /x }, then: block }]"), true},
		"methods":                {app(", rules: [{ name: a, when: { method: [GET, PUT], path: /x }, then: block }]"), true},
		"unknown action":         {app(", rules: [{ name: a, when: { path: /x }, then: deny }]"), false},
		"unknown condition":      {app(", rules: [{ name: a, when: { not: { any: [{ url: x }] } }, then: block }]"), false},
		"stage as a number":      {app("") + "\ngroups: [{ name: a, listeners: [http], applications: [\"*\"], rollout: { stages: [1, 50%, all] } }]", true},
		"odd stage":              {app("") + "\ngroups: [{ name: a, listeners: [http], applications: [\"*\"], rollout: { stages: [some, all] } }]", false},
		"hosts missing":          {"applications: [{ upstream: \"http://a.internal\" }]", false},
		"null":                   {app(", owner: ~"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := LoadBytes("test.yaml", []byte(tt.text))
			if got := err == nil; got != tt.ok {
				t.Errorf("loads: %v, want %v (%v)", got, tt.ok, err)
			}
			err = s.Validate(asJSON(t, []byte(tt.text)))
			if got := err == nil; got != tt.ok {
				t.Errorf("valid: %v, want %v (%v)", got, tt.ok, err)
			}
		})
	}
}

// TestSchemaRefusesBadExamples shows that the schema refuses every golden file with an unknown key or word.
func TestSchemaRefusesBadExamples(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		golden := read(t, strings.TrimSuffix(file, ".yaml")+".txt")
		if !strings.Contains(golden, "is not a key") && !strings.Contains(golden, "expected a list") && !strings.Contains(golden, "is not a mode") {
			continue
		}
		if slices.Contains([]string{"keys.yaml"}, filepath.Base(file)) {
			continue // it also holds a key that is a list, which JSON cannot carry
		}
		checked++
		if s.Validate(asJSON(t, []byte(read(t, file)))) == nil {
			t.Errorf("%s is valid", file)
		}
	}
	if checked == 0 {
		t.Error("no file was checked")
	}
}

// TestSchemaDefaults shows that the defaults of the schema are the ones that are filled in.
func TestSchemaDefaults(t *testing.T) {
	l, err := LoadBytes("test.yaml", []byte(`
applications: [{ hosts: [a.example], upstream: "http://a.internal", rules: [{ name: a, when: { path: /x }, then: block }] }]
groups: [{ name: a, listeners: [http], applications: ["*"] }]
`))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			if isScalarType(v.Type()) {
				return
			}
			for i := range v.NumField() {
				sf := v.Type().Field(i)
				if def := fieldOf(v.Type(), sf).def; def != "" {
					seen[v.Type().Name()+"."+sf.Name] = true
					if got := node(v.Field(i)).Value; got != def {
						t.Errorf("%s.%s is %s, its default %s", v.Type().Name(), sf.Name, got, def)
					}
				}
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(l.Config).Elem())
	for name, f := range fields {
		if f.def != "" && !seen[name] && name != "Redirect.Status" {
			t.Errorf("the default of %s was not seen", name)
		}
	}
}

// TestFields shows that every key is described, and that nothing else is.
func TestFields(t *testing.T) {
	seen := map[string]bool{}
	var walk func(rt reflect.Type)
	walk = func(rt reflect.Type) {
		for rt.Kind() == reflect.Slice || rt.Kind() == reflect.Pointer {
			rt = rt.Elem()
		}
		if rt.Kind() != reflect.Struct || isScalarType(rt) || seen[rt.Name()] {
			return
		}
		seen[rt.Name()] = true
		for i := range rt.NumField() {
			sf := rt.Field(i)
			name := rt.Name() + "." + sf.Name
			seen[name] = true
			f, ok := fields[name]
			if !ok || !strings.HasSuffix(f.doc, ".") {
				t.Errorf("%s has no description that is a sentence", name)
			}
			if f.def != "" && f.bounds != nil {
				if n, err := strconv.Atoi(f.def); err != nil || n < f.bounds.min || n > f.bounds.max {
					t.Errorf("the default of %s is out of its bounds", name)
				}
			}
			jsonName, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
			if yamlName, _ := keyOf(sf); yamlName == "" || yamlName != jsonName {
				t.Errorf("%s is %q in YAML and %q in JSON", name, yamlName, jsonName)
			}
			walk(sf.Type)
		}
	}
	walk(reflect.TypeFor[Config]())
	for name := range fields {
		if !seen[name] {
			t.Errorf("%s is described but does not exist", name)
		}
	}
}

// TestSchemaGolden keeps the schema in a file, so that a change of the format is seen in review.
func TestSchemaGolden(t *testing.T) {
	const golden = "testdata/schema.json"
	if *update {
		if err := os.WriteFile(golden, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, golden), string(Schema())); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}
