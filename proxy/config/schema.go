package config

import (
	"encoding/json"
	"reflect"
	"strconv"

	"gatehouse/rules/policy"
)

// object is a JSON object in the making; encoding/json sorts its keys.
type object = map[string]any

// Schema gives the JSON Schema (2020-12) of a configuration file, for editors. It is made from the types, the table of
// fields and the table of closed sets, so that it takes what Load takes as far as the shape of the file goes; names
// that do not exist, addresses, paths and the like are Load's to judge.
func Schema() []byte {
	g := generator{defs: object{}}
	root := g.structure(reflect.TypeFor[Config]())
	delete(root, "required") // of several files, one may hold the applications
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Gatehouse configuration"
	root["$defs"] = g.defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil { // maps of strings, numbers and lists always encode
		return nil
	}
	return append(out, '\n')
}

// generator collects the definitions of structs.
type generator struct{ defs object }

// patterns are the types that are written as one word of a certain form.
var patterns = map[reflect.Type]string{
	reflect.TypeFor[Size]():        sizePattern,
	reflect.TypeFor[Duration]():    durationPattern,
	reflect.TypeFor[Rate]():        ratePattern,
	reflect.TypeFor[policy.Date](): datePattern,
}

// schema describes the values of a type.
func (g *generator) schema(t reflect.Type, f field) object {
	if pattern, ok := patterns[t]; ok {
		return object{"type": "string", "pattern": pattern}
	}
	if e, ok := enums[t]; ok {
		values := e.values
		if f.mayBeEmpty {
			values = append([]string{""}, values...)
		}
		return object{"enum": values}
	}
	switch t {
	case reflect.TypeFor[Prefix]():
		return object{"type": "string"}
	case reflect.TypeFor[Stage]():
		return object{"oneOf": []object{{"type": "integer", "minimum": 1}, {"type": "string", "pattern": stagePattern}}}
	case reflect.TypeFor[policy.Strings]():
		return object{"oneOf": []object{{"type": "string"}, {"type": "array", "items": object{"type": "string"}}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.schema(t.Elem(), f)
	case reflect.Struct:
		ref := object{"$ref": "#/$defs/" + t.Name()}
		if _, ok := g.defs[t.Name()]; !ok {
			g.defs[t.Name()] = nil // conditions hold conditions
			g.defs[t.Name()] = g.structure(t)
		}
		if short, ok := shortForms[t]; ok {
			sf, _ := t.FieldByName(short)
			return object{"oneOf": []object{g.schema(sf.Type, fieldOf(t, sf)), ref}}
		}
		return ref
	case reflect.Slice:
		return object{"type": "array", "items": g.schema(t.Elem(), f)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(t.Elem(), f)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		s := object{"type": "integer"}
		if f.bounds != nil {
			s["minimum"], s["maximum"] = f.bounds.min, f.bounds.max
		}
		return s
	}
	return object{"type": "string"}
}

// structure describes the keys of a struct.
func (g *generator) structure(t reflect.Type) object {
	properties := object{}
	required := []string{}
	for i := range t.NumField() {
		sf := t.Field(i)
		f := fieldOf(t, sf)
		name, _ := keyOf(sf)
		s := g.schema(sf.Type, f)
		s["description"] = f.doc
		if f.def != "" {
			s["default"] = f.def
			if n, err := strconv.Atoi(f.def); err == nil {
				s["default"] = n
			}
		}
		properties[name] = s
		if f.required {
			required = append(required, name)
		}
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	if t == reflect.TypeFor[Upstream]() {
		s["oneOf"] = []object{{"required": []string{"url"}}, {"required": []string{"urls"}}}
	}
	return s
}
