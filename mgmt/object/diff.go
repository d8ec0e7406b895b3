package object

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Action says what became of something.
type Action string

// The actions.
const (
	Added   Action = "added"
	Removed Action = "removed"
	Changed Action = "changed"
	Moved   Action = "moved" // entries of a list stand in another order
)

// Difference is one thing in which two sets differ, in the words of operators.
type Difference struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"` // within the object; empty is the object itself
	Action Action `json:"action"`
	From   any    `json:"from,omitempty"`
	To     any    `json:"to,omitempty"`
	Text   string `json:"text"` // such as: application shop: route /api added
}

// Diff says in what after differs from before.
func Diff(before, after Set) []Difference {
	keys := map[Key]bool{}
	for _, s := range []Set{before, after} {
		for k := range s {
			keys[k] = true
		}
	}
	out := []Difference{}
	for _, k := range slices.SortedFunc(maps.Keys(keys), Key.Compare) {
		out = append(out, DiffBody(k, before[k], after[k])...)
	}
	return out
}

// DiffBody says in what an object differs. nil is none.
func DiffBody(k Key, before, after Body) []Difference {
	d := &differ{key: k}
	title := k.Kind.Noun() + " " + k.Name
	if k.Kind == Settings {
		title = "settings"
	}
	switch {
	case before == nil && after == nil:
	case before == nil:
		d.add("", Added, nil, nil, title+" added")
	case after == nil:
		d.add("", Removed, nil, nil, title+" removed")
	default:
		d.fields("", title, before, after)
	}
	return d.out
}

type differ struct {
	key Key
	out []Difference
}

func (d *differ) add(path string, action Action, from, to any, text string) {
	d.out = append(d.out, Difference{Kind: d.key.Kind, Name: d.key.Name, Path: path, Action: action, From: from, To: to, Text: text})
}

func (d *differ) fields(path, title string, before, after map[string]any) {
	names := map[string]bool{}
	for _, side := range []map[string]any{before, after} {
		for name := range side {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if d.key.Kind == Certificates && name == CertificateSecret {
			continue // the chain says it
		}
		d.value(join(path, name), title, name, field(before, name), field(after, name))
	}
}

func (d *differ) value(path, title, name string, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	b, beforeMap := before.(map[string]any)
	a, afterMap := after.(map[string]any)
	if beforeMap && afterMap {
		d.fields(path, title+": "+name, b, a)
		return
	}
	if d.entries(path, title, name, before, after) {
		return
	}
	title += ": " + name
	switch {
	case before == any(absent{}):
		d.add(path, Added, nil, after, title+" set to "+show(after))
	case after == any(absent{}):
		d.add(path, Removed, before, nil, title+" removed, it was "+show(before))
	case len(show(before)) > longValue || len(show(after)) > longValue:
		d.add(path, Changed, before, after, title+" changed")
	default:
		d.add(path, Changed, before, after, fmt.Sprintf("%s changed from %s to %s", title, show(before), show(after)))
	}
}

// entries compares lists of things that have fields, entry by entry. It answers false for other values.
func (d *differ) entries(path, title, name string, before, after any) bool {
	b, okB := things(before)
	a, okA := things(after)
	if !okB || !okA || len(b.keys)+len(a.keys) == 0 {
		return false
	}
	noun := singular(name)
	for _, key := range b.keys {
		if _, ok := a.by[key]; !ok {
			d.add(fmt.Sprintf("%s[%s]", path, key), Removed, b.by[key], nil, fmt.Sprintf("%s: %s %s removed", title, noun, key))
		}
	}
	for _, key := range a.keys {
		was, ok := b.by[key]
		at := fmt.Sprintf("%s[%s]", path, key)
		switch was, isMap := was.(map[string]any); {
		case !ok:
			d.add(at, Added, nil, a.by[key], fmt.Sprintf("%s: %s %s added", title, noun, key))
		case isMap:
			if is, ok := a.by[key].(map[string]any); ok {
				d.fields(at, fmt.Sprintf("%s: %s %s", title, noun, key), was, is)
			}
		}
	}
	if !slices.Equal(common(b.keys, a.keys), common(a.keys, b.keys)) {
		d.add(path, Moved, nil, nil, fmt.Sprintf("%s: the order of %s changed", title, name))
	}
	return true
}

// things are the entries of a list of which each has fields and a key of its own.
func things(v any) (keyed, bool) {
	if v == any(absent{}) {
		return keyed{}, true
	}
	list, ok := v.([]any)
	if !ok {
		return keyed{}, false
	}
	for _, entry := range list {
		if _, ok := entry.(map[string]any); !ok {
			return keyed{}, false
		}
	}
	return keyedList(list)
}

func singular(name string) string {
	if name == "addresses" {
		return "address"
	}
	return strings.ReplaceAll(strings.TrimSuffix(name, "s"), "_", " ")
}

// longValue is how long a value may be to stand in a text, in bytes.
const longValue = 160

// show is a value in a text.
func show(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return `""`
		}
		if strings.ContainsAny(v, "\n\r") || len(v) > longValue {
			return fmt.Sprintf("a text of %d characters", len([]rune(v)))
		}
		return v
	case []any:
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = show(x)
		}
		if len(words) == 0 {
			return "nothing"
		}
		return strings.Join(words, ", ")
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
