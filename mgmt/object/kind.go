// Package object knows the objects that operators work on: parts of a configuration, each with a kind, a name and a body.
//
// Invariant: merging and comparing look at bodies only, change none of what they are given, and depend on nothing else.
package object

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind is the key of the configuration under which objects of it stand.
type Kind string

// The kinds.
const (
	Listeners    Kind = "listeners"
	Certificates Kind = "certificates"
	Upstreams    Kind = "upstreams"
	Applications Kind = "applications"
	Policies     Kind = "policies"
	Lists        Kind = "lists"
	Groups       Kind = "groups"
	Settings     Kind = "settings" // has one object, of that name: what stands under admin and logs
)

// Kinds are all of them, in the order of the configuration.
func Kinds() []Kind {
	return []Kind{Settings, Listeners, Certificates, Upstreams, Applications, Policies, Lists, Groups}
}

// Noun is what one object of the kind is called in messages.
func (k Kind) Noun() string {
	if k == Policies {
		return "policy"
	}
	return strings.TrimSuffix(string(k), "s")
}

// Known says whether there is such a kind.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// Key names an object.
type Key struct {
	Kind Kind
	Name string
}

// String is the key in audit entries and messages, such as applications/shop.
func (k Key) String() string { return string(k.Kind) + "/" + k.Name }

// ParseKey reads what String writes.
func ParseKey(text string) (Key, error) {
	kind, name, ok := strings.Cut(text, "/")
	if !ok || !Kind(kind).Known() || name == "" {
		return Key{}, fmt.Errorf("%.100q names no object; write KIND/NAME, such as applications/shop", text)
	}
	return Key{Kind(kind), name}, nil
}

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKey(string(text))
	return err
}

// Compare orders keys as Kinds does, and then by name.
func (k Key) Compare(other Key) int {
	kinds := Kinds()
	return cmp.Or(cmp.Compare(slices.Index(kinds, k.Kind), slices.Index(kinds, other.Kind)), cmp.Compare(k.Name, other.Name))
}

// Body is what an object holds: what encoding/json reads, as sparse as it was written, without the name.
type Body map[string]any

// ParseBody reads a body. An empty text is none.
func ParseBody(text string) (Body, error) {
	if text == "" {
		return nil, nil
	}
	var b Body
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Errorf("a body: %w", err)
	}
	return b, nil
}

// Text is the body as JSON, empty for none. Equal bodies have the same.
func (b Body) Text() string {
	if b == nil {
		return ""
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // what encoding/json has read it can write
	}
	return string(text)
}

// Equal says whether both hold the same.
func (b Body) Equal(other Body) bool { return b.Text() == other.Text() }

// Set are objects by their keys: a draft, or what a revision was made of.
type Set map[Key]Body

// Keys are those of the set in their order.
func (s Set) Keys() []Key {
	keys := make([]Key, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, Key.Compare)
	return keys
}

// Put sets an object, and removes it if body is nil.
func (s Set) Put(k Key, body Body) {
	if body == nil {
		delete(s, k)
		return
	}
	s[k] = body
}
