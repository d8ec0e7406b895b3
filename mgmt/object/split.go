package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Split reads the configuration of a standalone gateway as objects. Names that a gateway would fill in are filled in; all else stays as
// it was written. Whether the values are right is for loading to say.
func Split(text []byte) (Set, error) {
	var root map[string]any
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("YAML syntax: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	// Through JSON, so that numbers and dates are what an API body would have.
	data, err := json.Marshal(plain(root))
	if err != nil {
		return nil, errors.New("keys must be text")
	}
	root = nil
	if err := json.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	set := Set{}
	settings := Body{}
	for name, value := range root {
		switch kind := Kind(name); {
		case name == "version":
			if value != any(1.0) {
				return nil, fmt.Errorf("version: %v is not supported; write 1", value)
			}
		case name == "admin" || name == "logs":
			settings[name] = value
		case kind == Settings || !kind.Known():
			return nil, fmt.Errorf("%s: is not a key", name)
		default:
			if err := splitList(set, kind, value); err != nil {
				return nil, err
			}
		}
	}
	if len(settings) > 0 {
		set[Key{Settings, string(Settings)}] = settings
	}
	return set, nil
}

func splitList(set Set, kind Kind, value any) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s: expected a list", kind)
	}
	for i, entry := range list {
		body, ok := entry.(map[string]any)
		if !ok {
			return fmt.Errorf("%s[%d]: expected keys and values", kind, i)
		}
		name := nameOf(kind, body)
		if name == "" {
			return fmt.Errorf("%s[%d].name: is missing", kind, i)
		}
		key := Key{kind, name}
		if _, ok := set[key]; ok {
			return fmt.Errorf("%s[%d].name: %q is defined twice", kind, i, name)
		}
		delete(body, "name")
		set[key] = body
	}
	return nil
}

// nameOf is the name that a gateway gives an entry.
func nameOf(kind Kind, body map[string]any) string {
	if name, ok := body["name"].(string); ok {
		return name
	}
	switch kind {
	case Applications:
		if hosts, ok := body["hosts"].([]any); ok && len(hosts) > 0 {
			name, _ := hosts[0].(string)
			return name
		}
	case Listeners:
		if protocol, ok := body["protocol"].(string); ok {
			return protocol
		}
		return "http"
	}
	return ""
}

// plain makes what yaml has read fit for JSON: dates as they were written.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = plain(x)
		}
	case []any:
		for i, x := range v {
			v[i] = plain(x)
		}
	case interface{ Format(string) string }:
		return v.Format("2006-01-02")
	}
	return v
}

// Join adds the objects of another file. An object that is there already is an error.
func (s Set) Join(other Set) error {
	for _, k := range other.Keys() {
		if k.Kind == Settings && s[k] != nil {
			for field, value := range other[k] {
				if _, ok := s[k][field]; ok {
					return fmt.Errorf("%s: is given twice", field)
				}
				s[k][field] = value
			}
			continue
		}
		if _, ok := s[k]; ok {
			return fmt.Errorf("%s %q is defined twice", k.Kind.Noun(), k.Name)
		}
		s[k] = other[k]
	}
	return nil
}

// Export writes a set as the configuration that Split reads.
func Export(s Set) ([]byte, error) {
	root := yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value any) error {
		var node yaml.Node
		if err := node.Encode(value); err != nil {
			return err
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &node)
		return nil
	}
	err := add("version", 1)
	lists := map[Kind][]yaml.Node{}
	for _, k := range s.Keys() {
		if k.Kind == Settings {
			for _, key := range allowed {
				if v, ok := s[k][key]; ok {
					err = errors.Join(err, add(key, whole(v)))
				}
			}
			continue
		}
		var name, node yaml.Node
		err = errors.Join(err, name.Encode(k.Name), node.Encode(whole(map[string]any(s[k]))))
		node.Content = append([]*yaml.Node{{Kind: yaml.ScalarNode, Value: "name"}, &name}, node.Content...)
		node.Style = 0
		lists[k.Kind] = append(lists[k.Kind], node)
	}
	for _, kind := range Kinds() {
		if list := lists[kind]; len(list) > 0 {
			err = errors.Join(err, add(string(kind), list))
		}
	}
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(&root)
}

// whole has numbers of JSON written as whole numbers, which all of the configuration's are.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = whole(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = whole(x)
		}
		return out
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}
