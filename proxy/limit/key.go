package limit

import (
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/proxy/config"
	"gatehouse/rules/policy"
)

// part is one part of a key.
type part struct {
	kind policy.Kind
	name string // as values are found by it: canonical for headers, the flattened path for json
}

// newPart compiles a part of a key.
func newPart(text string) (part, error) {
	t, err := config.ParseRateKey(text)
	if err != nil {
		return part{}, err
	}
	p := part{kind: t.Kind, name: unescape(t.Name)}
	switch t.Kind {
	case policy.KindHeader:
		p.name = http.CanonicalHeaderKey(p.name)
	case policy.KindJSON:
		p.name = flatten(t.Name)
	}
	return p, nil
}

// unescape drops the backslashes of a name without wildcards.
func unescape(name string) string {
	if strings.IndexByte(name, '\\') < 0 {
		return name
	}
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b = append(b, name[i])
	}
	return string(b)
}

// flatten turns the JSON path items[0].id, which is not empty, into the name under which the body processor puts the
// value: json.items.0.id.
func flatten(path string) string {
	b := []byte("json")
	if path[0] != '[' {
		b = append(b, '.')
	}
	index := false // within brackets
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			b = append(b, path[i])
			if path[i] == '.' { // a dot that belongs to a key: the body processor marks such names
				b[len("json")] = ':'
			}
		case c == '[':
			index = true
			b = append(b, '.')
		case c == ']' && index:
			index = false
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// hash gives the hash of a request's key. ok is false if the limit does not count the request: its client is a trusted
// proxy's own address, which is left out of keys, and there is nothing else to count by.
func (r *rule) hash(seed maphash.Seed, v *values) (key uint64, ok bool) {
	var h maphash.Hash
	h.SetSeed(seed)
	shared := r.client && v.request.Client.Shared
	named := false
	for _, p := range r.key {
		if p.kind == policy.KindClient {
			var addr netip.Addr
			if !shared {
				addr = v.request.Client.Addr.Addr()
			}
			writeSubscriber(&h, addr)
			continue
		}
		value := v.value(p)
		named = named || value != ""
		write(&h, value)
	}
	return h.Sum64(), named || !shared
}

// write adds a value with its length: ab, c and a, bc are different keys.
func write(h *maphash.Hash, value string) {
	writeNumber(h, uint64(len(value)))
	_, _ = h.WriteString(value) // never fails, by its contract
}

// writeSubscriber adds what one client cannot change at will of its address.
func writeSubscriber(h *maphash.Hash, addr netip.Addr) {
	addr = subscriber(addr)
	writeNumber(h, uint64(addr.BitLen()))
	switch {
	case addr.Is4():
		b := addr.As4()
		_, _ = h.Write(b[:]) // never fails, by its contract
	case addr.Is6():
		b := addr.As16()
		_, _ = h.Write(b[:])
	}
}

func writeNumber(h *maphash.Hash, n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	_, _ = h.Write(b[:]) // never fails, by its contract
}
