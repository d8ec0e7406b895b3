package object

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Conflict is a place that both sides have changed, each in its own way.
type Conflict struct {
	Path string `json:"path"` // within the object, such as routes[/api].mode; empty is the object itself
}

// absent stands for a value that is not there.
type absent struct{}

// Merge carries the change from base to ours onto theirs. nil is no object. Fields are merged by name, and entries of lists by their
// name, path or value. With conflicts, the result is of no use.
//
// What only one side has changed is never a conflict: Merge(b, b, x) and Merge(b, x, b) are x.
func Merge(base, ours, theirs Body) (Body, []Conflict) {
	m := &merger{}
	out := m.merge("", value(base), value(ours), value(theirs))
	if body, ok := out.(map[string]any); ok {
		return body, m.conflicts
	}
	return nil, m.conflicts
}

func value(b Body) any {
	if b == nil {
		return absent{}
	}
	return map[string]any(b)
}

type merger struct{ conflicts []Conflict }

func (m *merger) conflict(path string) { m.conflicts = append(m.conflicts, Conflict{path}) }

func (m *merger) merge(path string, base, ours, theirs any) any {
	switch {
	case reflect.DeepEqual(base, ours), reflect.DeepEqual(ours, theirs):
		return theirs
	case reflect.DeepEqual(base, theirs):
		return ours
	}
	if o, t, b, ok := maps3(ours, theirs, base); ok {
		return m.fields(path, b, o, t)
	}
	if o, t, b, ok := lists3(ours, theirs, base); ok {
		return m.entries(path, b, o, t)
	}
	m.conflict(path)
	return theirs
}

func maps3(ours, theirs, base any) (o, t, b map[string]any, ok bool) {
	o, okO := ours.(map[string]any)
	t, okT := theirs.(map[string]any)
	b, okB := base.(map[string]any)
	return o, t, b, okO && okT && (okB || base == any(absent{}))
}

// fields merges objects by the names of their fields.
func (m *merger) fields(path string, base, ours, theirs map[string]any) any {
	names := map[string]bool{}
	for _, side := range []map[string]any{base, ours, theirs} {
		for name := range side {
			names[name] = true
		}
	}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		v := m.merge(join(path, name), field(base, name), field(ours, name), field(theirs, name))
		if v != any(absent{}) {
			out[name] = v
		}
	}
	return out
}

func field(of map[string]any, name string) any {
	if v, ok := of[name]; ok {
		return v
	}
	return absent{}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// keyed is a list whose entries are told apart.
type keyed struct {
	keys []string
	by   map[string]any
}

// keyedList gives the keys of a list's entries. It fails if two entries have the same.
func keyedList(list []any) (keyed, bool) {
	k := keyed{by: make(map[string]any, len(list))}
	for _, entry := range list {
		key, ok := EntryKey(entry)
		if _, twice := k.by[key]; !ok || twice {
			return k, false
		}
		k.keys, k.by[key] = append(k.keys, key), entry
	}
	return k, true
}

// EntryKey is what tells an entry of a list from others: its name, its path with match and methods, its address, or itself.
func EntryKey(entry any) (string, bool) {
	body, ok := entry.(map[string]any)
	if !ok {
		switch entry.(type) {
		case []any, nil:
			return "", false
		}
		return fmt.Sprint(entry), true
	}
	for _, key := range []string{"name", "address"} {
		if name, ok := body[key].(string); ok {
			return name, true
		}
	}
	return routeKey(body)
}

// routeKey is the path of a route, with what else tells it from one of the same path. A route without a path is that of /.
func routeKey(body map[string]any) (string, bool) {
	path, ok := body["path"].(string)
	if _, there := body["path"]; there && !ok {
		return "", false
	}
	key := path
	if !ok {
		key = "/"
	}
	if match, ok := body["match"].(string); ok && match != "prefix" {
		key += " " + match
	}
	if methods, ok := body["methods"].([]any); ok && len(methods) > 0 {
		var words []string
		for _, m := range methods {
			words = append(words, fmt.Sprint(m))
		}
		slices.Sort(words)
		key += " " + strings.Join(words, ",")
	}
	return key, true
}

func lists3(ours, theirs, base any) (o, t, b keyed, ok bool) {
	read := func(v any) (keyed, bool) {
		if v == any(absent{}) {
			return keyed{}, true
		}
		list, ok := v.([]any)
		if !ok {
			return keyed{}, false
		}
		return keyedList(list)
	}
	if _, ok := ours.([]any); !ok {
		return o, t, b, false
	}
	if _, ok := theirs.([]any); !ok {
		return o, t, b, false
	}
	o, okO := read(ours)
	t, okT := read(theirs)
	b, okB := read(base)
	return o, t, b, okO && okT && okB
}

// entries merges lists by the keys of their entries.
func (m *merger) entries(path string, base, ours, theirs keyed) any {
	order, ok := mergeOrder(base.keys, ours.keys, theirs.keys)
	if !ok {
		m.conflict(path)
		return nil
	}
	out := []any{}
	for _, key := range order {
		v := m.merge(fmt.Sprintf("%s[%s]", path, key), field(base.by, key), field(ours.by, key), field(theirs.by, key))
		if v != any(absent{}) {
			out = append(out, v)
		}
	}
	return out
}

// mergeOrder gives all keys of both sides in the order of the side that has changed it; entries of the other side come behind those that
// they are behind there. It fails if each side has an order of its own.
func mergeOrder(base, ours, theirs []string) ([]string, bool) {
	frame, other := theirs, ours
	if !slices.Equal(common(base, ours), common(ours, base)) { // ours has moved what base has
		if !slices.Equal(common(base, theirs), common(theirs, base)) && !slices.Equal(common(ours, theirs), common(theirs, ours)) {
			return nil, false
		}
		frame, other = ours, theirs
	}
	order := slices.Clone(frame)
	at := 0
	for _, key := range other {
		if i := slices.Index(order, key); i >= 0 {
			at = i + 1
			continue
		}
		order = slices.Insert(order, at, key)
		at++
	}
	return order, true
}

// common are the entries of a that b has too, in the order of a.
func common(a, b []string) []string {
	var out []string
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}
