package object

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/proxy/config"
)

// Document is the one configuration that a set of objects makes.
type Document struct {
	// Text is YAML, and JSON but for escapes that only YAML knows.
	Text []byte
	keys map[Kind][]Key // as they stand in the lists of Text
}

// The certificate's body is its own: the key is sealed, and named by what seals it.
const (
	CertificateChain  = "chain"  // PEM
	CertificateSecret = "secret" // the id under which chain and key are sealed
)

// Compose writes a set as a configuration. Certificates are the sealed ones of a revision.
func Compose(s Set) *Document {
	d := &Document{keys: make(map[Kind][]Key)}
	root := map[string]any{}
	for _, k := range s.Keys() {
		if k.Kind == Settings {
			maps.Copy(root, s[k])
			continue
		}
		body := maps.Clone(s[k])
		if body == nil {
			body = Body{}
		}
		if k.Kind == Certificates {
			body = Body{"secret": config.SealedPrefix + k.Name}
		}
		body["name"] = k.Name
		list, _ := root[string(k.Kind)].([]any)
		root[string(k.Kind)] = append(list, map[string]any(body))
		d.keys[k.Kind] = append(d.keys[k.Kind], k)
	}
	d.Text = writeYAML(root)
	return d
}

// writeYAML writes JSON that YAML reads as the same: what is not ASCII is escaped in YAML's way.
func writeYAML(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // what encoding/json has read it can write
	}
	out := make([]byte, 0, len(text)+1)
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\U%08x`, r)
		}
	}
	return append(out, '\n')
}

// Find gives the object that a path of the configuration lies in, such as applications[3].routes[0].path, and the path within it. It
// gives false for what is no object's.
func (d *Document) Find(path string) (key Key, field string, ok bool) {
	first, _, _ := strings.Cut(path, ".")
	kind, index, indexed := strings.Cut(first, "[")
	if !indexed {
		if kind == "admin" || kind == "logs" {
			return Key{Settings, string(Settings)}, path, true
		}
		return Key{}, path, false
	}
	n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
	keys := d.keys[Kind(kind)]
	if err != nil || n < 0 || n >= len(keys) {
		return Key{}, path, false
	}
	return keys[n], strings.TrimPrefix(path[len(first):], "."), true
}

// allowed are the keys of the settings' body.
var allowed = []string{"admin", "logs"}

// CheckShape gives what is wrong with a body that Compose would hide: the name that is not the object's, keys of settings that are other
// objects, and certificates. field is empty for the body itself.
func CheckShape(k Key, b Body) (field, message string) {
	if name, ok := b["name"]; ok && k.Kind != Settings {
		if name != any(k.Name) {
			return "name", fmt.Sprintf("is %v, and the object is called %s; names do not change", name, k.Name)
		}
		delete(b, "name")
	}
	var keys []string
	switch k.Kind {
	case Settings:
		if k.Name != string(Settings) {
			return "", "there is one object of settings, which is called settings"
		}
		keys = allowed
	case Certificates:
		keys = []string{CertificateChain, CertificateSecret}
		for _, key := range keys {
			if text, ok := b[key].(string); !ok || text == "" {
				return "", "certificates are uploaded with their chain and key"
			}
		}
	default:
		return "", ""
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if !slices.Contains(keys, key) {
			return key, fmt.Sprintf("is not a key%s (%s)", config.DidYouMean(key, keys), strings.Join(keys, ", "))
		}
	}
	return "", ""
}
